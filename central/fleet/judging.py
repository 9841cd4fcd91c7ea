"""What of a unit's word and silence needs a person: pure.

Ages are differences of the centre's clock; a unit's own clock is only compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from central.config import FleetTable
from central.store.fleet import UnitRow
from sync.wire.status import DiskLevel


class Alarm(StrEnum):
    """Why somebody has to look at a unit."""

    UNHEARD = "unheard"
    UNSENT = "unsent"
    DISK = "disk"
    CLOCK = "clock"
    COPIED = "copied"


@dataclass(frozen=True, slots=True)
class Standing:
    """A unit at a moment, as the centre knows it."""

    row: UnitRow
    silent_s: float | None
    """Since it was last heard of; ``None``: never."""
    oldest_unsent_s: float
    """Counted on since its report; 0: nothing was unsent then."""
    clock_ahead_s: float | None
    """Of the unit's clock at its report, by no more than the way of the report wrong; ``None``: not known."""
    alarms: tuple[Alarm, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """How long studies took from the moment they were made to being readable at the centre."""

    count: int
    median_s: float | None
    p95_s: float | None
    in_time_share: float | None
    """Of those that arrived, how many within the service level; ``None``: none arrived."""


def standing(row: UnitRow, now_s: float, bounds: FleetTable) -> Standing:
    """Judge one unit."""
    silent_s = age_s(row.seen_at, now_s)
    report, report_age_s = row.report, age_s(row.report_at, now_s) or 0.0
    oldest_s = report.oldest_unsent_s + report_age_s if report is not None and report.unsent_study_count else 0.0
    ahead_s = _ahead_s(row)
    enrolled_s = age_s(row.enrolled_at, now_s) or 0.0
    doubtful = report is not None and bool(report.clock_doubt)
    found = (
        (Alarm.UNHEARD, (enrolled_s if silent_s is None else silent_s) > bounds.unheard_hours * 3600),
        (Alarm.UNSENT, oldest_s > bounds.unsent_hours * 3600),
        (Alarm.DISK, report is not None and report.disk_level is not DiskLevel.FINE),
        (Alarm.CLOCK, doubtful or (ahead_s is not None and abs(ahead_s) > bounds.clock_s_max)),
        (Alarm.COPIED, row.copied),
    )
    return Standing(row, silent_s, oldest_s, ahead_s, tuple(alarm for alarm, is_so in found if is_so))


def delivery(times: Sequence[tuple[str, str]], in_time_s: float) -> Delivery:
    """Of when studies were made and when they arrived, UTC text."""
    spans = sorted(max(0.0, arrived - made) for made, arrived in _seconds(times))
    if not spans:
        return Delivery(0, None, None, None)
    in_time = sum(span <= in_time_s for span in spans)
    return Delivery(len(spans), _quantile(spans, 0.5), _quantile(spans, 0.95), in_time / len(spans))


def availability(fine_count: int, first_minute: int | None, now_minute: int) -> float | None:
    """Share of the minutes since the first look in which units could deliver; ``None``: nobody looked yet.

    The minute that runs is not over and does not count.
    """
    if first_minute is None or first_minute >= now_minute:
        return None
    return min(1.0, fine_count / (now_minute - first_minute))


def age_s(at: str, now_s: float) -> float | None:
    """Seconds since a UTC text; ``None``: it is none."""
    known_s = seconds_of(at)
    return None if known_s is None else max(0.0, now_s - known_s)


def seconds_of(at: str) -> float | None:
    """Of a UTC text, since the epoch; ``None``: it is none."""
    try:
        known = datetime.fromisoformat(at)
    except ValueError:
        return None
    return (known if known.tzinfo else known.replace(tzinfo=UTC)).timestamp()


def _ahead_s(row: UnitRow) -> float | None:
    theirs, ours = seconds_of(row.report.at) if row.report is not None else None, seconds_of(row.report_at)
    return None if theirs is None or ours is None else theirs - ours


def _seconds(times: Sequence[tuple[str, str]]) -> list[tuple[float, float]]:
    both = ((seconds_of(made), seconds_of(arrived)) for made, arrived in times)
    return [(made, arrived) for made, arrived in both if made is not None and arrived is not None]


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The nearest rank: a time that some study really took."""
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]
