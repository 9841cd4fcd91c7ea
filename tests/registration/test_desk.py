"""The desk writes a person, an exam and the console's answer together, and keeps them together."""

from __future__ import annotations

import io
import sqlite3
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from appliance.domain.registration import Identifier, IdentifierKind, PatientDetails, PersonName, RegistrationState, Sex
from appliance.registration import desk
from appliance.registration.desk import Registered
from appliance.registration.duplicates import Reason
from appliance.store import patients, registrations
from appliance.store.connect import Store
from appliance.store.errors import StoreError
from appliance.store.intake import keep_instances
from appliance.store.journal import read_journal
from appliance.store.registrations import MoveRefusedError, move_registration, registration_row
from tests.registration.made import AICHA, UNIT, details, drawing, national, order
from tests.store.made import fresh_unit, made_kept, made_stamp

S = RegistrationState


def registered(unit: Store, known: PatientDetails | None = None, *identifiers: Identifier) -> Registered:
    person = known or PatientDetails(name=AICHA, sex=Sex.FEMALE, birth_date="19840312")
    return desk.register_person(unit, made_stamp(), UNIT, person, identifiers, order(), "nurse")


def item(unit: Store, done: Registered, character_set: str = "utf8") -> Dataset:
    sql = f"SELECT item_{character_set} FROM worklist_entry WHERE registration_key = ?"
    return pydicom.dcmread(io.BytesIO(unit.value(sql, (done.registration.registration_key,))))


def is_open(unit: Store, done: Registered) -> bool:
    sql = "SELECT is_open FROM worklist_entry WHERE registration_key = ?"
    return bool(unit.value(sql, (done.registration.registration_key,)))


def test_person_exam_and_answer_are_written_together(unit: Store) -> None:
    done = registered(unit)
    answer = item(unit, done)
    assert str(answer.PatientName) == "Benali^Aïcha=بنعلي^عائشة"
    assert answer.StudyInstanceUID == done.registration.study_instance_uid
    assert answer.AccessionNumber == done.registration.accession_number
    assert answer.PatientID == done.patient_id == done.patient.unit_id
    assert is_open(unit, done)
    known = patients.find_patient(unit, done.patient.patient_key)
    assert known is not None and known.details == done.patient.details and known.identifiers == done.patient.identifiers
    assert registrations.find_registration(unit, done.registration.registration_key) == done.registration


def test_a_failure_in_the_middle_leaves_nothing(unit: Store) -> None:
    unit.connection.execute(
        "CREATE TRIGGER stop BEFORE INSERT ON worklist_entry BEGIN SELECT RAISE(ABORT, 'stopped'); END"
    )
    with pytest.raises(StoreError, match="stopped"):
        registered(unit)
    tables = ("patient", "patient_identifier", "patient_term", "registration", "worklist_entry", "journal")
    assert [unit.value(f"SELECT count(*) FROM {table}") for table in tables] == [0] * len(tables)


def test_journal_tells_keys_and_no_identity(unit: Store) -> None:
    done = registered(unit, None, national("AB123456"))
    rows = read_journal(unit)
    assert [(row.subject, row.event, row.to_state) for row in rows] == [
        ("patient", "registered", ""),
        ("registration", "registered", "scheduled"),
    ]
    told = " ".join(str(row) for row in rows)
    assert not any(part in told for part in ("Benali", "Aïcha", "AB123456", "19840312", done.patient.unit_id))


def test_national_number_is_shown_unless_two_people_go_by_it(unit: Store) -> None:
    first = registered(unit, None, national("AB123456"))
    second = registered(unit, details("Tazi", "Omar"), national("AB123456"))
    assert first.patient_id == "AB123456"
    assert second.patient_id == second.patient.unit_id


def test_two_emergencies_are_told_apart_on_the_console(unit: Store) -> None:
    nobody = PatientDetails(name=PersonName(), is_emergency=True)
    names = {str(item(unit, registered(unit, nobody), "ascii").PatientName) for _ in range(2)}
    assert len(names) == 2 and all(name.startswith("TEMP^") for name in names)


def test_emergency_keeps_its_arabic_name_beside_the_temporary_one(unit: Store) -> None:
    known = PatientDetails(name=PersonName(family_arabic="بنعلي"), is_emergency=True)
    done = registered(unit, known)
    assert str(item(unit, done, "ascii").PatientName) == f"TEMP^{done.patient_id[-9:]}"
    assert str(item(unit, done).PatientName).endswith("=بنعلي")


def test_reconciled_emergency_has_its_name_on_the_console_and_is_found_by_it(unit: Store) -> None:
    done = registered(unit, PatientDetails(name=PersonName(), is_emergency=True))
    known = PatientDetails(name=AICHA, sex=Sex.FEMALE, birth_date="19840312")
    desk.change_person(unit, made_stamp(1), UNIT, done.patient.patient_key, known, "nurse", "", [national("AB123456")])
    answer = item(unit, done)
    assert (str(answer.PatientName), answer.PatientID) == ("Benali^Aïcha=بنعلي^عائشة", "AB123456")
    assert answer.AccessionNumber == done.registration.accession_number
    assert [one.unit_id for one in patients.search_patients(unit, "aicha", 9)] == [done.patient.unit_id]
    assert patients.search_patients(unit, "temp", 9) == ()


