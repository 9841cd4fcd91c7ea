"""When to try again: exponential back-off with jitter, for ever, never later than the cap.

Deadlines live in memory only and end with the process; attempt counts are kept by the store. Jitter is a hash of a
seed and a counter, so that the core stays pure and a simulation repeats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

_MASK = (1 << 64) - 1
_DOUBLINGS_MAX = 32
"""2**32 s is far above any cap; a counter of years does not overflow a float."""


@dataclass(slots=True)
class Jitter:
    """Deterministic draws from [0, 1) (SplitMix64); the seed should differ between units."""

    seed: int
    count: int = 0

    def draw(self) -> float:
        self.count += 1
        z = (self.seed + self.count * 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)


def backoff_s(failure_count: int, first_s: float, max_s: float, draw: float) -> float:
    """Seconds to wait after the ``failure_count``-th failure in a row (>= 1).

    Between half and the whole of ``first_s * 2**(failure_count - 1)``, never above ``max_s``: units that failed
    together do not come back together.
    """
    ceiling_s = min(max_s, first_s * 2.0 ** min(max(failure_count, 1) - 1, _DOUBLINGS_MAX))
    return ceiling_s * (0.5 + 0.5 * draw)


def at_least_asked(delay_s: float, retry_after_s: float | None, max_s: float) -> float:
    """The longer of our delay and what the destination asked for; its wish is bounded by ``max_s``."""
    if retry_after_s is None or not retry_after_s > 0:  # "not >" also drops NaN
        return delay_s
    return max(delay_s, min(retry_after_s, max_s))


class Why(Enum):
    """Why an item waits, which decides what may end its wait early."""

    FAILED = "failed"
    """It failed on its own account; a link that comes up again is a new chance."""
    SUSPECT = "suspect"
    """It was in flight when an attempt broke off, so it may be what breaks them: the others go first."""
    ASKED = "asked"
    """The destination named a time."""


@dataclass(slots=True)
class BackoffList:
    """The items of one destination that wait for their own deadline; bounded."""

    count_max: int
    _until: dict[int, tuple[float, Why]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._until)

    def __contains__(self, item_id: int) -> bool:
        return item_id in self._until

    def __iter__(self) -> Iterator[int]:
        return iter(self._until)

    @property
    def full(self) -> bool:
        return len(self._until) >= self.count_max

    def add(self, item_id: int, until_mono_s: float, why: Why) -> None:
        """Let an item wait; when the list is full, the one that would be due first stops waiting."""
        if self.full and item_id not in self._until:
            del self._until[min(self._until, key=lambda other: self._until[other][0])]
        self._until[item_id] = (until_mono_s, why)

    def drop(self, item_id: int) -> None:
        """Forget an item, if it waits."""
        self._until.pop(item_id, None)

    def expire(self, now: float) -> bool:
        """End every wait whose deadline has come; True when there was one."""
        due = [item_id for item_id, (until, _) in self._until.items() if until <= now]
        for item_id in due:
            del self._until[item_id]
        return bool(due)

    def release(self, why: Why) -> bool:
        """End every wait of this kind; True when there was one."""
        found = [item_id for item_id, (_, reason) in self._until.items() if reason is why]
        for item_id in found:
            del self._until[item_id]
        return bool(found)

    def earliest(self) -> float | None:
        """When the next wait ends; ``None`` when nothing waits."""
        return min((until for until, _ in self._until.values()), default=None)
