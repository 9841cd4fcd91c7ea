"""Loops: long enough to show what moves, and with a time that viewers can play them by (PS3.3 C.7.6.5)."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.view import HeaderView, View

TIMED_MODALITIES = frozenset({"US", "IVUS", "XA", "RF", "ES", "XC"})
FRAME_MS_MIN, FRAME_MS_MAX = 0.5, 10_000.0
"""2,000 frames a second is beyond any loop that is shown; one every 10 s is no loop."""


def check(view: View) -> Iterator[Finding]:
    """Frame times that are missing or cannot be, and loops shorter than ``loop_s_min``."""
    header = view.header
    if header.text("Modality") not in TIMED_MODALITIES or header.frame_count < 2:
        return
    times_ms = _frame_times_ms(header)
    if not times_ms:
        yield Finding(CheckCode.FRAME_TIME_MISSING, Severity.NOTICE, {"frame_count": header.frame_count})
        return
    vector = header.texts("FrameTimeVector")
    if any(not FRAME_MS_MIN <= time <= FRAME_MS_MAX for time in times_ms) or (
        vector and len(vector) != header.frame_count and not header.has("FrameTime")
    ):
        yield Finding(CheckCode.FRAME_TIME_WRONG, Severity.WARNING, {"frame_count": header.frame_count})
        return
    duration_s = sum(times_ms) / 1000 if len(times_ms) > 1 else times_ms[0] * header.frame_count / 1000
    if duration_s < view.bands.loop_s_min:
        values = {"duration_s": round(duration_s, 2), "frame_count": header.frame_count}
        yield Finding(CheckCode.LOOP_SHORT, Severity.NOTICE, values)


def _frame_times_ms(header: HeaderView) -> tuple[float, ...]:
    """One for all frames, or one a frame (the first of a vector is 0 by definition and left out); empty: not supplied.

    A value that is no number counts as 0, which no frame takes.
    """
    if header.has("FrameTime"):
        return (header.number("FrameTime") or 0.0,)
    if header.has("FrameTimeVector"):
        return tuple(number or 0.0 for number in header.numbers("FrameTimeVector")[1:])
    for keyword in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = header.number(keyword)
        if rate:
            return (1000 / rate,)
    return ()
