"""When a backlog will be through, as an honest range and in the words a person would use; pure.

A single number would be believed. Links of vehicles are as fast as the weather, so the spread of what was measured is
shown, and "unknown" wherever nothing was.
"""

from __future__ import annotations

from dataclasses import dataclass

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86_400.0
_STEPS: tuple[tuple[float, float, str, float], ...] = (
    # up to, rounded to, unit, seconds a unit
    (10 * _MINUTE_S, _MINUTE_S, "min", _MINUTE_S),
    (30 * _MINUTE_S, 5 * _MINUTE_S, "min", _MINUTE_S),
    (90 * _MINUTE_S, 10 * _MINUTE_S, "min", _MINUTE_S),
    (24 * _HOUR_S, _HOUR_S, "h", _HOUR_S),
    (float("inf"), _DAY_S, "days", _DAY_S),
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


def latest(etas: tuple[Eta | None, ...]) -> Eta | None:
    """When all of them are through; ``None`` when one is unknown, or there is none."""
    known = [eta for eta in etas if eta is not None]
    if not known or len(known) < len(etas):
        return None
    return Eta(max(eta.low_s for eta in known), max(eta.high_s for eta in known))


def eta_text(eta: Eta | None, why_unknown: str = "") -> str:
    """``40-60 min``, ``2-3 h``, ``under a minute``; ``unknown`` with its reason behind a dash.

    Both ends are rounded as a person would round the greater one; equal ends become ``about``.
    """
    if eta is None:
        return f"unknown - {why_unknown}" if why_unknown else "unknown"
    if eta.high_s < _MINUTE_S:
        return "under a minute"
    _, step_s, unit, unit_s = next(step for step in _STEPS if eta.high_s < step[0])
    low, high = (max(round(s / step_s), 0) * round(step_s / unit_s) for s in (eta.low_s, eta.high_s))
    high = max(high, round(step_s / unit_s))
    unit = "day" if unit == "days" and high == 1 else unit
    if low == high:
        return f"about {high} {unit}"
    return f"up to {high} {unit}" if low == 0 else f"{low}-{high} {unit}"
