"""What must be true of bytes, hours and turns; the part of the checkers that knows about time and links.

Written apart from the core, from what the engine was told: the kind of link, the clock, and the rules of the script.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.domain.values import ItemState, LinkKind, OutboxItem, Priority, TrafficClass
from sync.core.allowance import Hours, LinkRule
from sync.core.effects import StartTransfer, Step
from sync.core.events import ClockSeen, Event, LinkKindChanged
from sync.core.state import Batch
from tests.simulation.gateway import Gateway, coded_bytes
from tests.simulation.gateway_adapter import APPEND_BYTES_MAX, WINDOW_BYTES
from tests.simulation.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.script import Rule
    from tests.simulation.world import World

CLOSING_S_MAX = 15.0
"""How long after its hours ended, or its link became another, an append may still begin."""
AGED_APPEND_COUNT_MAX = 3
"""Appends of an old routine item that may begin although STAT waits: one, and what begins before it is called off."""
DAY_S = 86_400.0


@dataclass(slots=True)
class TrafficChecks:
    """Remembers what the engine was told, what went over which link, and whose turn it was."""

    world: World
    kind: LinkKind = LinkKind.UNKNOWN
    clock: ClockSeen | None = None
    clock_told_s: float = 0.0
    changed_s: float = 0.0
    spent: dict[tuple[str, LinkKind], int] = field(default_factory=dict)
    sent: dict[tuple[str, str], int] = field(default_factory=dict)
    """Bytes of parts that left, by gateway and digest."""
    cut_count: dict[str, int] = field(default_factory=dict)
    life_count: int = 0
    aged: dict[int, int] = field(default_factory=dict)
    """Appends begun, by transfer, of those that went before STAT items because they were old."""
    turns_since_aged: dict[str, int] = field(default_factory=dict)
    turns_unserved: dict[str, int] = field(default_factory=dict)

    def new_life(self) -> None:
        """Another engine: its turns begin anywhere, and what was moved and not booked yet is never booked."""
        self.life_count += 1
        self.aged.clear()
        self.turns_since_aged.clear()
        self.turns_unserved.clear()

    def told(self, event: Event) -> None:
        """The engine has heard an event."""
        now = self.world.now
        if isinstance(event, LinkKindChanged):
            if event.kind is not self.kind:
                self.kind, self.changed_s = event.kind, now
        elif isinstance(event, ClockSeen):
            before = self.clock
            if before is None or before.verified is not event.verified or abs(self._wall() - event.wall_s) > 1.0:
                self.changed_s = now
            self.clock, self.clock_told_s = event, now

    def _wall(self) -> float:
        return 0.0 if self.clock is None else self.clock.wall_s + self.world.now - self.clock_told_s

    def is_old(self, item: OutboxItem) -> bool:
        """Whether it waited so long that it may go before STAT; by a clock that is not believed every item has."""
        if self.clock is None or not self.clock.verified:
            return True
        return self._wall() - item.queued_at_s >= self.world.policy.limits.aging_s

    def _batch(self, action: StartTransfer) -> Batch | None:
        lane = self.world.engine.state.lanes.get(action.destination)
        batches = lane.batches if lane else ()
        return next((batch for batch in batches if batch.transfer_id == action.transfer_id), None)

    # turns

    def excuses(self, action: StartTransfer) -> bool:
        """Whether this transfer goes before STAT because of its age, and rightly: one old item, and not too often."""
        batch = self._batch(action)
        if batch is None or not batch.aged:
            return False
        period = self.world.policy.limits.aging_turn_period
        may = (
            len(action.items) == 1
            and self.is_old(action.items[0])
            and self.turns_since_aged.get(action.destination, period) >= period - 1
        )
        if may:
            self.aged[action.transfer_id] = 0
            self.turns_since_aged[action.destination] = -1  # this one is counted below
        return may

    def transfer_starts(self, action: StartTransfer) -> None:
        """Count turns; old routine items must not be passed over for ever."""
        lane, batch = self.world.engine.state.lanes.get(action.destination), self._batch(action)
        if lane is None or batch is None or batch.beside:
            return
        destination, period = action.destination, self.world.policy.limits.aging_turn_period
        self.turns_since_aged[destination] = self.turns_since_aged.get(destination, period) + 1
        if any(item.priority is not Priority.STAT for item in action.items):
            self.turns_unserved[destination] = 0
            return
        eldest_s = min(item.queued_at_s for item in action.items)
        for item_id, row in self.world.store.waiting.get(destination, {}).items():
            routine = row.item.priority is not Priority.STAT and row.notified_mono_s is not None
            if (
                routine
                and row.item.queued_at_s < eldest_s
                and item_id not in lane.backoff
                and self.is_old(row.item)
                and not self.may_be_stopped(row.item)
            ):
                self.turns_unserved[destination] = self.turns_unserved.get(destination, 0) + 1
                if self.turns_unserved[destination] > 2 * period + 2:
                    raise Violation("starves", f"item {item_id} is old and is passed over turn by turn")
                return
        self.turns_unserved[destination] = 0

    # bytes and hours

    def append_starts(self, action: StartTransfer, item: OutboxItem) -> bool:
        """Before bytes leave; whether STAT items need not be looked for."""
        self._check_rules(action)
        if action.transfer_id not in self.aged:
            return False
        self.aged[action.transfer_id] += 1
        return self.aged[action.transfer_id] <= AGED_APPEND_COUNT_MAX

    def bytes_moved(self, action: StartTransfer, item: OutboxItem, link_bytes: int) -> None:
        """Bytes left."""
        account = (self.clock.day if self.clock else "", self.kind)
        self.spent[account] = self.spent.get(account, 0) + link_bytes
        if action.step is Step.FULL:
            key = (action.destination, item.sha256)
            self.sent[key] = self.sent.get(key, 0) + link_bytes

    def was_cut(self, destination: str) -> None:
        """An append was cut by its link or with the unit's power."""
        self.cut_count[destination] = self.cut_count.get(destination, 0) + 1

    def _rule(self) -> Rule | None:
        return next((rule for rule in self.world.script.rules if rule.kind is self.kind), None)

    def may_be_stopped(self, item: OutboxItem) -> bool:
        """Whether the rules of this link may keep an item waiting now; in doubt yes."""
        if self.world.now - self.changed_s <= self.world.policy.limits.link_kind_settle_s:
            return True
        rule = self._rule()
        return rule is not None and (item.priority is not Priority.STAT or rule.budget_stops_stat)

    def _check_rules(self, action: StartTransfer) -> None:
        rule = self._rule()
        if rule is None or self.clock is None or self.world.io_troubled_recently():
            return
        stat = all(item.priority is Priority.STAT for item in action.items)
        if rule.budget_bytes and (not stat or rule.budget_stops_stat):
            in_flight = 2 * len(self.world.script.destinations) * APPEND_BYTES_MAX
            spent = self.spent.get((self.clock.day, self.kind), 0)
            if spent >= rule.budget_bytes + in_flight * (1 + self.life_count):
                raise Violation("budget", f"{spent} bytes went over a link with {rule.budget_bytes} a day")
        if rule.hours is None or stat or action.step is not Step.FULL or not self.clock.verified:
            return
        settled_s = self.world.now - self.changed_s
        second = self.clock.second_of_day + self.world.now - self.clock_told_s
        if settled_s > CLOSING_S_MAX and not _within(rule.hours, second):
            closed_for_s = (second - rule.hours[1]) % DAY_S
            if closed_for_s > CLOSING_S_MAX:
                raise Violation("hours", f"transfer {action.transfer_id} goes on {closed_for_s:.0f} s after its hours")

    # the end

    def all_delivered(self) -> None:
        """What is confirmed at a gateway is there, and cuts cost no more than what was in flight."""
        world = self.world
        for name, gateway in world.centres.items():
            if not isinstance(gateway, Gateway):
                continue
            gateway.settle(world.now)
            items = [row.item for row in world.store.rows.values() if row.item.destination == name]
            for item in items:
                kept = gateway.held.get(item.sop_instance_uid)
                if item.state is ItemState.CONFIRMED and (kept is None or kept[0] != item.sha256):
                    raise Violation("confirmed", f"item {item.item_id} is confirmed and {name} lacks it")
            if gateway.lost_bytes or world.clogged_ever:
                continue
            again = sum(max(0, self.sent.get((name, item.sha256), 0) - coded_bytes(item)) for item in items)
            allowed = WINDOW_BYTES * self.cut_count.get(name, 0) + APPEND_BYTES_MAX * world.start_over_count
            if again > allowed:
                raise Violation("sent-again", f"{again} bytes went twice to {name}, {allowed} were in flight at cuts")


def link_rule(rule: Rule) -> LinkRule:
    """A script's rule as the engine is given it."""
    stopped = frozenset(TrafficClass) if rule.budget_stops_stat else LinkRule().budget_classes
    hours = () if rule.hours is None else (Hours(*rule.hours, frozenset({TrafficClass.FULL})),)
    return LinkRule(budget_bytes_per_day=rule.budget_bytes, budget_classes=stopped, hours=hours)


def _within(hours: tuple[float, float], second: float) -> bool:
    start_s, end_s = hours
    return (second - start_s) % DAY_S < (end_s - start_s) % DAY_S
