"""What people type becomes a value, or a sentence that says what is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.registration import IdentifierKind, PatientDetails, PersonName, Pregnancy, Sex
from appliance.registration import entering
from appliance.registration.entering import EntryRefusedError
from tests.registration.made import details, order

TODAY = date(2026, 11, 22)
NOW = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)


@pytest.mark.parametrize("typed", ["1984-03-12", "19840312", "1984/3/12", "١٩٨٤-٠٣-١٢", "\u200f1984.03.12 "])
def test_birth_date_in_any_usual_form(typed: str) -> None:
    assert entering.birth_date(typed, TODAY) == "19840312"


@pytest.mark.parametrize(
    "typed", ["12/03/1984", "1984-02-30", "1984", "84-03-12", "x", "1984-03", "2027-06-01", "1850-01-01"]
)
def test_birth_date_that_cannot_be_is_refused(typed: str) -> None:
    with pytest.raises(EntryRefusedError, match="birth date"):
        entering.birth_date(typed, TODAY)


def test_nobody_is_born_in_the_future_by_a_clock_that_stands_in_1970() -> None:
    assert entering.birth_date("1984-03-12", date(1970, 1, 1)) == "19840312"


@given(st.dates(min_value=date(1900, 1, 1), max_value=TODAY))
def test_every_date_of_a_living_person_is_taken(born: date) -> None:
    assert entering.birth_date(born.isoformat(), TODAY) == born.strftime("%Y%m%d")


@given(st.text())
def test_any_text_is_a_birth_date_or_a_refusal(typed: str) -> None:
    try:
        taken = entering.birth_date(typed, TODAY)
    except EntryRefusedError:
        return
    assert taken == "" or (len(taken) == 8 and taken.isdigit() and taken.isascii())


@pytest.mark.parametrize(
    ("typed", "age"), [("45", "045Y"), ("8m", "008M"), ("3 W", "003W"), ("١٠D", "010D"), ("", ""), ("130", "130Y")]
)
def test_age_becomes_dicom_age(typed: str, age: str) -> None:
    assert entering.age(typed) == age


@pytest.mark.parametrize("typed", ["131", "-1", "4.5", "1000", "Y", "four"])
def test_age_that_cannot_be_is_refused(typed: str) -> None:
    with pytest.raises(EntryRefusedError, match="age"):
        entering.age(typed)


@pytest.mark.parametrize(
    ("typed", "kg"), [("72.5", 72.5), ("72,5", 72.5), ("٧٢٫٥", 72.5), ("3", 3.0), ("", 0.0), ("60 kg", 60.0)]
)
def test_weight_in_any_digits(typed: str, kg: float) -> None:
    assert entering.weight_kg(typed) == kg


@pytest.mark.parametrize("typed", ["0", "-3", "501", "1e2", "nan", "heavy"])
def test_weight_that_cannot_be_is_refused(typed: str) -> None:
    with pytest.raises(EntryRefusedError, match="weight"):
        entering.weight_kg(typed)


def test_identifier_is_in_ascii_capitals() -> None:
    one = entering.identifier("NATIONAL", "ab١٢٣٤٥٦\u200e", IdentifierKind.NATIONAL)
    assert one.value == "AB123456"


@pytest.mark.parametrize(("issuer", "value"), [("", "1"), ("N", ""), ("N", "بطاقة"), ("N", "a\\b"), ("N", "1" * 65)])
def test_identifier_that_cannot_be_is_refused(issuer: str, value: str) -> None:
    with pytest.raises(EntryRefusedError):
        entering.identifier(issuer, value, IdentifierKind.OTHER)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", NOW),
        ("09:30", datetime(2026, 11, 22, 9, 30, tzinfo=UTC)),
        ("2026-11-23 7:05", datetime(2026, 11, 23, 7, 5, tzinfo=UTC)),
        ("2026-11-23", datetime(2026, 11, 23, tzinfo=UTC)),
        ("٢٠٢٦-١١-٢٣ ٠٧:٠٥", datetime(2026, 11, 23, 7, 5, tzinfo=UTC)),
    ],
)
def test_scheduled_time(typed: str, expected: datetime) -> None:
    assert entering.scheduled(typed, NOW) == expected


@pytest.mark.parametrize("typed", ["25:00", "tomorrow", "2026-13-01", "9"])
def test_scheduled_time_that_is_none_is_refused(typed: str) -> None:
    with pytest.raises(EntryRefusedError, match="time"):
        entering.scheduled(typed, NOW)


@pytest.mark.parametrize(
    ("sex", "birth", "age", "is_open"),
    [
        (Sex.FEMALE, "19840312", "", True),
        (Sex.FEMALE, "20161122", "", True),
        (Sex.FEMALE, "20161123", "", False),
        (Sex.FEMALE, "19601122", "", False),
        (Sex.FEMALE, "", "", True),
        (Sex.FEMALE, "", "056Y", False),
        (Sex.FEMALE, "", "008M", False),
        (Sex.OTHER, "19840312", "", True),
        (Sex.UNKNOWN, "", "", True),
        (Sex.MALE, "19840312", "", False),
    ],
)
def test_pregnancy_question_is_open_for_whoever_may_be_pregnant(sex: Sex, birth: str, age: str, is_open: bool) -> None:
    person = PatientDetails(name=PersonName(family_latin="X"), sex=sex, birth_date=birth, age_text=age)
    assert entering.pregnancy_is_open(person, order(pregnancy=Pregnancy.NOT_ASKED), TODAY) is is_open


@pytest.mark.parametrize("answer", [Pregnancy.NO, Pregnancy.POSSIBLE, Pregnancy.YES, Pregnancy.UNKNOWN])
def test_pregnancy_question_is_closed_by_any_answer(answer: Pregnancy) -> None:
    assert not entering.pregnancy_is_open(details(), order(pregnancy=answer), TODAY)


def test_ultrasound_asks_no_pregnancy_question() -> None:
    assert not entering.pregnancy_is_open(details(), order(modality="US", pregnancy=Pregnancy.NOT_ASKED), TODAY)
