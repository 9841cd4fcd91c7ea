"""The word for where a study is, and the row that is made of what units said."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.review.follow import merged_info, patient_key, sort_time
from central.review.states import Facts, State, percent_of, rank_of, state_of
from central.store.reviewing import Announced
from sync.wire.messages import StudyInfo

NOTHING = Facts(2, 2, 0, 0, 0, 0, 2000, 0, None)


@pytest.mark.parametrize(
    ("changes", "read_at", "state", "percent"),
    [
        ({"image_count": 0, "expected_count": 0, "size_bytes": 0}, None, State.ANNOUNCED, 0),
        ({}, None, State.ANNOUNCED, 0),
        ({"preview_count": 1}, None, State.PREVIEW, 0),
        ({"preview_count": 1, "here_bytes": 1240}, None, State.ARRIVING, 62),
        ({"here_bytes": 2000, "whole_count": 1}, None, State.ARRIVING, 99),
        ({"here_bytes": 2000, "whole_count": 2}, None, State.CHECKING, 100),
        ({"here_bytes": 2000, "whole_count": 2, "expected_count": 4}, None, State.ARRIVING, 50),
        ({"here_bytes": 2000, "whole_count": 2, "verified_count": 1}, None, State.CHECKING, 100),
        ({"here_bytes": 2000, "whole_count": 2, "verified_count": 2, "arrived_at": "b"}, None, State.COMPLETE, 100),
        ({"here_bytes": 2000, "whole_count": 2, "verified_count": 2, "arrived_at": "b"}, "c", State.READ, 100),
        ({"here_bytes": 2000, "whole_count": 2, "verified_count": 2, "arrived_at": "b"}, "a", State.COMPLETE, 100),
        ({"whole_count": 2, "verified_count": 2, "expected_count": 3}, "c", State.ANNOUNCED, 0),
        ({"here_bytes": 2000, "whole_count": 2, "verified_count": 1, "refused_count": 1}, "c", State.PROBLEM, 100),
    ],
)
def test_word_is_said_only_when_it_is_true(
    changes: dict[str, int], read_at: str | None, state: State, percent: int
) -> None:
    facts = replace(NOTHING, **changes)  # type: ignore[arg-type]
    assert (state_of(facts, read_at), percent_of(facts)) == (state, percent)


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 50), st.integers(0, 10**9))
def test_complete_is_never_said_of_less_than_all(
    images: int, expected: int, whole: int, verified: int, here: int
) -> None:
    whole, verified = min(whole, images), min(verified, whole, images)
    facts = Facts(images, expected, whole, verified, 0, 0, 10**9, here, "a")
    if state_of(facts, None) is State.COMPLETE:
        assert verified == images >= max(expected, 1)
    assert (percent_of(facts) == 100) == (images > 0 and whole >= max(images, expected)) or images == 0


def test_urgent_stands_first_and_read_last() -> None:
    assert rank_of(State.ARRIVING, stat=True) < rank_of(State.ARRIVING, stat=False) < rank_of(State.READ, stat=True)


def _said(unit: str, **info: str) -> Announced:
    text = msgspec.json.encode(StudyInfo(**info)).decode()
    return Announced(unit, "1.2", False, 1, text, "2026-11-25T10:00:00Z", "2026-11-25T10:00:00Z")


def test_identity_is_one_units_word_and_never_mixed() -> None:
    said = [
        _said("a", modality="DX"),
        _said("b", patient_name="Doe^J"),
        _said("c", patient_id="7", accession_number="A1"),
    ]
    info = merged_info(said)
    assert (info.patient_name, info.patient_id, info.accession_number, info.modality) == ("Doe^J", "", "A1", "DX")


def test_patients_are_the_same_by_number_and_birth_date_only() -> None:
    one = StudyInfo(patient_id="P-0٧", patient_birth_date="19800101", patient_name="A^B")
    assert patient_key(one) == patient_key(msgspec.structs.replace(one, patient_id="p 07", patient_name="X^Y"))
    assert patient_key(one) != patient_key(msgspec.structs.replace(one, patient_birth_date="19800102"))
    assert patient_key(StudyInfo(patient_id="7")) == "" == patient_key(StudyInfo(patient_name="A^B"))


@pytest.mark.parametrize(
    ("captured", "expected"),
    [
        ("2026-11-25T09:00:00Z", "2026-11-25T09:00:00.000Z"),
        ("2026-11-25T10:00:00+03:00", "2026-11-25T07:00:00.000Z"),
        ("1970-01-01T00:00:00Z", "2026-11-25T10:00:00Z"),
        ("2031-01-01T00:00:00Z", "2026-11-25T10:00:00Z"),
        ("yesterday", "2026-11-25T10:00:00Z"),
        ("", "2026-11-25T10:00:00Z"),
    ],
)
def test_a_wrong_clock_on_the_unit_does_not_move_a_study(captured: str, expected: str) -> None:
    assert sort_time(captured, "2026-11-25T10:00:00Z") == expected
