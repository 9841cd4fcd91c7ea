"""The data set reader takes any bytes, agrees with pydicom on sound ones, and the wildcard matcher with a naive one."""

from __future__ import annotations

import io
from datetime import date

import pydicom
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from appliance.orthanc.dataset import EXPLICIT_LITTLE_ENDIAN, DataSet, DataSetError, encode, parse
from appliance.orthanc.worklist_match import QueryError, date_bounds, name_test, schedule_test, text_test

SYNTAXES = ("1.2.840.10008.1.2", EXPLICIT_LITTLE_ENDIAN, "1.2.840.10008.1.2.2")
_KEYWORDS = ("PatientName", "PatientID", "AccessionNumber", "Modality", "ScheduledStationAETitle", "LongCodeValue")
_SEQUENCES = ("ScheduledProcedureStepSequence", "ScheduledProtocolCodeSequence", "ReferencedStudySequence")
_TEXT = st.text("ABCDEFG0123456789 _", max_size=12)


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    made = Dataset()
    for keyword in draw(st.sets(st.sampled_from(_KEYWORDS))):
        setattr(made, keyword, draw(_TEXT))
    for keyword in draw(st.sets(st.sampled_from(_SEQUENCES))) if depth else ():
        setattr(made, keyword, draw(st.lists(data_sets(depth - 1), max_size=3)))
        made[keyword].is_undefined_length = draw(st.booleans())
        for item in made[keyword].value:
            item.is_undefined_length_sequence_item = draw(st.booleans())
    return made


def _bytes(made: Dataset, syntax: str) -> bytes:
    buffer = io.BytesIO()
    pydicom.dcmwrite(
        buffer, made, implicit_vr=syntax == SYNTAXES[0], little_endian=syntax != SYNTAXES[2], enforce_file_format=False
    )
    return buffer.getvalue()


def _plain(found: DataSet) -> dict[int, object]:
    return {
        tag: [_plain(item) for item in each.items] if each.items is not None else each.value
        for tag, each in found.items()
    }


@given(data_sets(), st.sampled_from(SYNTAXES))
def test_every_data_set_of_pydicom_is_read_alike_in_each_syntax_and_written_again(made: Dataset, syntax: str) -> None:
    found = parse(_bytes(made, syntax), syntax)
    explicit = parse(_bytes(made, EXPLICIT_LITTLE_ENDIAN), EXPLICIT_LITTLE_ENDIAN)
    if syntax == SYNTAXES[0]:
        # Without a dictionary an empty sequence is an empty value.
        assert str(_plain(found)).replace("b''", "[]") == str(_plain(explicit)).replace("b''", "[]")
    else:
        assert _plain(found) == _plain(explicit)
    again = encode(explicit)
    assert parse(again, EXPLICIT_LITTLE_ENDIAN) == explicit
    assert pydicom.dcmread(io.BytesIO(again), force=True) == pydicom.dcmread(
        io.BytesIO(_bytes(made, EXPLICIT_LITTLE_ENDIAN)), force=True
    )


@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
def test_any_bytes_are_a_data_set_or_a_refusal(data: bytes, syntax: str) -> None:
    try:
        parse(data, syntax)
    except DataSetError as error:
        assert len(str(error)) < 100


@given(data_sets(), st.data())
def test_bytes_that_were_changed_are_a_data_set_or_a_refusal(made: Dataset, data: st.DataObject) -> None:
    raw = bytearray(_bytes(made, EXPLICIT_LITTLE_ENDIAN))
    for at in data.draw(st.lists(st.integers(0, max(len(raw) - 1, 0)), max_size=4)) if raw else ():
        raw[at] = data.draw(st.integers(0, 255))
    try:
        parse(bytes(raw), EXPLICIT_LITTLE_ENDIAN)
    except DataSetError:
        return


def _naive(pattern: str, value: str) -> bool:
    if not pattern:
        return not value
    if pattern[0] == "*":
        return _naive(pattern[1:], value) or (bool(value) and _naive(pattern, value[1:]))
    return bool(value) and pattern[0] in ("?", value[0]) and _naive(pattern[1:], value[1:])


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_match_as_the_naive_definition_does(pattern: str, value: str) -> None:
    assert text_test(pattern)(value) == (not pattern or _naive(pattern, value))


@given(st.text("a*", min_size=60, max_size=64))
def test_many_wildcards_cost_no_more_than_the_value_is_long(pattern: str) -> None:
    text_test(f"*{pattern}b")("a" * 64)


@given(st.text(), st.text(max_size=20))
def test_any_name_key_is_answered_or_refused(key: str, name: str) -> None:
    try:
        assert name_test(key)(name) in (True, False)
    except QueryError:
        assert key.count("=") > 2


@given(st.dates(), st.lists(st.dates(), min_size=1, max_size=2), st.sampled_from("<>="))
def test_date_that_matches_lies_between_the_bounds(each: date, ends: list[date], open_end: str) -> None:
    day, low, high = (one.isoformat().replace("-", "") for one in (each, min(ends), max(ends)))
    key = {"<": f"-{high}", ">": f"{low}-", "=": f"{low}-{high}"}[open_end]
    first, last = date_bounds(key)
    assert schedule_test(key, "")(day, "000000") == (first <= day <= last)


@given(st.text("0123456789-*. ", max_size=18), st.text("0123456789-*. ", max_size=18))
def test_any_schedule_key_is_answered_or_refused(date: str, time: str) -> None:
    try:
        schedule_test(date, time)("20261122", "093000")
    except QueryError:
        return
