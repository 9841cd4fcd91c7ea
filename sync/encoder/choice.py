"""Which effort a file is coded with: the one that gets the backlog to the other side first. Pure arithmetic.

Two stages work at the same time: workers code, the link sends. With ``W`` original bytes still to be coded, ``R``
coded bytes ready, a link of ``r`` bytes a second, and an effort that codes ``s`` original bytes a second to the share
``q`` of their size, everything has arrived after about

    max(R / r, time until this file is coded) + W * q / r     while the link is the bottleneck, or
    W / (s * workers) + time to send the last file            while the workers are,

whichever is later. A faster link never gets a higher effort (proved by the property test).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

EFFORT_LAST_MILE = 9
"""Coding runs two to three times as long as with 7 for 1 or 2 % of size: only when there are minutes to spare."""
AHEAD_S_MIN = 120.0
"""So long must the link be busy with what is ready before ``EFFORT_LAST_MILE`` is considered."""
RATE_AWAITED_BYTES_PER_S = 125_000.0
"""1 Mbit/s: taken for a link that waits and whose rate nobody has measured yet."""
RATE_DOWN_BYTES_PER_S = 16_000.0
"""128 kbit/s: taken while the link is down; there is time, but not for ever."""
STAY_SHARE = 0.01
"""Another effort than the last one must promise so much less time, or the choice would flap with every measurement.
From 3 to 7 a film loses less than 3 % of its size: more would hide that."""


class Content(StrEnum):
    """What the pixels of a file are, as far as coding time goes."""

    NATIVE = "native"
    JPEG = "jpeg"
    OTHER = "other"


_NATIVE_UIDS = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"})
_JPEG_UIDS = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.55"})
"""Baseline, extended, and retired full progression: what JPEG XL can recompress (PS3.5 section 8.2.1)."""


def content_of(transfer_syntax_uid: str) -> Content:
    """The kind of pixels that a transfer syntax holds."""
    if transfer_syntax_uid in _NATIVE_UIDS:
        return Content.NATIVE
    return Content.JPEG if transfer_syntax_uid in _JPEG_UIDS else Content.OTHER


@dataclass(frozen=True, slots=True)
class Yield:
    """What one effort gives: original bytes coded a second by one worker, and coded size to original size."""

    speed_bytes_per_s: float
    share: float


YIELDS: Mapping[Content, Mapping[int, Yield]] = {
    Content.NATIVE: {
        1: Yield(65e6, 0.1500),
        2: Yield(30e6, 0.1373),
        3: Yield(16e6, 0.1333),
        5: Yield(4.6e6, 0.1308),
        7: Yield(3.3e6, 0.1297),
        9: Yield(1.4e6, 0.1281),
    },
    Content.JPEG: {1: Yield(80e6, 0.98), 3: Yield(1.8e6, 0.80)},
    Content.OTHER: {1: Yield(80e6, 0.97), 7: Yield(5e6, 0.95)},
}
"""Measured on one core of a shared 2-core x86 machine, encoding and the proof by decoding together; what changes from
machine to machine and from picture to picture is learned (``sync.encoder.speeds``), the gain between efforts is not:
it would take both codings of one file to see it."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the choice depends on.

    Attributes:
        rate_bytes_per_s: Goodput of coded bytes; > 0, or ``None`` while the link is down or unknown.
        ready_bytes: Coded bytes that are ready and not yet sent; >= 0.
        waiting_bytes: Original bytes still to be coded, this file included.
        item_bytes: Original bytes of this file; > 0.
        worker_count: Files that are coded at the same time; >= 1.
        is_awaited: A destination stands still until this file is coded. Then this file alone counts: the link idles
            meanwhile, whatever lies ready for others, and each one behind it gets a choice of its own.
    """

    rate_bytes_per_s: float | None
    ready_bytes: int
    waiting_bytes: int
    item_bytes: int
    worker_count: int = 1
    is_awaited: bool = False


def choose_effort(situation: Situation, yields: Mapping[int, Yield], previous: int | None = None) -> int:
    """The effort with which everything arrives first; the lower one of two that are as good.

    Args:
        situation: What waits and what the link does.
        yields: What each effort gives for this kind of content on this machine; never empty. A higher effort must not
            be faster, nor code larger.
        previous: The effort chosen last for such content: it is kept unless another is clearly better.
    """
    rate = _rate(situation)
    ready_bytes = 0 if situation.is_awaited else situation.ready_bytes
    allowed = [e for e in sorted(yields) if e < EFFORT_LAST_MILE or ready_bytes >= AHEAD_S_MIN * rate] or [min(yields)]
    times = {effort: finish_s(situation, yields[effort]) for effort in allowed}
    best = min(allowed, key=lambda effort: (times[effort], effort))
    if previous in times and times[previous] - times[best] <= STAY_SHARE * (times[best] - ready_bytes / rate):
        return previous
    return best


def finish_s(situation: Situation, gives: Yield) -> float:
    """Seconds until everything has arrived, if all that waits is coded like this; see the module."""
    rate = _rate(situation)
    ready_s = 0.0 if situation.is_awaited else situation.ready_bytes / rate
    waiting = situation.item_bytes if situation.is_awaited else max(situation.waiting_bytes, situation.item_bytes)
    at_once = max(1.0, min(situation.worker_count, waiting / situation.item_bytes))
    first_s = max(ready_s, situation.item_bytes / gives.speed_bytes_per_s)
    link_bound_s = first_s + waiting * gives.share / rate
    code_bound_s = waiting / (gives.speed_bytes_per_s * at_once) + situation.item_bytes * gives.share / rate
    return max(link_bound_s, code_bound_s)


def _rate(situation: Situation) -> float:
    if situation.rate_bytes_per_s is not None:
        return situation.rate_bytes_per_s
    return RATE_AWAITED_BYTES_PER_S if situation.is_awaited else RATE_DOWN_BYTES_PER_S