def test_given_registration_carries_the_other_person_and_its_own_numbers(unit: Store) -> None:
    wrong, right = registered(unit), registered(unit, details("Tazi", "Omar", sex=Sex.MALE))
    key = wrong.registration.registration_key
    desk.give_registration(unit, made_stamp(1), UNIT, key, right.patient.patient_key, "nurse", "wrong person")
    answer = item(unit, wrong, "ascii")
    assert (str(answer.PatientName), answer.PatientID) == ("Tazi^Omar", right.patient_id)
    assert answer.StudyInstanceUID == wrong.registration.study_instance_uid


def test_merged_people_are_one_on_every_console_also_after_later_changes(unit: Store) -> None:
    first, second, third = (registered(unit, details("Person", name)) for name in ("A", "B", "C"))
    keys = [one.patient.patient_key for one in (first, second, third)]
    desk.merge_people(unit, made_stamp(1), UNIT, keys[0], keys[1], "nurse", "")
    desk.merge_people(unit, made_stamp(2), UNIT, keys[1], keys[2], "nurse", "")
    desk.change_person(unit, made_stamp(3), UNIT, keys[2], details("Right", "Name"), "nurse", "")
    for done in (first, second, third):
        assert (str(item(unit, done, "ascii").PatientName), item(unit, done).PatientID) == (
            "Right^Name",
            third.patient_id,
        )
        assert [one.unit_id for one in desk.find_person(unit, done.patient.unit_id)] == [third.patient.unit_id]

    desk.merge_people(unit, made_stamp(4), UNIT, keys[0], "", "nurse", "was wrong")
    assert str(item(unit, first, "ascii").PatientName) == "Person^A"
    assert str(item(unit, second, "ascii").PatientName) == "Right^Name"


def test_merge_never_goes_round_in_a_circle(unit: Store) -> None:
    first, second = registered(unit).patient.patient_key, registered(unit, details("Tazi")).patient.patient_key
    patients.merge_patient(unit, made_stamp(), first, second, "nurse", "")
    for one, other in ((second, first), (first, first), (first, "nobody"), ("nobody", first)):
        with pytest.raises(StoreError):
            patients.merge_patient(unit, made_stamp(), one, other, "nurse", "")


@pytest.mark.parametrize(
    ("way", "open_after"),
    [
        ((S.CANCELLED,), False),
        ((S.DISCONTINUED,), False),
        ((S.COMPLETED,), False),
        ((S.CANCELLED, S.SCHEDULED), True),
        ((S.COMPLETED, S.SCHEDULED), True),
    ],
)
def test_console_sees_what_is_open(unit: Store, way: tuple[S, ...], open_after: bool) -> None:
    done = registered(unit)
    for state in way:
        move_registration(unit, made_stamp(), done.registration.registration_key, state, "nurse", "because")
    assert is_open(unit, done) is open_after
    row = registration_row(unit, done.registration.registration_key)
    assert row is not None and row.state is way[-1]
    moves = [entry for entry in read_journal(unit) if entry.event == "moved"]
    assert [(one.to_state, one.actor, one.detail) for one in moves] == [(state, "nurse", "because") for state in way]


@pytest.mark.parametrize("before", S)
@pytest.mark.parametrize("after", S)
def test_people_move_a_registration_only_as_the_table_says(unit: Store, before: S, after: S) -> None:
    done = registered(unit)
    key = done.registration.registration_key
    unit.connection.execute("UPDATE registration SET state = ? WHERE registration_key = ?", (before, key))
    allowed = {
        (S.SCHEDULED, S.CANCELLED),
        (S.SCHEDULED, S.DISCONTINUED),
        (S.SCHEDULED, S.COMPLETED),
        (S.IN_PROGRESS, S.DISCONTINUED),
        (S.IN_PROGRESS, S.COMPLETED),
        (S.COMPLETED, S.SCHEDULED),
        (S.DISCONTINUED, S.SCHEDULED),
        (S.CANCELLED, S.SCHEDULED),
    }
    if before is after or (before, after) in allowed:
        assert move_registration(unit, made_stamp(), key, after, "nurse", "").state is after
    else:
        with pytest.raises(MoveRefusedError, match="Nothing was changed"):
            move_registration(unit, made_stamp(), key, after, "nurse", "")
    assert is_open(unit, done) is (unit.value("SELECT state FROM registration") in ("scheduled", "in-progress"))


def test_number_that_this_unit_knows_is_drawn_again(unit: Store) -> None:
    person = details()
    one = desk.register_person(unit, made_stamp(), UNIT, person, (), order(), "nurse", drawing())
    again = desk.register_exam(
        unit, made_stamp(), UNIT, one.patient.patient_key, order(), "nurse", drawing(*[0] * 9, *[0] * 8, 7)
    )
    assert one.registration.accession_number == "UNIT01-000000000"
    assert again.registration.accession_number == "UNIT01-000000007"


