"""The rules by which a study meets its registration: numbers decide, names only speak against."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.corrections.rules import match
from appliance.domain.matching import Doubt, How, Known, Ordered, Person, Said, Verdict

FATIMA = Person("p1", frozenset({"VAN-A1", "N1"}), frozenset({"VAN-A1"}), "19800101", ("Benali", "Fatima", "بنعلي"))
OMAR = Person("p2", frozenset({"VAN-A2"}), frozenset({"VAN-A2"}), "19750505", ("Saidi", "Omar"))
HERS = Ordered("r1", "2.25.1", "VAN-1", "DX", FATIMA)
SAID = Said("2.25.1", "N1", "19800101", "BENALI^FATIMA", "VAN-1", "DX")


def test_study_uid_and_a_patient_who_agrees_are_a_match() -> None:
    assert match(SAID, Known(by_study_uid=HERS, by_accession=HERS, people=[FATIMA])) == Verdict("r1", How.STUDY_UID)


def test_accession_number_matches_where_the_device_made_a_study_uid_of_its_own() -> None:
    said = replace(SAID, study_instance_uid="1.2.3")
    assert match(said, Known(by_accession=HERS, people=[FATIMA])) == Verdict("r1", How.ACCESSION)


def test_patient_id_and_birth_date_match_the_one_open_order() -> None:
    said = replace(SAID, study_instance_uid="1.2.3", accession_number="")
    assert match(said, Known(people=[FATIMA], orders=[HERS])) == Verdict("r1", How.PATIENT)


@pytest.mark.parametrize(
    ("said", "known", "doubt"),
    [
        (replace(SAID, name="ALAOUI^KHADIJA"), Known(by_study_uid=HERS, people=[FATIMA]), Doubt.NAME_DIFFERS),
        (replace(SAID, birth_date="19990101"), Known(by_study_uid=HERS, people=[FATIMA]), Doubt.ID_REUSED),
        (
            Said("2.25.1", "VAN-A2", "19750505", "SAIDI^OMAR", "VAN-1", "DX"),
            Known(by_study_uid=HERS, people=[OMAR]),
            Doubt.PATIENT_SWITCHED,
        ),
        (
            Said("2.25.1", "Z9", "19750505", "SAIDI^OMAR", "VAN-1", "DX"),
            Known(by_study_uid=HERS),
            Doubt.PATIENT_SWITCHED,
        ),
        (SAID, Known(by_study_uid=HERS, people=[FATIMA], is_next_under_way=True), Doubt.PATIENT_SWITCHED),
        (replace(SAID, patient_id="Z9"), Known(), Doubt.UNKNOWN_PATIENT),
        (replace(SAID, birth_date="19990101"), Known(people=[FATIMA], orders=[HERS]), Doubt.ID_REUSED),
        (replace(SAID, birth_date=""), Known(people=[FATIMA], orders=[HERS]), Doubt.AMBIGUOUS),
        (SAID, Known(people=[FATIMA]), Doubt.AMBIGUOUS),
        (SAID, Known(people=[FATIMA], orders=[HERS, replace(HERS, registration_key="r2")]), Doubt.AMBIGUOUS),
        (SAID, Known(people=[FATIMA], orders=[replace(HERS, is_open=False)]), Doubt.AMBIGUOUS),
        (SAID, Known(people=[FATIMA], orders=[replace(HERS, modality="US")]), Doubt.AMBIGUOUS),
        (replace(SAID, name="ALAOUI^K"), Known(people=[FATIMA], orders=[HERS]), Doubt.NAME_DIFFERS),
    ],
)
def test_whatever_is_not_clean_has_a_name(said: Said, known: Known, doubt: Doubt) -> None:
    assert match(said, known).doubt is doubt


def test_number_that_this_unit_made_needs_no_birth_date() -> None:
    emergency = Person("p3", frozenset({"VAN-B7"}), frozenset({"VAN-B7"}), "", ("TEMP", "B7"), is_emergency=True)
    said = Said("1.2.3", "VAN-B7", "", "UNKNOWN", "", "DX")
    order = replace(HERS, person=emergency)
    assert match(said, Known(people=[emergency], orders=[order])) == Verdict("r1", How.PATIENT)


@pytest.mark.parametrize(
    "name", ["Bénali^Fatima", "FATIMA BENALI", "BENALI^F", "BENALI^FATIMA ZAHRA", "بنعلي^فاطمة", ""]
)
def test_ways_to_write_a_name_are_no_other_name(name: str) -> None:
    assert match(replace(SAID, name=name), Known(by_study_uid=HERS, people=[FATIMA])).doubt is Doubt.NONE


@given(
    name=st.sampled_from(["BENALI^FATIMA", "X^Y", ""]),
    ids=st.sampled_from(["N1", "Z9", ""]),
    birth=st.sampled_from(["19800101", "19990101", ""]),
    modality=st.sampled_from(["DX", "US"]),
)
def test_a_name_alone_never_makes_a_match(name: str, ids: str, birth: str, modality: str) -> None:
    """Without a number of the order, nothing but the patient's ID leads to a registration."""
    said = Said("1.2.3", ids, birth, name, "", modality)
    people = [FATIMA] if ids == "N1" else []
    verdict = match(said, Known(people=people, orders=[HERS] if people else []))
    if verdict.registration_key:
        assert (ids, birth, modality) == ("N1", "19800101", "DX")
    if not verdict.doubt:
        assert verdict.registration_key
