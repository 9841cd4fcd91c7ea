"""Whether there are pixels, all of them, and something on them."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.quality import CheckCode, Finding, Severity, Value
from appliance.quality.view import View

SHOWN_MAX = 8
"""Frames named in a sentence."""


def check(view: View) -> Iterator[Finding]:
    """Missing, cut off, unreadable or blank pixels; and pixels that are not looked at, which proves nothing."""
    if view.damage:
        yield Finding(CheckCode.FILE_DAMAGED, Severity.ALARM)
    frames = view.frames
    if not frames.is_there:
        if view.header.has("Rows") and view.header.has("Columns"):
            yield Finding(CheckCode.PIXELS_MISSING, Severity.ALARM)
        return
    if frames.missing_bytes:
        yield Finding(CheckCode.PIXELS_TRUNCATED, Severity.ALARM, {"missing_bytes": frames.missing_bytes})
    elif frames.missing_frame_count:
        counts = {"missing_frame_count": frames.missing_frame_count, "frame_count": view.header.frame_count}
        yield Finding(CheckCode.PIXELS_TRUNCATED, Severity.ALARM, counts)
    if frames.unreadable:
        yield Finding(CheckCode.PIXELS_UNREADABLE, Severity.ALARM, {"frames": _named(frames.unreadable)})
    if frames.not_looked_why:
        yield Finding(CheckCode.PIXELS_NOT_LOOKED_AT, Severity.NOTICE, {"why": frames.not_looked_why})
    blank = tuple(frame.number for frame in frames.looked if frame.is_blank)
    if blank:
        is_all = len(blank) == len(frames.looked)
        values: dict[str, Value] = {"frames": _named(blank), "looked_count": len(frames.looked)}
        yield Finding(CheckCode.FRAMES_BLANK, Severity.ALARM if is_all else Severity.NOTICE, values)


def _named(numbers: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(str(number) for number in numbers[:SHOWN_MAX])
