"""What may travel over the present kind of link now: hours of the day and a day's budget for each class; pure.

Wall time and the bytes used so far come in as data. What is not allowed waits, and it is said for what.
Hours cannot be judged by a clock that nobody believes, and pictures that wait for a clock to be set may wait for ever:
then they do not apply, and the budget, which counts bytes, bounds what that may cost.

A link that becomes another one obeys at once, but what it was a moment ago goes on to forbid: a unit at the edge of a
Wi-Fi would otherwise start and call off the same pictures with every swing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.domain.leave import Bar, Leave, Stop
from appliance.domain.values import LinkKind, TrafficClass

DAY_S = 86_400.0
ALL = frozenset(TrafficClass)


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
    """The rules, the kind of link, and what was used of today's budgets.

    Bytes are booked on the present kind alone, and may go when neither it nor a kind of a moment ago forbids it.
    """

    rules: Mapping[LinkKind, LinkRule]
    kind: LinkKind = LinkKind.UNKNOWN
    used_bytes: dict[LinkKind, int] = field(default_factory=dict)
    wall: Wall | None = None
    left_until_mono_s: dict[LinkKind, float] = field(default_factory=dict)
    """Kinds that the link was before, each with the moment until which it counts as present still."""

    def change_to(self, kind: LinkKind, now: float, settle_s: float) -> bool:
        """The link is of another kind than before; whether it came back to one left ``settle_s`` ago at most."""
        if self.kind is not LinkKind.UNKNOWN:  # that is no link, but one that nobody had named yet
            self.left_until_mono_s[self.kind] = now + settle_s
        self.kind = kind
        return now < self.left_until_mono_s.pop(kind, now)

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
        return ALL - self.waits(now).keys()

    def waits(self, now: float) -> dict[TrafficClass, Stop]:
        """The classes that may not go now, each with what stops it."""
        waits: dict[TrafficClass, Stop] = {}
        for kind, rule in self._in_force(now).items():
            for each, stop in self._waits_of(kind, rule, now).items():
                waits.setdefault(each, stop)
        return waits

    def leaves(self, now: float) -> dict[TrafficClass, Leave]:
        """How far each class may go on the present link, for people's estimates; free ones are left out."""
        waits = self.waits(now)
        leaves = {each: Leave(stop) for each, stop in waits.items()}
        if self.rule is None:
            return leaves
        bytes_left = max(0, self.rule.budget_bytes_per_day - self.used_bytes.get(self.kind, 0))
        for each in TrafficClass:
            counts = self.counts and each in self.rule.budget_classes
            left = Leave(None, bytes_left if counts else math.inf, self._seconds_left(self.rule, each, now))
            if each not in waits and left != Leave():
                leaves[each] = left
        return leaves

    def _seconds_left(self, rule: LinkRule, each: TrafficClass, now: float) -> float:
        """Until the hours of a class that may go now end, with those that follow without a gap."""
        spans = [hours for hours in rule.hours if each in hours.classes]
        if not spans or self.wall is None or not self.wall.verified:
            return math.inf
        second, left_s = self.wall.second_at(now), 0.0
        for _ in range(len(spans) + 1):
            holding = [hours for hours in spans if hours.hold((second + left_s) % DAY_S)]
            if not holding:
                break
            left_s += max((hours.end_s - second - left_s) % DAY_S or DAY_S for hours in holding)
        return left_s if left_s < DAY_S else math.inf

    def _in_force(self, now: float) -> dict[LinkKind, LinkRule]:
        """The rules of the present kind and of those of a moment ago, the present one first."""
        left = [kind for kind, until_mono_s in self.left_until_mono_s.items() if now < until_mono_s]
        return {kind: self.rules[kind] for kind in (self.kind, *left) if kind in self.rules}

    def _waits_of(self, kind: LinkKind, rule: LinkRule, now: float) -> dict[TrafficClass, Stop]:
        waits: dict[TrafficClass, Stop] = {}
        if 0 < rule.budget_bytes_per_day <= self.used_bytes.get(kind, 0):
            waits.update(dict.fromkeys(rule.budget_classes, Stop(Bar.BUDGET, kind, rule.budget_bytes_per_day)))
        if self.wall is not None and self.wall.verified:
            second = self.wall.second_at(now)
            for each in TrafficClass:
                spans = [hours for hours in rule.hours if each in hours.classes]
                if spans and not any(hours.hold(second) for hours in spans):
                    opens_s = min((hours.start_s for hours in spans), key=lambda start_s: (start_s - second) % DAY_S)
                    named = " or ".join(map(str, spans))
                    waits.setdefault(each, Stop(Bar.HOURS, kind, hours=named, until=_clock(opens_s)))
        return waits

    def next_edge(self, now: float) -> float | None:
        """The monotonic second at which time alone may allow or forbid something next; ``None`` where it cannot."""
        rules = self._in_force(now)
        times = [until for kind, until in self.left_until_mono_s.items() if kind in rules and now < until]
        if self.wall is not None and self.wall.verified:
            second = self.wall.second_at(now)
            edges = [edge for rule in rules.values() for hours in rule.hours for edge in (hours.start_s, hours.end_s)]
            times += [now + ((edge - second) % DAY_S or DAY_S) for edge in edges]
        return min(times, default=None)


def _clock(second_of_day: float) -> str:
    minute = int(second_of_day // 60)
    return f"{minute // 60:02d}:{minute % 60:02d}"
