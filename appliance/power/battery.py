"""UPower's picture of what feeds the machine: one device that stands for all batteries, or for the UPS."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from appliance.clock import Clock
from appliance.domain.power import Battery
from appliance.live import read_live, write_live

SERVICE = "org.freedesktop.UPower"
PATH = "/org/freedesktop/UPower/devices/DisplayDevice"
INTERFACE = "org.freedesktop.UPower.Device"

_TYPES = (2, 3)
"""Battery and UPS."""
_IN_USE = (2, 3, 6)
"""Discharging, empty, and about to discharge."""
_LOW, _ACTION = 3, 5
"""Warning levels, as ``UPower.conf`` sets their percentages."""


NAME = "power"


def read_battery(properties: Mapping[str, Any]) -> Battery | None:
    """The battery, or ``None`` where there is none or nothing sensible is said of it."""
    percent = properties.get("Percentage")
    if properties.get("IsPresent") is not True or properties.get("Type") not in _TYPES:
        return None
    if not isinstance(percent, float) or not math.isfinite(percent):
        return None
    level = properties.get("WarningLevel")
    warned = level if isinstance(level, int) else 0
    return Battery(
        percent=round(min(max(percent, 0.0), 100.0)),
        is_in_use=properties.get("State") in _IN_USE,
        is_low=warned >= _LOW,
        is_empty=warned >= _ACTION,
    )


def say_battery(run_dir: Path, battery: Battery | None, clock: Clock) -> None:
    """What is known of it at this moment."""
    write_live(run_dir, NAME, {"battery": asdict(battery) if battery else None}, clock)


def battery_of(run_dir: Path, clock: Clock) -> Battery | None:
    """What was last said, while that is fresh."""
    facts = read_live(run_dir, NAME, clock)
    try:
        return Battery(**facts["battery"]) if facts and facts.get("battery") else None
    except TypeError:
        return None
