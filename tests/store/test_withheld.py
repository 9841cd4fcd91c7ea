"""Test studies stay here until a person says that they are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.domain.registration import Order, PatientDetails, PersonName, Registration
from appliance.domain.snapshot import PowerState
from appliance.registration.desk import UnitWords, register_person
from appliance.store import commissioning
from appliance.store.commands import give_command
from appliance.store.connect import Store
from appliance.store.findings import open_subjects
from appliance.store.intake import KeptInstance, ensure_destinations, keep_instances, queue_lifted
from appliance.store.matching import Match, set_match
from appliance.store.outbox import items_of_study
from appliance.store.snapshot import LiveFacts, read_snapshot
from appliance.store.withheld import withhold
from tests.store.made import EPOCH_S, made_kept, made_stamp

STUDY = "1.2.3.1"
DESTINATIONS = ["pacs", "archive"]
POWER = PowerState(safe=True, receiving_count=0, unindexed_count=0)


@pytest.fixture
def exam(unit: Store) -> Registration:
    """A test exam of an open commissioning."""
    order = Order(exam_code="T", modality="DX", body_part="CHEST", description="Test", scheduled_at=made_stamp().at)
    details = PatientDetails(name=PersonName(family_latin="TEST", given_latin="DEVICE"))
    registered = register_person(unit, made_stamp(), UnitWords("unit-01", "U1"), details, (), order, "tester")
    commissioning_id = commissioning.begin(unit, made_stamp(), "XRAY1", "tester", {})
    commissioning.add_exam(unit, commissioning_id, registered.registration.registration_key)
    withhold(unit, made_stamp(), registered.registration.study_instance_uid, _key(registered.registration), "tester")
    return registered.registration


def _key(registration: Registration) -> str:
    return registration.registration_key


def keep(unit: Store, row: KeptInstance) -> None:
    keep_instances(unit, made_stamp(), [row], DESTINATIONS, None)


def of_exam(row: KeptInstance, exam: Registration) -> KeptInstance:
    """As a device stores it that takes everything from the worklist."""
    uid = exam.study_instance_uid
    return replace(
        row,
        instance=replace(row.instance, study_instance_uid=uid),
        study=replace(row.study, study_instance_uid=uid, accession_number=exam.accession_number),
    )


def test_test_picture_is_kept_owed_to_nobody_and_counted_nowhere(unit: Store, exam: Registration) -> None:
    keep(unit, of_exam(made_kept(1), exam))
    assert ensure_destinations(unit, made_stamp(), DESTINATIONS) == 0
    snapshot = read_snapshot(
        unit, made_stamp(), LiveFacts(POWER, 1, 1), unit_name="u", today_iso=made_stamp(EPOCH_S).at
    )
    assert unit.rows("SELECT local_state, owed_count FROM instance") == [("present", 0)]
    assert (snapshot.unsafe_study_count, snapshot.only_here_study_count, snapshot.studies) == (0, 0, ())


def test_device_that_makes_up_its_study_uid_is_known_by_the_accession_number(unit: Store, exam: Registration) -> None:
    row = made_kept(1)
    keep(unit, replace(row, study=replace(row.study, accession_number=exam.accession_number)))
    assert items_of_study(unit, STUDY) == ()


def test_device_that_knows_the_test_patient_only_is_known_by_the_patient_id(unit: Store, exam: Registration) -> None:
    patient_id = unit.value("SELECT patient_id FROM worklist_entry WHERE registration_key = ?", (_key(exam),))
    row = made_kept(1)
    keep(unit, replace(row, study=replace(row.study, patient_id=patient_id, accession_number="")))
    assert items_of_study(unit, STUDY) == ()


def test_any_other_study_is_owed_as_ever(unit: Store, exam: Registration) -> None:
    row = made_kept(1)
    keep(unit, replace(row, study=replace(row.study, patient_id="", accession_number="")))
    assert len(items_of_study(unit, STUDY)) == 2


def test_test_picture_of_a_device_that_nobody_tries_out_is_shown_to_people(unit: Store, exam: Registration) -> None:
    """Somebody may have taken the test patient for a real one."""
    record = commissioning.last_record(unit, "XRAY1")
    assert record is not None
    keep(unit, of_exam(made_kept(1), exam))
    assert unit.rows("SELECT kind FROM finding") == []
    commissioning.end(unit, made_stamp(), record, "passed", "tester")
    keep(unit, of_exam(made_kept(2), exam))
    assert unit.rows("SELECT kind, severity, subject_id FROM finding") == [
        ("test-patient-used", "warning", exam.study_instance_uid)
    ]
    give_command(unit, made_stamp(), "release", exam.study_instance_uid, "nadia")
    queue_lifted(unit, made_stamp(), DESTINATIONS)
    assert open_subjects(unit, "test-patient-used") == ()


@pytest.mark.parametrize("how", ["release", "reconcile"])
def test_what_a_person_says_is_no_test_is_queued(unit: Store, exam: Registration, how: str) -> None:
    keep(unit, of_exam(made_kept(1), exam))
    assert queue_lifted(unit, made_stamp(), DESTINATIONS) == 0
    uid = exam.study_instance_uid
    if how == "release":
        give_command(unit, made_stamp(), "release", uid, "nadia")
    else:
        set_match(unit, made_stamp(), Match(uid, "another", "person", "reconciled", "", made_stamp().at, "nadia"))
    assert queue_lifted(unit, made_stamp(), DESTINATIONS) == 1
    assert {item.destination for item in items_of_study(unit, uid)} == set(DESTINATIONS)
    assert queue_lifted(unit, made_stamp(), DESTINATIONS) == 0
    keep(unit, of_exam(made_kept(2), exam))
    assert len(items_of_study(unit, uid)) == 4


def test_matching_by_itself_lifts_nothing(unit: Store, exam: Registration) -> None:
    keep(unit, of_exam(made_kept(1), exam))
    uid, key = exam.study_instance_uid, _key(exam)
    set_match(unit, made_stamp(), Match(uid, "", "", "exception", "unknown-patient", made_stamp().at, "matching"))
    set_match(unit, made_stamp(), Match(uid, key, "person", "reconciled", "", made_stamp().at, "nadia"))
    give_command(unit, made_stamp(), "release", uid, "matching")
    assert queue_lifted(unit, made_stamp(), DESTINATIONS) == 0
