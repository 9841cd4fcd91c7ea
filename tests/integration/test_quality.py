"""Pictures as the door keeps them, through intake, checks and their real reading child, to findings and holds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pydicom
import pytest

from appliance.cli.config import to_toml
from appliance.dicom.bounded_child import BoundedChild
from appliance.domain.quality import CheckCode
from appliance.domain.registration import Laterality, Order, PatientDetails, PersonName, Sex
from appliance.domain.values import Priority
from appliance.quality.checking import COMPARE_S, open_checking
from appliance.quality.version import CHECKS_VERSION
from appliance.registration.desk import Registered, change_person, register_person, unit_words
from appliance.store.commands import finish_command, give_command
from appliance.store.connect import open_unit
from appliance.store.intake import ensure_destinations
from appliance.store.matching import Match, set_match
from appliance.store.outbox import candidates, items_of_study, set_priority
from appliance.store.quality import due_count, findings_of_study, next_due
from tests.store.made import HandClock
from tests.support.files import small_chest
from tests.support.kept import DESTINATION, KeptUnit, make_kept_unit, rewritten
from tests.support.world import wait_for


@pytest.fixture
def unit(tmp_path: Path) -> KeptUnit:
    return make_kept_unit(tmp_path, HandClock())


def with_policy(unit: KeptUnit, *codes: CheckCode) -> None:
    unit.config = msgspec.structs.replace(
        unit.config, quality=msgspec.structs.replace(unit.config.quality, hold=tuple(codes))
    )


def with_limits(unit: KeptUnit, **limits: Any) -> None:
    unit.config = msgspec.structs.replace(unit.config, limits=replace(unit.config.limits, **limits))


def check_all(unit: KeptUnit) -> None:
    """What the step does until it is idle, its rests passed over."""
    clock = unit.clock
    assert isinstance(clock, HandClock)
    with open_checking(unit.config, clock) as worker:
        idle_count = 0
        while idle_count < 2:
            if worker.step() > 0:
                clock.mono += COMPARE_S
                idle_count += 1
            else:
                idle_count = 0


def keep(unit: KeptUnit, seed: int, **values: Any) -> pydicom.Dataset:
    """A small film with other values, kept and taken in."""
    path = small_chest(unit.config.data_dir.parent / f"made-{seed}.dcm", seed)
    unit.keep(rewritten(path, path, **values))
    unit.take_in()
    return pydicom.dcmread(path)


def codes(unit: KeptUnit, study_instance_uid: str) -> set[str]:
    with open_unit(unit.config.unit_db) as db:
        return {row.check_code for row in findings_of_study(db, study_instance_uid)}


def commands(unit: KeptUnit) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in unit.rows("SELECT kind, actor FROM command ORDER BY command_id")]


def give(unit: KeptUnit, kind: str, uid: str, reason: str = "") -> None:
    with open_unit(unit.config.unit_db, clock=unit.clock) as db:
        give_command(db, db.stamp(), kind, uid, "nurse", reason)


BLANK = {"PixelData": np.zeros((96, 80), "<u2").tobytes()}

# --- following unit.db -----------------------------------------------------------------------------------------------


def test_every_picture_is_checked_once_and_the_newest_first(unit: KeptUnit) -> None:
    kept = [unit.keep_chest(seed) for seed in range(4)]
    unit.take_in()
    with open_unit(unit.config.unit_db) as db:
        due = next_due(db, CHECKS_VERSION)
    assert due is not None and due.sop_instance_uid == kept[-1].sop_instance_uid
    check_all(unit)
    assert unit.rows("SELECT outcome, count(*) FROM quality_run GROUP BY outcome") == [("checked", 4)]
    before = unit.rows("SELECT max(seq) FROM journal")
    check_all(unit)
    assert unit.rows("SELECT max(seq) FROM journal") == before


def test_picture_that_comes_while_older_ones_wait_leaves_no_gap(unit: KeptUnit) -> None:
    for seed in range(3):
        unit.keep_chest(seed)
    unit.take_in()
    with open_checking(unit.config, unit.clock) as worker:
        worker.step()
        unit.keep_chest(9)
        unit.take_in()
        worker.step()
        assert unit.rows("SELECT max(instance_id) FROM quality_run WHERE outcome = 'checked'") == [(4,)]
    check_all(unit)
    assert unit.rows("SELECT count(*) FROM quality_run WHERE outcome = 'checked'") == [(4,)]


def test_what_was_here_before_the_checks_is_checked_too(unit: KeptUnit) -> None:
    keep(unit, 1)
    check_all(unit)
    with open_unit(unit.config.unit_db) as db:
        assert due_count(db, CHECKS_VERSION) == 0
        assert due_count(db, CHECKS_VERSION + 1) == 1


def test_new_version_of_the_checks_sees_everything_anew_and_clears_what_is_gone(
    unit: KeptUnit, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = keep(unit, 1, **BLANK)
    check_all(unit)
    assert "frames-blank" in codes(unit, film.StudyInstanceUID)
    monkeypatch.setattr("appliance.quality.checking.CHECKS_VERSION", CHECKS_VERSION + 1)
    monkeypatch.setattr(BoundedChild, "ask", lambda *_: {"findings": []})
    check_all(unit)
    assert codes(unit, film.StudyInstanceUID) == set()
    assert unit.rows("SELECT DISTINCT checks_version FROM quality_run") == [(CHECKS_VERSION + 1,)]
    assert unit.rows("SELECT count(*) FROM quality_finding WHERE cleared_at = ''") == [(0,)]


def test_alarm_stands_in_the_status_until_it_is_gone(unit: KeptUnit, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(unit, 1, **BLANK)
    check_all(unit)
    assert unit.findings() == {"quality-alarm": "alarm"}
    monkeypatch.setattr("appliance.quality.checking.CHECKS_VERSION", CHECKS_VERSION + 1)
    monkeypatch.setattr(BoundedChild, "ask", lambda *_: {"findings": []})
    check_all(unit)
    assert unit.findings() == {}


def test_file_that_is_not_on_this_disk_is_left_alone(unit: KeptUnit) -> None:
    row = unit.keep_chest(1)
    unit.take_in()
    unit.blob(row).unlink()
    check_all(unit)
    assert unit.rows("SELECT outcome FROM quality_run") == [("gone",)]


# --- a child that fails ----------------------------------------------------------------------------------------------


@pytest.mark.fault(61)
def test_file_that_needs_too_much_memory_is_not_checked_and_said_so(unit: KeptUnit) -> None:
    film = keep(unit, 1)
    with_limits(unit, quality_memory_bytes_max=40 * 1024 * 1024)
    check_all(unit)
    assert codes(unit, film.StudyInstanceUID) == {"not-checked"}
    assert unit.rows("SELECT outcome, attempt_count FROM quality_run") == [("failed", 1)]


@pytest.mark.fault(61)
def test_file_that_takes_too_long_is_not_checked_and_the_next_one_is(unit: KeptUnit) -> None:
    slow = keep(unit, 1)
    with_limits(unit, quality_answer_s_max=1e-9, quality_rate_bytes_per_s_min=10**15)
    check_all(unit)
    assert codes(unit, slow.StudyInstanceUID) == {"not-checked"}
    unit.config = make_kept_unit(unit.config.data_dir.parent).config
    good = keep(unit, 2)
    check_all(unit)
    assert "not-checked" not in codes(unit, good.StudyInstanceUID)


@pytest.mark.fault(61)
@pytest.mark.parametrize("said", [{}, {"findings": 7}, {"findings": [{"code": "x", "severity": "alarm"}]}])
def test_answer_of_another_shape_is_no_answer(
    unit: KeptUnit, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    film = keep(unit, 1)
    monkeypatch.setattr(BoundedChild, "ask", lambda *_: said)
    check_all(unit)
    assert codes(unit, film.StudyInstanceUID) == {"not-checked"}


# --- orders ----------------------------------------------------------------------------------------------------------


def ordered(unit: KeptUnit, **details: Any) -> Registered:
    person: dict[str, Any] = {
        "name": PersonName(family_latin="BENALI", given_latin="Fatima"),
        "sex": Sex.FEMALE,
        "birth_date": "19840312",
    }
    with open_unit(unit.config.unit_db, clock=unit.clock) as db:
        return register_person(
            db,
            db.stamp(),
            unit_words(unit.config),
            PatientDetails(**(person | details)),
            (),
            Order(
                exam_code="KNEE-L",
                modality="DX",
                body_part="KNEE",
                description="Knee",
                laterality=Laterality.LEFT,
                views="AP LL/RL",
                scheduled_at=db.stamp().at,
            ),
            "nurse",
        )


def as_ordered(made: Registered, **values: Any) -> dict[str, Any]:
    return {
        "StudyInstanceUID": made.registration.study_instance_uid,
        "AccessionNumber": made.registration.accession_number,
        "PatientID": made.patient_id,
        "PatientName": "BENALI^FATIMA",
        "PatientBirthDate": "19840312",
        "PatientSex": "F",
        "BodyPartExamined": "KNEE",
        "ImageLaterality": "L",
        "ViewPosition": "AP",
    } | values


ABOUT_ORDERS = {
    "identity-differs",
    "order-unknown",
    "modality-differs",
    "body-part-differs",
    "laterality-differs",
    "laterality-missing",
    "view-differs",
    "view-missing",
}


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, set()),
        ({"PatientID": "SOMEBODY-ELSE"}, {"identity-differs"}),
        ({"ImageLaterality": "R"}, {"laterality-differs"}),
        ({"ViewPosition": "PA"}, {"view-differs"}),
        ({"StudyInstanceUID": "1.2.3.4"}, set()),
        ({"StudyInstanceUID": "1.2.3.4", "AccessionNumber": "OTHER"}, {"order-unknown"}),
    ],
)
def test_picture_is_compared_with_its_order(unit: KeptUnit, values: dict[str, Any], found: set[str]) -> None:
    film = keep(unit, 1, **as_ordered(ordered(unit), **values))
    check_all(unit)
    assert codes(unit, film.StudyInstanceUID) & ABOUT_ORDERS == found


def test_picture_is_compared_again_when_its_patient_record_is_corrected(unit: KeptUnit) -> None:
    made = ordered(unit, birth_date="19480312")
    film = keep(unit, 1, **as_ordered(made))
    check_all(unit)
    assert "identity-differs" in codes(unit, film.StudyInstanceUID)
    with open_unit(unit.config.unit_db, clock=unit.clock) as db:
        details = replace(made.patient.details, birth_date="19840312")
        change_person(db, db.stamp(), unit_words(unit.config), made.patient.patient_key, details, "nurse", "mistyped")
    check_all(unit)
    assert "identity-differs" not in codes(unit, film.StudyInstanceUID)


def test_picture_is_compared_again_when_a_person_says_whose_it_is(unit: KeptUnit) -> None:
    made = ordered(unit)
    film = keep(unit, 1, **as_ordered(made, StudyInstanceUID="1.2.3.4", AccessionNumber="", ImageLaterality="R"))
    check_all(unit)
    assert codes(unit, "1.2.3.4") & ABOUT_ORDERS == {"order-unknown"}
    with open_unit(unit.config.unit_db, clock=unit.clock) as db:
        match = Match(
            film.StudyInstanceUID,
            made.registration.registration_key,
            "person",
            "reconciled",
            "",
            db.stamp().at,
            "nurse",
        )
        set_match(db, db.stamp(), match)
    check_all(unit)
    assert codes(unit, "1.2.3.4") & ABOUT_ORDERS == {"laterality-differs"}


# --- holds -----------------------------------------------------------------------------------------------------------


def test_without_a_policy_nothing_is_held(unit: KeptUnit) -> None:
    keep(unit, 1, **BLANK)
    check_all(unit)
    assert commands(unit) == []


def test_finding_of_the_policy_holds_its_study_until_a_person_releases_it(unit: KeptUnit) -> None:
    with_policy(unit, CheckCode.FRAMES_BLANK)
    keep(unit, 1)
    film = keep(unit, 2, **BLANK)
    check_all(unit)
    assert unit.rows("SELECT kind, study_instance_uid, actor, reason FROM command") == [
        ("hold", film.StudyInstanceUID, "quality", "quality: frames-blank")
    ]
    give(unit, "release", film.StudyInstanceUID)
    check_all(unit)
    check_all(unit)
    assert commands(unit) == [("hold", "quality"), ("release", "nurse")]
    keep(unit, 3, StudyInstanceUID=film.StudyInstanceUID, **BLANK)
    check_all(unit)
    assert commands(unit)[2:] == [("hold", "quality")], "another picture with the same finding holds it again"


def test_stat_with_a_reason_lets_a_held_study_go_and_without_one_does_not(unit: KeptUnit) -> None:
    with_policy(unit, CheckCode.FRAMES_BLANK)
    film = keep(unit, 1, **BLANK)
    check_all(unit)
    give(unit, "stat", film.StudyInstanceUID)
    check_all(unit)
    assert commands(unit) == [("hold", "quality"), ("stat", "nurse")]
    give(unit, "stat", film.StudyInstanceUID, "the surgeon waits")
    check_all(unit)
    assert commands(unit)[3:] == [("release", "quality")]


def test_study_that_is_stat_with_a_reason_is_not_held(unit: KeptUnit) -> None:
    with_policy(unit, CheckCode.FRAMES_BLANK)
    film = keep(unit, 1, **BLANK)
    give(unit, "stat", film.StudyInstanceUID, "the surgeon waits")
    check_all(unit)
    assert commands(unit) == [("stat", "nurse")]


def test_hold_ends_when_what_held_it_is_gone(unit: KeptUnit) -> None:
    with_policy(unit, CheckCode.FRAMES_BLANK)
    keep(unit, 1, **BLANK)
    check_all(unit)
    with_policy(unit)
    keep(unit, 2)
    check_all(unit)
    assert commands(unit) == [("hold", "quality"), ("release", "quality")]


def test_hold_of_a_person_outlives_that_of_the_policy(unit: KeptUnit) -> None:
    with_policy(unit, CheckCode.FRAMES_BLANK)
    film = keep(unit, 1, **BLANK)
    check_all(unit)
    give(unit, "hold", film.StudyInstanceUID, "wait for the doctor")
    with_policy(unit)
    check_all(unit)
    assert commands(unit) == [("hold", "quality"), ("hold", "nurse")]


# --- the gate before sending --------------------------------------------------------------------------------------


def offered(unit: KeptUnit) -> list[str]:
    """SOP Instance UIDs that the scheduler may send."""
    with open_unit(unit.config.unit_db) as db:
        return [item.sop_instance_uid for item in candidates(db, DESTINATION, 64)]


def test_without_a_policy_nothing_waits_for_its_check(unit: KeptUnit) -> None:
    check_all(unit)
    film = keep(unit, 1)
    assert offered(unit) == [film.SOPInstanceUID]


def test_with_a_policy_a_picture_goes_only_when_it_was_checked(unit: KeptUnit) -> None:
    with_policy(unit, CheckCode.FRAMES_BLANK)
    check_all(unit)
    film = keep(unit, 1)
    assert offered(unit) == []
    check_all(unit)
    assert offered(unit) == [film.SOPInstanceUID]


def test_picture_that_is_to_be_held_waits_until_sync_holds_it(unit: KeptUnit) -> None:
    with_policy(unit, CheckCode.FRAMES_BLANK)
    check_all(unit)
    keep(unit, 1, **BLANK)
    check_all(unit)
    assert commands(unit) == [("hold", "quality")] and offered(unit) == []
    with open_unit(unit.config.unit_db, clock=unit.clock) as db:
        finish_command(db, db.stamp(), 1, "1 image on hold")
    check_all(unit)
    assert unit.rows("SELECT count(*) FROM quality_wait") == [(0,)]


def test_stat_waits_for_no_check(unit: KeptUnit) -> None:
    with_policy(unit, CheckCode.FRAMES_BLANK)
    check_all(unit)
    film = keep(unit, 1)
    with open_unit(unit.config.unit_db, clock=unit.clock) as db:
        items = [item.item_id for item in items_of_study(db, film.StudyInstanceUID)]
        set_priority(db, db.stamp(), items, Priority.STAT, "nurse")
    assert offered(unit) == [film.SOPInstanceUID]


def test_policy_that_is_given_up_and_destinations_that_are_added_leave_nothing_waiting(unit: KeptUnit) -> None:
    with_policy(unit, CheckCode.FRAMES_BLANK)
    check_all(unit)
    film = keep(unit, 1)
    check_all(unit)
    with open_unit(unit.config.unit_db, clock=unit.clock) as db:
        ensure_destinations(db, db.stamp(), [DESTINATION, "another"])
        assert len(candidates(db, "another", 64)) == 1, "it was checked before"
    late = keep(unit, 2)
    with_policy(unit)
    check_all(unit)
    assert set(offered(unit)) == {film.SOPInstanceUID, late.SOPInstanceUID}


# --- the process -----------------------------------------------------------------------------------------------------


def started(unit: KeptUnit) -> subprocess.Popen[bytes]:
    path = unit.config.data_dir.parent / "unit.toml"
    path.write_text(to_toml(unit.config), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-m", "appliance.quality", "--config", str(path)], stderr=subprocess.DEVNULL
    )


def checked_count(unit: KeptUnit) -> int:
    return int(unit.rows("SELECT count(*) FROM quality_run WHERE outcome = 'checked'")[0][0])


@pytest.mark.fault(12)
def test_process_killed_again_and_again_ends_with_the_findings_of_an_undisturbed_one(tmp_path: Path) -> None:
    disturbed, calm = (make_kept_unit(tmp_path / name, HandClock()) for name in ("disturbed", "calm"))
    for unit in (disturbed, calm):
        for seed in range(6):
            path = small_chest(tmp_path / f"film-{seed}.dcm", seed)
            unit.keep(rewritten(path, path, **(BLANK if seed % 2 else {})))
        unit.take_in()
    check_all(calm)
    for wanted in (1, 3, 6):
        process = started(disturbed)
        try:
            wait_for(lambda: checked_count(disturbed) >= wanted, "checked pictures")  # noqa: B023 - called at once
        finally:
            process.kill()
            process.wait()
    sql = """SELECT sop_instance_uid, check_code, severity, values_json FROM quality_finding
        WHERE cleared_at = '' ORDER BY sop_instance_uid, check_code"""
    assert disturbed.rows(sql) == calm.rows(sql)
    assert disturbed.rows("SELECT count(*) FROM quality_finding WHERE check_code = 'frames-blank'") == [(3,)]


def test_process_ends_cleanly_and_leaves_no_child(unit: KeptUnit) -> None:
    keep(unit, 1)
    process = started(unit)
    try:
        wait_for(lambda: checked_count(unit) == 1, "a checked picture")
        children = _children(process.pid)
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert len(children) == 1
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the child's end")


def test_child_ends_when_its_process_is_killed(unit: KeptUnit) -> None:
    keep(unit, 1)
    process = started(unit)
    wait_for(lambda: checked_count(unit) == 1, "a checked picture")
    children = _children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the child's end")


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]
