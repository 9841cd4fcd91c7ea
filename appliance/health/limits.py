"""How full each bound of the door and of the services behind it is, as they count it themselves."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.health.check import Level, Result, Subject
from appliance.live import read_live

FULL_SHARE_WARN = 0.9
_NAMES = {
    "connection_count": "connections at the door",
    "connection_count_per_peer": "connections from the busiest device",
    "service_connection_count": "connections for MPPS and Storage Commitment",
}
"""What the gauges count, in words."""


def check(subject: Subject) -> Iterable[Result]:
    """One answer for each gauge that the gatekeeper reports, or one when it reports none."""
    live = read_live(subject.config.run_dir, "gatekeeper", subject.clock)
    if live is None:
        sentence = "How full the door is can only be told while the gatekeeper runs."
        return [Result("limits", Level.NOTICE, sentence)]
    gauges = live.get("fill")
    if not isinstance(gauges, dict):
        return [Result("limits", Level.UNKNOWN, "The gatekeeper does not say how full the door is.")]
    services = read_live(subject.config.run_dir, "services", subject.clock) or {}
    every = {**gauges, **services.get("fill", {})}
    return [judge(_NAMES.get(name) or str(name), int(count), int(bound)) for name, (count, bound) in every.items()]


def judge(name: str, count: int, count_max: int) -> Result:
    """``count`` of ``count_max`` in words."""
    facts: dict[str, int | float | str] = {"count": count, "count_max": count_max}
    sentence = f"{count} of {count_max} {name}."
    if count >= FULL_SHARE_WARN * count_max:
        hint = "Further devices are refused until one ends; look for a device that does not close its connections."
        return Result("limits", Level.WARNING, sentence, hint, facts)
    return Result("limits", Level.FINE, sentence, "", facts)
