"""A whole unit with a policy: a good film reaches the centre, a blank one stays until a person lets it go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pynetdicom import AE

from appliance.dicom.phantom import phantom_chest
from appliance.store.commands import give_command
from appliance.store.connect import open_unit
from tests.support.orthancs import orthanc_commands
from tests.support.world import Unit, dicomweb_destination, make_unit, running_centre, wait_for

pytestmark = [pytest.mark.orthanc, pytest.mark.timeout(300)]


def store(unit: Unit, dataset: Dataset) -> str:
    """C-STORE as a console does it; its SOP Instance UID once it heard *Success*."""
    entity = AE(ae_title="XRAY")
    entity.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", unit.config.dicom.port, ae_title=unit.config.dicom.ae_title)
    assert association.is_established
    try:
        assert association.send_c_store(dataset).Status == 0
    finally:
        association.release()
    return str(dataset.SOPInstanceUID)


def moves(unit: Unit, dataset: Dataset) -> set[object]:
    """States that anything of its study was ever in."""
    sql = f"SELECT DISTINCT to_state FROM journal WHERE study_instance_uid = '{dataset.StudyInstanceUID}'"
    return {row[0] for row in unit.query(sql)}


@pytest.mark.parametrize("orthanc", orthanc_commands(), ids=lambda command: Path(command).name)
def test_blank_film_is_held_before_its_first_byte_leaves(tmp_path: Path, orthanc: str) -> None:
    good, blank = phantom_chest(200, 160, seed=1), phantom_chest(200, 160, seed=2)
    blank.PixelData = np.zeros((200, 160), "<u2").tobytes()
    with running_centre(tmp_path / "centre", orthanc) as centre:
        destination = dicomweb_destination(centre.dicomweb_url)
        unit = make_unit(tmp_path / "unit", orthanc, destination, extra='[quality]\nhold = ["frames-blank"]')
        unit.start()
        try:
            wait_for(lambda: unit.query("SELECT is_on FROM quality_gate") == [(1,)], "the policy in force")
            blank_uid, good_uid = store(unit, blank), store(unit, good)
            wait_for(lambda: good_uid in unit.confirmed_uids(), "the good film at the centre")
            held = f"""SELECT o.state FROM outbox AS o JOIN instance AS i USING (instance_id)
                WHERE i.sop_instance_uid = '{blank_uid}'"""
            wait_for(lambda: unit.query(held) == [("held",)], "the blank film on hold")
            assert set(centre.holdings()) == {good_uid}
            assert not moves(unit, blank) & {"encoding", "sending"}
            assert "sending" in moves(unit, good)
            with open_unit(unit.config.unit_db) as db:
                give_command(
                    db, db.stamp(), "release", blank.StudyInstanceUID, "nurse", "an empty exposure, on purpose"
                )
            wait_for(lambda: blank_uid in unit.confirmed_uids(), "the blank film at the centre")
            assert set(centre.holdings()) == {good_uid, blank_uid}
        finally:
            unit.stop()
