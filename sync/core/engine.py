"""The one entrance to the core: ``handle(event, now)`` answers with effects, ``next_deadline()`` with the next alarm.

The caller commits all records of one answer in one transaction and starts its actions only after that commit; a failed
commit is tried again with the same records until it succeeds. Every action is answered by the event that its docstring
names, whatever goes wrong. Events may come late, twice, or for attempts long over: then nothing happens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from appliance.domain.leave import Leave
from appliance.domain.values import OutboxItem, TrafficClass
from sync.core import commands, delivery, outcome, proving, revising, traffic
from sync.core.allowance import Allowance
from sync.core.effects import Effect
from sync.core.events import (
    BytesMoved,
    CandidatesOffered,
    ClockSeen,
    CommandGiven,
    ConfirmedOffered,
    DeadlineReached,
    EpochSeen,
    Event,
    ItemAccepted,
    ItemAnnounced,
    ItemFailed,
    ItemUnverified,
    ItemVerified,
    LinkChanged,
    LinkKindChanged,
    NetworkCameUp,
    Prepared,
    PrepareFailed,
    ReceiptBrought,
    RecheckWanted,
    Restarted,
    RevisionWanted,
    RoundTripSeen,
    SentOffered,
    StateLost,
    TransferEnded,
    VerificationEnded,
    WorkArrived,
)
from sync.core.machine import ItemEvent
from sync.core.policy import Policy
from sync.core.retry import Jitter, Why
from sync.core.state import Batch, EngineState, Lane, Turn, new_lane, unowned


class Engine:
    """Decides what happens to every outbox item; pure, so that a simulation can live through years of it."""

    def __init__(self, policy: Policy, state: EngineState | None = None) -> None:
        self.policy = policy
        self.state = state or EngineState(Jitter(policy.jitter_seed), Allowance(policy.link_rules))

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What is to be done about ``event``.

        Args:
            event: Anything that happened; unknown destinations, items and attempts are ignored.
            now: Monotonic seconds, never less than in the call before.

        Returns:
            Records and actions in the order in which they shall happen; see the module's first lines for the contract.
        """
        turn = Turn(self.policy, self.state, now)
        _HANDLERS[type(event)](turn, event)
        traffic.note_what_is_allowed(turn)
        for lane in self.state.lanes.values():
            turn.emit(lane.link.probe_if_due(now, self.policy.limits))
            delivery.plan(turn, lane)
            proving.plan(turn, lane)
        return turn.effects

    def leaves(self, now: float) -> dict[TrafficClass, Leave]:
        """How far each class may go on the present link; free ones are left out."""
        return self.state.allowance.leaves(now)

    def next_deadline(self) -> float | None:
        """Monotonic seconds at which ``DeadlineReached`` is wanted; ``None`` when only an event can help."""
        times: list[float | None] = [self.state.edge_mono_s]
        for lane in self.state.lanes.values():
            times.append(lane.link.probe_mono_s)
            times.append(delivery.next_deadline(self.policy, lane))
            times.append(proving.next_deadline(lane))
        return min((time for time in times if time is not None and time < math.inf), default=None)


def _restarted(turn: Turn, event: Restarted) -> None:
    state = turn.state
    state.transfer_id_last = max(state.transfer_id_last, event.transfer_id_last)
    state.lanes = {name: new_lane(name, turn.policy) for name in event.destinations}
    state.wishes.clear()
    state.commands.clear()
    # Not one of the engine's own draws, and another one at each start: a unit that never runs for long still comes to
    # the turn of the oldest item now and then.
    phase = Jitter(state.jitter.seed + 1).draw()
    epochs = dict(event.epochs)
    for name, lane in state.lanes.items():
        lane.epoch = epochs.get(name, "")
        lane.proof.sent_maybe = True
        lane.proof.stale_maybe = bool(lane.epoch)
        lane.turn_count = int(phase * turn.policy.limits.aging_turn_period)
    for item in event.unfinished:
        _take_back(turn, item)


def _take_back(turn: Turn, item: OutboxItem) -> None:
    """Let an item wait that a dead attempt left half-way; it may be what killed it, so the others go first."""
    if not unowned(item):
        return
    # An image whose preview kills the process must reach the step in which none is made.
    given_up = True if item.attempt_count + 1 >= turn.policy.limits.announce_attempt_count_max else None
    moved = turn.move(item, ItemEvent.RESTARTED, charged=True, announced=given_up)
    lane = turn.state.lanes.get(item.destination)
    if lane is not None:
        turn.put_off(lane, moved, Why.SUSPECT)


def _work_arrived(turn: Turn, event: WorkArrived) -> None:
    for lane in turn.state.lanes.values():
        lane.work = True


def _deadline_reached(turn: Turn, event: DeadlineReached) -> None:
    """The planning after every event does what is due."""


