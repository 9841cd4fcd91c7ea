"""What a link really gives: goodput with its spread, and the round trip; estimates that stand still until it changed.

A median over the last samples ignores the odd one in both directions, and what is published moves only when the median
left it by more than a fifth: people see an estimate that does not flicker, and each one costs a row in the store.
"""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field

from appliance.domain.eta import Goodput

SAMPLE_COUNT = 9
"""With a sample every 2 to 8 s a lasting change is believed after 10 to 40 s (five samples)."""
SAMPLE_S_MIN = 1.0
"""Shorter ones are joined: a socket buffer that fills in a millisecond says nothing of the link."""
CHANGE_SHARE = 0.2
SPREAD_SHARE_MIN = 0.1
"""Of the typical value to each side, so that a steady minute does not promise a steady hour."""


@dataclass(slots=True)
class SteadyMedian:
    """The median of the last samples, published only when it moved by more than ``CHANGE_SHARE``."""

    value: float | None = None
    _samples: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLE_COUNT))

    def add(self, sample: float) -> bool:
        """Take a sample (>= 0) in; whether the published ``value`` changed."""
        self._samples.append(sample)
        median = statistics.median(self._samples)
        if self.value is not None and abs(median - self.value) <= CHANGE_SHARE * self.value:
            return False
        changed = median != self.value
        self.value = median
        return changed

    def quartiles(self) -> tuple[float, float]:
        """The ends of the middle half of the samples; the only sample twice while there is one."""
        if len(self._samples) < 2:
            return self._samples[0], self._samples[0]
        low, _, high = statistics.quantiles(self._samples, n=4, method="inclusive")
        return low, high


@dataclass(slots=True)
class RateEstimator:
    """Of one link; begins anew when the link becomes another one."""

    goodput: Goodput | None = None
    round_trip_s: float | None = None
    _rate: SteadyMedian = field(default_factory=SteadyMedian)
    _round_trip: SteadyMedian = field(default_factory=SteadyMedian)
    _bytes: int = 0
    _seconds: float = 0.0

    def moved(self, link_bytes: int, duration_s: float) -> bool:
        """So many bytes went in so many seconds; whether what is published changed. Nonsense is ignored."""
        if link_bytes < 0 or not 0 <= duration_s < float("inf"):
            return False
        self._bytes += link_bytes
        self._seconds += duration_s
        if self._seconds < SAMPLE_S_MIN:
            return False
        sample, self._bytes, self._seconds = self._bytes / self._seconds, 0, 0.0
        if not self._rate.add(sample):
            return False
        typical = self._rate.value or 0.0
        low, high = self._rate.quartiles()
        self.goodput = Goodput(
            min(low, typical * (1 - SPREAD_SHARE_MIN)), typical, max(high, typical * (1 + SPREAD_SHARE_MIN))
        )
        return True

    def round_trip(self, seconds: float) -> bool:
        """A small exchange took so long; whether what is published changed."""
        if not 0 <= seconds < float("inf") or not self._round_trip.add(seconds):
            return False
        self.round_trip_s = self._round_trip.value
        return True