def test_restored_database_draws_again_what_an_image_already_carries(tmp_path: Path) -> None:
    """The registrations since the backup are forgotten, but the images of them are still here."""
    with fresh_unit(tmp_path) as unit:
        kept = made_kept(1)
        forgotten = replace(kept.study, accession_number="UNIT01-000000000", patient_id="UNIT01-A00000000")
        keep_instances(unit, made_stamp(), [replace(kept, study=forgotten)], [], None)
        draws = (*[0] * 9, *[0] * 8, 3, *[0] * 9, *[0] * 8, 5)
        done = desk.register_person(unit, made_stamp(), UNIT, details(), (), order(), "nurse", drawing(*draws))
    assert done.patient.unit_id == "UNIT01-A00000003"
    assert done.registration.accession_number == "UNIT01-000000005"


def test_broken_source_of_numbers_ends_with_a_sentence(unit: Store) -> None:
    desk.register_person(unit, made_stamp(), UNIT, details(), (), order(), "nurse", drawing())
    with pytest.raises(StoreError, match="random"):
        desk.register_person(unit, made_stamp(), UNIT, details(), (), order(), "nurse", drawing())


def test_possible_duplicates_come_with_reasons_and_the_likeliest_first(unit: Store) -> None:
    same = registered(unit, details("Benali", "Aicha"))
    near = registered(unit, details("Bennali", "Aisha", birth="19841203"))
    registered(unit, details("Tazi", "Omar", sex=Sex.MALE))
    found = desk.possible_duplicates(unit, made_stamp(), details("BEN ALI", "Aïcha"), ())
    assert [one.patient.unit_id for one in found] == [same.patient.unit_id, near.patient.unit_id]
    assert Reason.SAME_NAME in found[0].reasons and Reason.SOUNDS_ALIKE in found[1].reasons


def test_duplicate_is_found_by_a_number_alone_and_after_a_merge(unit: Store) -> None:
    old, kept = (
        registered(unit, details("Tazi", "Omar"), national("AB-123")),
        registered(unit, details("Tazzi", "Omar")),
    )
    desk.merge_people(unit, made_stamp(), UNIT, old.patient.patient_key, kept.patient.patient_key, "nurse", "")
    (found,) = patients.patients_with_number(unit, "ab 123")
    assert found.unit_id == kept.patient.unit_id
    assert [one.unit_id for one in patients.patients_like(unit, details("X", "Y"), [national("AB123")])] == [
        found.unit_id
    ]


@pytest.mark.parametrize(
    "text", ["aicha", "AÏCHA ben", "benali aï", "بنعلى", "عايشة", "ab123456", "AB 123", "١٩٨٤٠٣١٢", "unit01"]
)
def test_search_finds_a_person_by_words_letter_forms_and_numbers(unit: Store, text: str) -> None:
    done = registered(unit, None, national("AB123456"))
    registered(unit, details("Tazi", "Omar", birth="19500101"), Identifier("clinic", "77", IdentifierKind.OTHER))
    found = {one.unit_id for one in patients.search_patients(unit, text, 9)}
    assert done.patient.unit_id in found and len(found) == (2 if text == "unit01" else 1)


@pytest.mark.parametrize("text", ["", " ", "tazi aicha", "_%", "oo", "benalix"])
def test_search_finds_nobody_else(unit: Store, text: str) -> None:
    registered(unit)
    assert patients.search_patients(unit, text, 9) == ()


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM patient",
        "DELETE FROM registration",
        "DELETE FROM worklist_entry",
        "UPDATE registration SET accession_number = 'x'",
        "UPDATE registration SET study_instance_uid = '1.2'",
        "UPDATE patient SET patient_key = 'x'",
        "UPDATE patient SET merged_into = patient_key",
        "UPDATE registration SET state = 'done'",
        "UPDATE registration SET accession_number = 'longer than sixteen'",
    ],
)
def test_schema_refuses(unit: Store, change: str) -> None:
    registered(unit)
    unit.connection.execute("PRAGMA foreign_keys=OFF")
    with pytest.raises(sqlite3.IntegrityError):
        unit.connection.execute(change)


def test_search_and_duplicates_walk_indices(unit: Store) -> None:
    for sql in (
        "SELECT patient_key FROM patient_term WHERE kind = 'name' AND term >= 'a' AND term < 'b'",
        "SELECT * FROM worklist_entry WHERE is_open = 1 ORDER BY scheduled_date, scheduled_time, registration_key",
        "SELECT 1 FROM study WHERE accession_number = 'x' AND accession_number <> ''",
        "SELECT 1 FROM study WHERE patient_id = 'x' AND patient_id <> ''",
    ):
        plan = " ".join(row[3] for row in unit.rows(f"EXPLAIN QUERY PLAN {sql}"))
        assert ("USING" in plan and "INDEX" in plan) or "PRIMARY KEY" in plan
        assert "TEMP B-TREE" not in plan