def _link_changed(turn: Turn, event: LinkChanged) -> None:
    lane = turn.state.lanes.get(event.destination)
    if lane is None:
        return
    if not event.up:
        turn.emit(lane.link.go_down(event.failure, turn.now, turn.policy.limits, turn.state.jitter))
        return
    note = lane.link.come_up(turn.now)
    if note is None:
        return
    turn.emit(note)
    lane.backoff.release(Why.FAILED)
    lane.work = True
    lane.proof.sent_maybe = True
    lane.proof.fruitless_count = 0
    lane.proof.rest_until_mono_s = turn.now


def _network_came_up(turn: Turn, event: NetworkCameUp) -> None:
    """Nothing that failed before says anything of this network; the probe's answer ends the waits of items."""
    for lane in turn.state.lanes.values():
        lane.link.begin_anew(turn.now)


def _state_lost(turn: Turn, event: StateLost) -> None:
    """The store knows better: forget what was believed, and free a row that nobody owns."""
    item = event.item
    lane = turn.state.lanes.get(item.destination)
    if lane is not None:
        batch = lane.batch_of(item.item_id)
        if batch is not None:
            del batch.items[item.item_id]
        lane.proof.running.pop(item.item_id, None)
        lane.proof.fresh.pop(item.item_id, None)
        lane.work = lane.proof.sent_maybe = True
    commands.miss(turn, item.item_id)
    _take_back(turn, item)


def _of_lane(handler: Callable[[Turn, Lane, Any], None]) -> Callable[[Turn, Any], None]:
    """For what is about a destination as a whole; others than the configured ones are ignored."""

    def handle(
        turn: Turn, event: CandidatesOffered | SentOffered | ConfirmedOffered | EpochSeen | RecheckWanted
    ) -> None:
        lane = turn.state.lanes.get(event.destination)
        if lane is not None:
            handler(turn, lane, event)

    return handle


def _of_item(handler: Callable[[Turn, Lane, Batch, Any], None]) -> Callable[[Turn, Any], None]:
    """For reports of preparation: find the batch that waits for this item."""

    def handle(turn: Turn, event: Prepared | PrepareFailed) -> None:
        for lane in turn.state.lanes.values():
            batch = lane.batch_of(event.item_id)
            if batch is not None:
                handler(turn, lane, batch, event)
                return

    return handle


def _of_transfer(handler: Callable[[Turn, Lane, Batch, Any], None]) -> Callable[[Turn, Any], None]:
    """For reports of a transfer: drop those of attempts that are over and of items that have their outcome."""

    def handle(turn: Turn, event: ItemAccepted | ItemAnnounced | ItemFailed | TransferEnded) -> None:
        for lane in turn.state.lanes.values():
            for batch in list(lane.batches):
                if batch.transfer_id == event.transfer_id:
                    if isinstance(event, TransferEnded) or event.item_id in batch.items:
                        handler(turn, lane, batch, event)
                    return

    return handle


def _of_proof(handler: Callable[[Turn, Lane, Any], None]) -> Callable[[Turn, Any], None]:
    """For reports of a verification: drop those of items that nobody asks about any more."""

    def handle(turn: Turn, event: ItemVerified | ItemUnverified | VerificationEnded) -> None:
        for lane in turn.state.lanes.values():
            if isinstance(event, VerificationEnded):
                wanted = lane.proof.running_id == event.verification_id
            else:
                wanted = event.item_id in lane.proof.running
            if wanted:
                handler(turn, lane, event)
                return

    return handle


_HANDLERS: dict[type, Callable[[Turn, Any], None]] = {
    Restarted: _restarted,
    CandidatesOffered: _of_lane(delivery.offered),
    SentOffered: _of_lane(proving.offered),
    ConfirmedOffered: _of_lane(proving.confirmed_offered),
    EpochSeen: _of_lane(proving.epoch_seen),
    WorkArrived: _work_arrived,
    Prepared: _of_item(delivery.prepared),
    PrepareFailed: _of_item(delivery.prepare_failed),
    ItemAccepted: _of_transfer(outcome.accepted),
    ItemAnnounced: _of_transfer(outcome.announced),
    ItemFailed: _of_transfer(outcome.failed),
    BytesMoved: traffic.bytes_moved,
    TransferEnded: _of_transfer(outcome.ended),
    ItemVerified: _of_proof(proving.verified),
    ItemUnverified: _of_proof(proving.unverified),
    VerificationEnded: _of_proof(proving.ended),
    ReceiptBrought: proving.brought,
    RevisionWanted: revising.wanted,
    RecheckWanted: _of_lane(proving.recheck_wanted),
    LinkChanged: _link_changed,
    RoundTripSeen: traffic.round_trip_seen,
    NetworkCameUp: _network_came_up,
    LinkKindChanged: traffic.link_kind_changed,
    ClockSeen: traffic.clock_seen,
    CommandGiven: commands.given,
    DeadlineReached: _deadline_reached,
    StateLost: _state_lost,
}
