"""What a class of traffic may still do on the present link, and what stops it; values and their words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from appliance.domain.values import LinkKind, TrafficClass
from appliance.domain.wording import Wording, joined, told

NAMES = {
    LinkKind.WIRED: told("the cable"),
    LinkKind.WIFI: told("Wi-Fi"),
    LinkKind.SIM: told("the SIM"),
    LinkKind.SATELLITE: told("the satellite"),
    LinkKind.UNKNOWN: told("this link"),
}

_CLASS_WORDS = {
    TrafficClass.STAT_PREVIEW: told("previews of STAT studies"),
    TrafficClass.STAT: told("STAT studies"),
    TrafficClass.PREVIEW: told("previews"),
    TrafficClass.FULL: told("whole images"),
}


class Bar(StrEnum):
    """What keeps a class off a link."""

    BUDGET = "budget"
    HOURS = "hours"


@dataclass(frozen=True, slots=True)
class Stop:
    """A class may not go now.

    Attributes:
        bar: Why.
        kind: Of the link whose rule it is.
        budget_bytes: Of a day, when that is used up.
        hours: When it may go, ``20:00-06:00 or 12:00-13:00``, when it is outside of them.
        until: When it may go next, ``20:00``, likewise.
    """

    bar: Bar
    kind: LinkKind
    budget_bytes: int = 0
    hours: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Leave:
    """How far a class may go.

    Attributes:
        stop: Set when it may not go at all now.
        bytes_left: Of today's budget, >= 0.
        seconds_left: Until its hours end, > 0.
    """

    stop: Stop | None = None
    bytes_left: float = math.inf
    seconds_left: float = math.inf


def stop_sentence(stop: Stop) -> Wording:
    """What waits, and for what."""
    if stop.bar is Bar.BUDGET:
        megabytes = round(stop.budget_bytes / 1e6)
        return told(
            "Waits until tomorrow: today's {megabytes} MB for {link} are used up.",
            megabytes=megabytes,
            link=NAMES[stop.kind],
        )
    return told("Waits for {hours}, its hours on {link}.", hours=stop.hours, link=NAMES[stop.kind])


def leave_lines(leave: Mapping[TrafficClass, Leave]) -> tuple[Wording, ...]:
    """What may not go now, a line for each reason: ``whole images: Waits for 20:00-06:00, its hours on the SIM.``"""
    stopped: dict[Stop, list[Wording]] = {}
    for each in TrafficClass:
        if (one := leave.get(each)) is not None and one.stop is not None:
            stopped.setdefault(one.stop, []).append(_CLASS_WORDS[each])
    return tuple(joined(": ", (joined(", ", words), stop_sentence(stop))) for stop, words in stopped.items())


def leave_facts(leave: Mapping[TrafficClass, Leave]) -> dict[str, dict[str, object]]:
    """As JSON has it; what has no end is left out."""
    facts = {}
    for each, one in leave.items():
        ends = {"bytes_left": one.bytes_left, "seconds_left": one.seconds_left}
        finite: dict[str, object] = {name: end for name, end in ends.items() if end < math.inf}
        facts[each.value] = finite | ({"stop": asdict(one.stop)} if one.stop else {})
    return facts


def read_leave(facts: object) -> dict[TrafficClass, Leave]:
    """The leaves of ``leave_facts``; what is damaged counts as free, for it is only shown."""
    if not isinstance(facts, dict):
        return {}
    try:
        return {TrafficClass(each): _leave_of(one) for each, one in facts.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}


def _leave_of(facts: Mapping[str, Any]) -> Leave:
    stop = None
    if "stop" in facts:
        said = facts["stop"]
        budget_bytes = int(said["budget_bytes"])
        stop = Stop(Bar(said["bar"]), LinkKind(said["kind"]), budget_bytes, str(said["hours"]), str(said["until"]))
    return Leave(stop, float(facts.get("bytes_left", math.inf)), float(facts.get("seconds_left", math.inf)))


def stop_reason(stop: Stop) -> Wording:
    """The same in a few words, for behind a dash."""
    if stop.bar is Bar.BUDGET:
        return told("budget of today used up")
    return told("outside its hours until {time}", time=stop.until)
