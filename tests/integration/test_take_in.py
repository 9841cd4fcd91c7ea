"""The ledger fills the outbox: everything once, in order, whatever file or clock stands in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest

from appliance.clock import utc_text
from appliance.dicom.header import HeaderReader
from appliance.health.clock_doubt import ClockWatch, clock_doubt
from appliance.orthanc.feed import ChangeRow
from appliance.orthanc.ledger import Ledger
from appliance.orthanc.notices import Notices
from appliance.orthanc.rest import OrthancDown, OrthancRest
from appliance.orthanc.scrub import Scrub
from appliance.orthanc.watch import PATIENCE_COUNT, Watch
from appliance.store.connect import open_door, open_unit
from appliance.store.door import mark_removed, note_quarantined
from tests.store.made import EPOCH_S, HandClock
from tests.support.files import small_chest
from tests.support.kept import KeptUnit, make_kept_unit, rewritten
from tests.support.world import wait_for


@pytest.fixture
def unit(tmp_path: Path) -> KeptUnit:
    return make_kept_unit(tmp_path)


def test_kept_instances_are_queued_once_in_the_order_of_reception(unit: KeptUnit) -> None:
    kept = [unit.keep_chest(seed) for seed in range(5)]
    unit.take_in()
    unit.take_in()
    queued = unit.rows(
        "SELECT i.blob_uuid, o.state FROM outbox AS o JOIN instance AS i USING (instance_id) ORDER BY item_id"
    )
    assert queued == [(row.blob_uuid, "pending") for row in kept]


def test_unreadable_file_is_kept_and_told_and_holds_up_no_other(unit: KeptUnit) -> None:
    first = unit.keep_chest(1)
    bad = unit.keep_chest(2)
    last = unit.keep_chest(3)
    unit.blob(bad).write_bytes(bytes(unit.blob(bad).stat().st_size))
    unit.take_in()
    assert set(unit.local_states()) == {first.sop_instance_uid, last.sop_instance_uid}
    assert unit.findings() == {"identity-unreadable": "alarm"}
    assert bad.blob_uuid in unit.blobs()


def test_ledger_that_was_made_anew_is_read_again_from_its_start(unit: KeptUnit) -> None:
    kept = [unit.keep_chest(seed) for seed in range(3)]
    unit.take_in()
    for path in unit.config.data_dir.glob("door.db*"):
        path.unlink()
    fresh = make_kept_unit(unit.config.data_dir.parent)
    newest = fresh.keep_chest(9)
    fresh.take_in()
    assert set(fresh.local_states()) == {row.sop_instance_uid for row in (*kept, newest)}
    assert fresh.rows("SELECT seq FROM cursor WHERE feed = 'kept'") == [(1,)]


@pytest.mark.fault(32)
def test_exact_duplicate_whose_first_copy_is_let_go_leaves_the_row_at_the_copy_that_stays(unit: KeptUnit) -> None:
    first = unit.keep_chest(1)
    unit.take_in()
    second = unit.keep_chest(1)
    unit.take_in()
    with open_door(unit.config.door_db) as door:
        mark_removed(door, door.stamp(), first.blob_uuid)
    unit.blob(first).unlink()
    unit.take_in()
    assert unit.rows("SELECT blob_uuid, local_state FROM instance") == [(second.blob_uuid, "present")]
    assert unit.rows("SELECT count(*) FROM outbox") == [(1,)]


def quarantine(unit: KeptUnit, reason: str, path: Path, sop_instance_uid: str) -> None:
    shutil.copy(path, unit.config.quarantine_dir / "second.dcm")
    with open_door(unit.config.door_db) as door:
        note_quarantined(
            door,
            door.stamp(),
            reason=reason,
            sop_instance_uid=sop_instance_uid,
            sha256="",
            size_bytes=1,
            file_name="second.dcm",
        )


@pytest.mark.fault(30)
def test_other_bytes_under_one_uid_are_an_alarm_for_people(unit: KeptUnit, tmp_path: Path) -> None:
    kept = unit.keep_chest(1)
    other = rewritten(tmp_path / "sent-1.dcm", tmp_path / "other.dcm", SeriesDescription="other")
    quarantine(unit, "conflict", other, kept.sop_instance_uid)
    unit.take_in()
    assert unit.findings() == {"sop-conflict": "alarm"}


@pytest.mark.fault(31)
def test_one_uid_for_two_patients_is_named_as_that(unit: KeptUnit, tmp_path: Path) -> None:
    kept = unit.keep_chest(1)
    other = rewritten(tmp_path / "sent-1.dcm", tmp_path / "other.dcm", PatientID="SOMEBODY-ELSE")
    quarantine(unit, "conflict", other, kept.sop_instance_uid)
    unit.take_in()
    assert unit.findings() == {"patient-conflict": "alarm"}
    detail = unit.rows("SELECT detail, sentence FROM finding")
    assert "SOMEBODY" not in str(detail)


@pytest.mark.fault(31)
def test_two_patients_in_one_study_are_an_alarm_and_their_identities_are_not_mixed(
    unit: KeptUnit, tmp_path: Path
) -> None:
    first = rewritten(small_chest(tmp_path / "a.dcm", 1), tmp_path / "b.dcm", PatientBirthDate="", PatientID="ONE")
    study = pydicom.dcmread(first).StudyInstanceUID
    other = rewritten(
        small_chest(tmp_path / "c.dcm", 2),
        tmp_path / "d.dcm",
        StudyInstanceUID=study,
        PatientID="TWO",
        PatientBirthDate="19610203",
    )
    unit.keep(first)
    unit.keep(other)
    unit.take_in()
    assert unit.findings() == {"study-of-two-patients": "alarm"}
    assert unit.rows("SELECT patient_id, patient_birth_date FROM study") == [("ONE", "")]
    assert unit.rows("SELECT count(*) FROM outbox") == [(2,)]


@pytest.mark.fault(15)
def test_refusals_for_lack_of_room_are_told_and_cleared_when_pictures_come_in_again(unit: KeptUnit) -> None:
    with closing(Ledger(unit.config.door_db, unit.clock)) as ledger:
        ledger.refuse("disk-full", 0xA700, "XRAY1")
    unit.take_in()
    assert unit.findings() == {"refused": "alarm"}
    with open_unit(unit.config.unit_db) as db, open_door(unit.config.door_db) as door, HeaderReader() as headers:
        notices = Notices(unit.config, db, door, headers)
        assert not notices.mirror()
        notices.room_is_back()
    assert unit.findings() == {}


@pytest.mark.fault(36)
@pytest.mark.parametrize("start_s", [0.0, EPOCH_S - 10 * 365 * 86_400, EPOCH_S + 10 * 365 * 86_400])
def test_clock_that_steps_during_an_exam_keeps_order_and_dates_and_raises_a_doubt(
    tmp_path: Path, start_s: float
) -> None:
    clock = HandClock()
    unit = make_kept_unit(tmp_path, clock)
    kept = [unit.keep_chest(1)]
    clock.wall, clock.mono = start_s, clock.mono + 1
    kept.append(unit.keep_chest(2))
    clock.wall, clock.mono = EPOCH_S + 5, clock.mono + 1
    kept.append(unit.keep_chest(3))
    unit.take_in()
    order = unit.rows(
        """SELECT i.blob_uuid FROM outbox AS o JOIN instance AS i USING (instance_id)
            WHERE o.state = 'pending' ORDER BY stat DESC, queued_at_s, item_id"""
    )
    assert order == [(row.blob_uuid,) for row in kept]
    assert unit.rows("SELECT received_boot_id, received_mono_s FROM instance ORDER BY instance_id") == [
        ("boot-1", 100.0 + step) for step in range(3)
    ]
    dates = unit.rows("SELECT DISTINCT study_date FROM study")
    assert dates == [(str(pydicom.dcmread(tmp_path / "sent-1.dcm").StudyDate),)]
    with open_unit(unit.config.unit_db, clock=clock) as db, open_door(unit.config.door_db) as door:
        watch = ClockWatch(db, door, clock)
        watch.look()
        assert unit.findings() == {}
        clock.wall = start_s
        watch.look()
        assert unit.findings() == {"clock-unverified": "warning"}
        clock.wall = EPOCH_S + 6
        watch.look()
        assert unit.findings() == {}


@pytest.mark.fault(36)
def test_clock_doubt_names_its_reason() -> None:
    assert clock_doubt(0.0, None, 0.0) == "before-release"
    assert clock_doubt(EPOCH_S, None, 0.0) == ""
    assert clock_doubt(EPOCH_S, EPOCH_S - 86_400, 0.0) == ""
    assert clock_doubt(EPOCH_S, EPOCH_S + 3600, 0.0) == "behind"
    assert clock_doubt(EPOCH_S + 10 * 365 * 86_400, EPOCH_S, 0.0) == "ahead"
    assert clock_doubt(EPOCH_S, EPOCH_S - 10, -3600.0) == "stepped"
    assert utc_text(0.0).startswith("1970")


def scrub_once(unit: KeptUnit) -> None:
    """One whole pass, without its pauses."""
    with open_unit(unit.config.unit_db) as db, open_door(unit.config.door_db) as door:
        scrub = Scrub(unit.config, db, door)
        while scrub.step() < 3600:
            pass


@pytest.mark.fault(21)
def test_bit_flip_in_a_blob_is_found_by_the_scrub_and_the_others_stay(unit: KeptUnit) -> None:
    kept = [unit.keep_chest(seed) for seed in range(3)]
    unit.take_in()
    flip_a_bit(unit.blob(kept[1]))
    scrub_once(unit)
    states = unit.local_states()
    assert [states[row.sop_instance_uid] for row in kept] == ["present", "corrupt", "present"]
    assert unit.findings() == {"blob-damaged": "alarm"}
    assert unit.quarantined() == {"damaged"}


@pytest.mark.fault(21)
def test_blob_that_was_healed_is_present_again_after_the_next_scrub(unit: KeptUnit, tmp_path: Path) -> None:
    kept = unit.keep_chest(1)
    unit.take_in()
    flip_a_bit(unit.blob(kept))
    scrub_once(unit)
    fresh = tmp_path / "fresh"
    shutil.copy(tmp_path / "sent-1.dcm", fresh)
    fresh.replace(unit.blob(kept))
    scrub_once(unit)
    assert unit.local_states() == {kept.sop_instance_uid: "present"}
    assert unit.findings() == {}


@pytest.mark.fault(21)
def test_damaged_blob_that_a_repeat_healed_in_place_is_present_again_at_once(unit: KeptUnit, tmp_path: Path) -> None:
    kept = unit.keep_chest(1)
    unit.take_in()
    flip_a_bit(unit.blob(kept))
    scrub_once(unit)
    unit.repeat(tmp_path / "sent-1.dcm")
    unit.take_in()
    assert unit.local_states() == {kept.sop_instance_uid: "present"}
    assert "blob-damaged" not in unit.findings()


@pytest.mark.fault(21)
def test_damaged_blob_whose_place_another_copy_takes_leaves_no_alarm(unit: KeptUnit, tmp_path: Path) -> None:
    kept = unit.keep_chest(1)
    unit.take_in()
    flip_a_bit(unit.blob(kept))
    scrub_once(unit)
    unit.keep(tmp_path / "sent-1.dcm")
    unit.take_in()
    assert unit.local_states() == {kept.sop_instance_uid: "present"}
    assert "blob-damaged" not in unit.findings()


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_name_under_a_wrong_alphabet_is_a_notice(unit: KeptUnit, tmp_path: Path) -> None:
    path = rewritten(
        small_chest(tmp_path / "a.dcm", 1), tmp_path / "b.dcm", SpecificCharacterSet="ISO_IR 192", PatientName="بنعلي"
    )
    path.write_bytes(path.read_bytes().replace(b"ISO_IR 192", b"ISO_IR 100"))
    unit.keep(path)
    unit.take_in()
    assert unit.findings() == {"character-set": "notice"}
    assert unit.rows("SELECT count(*) FROM outbox") == [(1,)]


class FakeOrthanc(OrthancRest):
    """A change log and an index in memory."""

    def __init__(self) -> None:
        self.log: list[ChangeRow] = []
        self.blobs: dict[str, str] = {}
        self.is_down = False

    def changes(self, since_seq: int, limit_count: int) -> tuple[ChangeRow, ...]:
        if self.is_down:
            raise OrthancDown("down")
        return tuple(row for row in self.log if row.seq > since_seq)[:limit_count]

    def blob_uuid(self, orthanc_id: str) -> str | None:
        return self.blobs.get(orthanc_id)

    def tags_of(self, sop_instance_uid: str, blob_uuid: str) -> dict[str, Any] | None:
        return {
            "SOPInstanceUID": sop_instance_uid,
            "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7",
            "SeriesInstanceUID": "1.2.3.4",
            "StudyInstanceUID": "1.2.3",
            "TransferSyntaxUID": "1.2.840.10008.1.2.1",
        }


@contextmanager
def watching(unit: KeptUnit, orthanc: OrthancRest) -> Iterator[Watch]:
    with open_unit(unit.config.unit_db) as db, open_door(unit.config.door_db) as door, HeaderReader() as headers:
        yield Watch(unit.config, db, door, headers, orthanc)


def test_change_log_that_went_backwards_is_read_again(unit: KeptUnit) -> None:
    orthanc = FakeOrthanc()
    orthanc.log = [ChangeRow(n, "NewInstance", f"id-{n}", f"t{n}") for n in range(1, 27)]
    with watching(unit, orthanc) as watch:
        for _ in range(PATIENCE_COUNT + 2):
            watch.step()
        assert (watch.reachable, watch.seq) == (True, 26)
    orthanc.log = [*orthanc.log[:16], *(ChangeRow(n, "NewInstance", f"new-{n}", f"u{n}") for n in range(17, 22))]
    orthanc.blobs = {"new-17": "11111111-1111-1111-1111-111111111111"}
    with watching(unit, orthanc) as watch:
        for _ in range(PATIENCE_COUNT + 3):
            watch.step()
        assert watch.seq == 21
    assert unit.rows("SELECT kind, subject_id FROM finding") == [("not-in-ledger", "new-17")]


def test_identifier_that_orthanc_reads_otherwise_is_taken_over(unit: KeptUnit) -> None:
    kept = unit.keep_chest(1)
    unit.take_in()
    orthanc = FakeOrthanc()
    orthanc.log = [ChangeRow(1, "NewInstance", "as-orthanc-says", "t1")]
    orthanc.blobs = {"as-orthanc-says": kept.blob_uuid}
    with watching(unit, orthanc) as watch:
        for _ in range(PATIENCE_COUNT + 1):
            watch.step()
    assert unit.rows("SELECT orthanc_id, local_state FROM instance") == [("as-orthanc-says", "present")]
    assert unit.findings() == {}


def test_orthanc_that_is_down_is_asked_again(unit: KeptUnit) -> None:
    orthanc = FakeOrthanc()
    with watching(unit, orthanc) as watch:
        watch.step()
        orthanc.is_down = True
        assert watch.step() > 0
        assert not watch.reachable
        orthanc.is_down = False
        watch.step()
        assert watch.reachable


@pytest.mark.fault(61)
def test_file_our_parser_cannot_read_is_identified_by_orthanc(unit: KeptUnit) -> None:
    kept = unit.keep_chest(1)
    data = unit.blob(kept).read_bytes()
    unit.blob(kept).write_bytes(data[:132] + b"\xff" * (len(data) - 132))
    unit.take_in()
    assert unit.findings() == {"identity-unreadable": "alarm"}
    with watching(unit, FakeOrthanc()) as watch:
        watch.step()
    assert unit.findings() == {}
    assert unit.rows("SELECT sop_instance_uid, study_instance_uid FROM instance") == [(kept.sop_instance_uid, "1.2.3")]


@pytest.mark.fault(36)
@pytest.mark.parametrize("when", ["1970-01-01 00:00:05", "-10y", "+10y"])
def test_intake_under_a_wrong_clock_queues_everything_and_says_so(unit: KeptUnit, when: str) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("needs libfaketime")
    kept = [unit.keep_chest(seed) for seed in range(3)]
    toml = unit.config.data_dir.parent / "unit.toml"
    toml.write_text(
        f'[unit]\ndata_dir = "{unit.config.data_dir}"\n'
        '[[destination]]\nkind = "dimse"\nname = "pacs"\nhost = "127.0.0.1"\nport = 104\ncalled_ae_title = "PACS"\n'
    )
    environment = {**os.environ, "LD_PRELOAD": str(library), "FAKETIME": when, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    intake = subprocess.Popen(
        [sys.executable, "-m", "appliance.orthanc.intake", "--config", str(toml)], env=environment
    )
    try:
        wait_for(lambda: unit.rows("SELECT count(*) FROM outbox") == [(3,)], "all duties", 60)
        wait_for(lambda: unit.findings() == {"clock-unverified": "warning"}, "the doubt", 60)
        intake.terminate()
        assert intake.wait(30) == 0
    finally:
        intake.kill()
        intake.wait()
    order = unit.rows(
        "SELECT i.blob_uuid FROM outbox AS o JOIN instance AS i USING (instance_id) ORDER BY queued_at_s, item_id"
    )
    assert order == [(row.blob_uuid,) for row in kept]
    assert unit.rows("SELECT state, count(*) FROM outbox GROUP BY state") == [("pending", 3)]
    assert [row[0] for row in unit.rows("SELECT received_at FROM instance ORDER BY instance_id")] == [
        row.received_at for row in kept
    ]
