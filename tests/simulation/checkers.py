"""What must be true after every step and at the end; written apart from the core, so that no defect hides in both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.domain.values import ItemState, OutboxItem, Priority
from sync.core.effects import (
    Effect,
    KeepReceipt,
    MoveItem,
    NeedCandidates,
    NeedConfirmed,
    NeedSent,
    PrepareItems,
    ProbeLink,
    StartTransfer,
    StartVerification,
    Step,
)
from sync.core.state import Lane
from tests.simulation.gateway import Gateway
from tests.simulation.model_store import traffic_class
from tests.simulation.violation import Violation

__all__ = ["LEGAL_MOVES", "Checkers", "Violation"]

if TYPE_CHECKING:
    from tests.simulation.world import World

FRUITLESS_PER_MINUTE_MAX = 40
"""Transfers without an accepted item, per destination; the shortest rest is one second, growing to 15-30 s."""
PROBES_PER_MINUTE_MAX = 40
ABSENCES_PER_MINUTE_MAX = 40
EVENTS_PER_INSTANT_MAX = 400
STAT_WAITS_S_MAX = 5.0
OVERDUE_S_MAX = 60.0

_S = ItemState
LEGAL_MOVES = frozenset(
    {
        *((_S.PENDING, to) for to in (_S.ENCODING, _S.HELD, _S.REJECTED)),
        *((_S.ENCODING, to) for to in (_S.READY, _S.PENDING, _S.HELD, _S.REJECTED)),
        *((_S.READY, to) for to in (_S.ENCODING, _S.SENDING, _S.PENDING, _S.HELD, _S.REJECTED)),
        *((_S.SENDING, to) for to in (_S.SENT, _S.PENDING, _S.HELD, _S.REJECTED)),
        *((_S.SENT, to) for to in (_S.CONFIRMED, _S.PENDING, _S.REJECTED)),
        *((_S.CONFIRMED, to) for to in (_S.PENDING, _S.REJECTED)),
        *((_S.HELD, to) for to in (_S.PENDING, _S.REJECTED)),
        (_S.REJECTED, _S.PENDING),
        *((state, state) for state in (_S.PENDING, _S.HELD)),  # with another content
    }
)
"""The table once more, by hand: which states may follow which, whatever the reason."""


@dataclass(slots=True)
class Checkers:
    """Remembers just enough of the past to judge the present."""

    world: World
    journalled: dict[int, ItemState] = field(default_factory=dict)
    journal_read_count: int = 0
    fruitless: dict[str, deque[float]] = field(default_factory=dict)
    probes: dict[str, deque[float]] = field(default_factory=dict)
    absences: dict[str, deque[float]] = field(default_factory=dict)
    backed_off_at: dict[int, float] = field(default_factory=dict)
    """When an item was last in back-off."""
    in_backoff: set[int] = field(default_factory=set)
    instant_s: float = -1.0
    instant_count: int = 0

    def event_handled(self, effects: Sequence[Effect]) -> None:
        """After ``handle``: bounded answers, bounded memory, no tight circle."""
        world, limits = self.world, self.world.policy.limits
        if world.now == self.instant_s:
            self.instant_count += 1
            if self.instant_count > EVENTS_PER_INSTANT_MAX + 4 * len(world.store.rows):
                raise Violation("hot-loop", f"{self.instant_count} events in one instant")
        else:
            self.instant_s, self.instant_count = world.now, 0
        action_count = 0
        for effect in effects:
            if isinstance(effect, ProbeLink):
                self._rate(self.probes, effect.destination, PROBES_PER_MINUTE_MAX, "probes")
            if isinstance(effect, MoveItem):
                same = effect.from_state is effect.to_state
                if (effect.from_state, effect.to_state) not in LEGAL_MOVES or same > (effect.revision_id is not None):
                    raise Violation("illegal-move", f"{effect}")
            elif isinstance(effect, NeedCandidates):
                action_count += 1
                if len(effect.skip_item_ids) > limits.backoff_item_count_max + self._in_flight_max():
                    raise Violation("unbounded", "too many items to skip")
            elif isinstance(
                effect, NeedSent | NeedConfirmed | PrepareItems | StartTransfer | StartVerification | ProbeLink
            ):
                action_count += 1
        if action_count > 6 * len(world.script.destinations):
            raise Violation("unbounded", f"{action_count} actions for one event")
        in_backoff = {item_id for lane in world.engine.state.lanes.values() for item_id in lane.backoff}
        self.backed_off_at.update(dict.fromkeys(self.in_backoff - in_backoff, world.now))
        self.in_backoff = in_backoff
        for lane in world.engine.state.lanes.values():
            if (
                sum(len(batch.items) for batch in lane.batches) > self._in_flight_max()
                or len(lane.backoff) > limits.backoff_item_count_max
                or len(lane.proof.fresh) > limits.candidate_count_max
                or len(lane.proof.running) > limits.candidate_count_max
            ):
                raise Violation("unbounded", f"lane {lane.destination} remembers too much")

    def _in_flight_max(self) -> int:
        policy, limits = self.world.policy, self.world.policy.limits
        previews = policy.announce_count_per_destination_max * limits.announce_item_count_max
        return policy.transfer_count_per_destination_max * limits.transfer_item_count_max + previews

    def _rate(self, marks: dict[str, deque[float]], destination: str, count_max: int, what: str) -> None:
        times = marks.setdefault(destination, deque())
        times.append(self.world.now)
        while times[0] < self.world.now - 60.0:
            times.popleft()
        if len(times) > count_max:
            raise Violation("hot-loop", f"{len(times)} {what} at {destination} within a minute")

    def transfer_was_fruitless(self, destination: str) -> None:
        """An attempt ended without an accepted item."""
        self._rate(self.fruitless, destination, FRUITLESS_PER_MINUTE_MAX, "fruitless transfers")

    def verification_found_nothing(self, destination: str) -> None:
        """All items asked about were absent: they are sent again, which must not go round quickly."""
        self._rate(self.absences, destination, ABSENCES_PER_MINUTE_MAX, "verifications that found nothing")

    def committed(self, records: Iterable[Effect]) -> None:
        """After a commit: every state is what the journal says, and every confirmation was true when it was proved."""
        store = self.world.store
        for line in store.journal[self.journal_read_count :]:
            before = self.journalled.get(line.item_id, ItemState.PENDING)
            if before is not line.from_state:
                raise Violation("journal", f"item {line.item_id} was {before}, the journal says {line.from_state}")
            self.journalled[line.item_id] = line.to_state
        self.journal_read_count = len(store.journal)
        for record in records:
            if isinstance(record, MoveItem):
                row = store.rows[record.item_id]
                if row.item.state is not self.journalled.get(record.item_id, ItemState.PENDING):
                    raise Violation("journal", f"item {record.item_id} moved without a journal row")
                if row.item.state is ItemState.CONFIRMED:
                    self._confirmed(row.item)
                if row.damaged and not row.item.revision_id and row.item.state in (ItemState.SENDING, ItemState.SENT):
                    raise Violation("damaged", f"item {record.item_id} is sent although its bytes are damaged")
            elif isinstance(record, KeepReceipt) and store.rows[record.item_id].item.state is ItemState.SENT:
                raise Violation("receipt", f"item {record.item_id} has a receipt and is not confirmed")

    def _confirmed(self, item: OutboxItem) -> None:
        centre = self.world.centres[item.destination]
        row = self.world.store.rows[item.item_id]
        if row.receipt is None:
            raise Violation("confirmed", f"item {item.item_id} without a receipt")
        proved_at = centre.proved.get(item.sop_instance_uid)
        if proved_at is None or proved_at < self.world.sent_at.get(item.item_id, 0.0):
            raise Violation("confirmed", f"item {item.item_id}: {item.destination} never proved to hold it")

    def transfer_starts(self, action: StartTransfer) -> None:
        """Before an attempt: its rows are committed, and nothing urgent was left behind."""
        if action.transfer_id not in self.world.store.open_transfers:
            raise Violation("act-before-commit", f"transfer {action.transfer_id} is not recorded")
        for item in action.items:
            state = self.world.store.rows[item.item_id].item.state
            if state is not ItemState.SENDING:
                raise Violation("act-before-commit", f"item {item.item_id} is sent while it is {state}")
        limits, announces = self.world.policy.limits, action.step is Step.ANNOUNCE
        item_count_max = limits.announce_item_count_max if announces else limits.transfer_item_count_max
        if len(action.items) > item_count_max:
            raise Violation("unbounded", f"{len(action.items)} items in one transfer")
        classes = {traffic_class(item, action.destination in self.world.policy.announcing) for item in action.items}
        if len(classes) > 1 and len({item.priority for item in action.items}) > 1:
            raise Violation("mixed", f"transfer {action.transfer_id} holds {sorted(classes)}")
        if any(item.announced for item in action.items) and announces:
            raise Violation("announced-again", f"transfer {action.transfer_id} tells what was told")
        stat, unseen = None, None
        if any(item.priority is not Priority.STAT for item in action.items):
            stat = self._stat_that_waits(action.destination, 0.0)
        if action.step is Step.FULL and action.destination in self.world.policy.announcing:
            unseen = self._unseen_that_waits(action)
        excused = self.world.traffic.excuses(action)
        if (stat is not None or unseen is not None) and not excused:
            if stat is not None:
                raise Violation("stat-waits", f"STAT item {stat} waits behind routine ones")
            raise Violation("unseen", f"item {unseen} waits to be announced behind whole images")
        if action.step is Step.FULL:
            self._shown_before(action)
        self.world.traffic.transfer_starts(action)

    def _shown_before(self, action: StartTransfer) -> None:
        """What counts as announced is shown at the gateway, unless showing it was given up."""
        gateway = self.world.centres[action.destination]
        if not isinstance(gateway, Gateway) or self.world.store.epochs.get(gateway.name) != gateway.epoch:
            return
        lane = self.world.engine.state.lanes[action.destination]
        if any(b.transfer_id == action.transfer_id and b.epoch not in ("", gateway.epoch) for b in lane.batches):
            return  # the centre was restored between the decision and now
        for item in action.items:
            given_up = item.attempt_count >= self.world.policy.limits.announce_attempt_count_max
            if item.announced and not given_up and item.sop_instance_uid not in gateway.told:
                raise Violation("unseen", f"item {item.item_id} counts as announced and {gateway.name} knows nothing")

    def _unseen_that_waits(self, action: StartTransfer) -> int | None:
        """Before whole images: an item as urgent that could be announced first and is known for a while."""
        lane = self.world.engine.state.lanes[action.destination]
        rows = [self.world.store.rows[item.item_id] for item in action.items]  # a person may have made them STAT since
        urgency = min((row.item.priority is not Priority.STAT) for row in rows)
        if self.world.io_troubled_recently() or not lane.link.up:
            return None
        for item_id, row in self.world.store.waiting.get(action.destination, {}).items():
            if row.item.announced or (row.item.priority is not Priority.STAT) > urgency:
                continue
            if self.world.script.rules and self.world.traffic.may_be_stopped(row.item):
                continue
            if self._is_eligible(item_id, lane) and self._waits_s(item_id) > STAT_WAITS_S_MAX:
                return item_id
        return None

    def item_is_sent(self, item: OutboxItem, sha256: str, action: StartTransfer) -> None:
        """Before the bytes of one item leave."""
        if sha256 != item.sha256:
            raise Violation("wrong-bytes", f"item {item.item_id} leaves with bytes that were not checked")
        if action.transfer_id not in self.world.traffic.aged:
            self._no_stat_waits(item)

    def append_starts(self, action: StartTransfer, item: OutboxItem) -> None:
        """Before one append of an item leaves for a gateway."""
        if self.world.traffic.append_starts(action, item):
            return
        self._no_stat_waits(item)
        lane = self.world.engine.state.lanes.get(action.destination)
        if lane is None or lane.asked or any(batch.beside for batch in lane.batches):
            return  # something goes beside it, or will in a moment
        if self.world.now < lane.rest_until_mono_s:
            return
        unseen = self._unseen_that_waits(action)
        if unseen is not None and action.transfer_id not in self.world.traffic.aged:
            raise Violation("unseen", f"item {unseen} waits to be announced while a whole image goes on")

    def _no_stat_waits(self, item: OutboxItem) -> None:
        if self.world.store.rows[item.item_id].item.priority is Priority.STAT:
            return
        lane = self.world.engine.state.lanes.get(item.destination)
        if lane is None or lane.asked:
            return  # it may have become STAT a moment ago: the answer brings it, and everything makes way
        waiting = self._stat_that_waits(item.destination, STAT_WAITS_S_MAX)
        if waiting is not None:
            raise Violation("stat-waits", f"STAT item {waiting} waits while a routine one is sent")

    def _stat_that_waits(self, destination: str, for_s: float) -> int | None:
        """A STAT item that could go and is known for longer than ``for_s``; one instant's events may share a commit."""
        lane = self.world.engine.state.lanes.get(destination)
        if lane is None or not lane.link.up or self.world.io_troubled_recently():
            return None
        for item_id, row in self.world.store.waiting.get(destination, {}).items():
            if row.item.priority is Priority.STAT and self._is_eligible(item_id, lane):
                if self.world.script.rules and self.world.traffic.may_be_stopped(row.item):
                    continue
                if self._waits_s(item_id) > for_s:
                    return item_id
        return None

    def _is_eligible(self, item_id: int, lane: Lane) -> bool:
        row = self.world.store.rows[item_id]
        if row.item.revision_id != row.wanted_revision_id:
            return False  # it is moved on first
        return row.notified_mono_s is not None and item_id not in lane.backoff and lane.batch_of(item_id) is None

    def nothing_is_forgotten(self) -> None:
        """Now and then: no alarm is overdue, and where nothing is under way nothing waits that could go."""
        world = self.world
        if not world.runner.idle or world.io_troubled_recently():
            return
        for lane in world.engine.state.lanes.values():
            if not lane.link.up:
                continue
            earliest = lane.backoff.earliest()
            if earliest is not None and earliest < world.now - OVERDUE_S_MAX:
                raise Violation("idle", f"back-off at {lane.destination} ended {world.now - earliest:.0f} s ago")
            if lane.batches or lane.asked or world.now < lane.rest_until_mono_s + OVERDUE_S_MAX:
                continue
            for item_id, row in world.store.waiting.get(lane.destination, {}).items():
                could_go = self._is_eligible(item_id, lane) and not world.traffic.may_be_stopped(row.item)
                if could_go and self._waits_s(item_id) > OVERDUE_S_MAX:
                    raise Violation("idle", f"item {item_id} waits and {lane.destination} is left alone")

    def _waits_s(self, item_id: int) -> float:
        since = (
            self.world.store.rows[item_id].notified_mono_s or 0.0,
            self.world.waiting_since.get(item_id, 0.0),
            self.backed_off_at.get(item_id, 0.0),
        )
        return self.world.now - max(since)

    def evicted(self, sop_instance_uid: str) -> None:
        """Before a blob is removed: confirmed everywhere, looked at again, and truly there."""
        for row in self.world.store.rows.values():
            if row.item.sop_instance_uid != sop_instance_uid:
                continue
            item, centre = row.item, self.world.centres[row.item.destination]
            if item.state is not ItemState.CONFIRMED or row.receipt is None:
                raise Violation("evicted", f"item {item.item_id} is {item.state}")
            if item.revision_id != row.wanted_revision_id:
                raise Violation("evicted", f"the correction of item {item.item_id} was not delivered")
            if row.rechecked_at_s is None:
                raise Violation("evicted", f"item {item.item_id} was never checked again")
            kept = centre.held.get(sop_instance_uid)
            if kept is None or kept[0] != item.sha256:
                raise Violation("evicted", f"{item.destination} does not hold item {item.item_id}")

    def nothing_lost(self) -> None:
        """Every acknowledged instance is here with its bytes, or wherever it is owed."""
        world = self.world
        if len(world.store.rows) != world.owed_count:
            raise Violation("lost", f"{world.owed_count - len(world.store.rows)} outbox rows are gone")
        for row in world.store.rows.values():
            uid = row.item.sop_instance_uid
            if uid in world.evicted:
                kept = world.centres[row.item.destination].held.get(uid)
                if kept is None or kept[0] != row.item.sha256:
                    raise Violation("lost", f"{row.item.destination} lacks the evicted item {row.item.item_id}")
            elif world.blobs.get(uid) != world.store.original_sha256(row) and uid not in world.flipped:
                raise Violation("lost", f"the bytes of item {row.item.item_id} are gone")
        world.corrections.nothing_lost()

    def all_delivered(self) -> None:
        """At the end: confirmed, or set aside because its bytes are damaged here."""
        world = self.world
        for row in world.store.rows.values():
            if not world.is_settled(row):
                text = f"item {row.item.item_id} is {row.item.state} after {world.now:.0f} s; {row.failure}"
                raise Violation("not-delivered", text)
        world.corrections.all_corrected()
        world.traffic.all_delivered()
        if world.store.open_commands:
            raise Violation("command", f"commands {sorted(world.store.open_commands)} were never finished")
