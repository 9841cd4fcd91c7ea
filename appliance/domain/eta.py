"""When a backlog will be through, as an honest range and in the words a person would use; pure.

A single number would be believed. Links of vehicles are as fast as the weather, so the spread of what was measured is
shown, and "unknown" wherever nothing was.
"""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.wording import Wording, stored, told

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86_400.0
_STEPS: tuple[tuple[float, float, Wording, float], ...] = (
    # up to, rounded to, unit, seconds a unit
    (10 * _MINUTE_S, _MINUTE_S, told("min"), _MINUTE_S),
    (30 * _MINUTE_S, 5 * _MINUTE_S, told("min"), _MINUTE_S),
    (90 * _MINUTE_S, 10 * _MINUTE_S, told("min"), _MINUTE_S),
    (24 * _HOUR_S, _HOUR_S, told("h"), _HOUR_S),
    (float("inf"), _DAY_S, told("days"), _DAY_S),
)


@dataclass(frozen=True, slots=True)
class Goodput:
    """Bytes a second that a link really gave, as coded for it; ``low`` and ``high`` hold the middle half of samples."""

    low_bytes_per_s: float
    typical_bytes_per_s: float
    high_bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds from now until the last byte is accepted, at best and at worst; ``0 <= low_s <= high_s``."""

    low_s: float
    high_s: float


def eta_of(backlog_bytes: float, goodput: Goodput | None) -> Eta | None:
    """How long ``backlog_bytes`` (as coded for the link) take; ``None`` when nothing was measured, or nothing moves."""
    if goodput is None or not 0 < goodput.low_bytes_per_s <= goodput.high_bytes_per_s:
        return None
    return Eta(max(backlog_bytes, 0.0) / goodput.high_bytes_per_s, max(backlog_bytes, 0.0) / goodput.low_bytes_per_s)


def eta_text(eta: Eta | None, why_unknown: str = "") -> Wording:
    """``40-60 min``, ``2-3 h``, ``under a minute``; ``unknown`` with its reason behind a dash.

    Both ends are rounded away from each other, as coarsely as suits the greater one: the words hold the range.
    """
    if eta is None:
        return told("unknown - {why}", why=stored(why_unknown)) if why_unknown else told("unknown")
    if eta.high_s < _MINUTE_S:
        return told("under a minute")
    _, step_s, unit, unit_s = next(step for step in _STEPS if eta.high_s < step[0])
    low, high = (round(count * step_s / unit_s) for count in (eta.low_s // step_s, -(-eta.high_s // step_s)))
    if low == high:
        return told("about {count} {unit}", count=high, unit=unit)
    if unit == "days" and high == 1:
        unit = told("day")
    if low == 0:
        return told("up to {count} {unit}", count=high, unit=unit)
    return told("{low}-{high} {unit}", low=low, high=high, unit=unit)
