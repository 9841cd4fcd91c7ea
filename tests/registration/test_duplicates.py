"""Who may be known already, and why."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.registration import PatientDetails, PersonName, Sex
from appliance.registration.duplicates import SHOWN_FROM, WEIGHTS, Reason, likeness
from tests.registration.made import AICHA, details, national, patient

TODAY = date(2026, 11, 22)
NAMES = st.text("abcdefghij", min_size=1, max_size=6)
PEOPLE = st.builds(
    details,
    NAMES,
    NAMES,
    sex=st.sampled_from(Sex),
    birth=st.sampled_from(["", "19840312", "19841203", "20010101"]),
    age=st.sampled_from(["", "042Y", "003M"]),
)


def reasons(entered: PatientDetails, known: PatientDetails) -> set[Reason]:
    return set(likeness(entered, (), patient(known), TODAY).reasons)


@pytest.mark.parametrize(
    ("entered", "reason"),
    [
        (details("BENALI", "Aicha"), Reason.SAME_NAME),
        (details("Ben-Ali", "aïcha"), Reason.SAME_NAME),
        (details("Aicha", "Benali"), Reason.NAMES_SWAPPED),
        (details("Bennali", "Aisha"), Reason.SOUNDS_ALIKE),
        (details("X", birth="19840312"), Reason.SAME_BIRTH_DATE),
        (details("X", birth="19841203"), Reason.BIRTH_DATE_NEAR),
        (details("X", birth="19840313"), Reason.BIRTH_DATE_NEAR),
        (details("X", birth="19840101"), Reason.BIRTH_DATE_NEAR),
        (details("X", birth="19700708"), Reason.OTHER_BIRTH_DATE),
        (details("X", birth="", age="042Y"), Reason.AGE_FITS),
        (details("X", sex=Sex.FEMALE), Reason.SAME_SEX),
        (details("X", sex=Sex.MALE), Reason.OTHER_SEX),
    ],
)
def test_reason_is_named(entered: PatientDetails, reason: Reason) -> None:
    assert reason in reasons(entered, details())


def test_arabic_name_is_known_by_its_letter_forms_and_by_the_sound_of_the_latin_one() -> None:
    arabic = PersonName(family_latin="X", family_arabic="بنعلى", given_arabic="عايشه")
    assert Reason.SAME_NAME in reasons(PatientDetails(name=arabic), PatientDetails(name=AICHA))
    alone = PersonName(family_arabic="بنعلي", given_arabic="عائشة")
    assert Reason.SOUNDS_ALIKE in reasons(PatientDetails(name=alone), details("Ben Ali", "Aisha"))


def test_same_national_number_is_enough_however_it_is_written() -> None:
    known = patient(details("Tazi", "Omar", sex=Sex.MALE, birth="19500101"), national("AB-123456"))
    found = likeness(details(), [national("ab123456")], known, TODAY)
    assert Reason.SAME_IDENTIFIER in found.reasons and found.score >= SHOWN_FROM


def test_another_number_of_the_same_issuer_speaks_against_one_of_another_issuer_does_not() -> None:
    known = patient(details(), national("AB1"))
    assert Reason.OTHER_IDENTIFIER in likeness(details(), [national("AB2")], known, TODAY).reasons
    assert Reason.OTHER_IDENTIFIER not in likeness(details(), [national("AB2", "OTHER")], known, TODAY).reasons
    assert Reason.SAME_NUMBER in likeness(details(), [national("AB1", "OTHER")], known, TODAY).reasons


@pytest.mark.parametrize(
    ("entered", "is_shown"),
    [
        (details(), True),
        (details(birth=""), True),
        (details("Bennali", "Aisha"), True),
        (details("Bennali", "Aisha", birth=""), False),
        (details(birth="19500607"), False),
        (details("Tazi", "Amina"), False),
        (details(sex=Sex.MALE, birth=""), False),
    ],
)
def test_who_is_shown(entered: PatientDetails, is_shown: bool) -> None:
    assert (likeness(entered, (), patient(details()), TODAY).score >= SHOWN_FROM) is is_shown


@given(PEOPLE, PEOPLE)
def test_score_is_the_sum_of_its_reasons_and_goes_both_ways(one: PatientDetails, other: PatientDetails) -> None:
    forth = likeness(one, (), patient(other), TODAY)
    back = likeness(other, (), patient(one), TODAY)
    assert forth.score == sum(WEIGHTS[reason] for reason in forth.reasons)
    assert set(forth.reasons) == set(back.reasons)


@given(PEOPLE)
def test_everybody_is_shown_as_themselves(one: PatientDetails) -> None:
    assert likeness(one, (), patient(one), TODAY).score >= SHOWN_FROM
