"""What may travel over the present kind of link now: hours of the day and a day's budget for each class; pure.

Wall time and the bytes used so far come in as data. What is not allowed waits, with a sentence that says for what.
Hours cannot be judged by a clock that nobody believes, and pictures that wait for a clock to be set may wait for ever:
then they do not apply, and the budget, which counts bytes, bounds what that may cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.domain.values import LinkKind, TrafficClass

DAY_S = 86_400.0
ALL = frozenset(TrafficClass)
NAMES = {
    LinkKind.WIRED: "the cable",
    LinkKind.WIFI: "Wi-Fi",
    LinkKind.SIM: "the SIM",
    LinkKind.SATELLITE: "the satellite",
    LinkKind.UNKNOWN: "this link",
}


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of the unit's local day, in seconds since midnight; ``end_s`` before ``start_s`` spans midnight."""

    start_s: float
    end_s: float
    classes: frozenset[TrafficClass]

    def hold(self, second_of_day: float) -> bool:
        """Whether that second is inside; equal ends are the whole day."""
        if self.start_s < self.end_s:
            return self.start_s <= second_of_day < self.end_s
        return second_of_day >= self.start_s or second_of_day < self.end_s

    def __str__(self) -> str:
        return f"{_clock(self.start_s)}-{_clock(self.end_s)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRule:
    """What one kind of link may be used for; the default is everything at any time."""

    budget_bytes_per_day: int = 0
    """0: no budget."""
    budget_classes: frozenset[TrafficClass] = frozenset({TrafficClass.PREVIEW, TrafficClass.FULL})
    """What waits for tomorrow once the budget is used up."""
    hours: tuple[Hours, ...] = ()
    """A class that none of these names may go at any hour."""


@dataclass(frozen=True, slots=True)
class Wall:
    """What the wall clock said at ``mono_s``."""

    mono_s: float
    wall_s: float
    day: str
    second_of_day: float
    verified: bool

    def wall_at(self, now: float) -> float:
        """Seconds since the epoch at a monotonic moment, as this clock would have it."""
        return self.wall_s + now - self.mono_s

    def second_at(self, now: float) -> float:
        """Second of the local day likewise, to the millisecond: an alarm for an edge must not ring just before it."""
        return round((self.second_of_day + now - self.mono_s) % DAY_S, 3) % DAY_S


@dataclass(slots=True)
class Allowance:
    """The rules, the kind of link, and what was used of today's budgets."""

    rules: Mapping[LinkKind, LinkRule]
    kind: LinkKind = LinkKind.UNKNOWN
    used_bytes: dict[LinkKind, int] = field(default_factory=dict)
    wall: Wall | None = None

    @property
    def rule(self) -> LinkRule | None:
        return self.rules.get(self.kind)

    @property
    def counts(self) -> bool:
        """Whether the bytes moved now count against a budget."""
        return self.rule is not None and self.rule.budget_bytes_per_day > 0

    def spend(self, link_bytes: int) -> None:
        """So many bytes left over the present link."""
        self.used_bytes[self.kind] = self.used_bytes.get(self.kind, 0) + link_bytes

    def allowed(self, now: float) -> frozenset[TrafficClass]:
        """The classes that may go now."""
        if self.rule is None:
            return ALL
        return ALL - self.waits(now).keys()

    def waits(self, now: float) -> dict[TrafficClass, str]:
        """The classes that may not go now, each with a sentence for people."""
        rule = self.rule
        if rule is None:
            return {}
        waits: dict[TrafficClass, str] = {}
        if 0 < rule.budget_bytes_per_day <= self.used_bytes.get(self.kind, 0):
            megabytes = rule.budget_bytes_per_day / 1e6
            sentence = f"Waits until tomorrow: today's {megabytes:.0f} MB for {NAMES[self.kind]} are used up."
            waits.update(dict.fromkeys(rule.budget_classes, sentence))
        if self.wall is not None and self.wall.verified:
            second = self.wall.second_at(now)
            for each in TrafficClass:
                spans = [hours for hours in rule.hours if each in hours.classes]
                if spans and not any(hours.hold(second) for hours in spans):
                    named = " or ".join(map(str, spans))
                    waits.setdefault(each, f"Waits for {named}, its hours on {NAMES[self.kind]}.")
        return waits

    def next_edge(self, now: float) -> float | None:
        """The monotonic second at which hours of the present link begin or end next; ``None`` where there are none."""
        if self.rule is None or self.wall is None or not self.wall.verified:
            return None
        second = self.wall.second_at(now)
        edges = [edge for hours in self.rule.hours for edge in (hours.start_s, hours.end_s)]
        return min((now + ((edge - second) % DAY_S or DAY_S) for edge in edges), default=None)


def _clock(second_of_day: float) -> str:
    minute = int(second_of_day // 60)
    return f"{minute // 60:02d}:{minute % 60:02d}"
