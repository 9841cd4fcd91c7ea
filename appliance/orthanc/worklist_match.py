"""Attribute matching of one worklist key (PS3.4 section C.2.2.2); pure and standard library only.

A key that is empty or ``*`` matches everything. What cannot be understood raises ``QueryError``: an empty list would
say that nobody is waiting.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Test = Callable[[str], bool]

_DATE = re.compile(r"\d{8}", re.ASCII)
_TIME = re.compile(r"(?:[01]\d|2[0-3])(?:[0-5]\d(?:[0-5]\d(?:\.\d{1,6})?)?)?", re.ASCII)
_EARLIEST, _LATEST = "000000", "999999"
_LATEST_DATE = "99999999"
_NAME_GROUP_COUNT_MAX = 3


class QueryError(ValueError):
    """The query cannot be answered; the text says why, without a word of what was asked for."""


def is_universal(key: str) -> bool:
    """Whether the key asks only for the value to be returned."""
    return key in ("", "*")


def is_single_value(key: str) -> bool:
    """Whether the key is one value and no wildcard, list or universal."""
    return bool(key) and not any(mark in key for mark in "*?\\")


def text_test(key: str) -> Test:
    """Single value, wildcard or list of values, as Orthanc takes them: case counts, and in a list ``*`` is a star."""
    if is_universal(key):
        return lambda _: True
    if "\\" in key:
        values = frozenset(value.strip(" ") for value in key.split("\\"))
        return lambda value: value in values
    if "*" in key or "?" in key:
        return _glob(key)
    return lambda value: value == key


def name_test(key: str) -> Test:
    """A person name, whatever its case and how many empty components end it.

    A key without ``=`` may be in any script: it matches any component group of the name. One with ``=`` matches group
    by group, and an empty group of it matches any.
    """
    if is_universal(key):
        return lambda _: True
    groups = [_group(group) for group in key.split("=")]
    if len(groups) > _NAME_GROUP_COUNT_MAX:
        raise QueryError(f"a name of more than {_NAME_GROUP_COUNT_MAX} component groups")
    tests = [text_test(group.replace("\\", " ")) for group in groups]
    if len(tests) == 1:
        return lambda name: any(tests[0](_group(group)) for group in name.split("="))

    def each(name: str) -> bool:
        found = [_group(group) for group in name.split("=")]
        found += [""] * (len(tests) - len(found))
        return all(test(group) for test, group in zip(tests, found, strict=False))

    return each


def _group(text: str) -> str:
    return text.casefold().rstrip("^ ").strip(" ")


def _glob(pattern: str) -> Test:
    """``*`` and ``?``, in time linear in the value: the earliest place of each piece is kept and never tried again."""
    first, *pieces = (re.escape(piece).replace(r"\?", ".") for piece in pattern.split("*"))
    last = [f".*{pieces.pop()}"] if pieces else []
    matcher = re.compile("".join((first, *(f"(?>.*?{piece})" for piece in pieces), *last)), re.DOTALL)
    return lambda value: matcher.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class _Span:
    """A key of date or time: its two ends, empty where it is open."""

    low: str
    high: str
    is_range: bool


def date_bounds(date_key: str) -> tuple[str, str]:
    """The first and last date that a key may match, as text to compare by; wide where it is open.

    Raises:
        QueryError: As ``schedule_test``.
    """
    span = _span(date_key, _DATE, "date")
    return span.low, span.high or _LATEST_DATE


def schedule_test(date_key: str, time_key: str) -> Callable[[str, str], bool]:
    """Scheduled start, as date ``YYYYMMDD`` and time ``HHMMSS``.

    Two ranges are one span of time (PS3.4 table K.6-1): 5 to 7 July and 10 to 18 h begins on 5 July at 10 h and ends on
    7 July at 18 h.

    Raises:
        QueryError: If a key is neither date, time nor range of them.
    """
    date, time = _span(date_key, _DATE, "date"), _span(time_key, _TIME, "time")
    if date.is_range and time.is_range:
        low = date.low and date.low + _digits(time.low, _EARLIEST)
        high = date.high and date.high + _digits(time.high, _LATEST)
        return lambda day, moment: bool(day) and low <= day + moment and (not high or day + moment <= high)

    def each(day: str, moment: str) -> bool:
        return _is_within(day, date, _EARLIEST, "") and _is_within(moment, time, _EARLIEST, _LATEST)

    return each


def _is_within(value: str, span: _Span, earliest: str, latest: str) -> bool:
    if not span.low and not span.high:
        return True
    low = _digits(span.low, earliest) if latest else span.low
    high = (_digits(span.high, latest) if latest else span.high) if span.high else value
    return bool(value) and low <= value <= high


def _digits(time: str, fill: str) -> str:
    """Hours, minutes and seconds; what a key leaves out is any."""
    return time[:6] + fill[len(time[:6]) :]


def _span(key: str, form: re.Pattern[str], kind: str) -> _Span:
    if is_universal(key):
        return _Span("", "", False)
    low, dash, high = (part.strip(" ") for part in key.partition("-"))
    ends = [end for end in (low, high) if end]
    if not ends or not all(form.fullmatch(end) for end in ends):
        raise QueryError(f"a {kind} that is neither one nor a range of two")
    return _Span(low, high, True) if dash else _Span(low, low, False)


def is_kept_by_orthanc(key: str, value: str) -> bool:
    """Whether Orthanc, which judges the keys of a sequence item once more, lets a date or time pass: as plain text."""
    if is_universal(key):
        return True
    if "-" not in key:
        return value == key
    low, _, high = (part.strip(" ") for part in key.partition("-"))
    return (not low or value >= low) and (not high or value <= high)
