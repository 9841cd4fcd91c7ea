"""A short run of the disk errors under the whole unit (``make disk-errors`` is the long one), and a file that cannot be
read."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.cli.demo.link import CuttableLink
from appliance.config import blob_path
from appliance.store.commands import give_command
from appliance.store.connect import open_unit
from tests.disk_errors import Aim, run_disk_errors
from tests.support.orthancs import orthanc_commands
from tests.support.promises import centre_faults, kept_faults, settled
from tests.support.strace import injected, missing_for_injection
from tests.support.world import Modality, Unit, dicomweb_destination, make_unit, running_centre, wait_for

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.root,
    # pynetdicom drops a refused connection's socket without closing it
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing_for_injection()), reason=missing_for_injection()),
]

FULL = (
    Aim("orthanc", "write", ("ENOSPC",)),
    Aim("orthanc", "pwrite64", ("ENOSPC",), ("door.db-wal",)),
    Aim("intake", "pwrite64", ("ENOSPC",), ("unit.db-wal",)),
    Aim("sync", "pwrite64", ("ENOSPC",), ("unit.db-wal",)),
)
FLUSH = (
    Aim("orthanc", "fsync", ("EIO",)),
    Aim("orthanc", "fdatasync", ("EIO",), ("orthanc/index-wal",)),
    Aim("intake", "fdatasync", ("EIO",), ("unit.db-wal",)),
    Aim("sync", "fdatasync", ("EIO",), ("unit.db-wal",)),
)


def _waits_for_a_person(unit: Unit) -> set[str]:
    rows = unit.query(
        """SELECT sop_instance_uid FROM instance JOIN outbox USING (instance_id)
            WHERE state = 'rejected' AND failure_code = 'blob-unreadable'"""
    )
    return {str(row[0]) for row in rows}


@pytest.mark.parametrize("orthanc", orthanc_commands(), ids=lambda command: Path(command).name)
@pytest.mark.parametrize(
    "aims",
    [
        pytest.param(FULL, id="full", marks=pytest.mark.fault(15)),
        pytest.param(FLUSH, id="flush", marks=pytest.mark.fault(18)),
    ],
)
def test_disk_errors_in_any_process_break_no_promise_and_the_unit_heals(
    orthanc: str, aims: tuple[Aim, ...], tmp_path: Path
) -> None:
    outcome = run_disk_errors(tmp_path, orthanc, len(aims), seed=5, aims=aims)
    assert outcome.faults == []
    assert len(outcome.struck) == len(aims), outcome.struck
    assert outcome.told_count > 0


@pytest.mark.fault(17)
@pytest.mark.skipif(not orthanc_commands(), reason="no Orthanc on this machine")
def test_stored_file_that_cannot_be_read_is_never_sent_and_holds_up_no_other(tmp_path: Path) -> None:
    """It waits for a person, who asks again when the disk was mended."""
    with running_centre(tmp_path / "centre", orthanc_commands()[0]) as centre:
        link = CuttableLink(centre.http_port)
        link.cut()
        url = f"http://127.0.0.1:{link.port}/dicom-web"
        unit = make_unit(tmp_path / "unit", orthanc_commands()[0], dicomweb_destination(url))
        unit.start()
        try:
            modality = Modality(unit.config.dicom.port)
            told = modality.send(4)
            assert len(told) == 4
            wait_for(lambda: len(unit.known_uids()) == 4, "intake")
            bad = told[0].sop_instance_uid
            ((study, blob_uuid),) = unit.query(
                f"SELECT study_instance_uid, blob_uuid FROM instance WHERE sop_instance_uid = '{bad}'"
            )
            blob = blob_path(unit.config.blob_dir, str(blob_uuid))
            with injected(unit.child_pids()["sync"], "read:error=EIO", log=tmp_path / "strace.log", paths=[blob]):
                link.restore()
                others = {each.sop_instance_uid for each in told[1:]}
                wait_for(lambda: unit.confirmed_uids() == others and bad in _waits_for_a_person(unit), "the others")
                assert bad not in centre.holdings()
            with open_unit(unit.config.unit_db) as db:
                give_command(db, db.stamp(), "retry", str(study), "test")
            wait_for(lambda: settled(unit, told), "delivery of the file that can be read again")
            assert kept_faults(unit, told) + centre_faults(centre, told) == []
        finally:
            unit.stop()
            link.close()
