"""How full each bound of the unit is that can be measured from outside."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.health.check import Level, Result, Subject
from appliance.live import read_live

FULL_SHARE_WARN = 0.9
GAUGES = (
    ("connection_count", "connection_count_max", "connections at the door"),
    ("connection_count_of_busiest_peer", "connection_count_per_peer_max", "connections from one device"),
)
"""Fact of the gatekeeper, its bound in the limits, and what it counts."""


def check(subject: Subject) -> Iterable[Result]:
    """One answer for each gauge that the gatekeeper reports, or one when it reports none."""
    live = read_live(subject.config.run_dir, "gatekeeper", subject.clock)
    if live is None:
        sentence = "How full the door is can only be told while the gatekeeper runs."
        return [Result("limits", Level.NOTICE, sentence)]
    limits = subject.config.limits
    return [judge(name, int(live[fact]), int(getattr(limits, bound))) for fact, bound, name in GAUGES if fact in live]


def judge(name: str, count: int, count_max: int) -> Result:
    """``count`` of ``count_max`` in words."""
    facts: dict[str, int | float | str] = {"count": count, "count_max": count_max}
    sentence = f"{count} of {count_max} {name}."
    if count >= FULL_SHARE_WARN * count_max:
        hint = "Further devices are refused until one ends; look for a device that does not close its connections."
        return Result("limits", Level.WARNING, sentence, hint, facts)
    return Result("limits", Level.FINE, sentence, "", facts)
