"""What the centre said is kept once, whatever comes twice, unknown or damaged; what follows from it is done with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from appliance.answers import ordering
from appliance.answers.taking import NO_STUDY, UNREADABLE, take_in
from appliance.config import DicomwebDestination, UnitConfig, UnitTable
from appliance.domain.answers import NewCounts, Weight
from appliance.domain.registration import Identifier, IdentifierKind, PatientDetails, PersonName, Sex
from appliance.registration import desk
from appliance.store import answers, commands, outbox, patients, registrations
from appliance.store.connect import Store, write
from appliance.store.errors import StoreError
from appliance.store.intake import FeedCursor, keep_instances
from sync.wire.answers import OrderedPatient, PlacedOrder
from sync.wire.messages import InboxEntry
from tests.answers import made
from tests.store.made import fresh_unit, made_kept, made_stamp

UNIT_ID = "00000000-0000-4000-8000-000000000001"
NOW = made_stamp()
Take = Callable[..., int]


@pytest.fixture
def config(tmp_path: Path) -> UnitConfig:
    return UnitConfig(
        unit=UnitTable(data_dir=str(tmp_path), name="unit-01"),
        destination=(DicomwebDestination(name="centre", url="http://127.0.0.1:9/"),),
    )


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Store]:
    with fresh_unit(tmp_path) as db:
        yield db


@pytest.fixture
def take(unit: Store, config: UnitConfig) -> Take:
    def run(*entries: InboxEntry) -> int:
        return take_in(unit, NOW, config, "centre", UNIT_ID, "epoch-1", entries, entries[-1].seq)

    return run


def test_answer_that_comes_again_is_kept_once_and_owed_once(unit: Store, take: Take) -> None:
    assert take(made.entry(1, made.report()), made.entry(2, made.message())) == 2
    assert take(made.entry(7, made.report()), made.entry(8, made.message())) == 0, "a restored centre posts again"
    assert answers.cursor(unit, "centre", UNIT_ID, "epoch-1") == 8
    for identity, epoch in (("another-unit", "epoch-1"), (UNIT_ID, "epoch-2")):
        assert answers.cursor(unit, "centre", identity, epoch) == 0, "numbers of another identity or life mean nothing"
    assert len(answers.list_answers(unit)) == 2
    owed = answers.untold(unit, "centre", UNIT_ID, "epoch-1", 10)
    assert [(one.answer_id, one.state) for one in owed] == [("r1", "delivered"), ("m1", "delivered")]
    answers.note_told(unit, [one.acknowledgement_id for one in owed], "epoch-1")
    assert answers.untold(unit, "centre", UNIT_ID, "epoch-1", 10) == ()
    assert len(answers.untold(unit, "centre", UNIT_ID, "epoch-2", 10)) == 2, "a restored centre may have forgotten"


def test_cursor_stands_when_keeping_fails(unit: Store, config: UnitConfig) -> None:
    with write(unit):
        unit.connection.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON answer BEGIN SELECT RAISE(FAIL, 'full'); END"
        )
    with pytest.raises(StoreError):
        take_in(unit, NOW, config, "centre", UNIT_ID, "epoch-1", [made.entry(1, made.report())], 1)
    assert answers.cursor(unit, "centre", UNIT_ID, "epoch-1") == 0
    assert answers.untold(unit, "centre", UNIT_ID, "", 10) == ()


def test_unknown_kinds_fields_and_damaged_bodies_are_kept_and_skipped(unit: Store, take: Take) -> None:
    later = msgspec.json.decode(made.entry(3, made.message()).body) | {"a_new_field": [1, 2]}
    strange = InboxEntry(seq=1, kind="hologram", body='{"answer_id":"h1","depth":3}')
    damaged = InboxEntry(seq=2, kind="report", body='{"answer_id":')
    wordy = InboxEntry(seq=3, kind="message", body=msgspec.json.encode(later).decode())
    receipt = InboxEntry(seq=4, kind="receipt", study_instance_uid="1.2")
    assert take(strange, damaged, wordy, receipt) == 3
    kept = {one.kind: one for one in answers.list_answers(unit)}
    assert kept["hologram"].body == strange.body
    assert (kept["hologram"].outcome, kept["report"].outcome) == (UNREADABLE, UNREADABLE)
    assert kept["message"].text("text") == "Thank you."
    assert kept["message"].said["a_new_field"] == [1, 2]
    assert answers.cursor(unit, "centre", UNIT_ID, "epoch-1") == 4


def test_what_nobody_saw_comes_first_and_critical_before_everything(unit: Store, take: Take) -> None:
    take(
        made.entry(1, made.message()),
        made.entry(2, made.report(critical=True)),
        made.entry(3, made.retake()),
        made.entry(4, made.message("m2")),
    )
    assert [one.answer_id for one in answers.list_answers(unit)] == ["r1", "t1", "m2", "m1"]
    assert answers.new_counts(unit) == NewCounts(4, 1, 1)
    assert answers.acknowledge(unit, NOW, "r1", "Amina")
    assert not answers.acknowledge(unit, NOW, "r1", "Salma"), "the first who saw it stands"
    first, *_, last = answers.list_answers(unit)
    assert (first.answer_id, first.weight) == ("t1", Weight.URGENT)
    assert (last.answer_id, last.seen_by) == ("r1", "Amina")
    with pytest.raises(StoreError, match="has a name"):
        answers.acknowledge(unit, NOW, "m1", "  ")


def test_amended_report_stands_beside_the_one_it_replaces(unit: Store, take: Take) -> None:
    take(made.entry(1, made.report()), made.entry(2, made.report("r2", version=2)))
    stands = {one.answer_id: one.is_superseded for one in answers.list_answers(unit)}
    assert stands == {"r1": True, "r2": False}
    newest, *_ = answers.answers_named(unit, "report-1")
    assert (newest.answer_id, newest.text("status")) == ("r2", "amended")


def test_raised_priority_is_a_command_for_the_core(unit: Store, take: Take) -> None:
    keep_instances(unit, NOW, [made_kept(1)], ("centre",), FeedCursor("kept", 1))
    take(made.entry(1, made.raised()), made.entry(2, made.raised("p2", study="9.9")))
    (command,) = commands.open_commands(unit)
    assert (command.kind, command.study_instance_uid, command.actor) == ("stat", made.STUDY, "centre:Dr Haddad")
    assert answers.answers_named(unit, "p2")[0].outcome == NO_STUDY
    assert len(outbox.items_of_study(unit, made.STUDY)) == 1


# --- orders --------------------------------------------------------------------------------------------------------


def registered(db: Store) -> list[registrations.RegistrationRow]:
    return list(registrations.list_registrations(db, limit=10))


def test_order_becomes_a_registration_on_the_worklist(unit: Store, take: Take) -> None:
    take(made.entry(1, made.order()))
    take(made.entry(2, made.order()))
    (row,) = registered(unit)
    assert (row.exam_code, row.referrer, row.patient_id) == ("XR-CHEST-PA", "Clinic Sud", "N-1")
    (kept,) = answers.list_answers(unit)
    assert kept.registration_key == row.registration_key
    assert row.accession_number in kept.outcome
    assert "Benali" not in kept.outcome, "what goes back says nothing of who it is"


def test_registration_of_the_unit_wins_and_the_order_is_kept(unit: Store, take: Take, config: UnitConfig) -> None:
    details = PatientDetails(
        name=PersonName(family_latin="BENALI", given_latin="Aïcha"), sex=Sex.FEMALE, birth_date="19840312"
    )
    take(made.entry(1, made.order("first")))
    (of_centre,) = registered(unit)
    take(made.entry(2, made.order("again")))
    again = answers.answers_named(unit, "again")[0]
    assert (again.registration_key, len(registered(unit))) == (of_centre.registration_key, 1)
    other = replace(details, name=PersonName(family_latin="Mansouri", given_latin="Salma"))
    exam = registrations.find_registration(unit, of_centre.registration_key)
    assert exam is not None
    own = desk.register_person(unit, NOW, desk.unit_words(config), other, (), exam.order, "amina")
    salma = OrderedPatient(family_latin="Mansouri", given_latin="Salma", sex="F", birth_date="19840312")
    take(made.entry(3, made.order("late", patient=salma)))
    late = answers.answers_named(unit, "late")[0]
    assert late.registration_key == own.registration.registration_key, "the same name and birth date, the same exam"
    assert "stands" in late.outcome
    assert len(registered(unit)) == 2


def test_order_is_never_given_to_somebody_else(unit: Store, take: Take, config: UnitConfig) -> None:
    take(made.entry(1, made.order()))
    stranger = msgspec.structs.replace(
        made.AICHA, family_latin="Toumi", given_latin="Karim", sex="M", birth_date="19500101"
    )
    take(made.entry(2, made.order("o2", patient=stranger)))
    assert len(registered(unit)) == 1
    kept = answers.answers_named(unit, "o2")[0]
    assert (kept.registration_key, ordering.BY_HAND in kept.outcome) == ("", True)


def test_known_person_gets_a_second_exam_and_keeps_what_the_unit_knows(unit: Store, take: Take) -> None:
    take(made.entry(1, made.order()))
    take(made.entry(2, made.order("o2", patient=msgspec.structs.replace(made.AICHA, sex=""), exam="US-ABDOMEN")))
    rows = registered(unit)
    assert {row.exam_code for row in rows} == {"XR-CHEST-PA", "US-ABDOMEN"}
    (known,) = patients.patients_with_number(unit, "N-1", "NATIONAL")
    assert {row.patient_key for row in rows} == {known.patient_key}
    assert known.details.sex is Sex.FEMALE
    assert Identifier("NATIONAL", "N-1", IdentifierKind.NATIONAL) in known.identifiers


@pytest.mark.parametrize(
    "said",
    [
        made.order(exam="NO-SUCH-EXAM"),
        made.order(patient=OrderedPatient(family_latin="A^B")),
        made.order(patient=OrderedPatient(family_arabic="بنعلي", given_arabic="عائشة")),
        made.order(patient=msgspec.structs.replace(made.AICHA, birth_date="19841399")),
        made.order(patient=msgspec.structs.replace(made.AICHA, identifier="é")),
    ],
    ids=["exam", "name", "arabic-only", "birth", "number"],
)
def test_order_that_cannot_be_placed_waits_for_a_person(unit: Store, take: Take, said: PlacedOrder) -> None:
    assert take(made.entry(1, said), made.entry(2, made.message())) == 2
    assert registered(unit) == []
    assert ordering.BY_HAND in answers.answers_named(unit, "o1")[0].outcome
