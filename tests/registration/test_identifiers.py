"""Numbers carry their unit's prefix, fit their DICOM values, and are drawn."""

from __future__ import annotations

import secrets
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from appliance.registration.identifiers import (
    ALPHABET,
    PREFIX_CHARS_MAX,
    as_typed,
    new_accession_number,
    new_patient_id,
    new_study_instance_uid,
    unit_prefix,
)
from tests.registration.made import drawing

UNIT_NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True)
DRAWS = st.lists(st.integers(0, 31), min_size=9, max_size=9)


@given(UNIT_NAMES)
def test_every_unit_name_gives_a_short_prefix_of_capitals_and_digits(name: str) -> None:
    prefix = unit_prefix(name)
    assert 1 <= len(prefix) <= PREFIX_CHARS_MAX
    assert prefix.isascii() and prefix.isalnum() and prefix == prefix.upper()


@pytest.mark.parametrize(("name", "prefix"), [("unit-01", "UNIT01"), ("van-7", "VAN7"), ("a", "A")])
def test_short_unit_names_are_their_own_prefix(name: str, prefix: str) -> None:
    assert unit_prefix(name) == prefix


def test_long_unit_names_that_begin_alike_get_different_prefixes() -> None:
    names = [f"mobile-unit-north-{number}" for number in range(100)]
    assert len({unit_prefix(name) for name in names}) == len(names)


@given(UNIT_NAMES, DRAWS)
def test_numbers_fit_and_the_two_kinds_never_meet(name: str, draws: list[int]) -> None:
    prefix = unit_prefix(name)
    accession = new_accession_number(prefix, drawing(*draws))
    patient_id = new_patient_id(prefix, drawing(*draws))
    assert len(accession) <= 16 and len(patient_id) <= 16
    head, _, tail = accession.rpartition("-")
    assert head == prefix and tail[0].isdigit() and set(tail) <= set(ALPHABET)
    assert patient_id.startswith(f"{prefix}-") and patient_id.rpartition("-")[2][0].isalpha()


@given(UNIT_NAMES, DRAWS, DRAWS)
def test_other_draws_are_other_numbers(name: str, one: list[int], other: list[int]) -> None:
    prefix = unit_prefix(name)
    firsts_agree = one[0] % 10 == other[0] % 10
    is_same = firsts_agree and one[1:] == other[1:]
    numbers = {new_accession_number(prefix, drawing(*draws)) for draws in (one, other)}
    assert (len(numbers) == 1) is is_same


@given(UNIT_NAMES, DRAWS)
def test_a_number_survives_being_misread(name: str, draws: list[int]) -> None:
    number = new_accession_number(unit_prefix(name), drawing(*draws))
    head, _, tail = number.rpartition("-")
    misread = f"{head}-{tail.replace('1', 'l').replace('0', 'O')}".lower()
    assert as_typed(f" {misread} ") == number


def test_drawn_numbers_do_not_repeat() -> None:
    assert len({new_accession_number("U1", secrets.randbelow) for _ in range(2000)}) == 2000


@given(st.uuids())
def test_study_instance_uid_is_valid_and_tells_uuids_apart(one: uuid.UUID) -> None:
    uid = new_study_instance_uid(one)
    assert UID(uid).is_valid and len(uid) <= 64
    assert int(uid.removeprefix("2.25.")) == one.int
