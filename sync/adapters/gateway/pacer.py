"""Helps bbr where it is weak on a thin long link; pure decisions over what the kernel tells, carried out by ``Pipe``.

Measured on 2 Mbit/s and 650 ms, and taken from the kernel's tcp_bbr.c: at its start bbr sends 2.9 times what arrives
until three round trips brought no growth, and most of that is lost at a short queue; and every ten seconds it sends
next to nothing for a round trip and 0.2 s, to see the path without a queue (PROBE_RTT). Together that was a fifth of
the time. Against the first the pace is capped at what arrives, as soon as a queue begins or when the rate is known
from before; against the second bbr is begun anew in time, under the same cap, which costs nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

PACE = 0.99
"""Of the rate that arrives: bbr's own margin while it cruises, so that no queue grows."""
GROPING = 1.5
"""The bound's distance from what arrives while a link's rate is being found and no queue is seen."""
STEP = 0.05
"""A bound that differs by less stays."""
QUEUE_RATIO, QUEUE_S = 1.12, 0.003
"""A round trip so much longer than the shortest one means a queue."""
RENEW_S = 8.0
"""Before the ten seconds after which bbr doubts its shortest round trip."""
REST_S = 1.0
"""After a rest bbr would doubt too soon, for its ten seconds went on."""
PATH_CHANGED_RATIO = 3.0
"""No queue is so long: then its doubt is right, and it shall look."""
GROWTH_RATIO = 1.2
"""One cycle of bbr's own probing brings 1.25 where the link has become faster."""
FORGET_S = 600.0
"""What was known of a link's rate is not believed for longer."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the kernel tells of a connection under bbr (``struct tcp_bbr_info``, ``struct tcp_info``).

    Attributes:
        rate_bytes_per_s: The most that arrived of late; 0 while unknown.
        is_starting: bbr still looks for the link's rate.
        is_busy: Something of ours is on its way.
    """

    rate_bytes_per_s: float
    shortest_s: float
    round_trip_s: float
    is_starting: bool
    is_busy: bool

    @property
    def has_queue(self) -> bool:
        return self.shortest_s > 0 and self.round_trip_s > QUEUE_RATIO * self.shortest_s + QUEUE_S


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do with the connection.

    Attributes:
        cap_bytes_per_s: The pace's new bound; 0: none.
        renew: Begin bbr anew, after the bound was set.
    """

    cap_bytes_per_s: float
    renew: bool = False


class _Phase(Enum):
    STARTING = "starting"
    """Free, until a queue is seen."""
    CAPPED = "capped"
    """bbr is made to find the rate that is known."""
    CRUISING = "cruising"


class Pacer:
    """Of one connection.

    Attributes:
        rate_bytes_per_s: What the link gave of late, for the next connection; 0 while unknown.
    """

    def __init__(self, known_bytes_per_s: float = 0.0) -> None:
        """``known_bytes_per_s``: what an earlier connection found; 0: nothing is known."""
        self.rate_bytes_per_s = known_bytes_per_s
        self._phase = _Phase.STARTING
        self._cap = 0.0
        self._is_known = False
        """The bound is a rate that was found before, not a guess on the way up."""
        self._renewed_mono_s = float("-inf")
        self._busy_mono_s = float("-inf")
        self._cruise_rate = 0.0
        self._rates: deque[tuple[float, float]] = deque()
        """Of a round trip, with the moment of each."""

    def begin(self, now_mono_s: float) -> Advice | None:
        """Before the connection's first byte, and before the first after a rest."""
        rested_s = now_mono_s - self._busy_mono_s
        self._busy_mono_s = now_mono_s
        return self._renew(now_mono_s, self.rate_bytes_per_s) if rested_s >= REST_S else None

    def look(self, now_mono_s: float, seen: Seen) -> Advice | None:
        """What to do now; a few times a round trip while something is under way."""
        if not seen.is_busy:
            return None
        self._busy_mono_s = now_mono_s
        if seen.rate_bytes_per_s <= 0:
            return None
        if seen.is_starting:
            return self._while_starting(now_mono_s, seen)
        self.rate_bytes_per_s = seen.rate_bytes_per_s
        if self._phase is not _Phase.CRUISING:
            self._phase, self._cruise_rate = _Phase.CRUISING, seen.rate_bytes_per_s
            return self._free()
        return self._cruise(now_mono_s, seen)

    def _while_starting(self, now_mono_s: float, seen: Seen) -> Advice | None:
        if self._phase is _Phase.CRUISING:
            self._phase = _Phase.STARTING  # after bbr's own look at the path it may be where it was before
        grows = self._grows(now_mono_s, seen)
        if self._phase is _Phase.STARTING and (grows or not seen.has_queue):
            return None
        # A rate is known a round trip late; a bound that was guessed follows what arrives, up and down.
        wanted = seen.rate_bytes_per_s * (GROPING if grows or not seen.has_queue else PACE)
        is_lower, is_higher = wanted < self._cap * (1 - STEP), wanted > self._cap * (1 + STEP)
        if self._phase is _Phase.STARTING or (is_lower and not grows) or (is_higher and not self._is_known):
            self._phase, self._cap = _Phase.CAPPED, wanted
            return Advice(wanted)
        return None

    def _grows(self, now_mono_s: float, seen: Seen) -> bool:
        """Whether more arrives than a round trip ago; also while that cannot be said yet."""
        self._rates.append((now_mono_s, seen.rate_bytes_per_s))
        while len(self._rates) > 1 and self._rates[1][0] <= now_mono_s - seen.round_trip_s:
            self._rates.popleft()
        since_mono_s, before = self._rates[0]
        return since_mono_s > now_mono_s - seen.round_trip_s or seen.rate_bytes_per_s > GROWTH_RATIO * before

    def _cruise(self, now_mono_s: float, seen: Seen) -> Advice | None:
        if seen.rate_bytes_per_s > GROWTH_RATIO * self._cruise_rate and not seen.has_queue:
            return self._renew(now_mono_s, 0.0)
        path_changed = seen.round_trip_s > PATH_CHANGED_RATIO * seen.shortest_s
        if now_mono_s - self._renewed_mono_s < RENEW_S or path_changed:
            return None
        return self._renew(now_mono_s, seen.rate_bytes_per_s)

    def _renew(self, now_mono_s: float, rate_bytes_per_s: float) -> Advice:
        """Begin bbr anew, at a known rate or free to find it."""
        self._renewed_mono_s = now_mono_s
        self._rates.clear()
        self._cap = rate_bytes_per_s * PACE
        self._is_known = rate_bytes_per_s > 0
        self._phase = _Phase.CAPPED if self._is_known else _Phase.STARTING
        return Advice(self._cap, renew=True)

    def _free(self) -> Advice | None:
        was, self._cap = self._cap, 0.0
        return Advice(0.0) if was else None
