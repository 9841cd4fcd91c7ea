"""When a link is away, computed from its plan. Pure; seconds count from the start of the link."""

from __future__ import annotations

import math

from bench.link.spec import Outage


class Schedule:
    """The outages of one plan, or of none, by number: the first is 0."""

    def __init__(self, outage: Outage | None) -> None:
        self._outage = outage

    def start_s(self, number: int) -> float:
        """When outage ``number`` begins; infinity when there is none."""
        if self._outage is None or (number and self._outage.every_s is None):
            return math.inf
        return self._outage.start_s + number * (self._outage.every_s or 0.0)

    def end_s(self, number: int) -> float:
        """When outage ``number`` is over; infinity when there is none."""
        return self.start_s(number) + (self._outage.duration_s if self._outage is not None else 0.0)

    def until(self, end_s: float) -> list[tuple[float, float]]:
        """Start and end of every outage that begins before ``end_s``, in order."""
        found: list[tuple[float, float]] = []
        while self.start_s(len(found)) < end_s:
            found.append((self.start_s(len(found)), self.end_s(len(found))))
        return found

    def up_s(self, end_s: float) -> float:
        """How long the link is there from 0 to ``end_s``."""
        return end_s - sum(min(end, end_s) - start for start, end in self.until(end_s))
