"""What coding gives on this machine: the table of ``sync.encoder.choice``, moved by what was measured lately."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log

from sync.encoder.choice import YIELDS, Content, Yield

_WEIGHT = 0.2
"""Of the newest file: some ten files tell another machine, one odd picture does not."""
_FACTOR_MAX = 50.0
"""A measurement further off than this says something about a stall, not about the machine."""
_MEASURED_BYTES_MIN = 64 * 1024
"""Below it, time is spent on other things than coding."""


class Speeds:
    """Two numbers for each kind of content: how fast this machine is, and how far its pictures shrink, both against
    the table. They are moved in proportion, so that no effort ever becomes faster or larger than the one below it."""

    def __init__(self) -> None:
        self._speed_log = dict.fromkeys(Content, 0.0)
        self._share_log = dict.fromkeys(Content, 0.0)

    def note(self, content: Content, effort: int, original_bytes: int, coded_bytes: int, duration_s: float) -> None:
        """One file was coded; of an effort that the table lacks, nothing is learned."""
        expected = YIELDS[content].get(effort)
        if expected is None or original_bytes < _MEASURED_BYTES_MIN or coded_bytes <= 0 or duration_s <= 0:
            return
        speed = original_bytes / duration_s / expected.speed_bytes_per_s
        share = coded_bytes / original_bytes / expected.share
        self._speed_log[content] = _moved(self._speed_log[content], speed)
        self._share_log[content] = _moved(self._share_log[content], share)

    def yields(self, content: Content) -> Mapping[int, Yield]:
        """What each effort gives, by all that is known now."""
        speed, share = exp(self._speed_log[content]), exp(self._share_log[content])
        return {
            effort: Yield(gives.speed_bytes_per_s * speed, gives.share * share)
            for effort, gives in YIELDS[content].items()
        }


def _moved(mean_log: float, factor: float) -> float:
    bounded = min(max(factor, 1 / _FACTOR_MAX), _FACTOR_MAX)
    return mean_log + _WEIGHT * (log(bounded) - mean_log)
