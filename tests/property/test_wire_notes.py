"""What is said of a study beside its images: bounded however much was found, and the same after every way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.quality import Severity
from appliance.domain.registration import Order, Pregnancy, Registration, RegistrationState
from appliance.domain.values import Priority
from appliance.store.notes import StudyFacts
from appliance.store.quality import QualityRow
from sync.noting import study_notes
from sync.wire.notes import FOUND_COUNT_MAX, FOUND_IMAGE_COUNT_MAX, NOTES_BYTES_MAX, NotesRequest, StudyNotes

TEXT = st.text(max_size=3000)
JSON_VALUE = st.one_of(
    TEXT,
    st.integers(),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(TEXT, max_size=40),
)
ROWS = st.builds(
    QualityRow,
    sop_instance_uid=st.integers(1, 60).map(lambda n: f"1.2.3.{n}") | st.sampled_from(["", "1.2.A", "1.2 ", "9" * 65]),
    check_code=st.sampled_from(["spacing-missing", "exposure-high", "x" * 200]),
    severity=st.sampled_from(list(Severity)),
    values=st.dictionaries(TEXT, JSON_VALUE, max_size=40),
    checks_version=st.just(1),
    found_at=st.just(""),
    cleared_at=st.just(""),
)
ORDERS = st.builds(
    Order,
    exam_code=st.just("x"),
    modality=st.just("DX"),
    body_part=st.just("CHEST"),
    description=TEXT,
    priority=st.sampled_from(list(Priority)),
    pregnancy=st.sampled_from(list(Pregnancy)),
    referrer=TEXT,
    reason=TEXT,
    scheduled_at=st.just(""),
)


def registration(order: Order) -> Registration:
    return Registration(
        registration_key="r",
        patient_key="p",
        accession_number="VAN-1",
        study_instance_uid="1.2.3",
        order=order,
        state=RegistrationState.COMPLETED,
        registered_at="",
        changed_at="",
    )


def said(rows: list[QualityRow], order: Order | None = None, revision_told: int = 0, now_s: float = 1.0) -> StudyNotes:
    asked = registration(order) if order else None
    return study_notes(StudyFacts("1.2.3", 1, revision_told, asked, 3, tuple(rows)), now_s)


@given(st.lists(ROWS, max_size=30), st.none() | ORDERS)
def test_whatever_was_found_and_asked_travels_within_its_bounds(rows: list[QualityRow], order: Order | None) -> None:
    notes = said(rows, order)
    packed = msgspec.json.encode(NotesRequest(items=(notes,)))
    (read,) = msgspec.json.decode(packed, type=NotesRequest).items
    assert read == notes
    assert len(msgspec.json.encode(notes)) <= NOTES_BYTES_MAX
    kinds = {(one.check_code, one.severity, json.dumps(one.values, sort_keys=True)) for one in rows}
    assert len(notes.found) + notes.left_out_count == len(kinds)
    assert sum(one.image_count for one in notes.found) <= len(rows)
    assert (notes.asked is None) == (order is None)


def row(number: int, code: str = "spacing-missing", values: Mapping[str, Any] | None = None) -> QualityRow:
    return QualityRow(f"1.2.3.{number}", code, Severity.NOTICE, values or {}, 1, "", "")


def test_what_was_found_alike_in_many_images_is_said_once() -> None:
    (found,) = said([row(number) for number in range(500)]).found
    assert (found.image_count, len(found.images)) == (500, FOUND_IMAGE_COUNT_MAX)


def test_the_gravest_stay_when_there_are_too_many() -> None:
    notes = said([row(number, values={"number": number}) for number in range(FOUND_COUNT_MAX + 5)])
    assert [one.values["number"] for one in notes.found] == list(range(FOUND_COUNT_MAX))
    assert notes.left_out_count == 5
    long = said([row(number, values={"text": f"{number}" + "x" * 1000}) for number in range(FOUND_COUNT_MAX)])
    assert 0 < len(long.found) < FOUND_COUNT_MAX and long.found[0].values["text"][0] == "0"  # type: ignore[index]
    assert len(long.found) + long.left_out_count == FOUND_COUNT_MAX


@pytest.mark.parametrize(("told", "now_s", "revision"), [(0, 5.0, 5000), (9000, 5.0, 9001), (1, 0.0, 2)])
def test_revision_grows_when_the_clock_does_not(told: int, now_s: float, revision: int) -> None:
    assert said([], revision_told=told, now_s=now_s).revision == revision


@given(st.binary(max_size=200) | st.recursive(JSON_VALUE, lambda inner: st.lists(inner)).map(msgspec.json.encode))
def test_what_are_no_notes_is_refused_as_such(octets: bytes) -> None:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        msgspec.json.decode(octets, type=NotesRequest)


def test_a_word_that_this_release_does_not_know_is_no_obstacle() -> None:
    body = b"""{"items": [{"study_instance_uid": "1.2", "revision": 3, "later": {"x": 1}, "found":
        [{"code": "of-a-later-release", "severity": "grave", "where": 7}]}]}"""
    (notes,) = msgspec.json.decode(body, type=NotesRequest).items
    assert (notes.found[0].code, notes.found[0].severity) == ("of-a-later-release", "grave")
