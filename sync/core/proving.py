"""The way of an item from accepted to confirmed, and the second look before eviction.

Just accepted items are asked about first, then those that are to be evicted, then all others round and round by item
id, so that a proof that never comes costs one number of memory and delays nobody. A transfer never waits for a proof.
"""

from __future__ import annotations

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import ItemState, OutboxItem, Priority
from sync.core.effects import KeepReceipt, NeedSent, NoteFailure, NoteRecheck, StartVerification
from sync.core.events import ItemUnverified, ItemVerified, RecheckWanted, SentOffered, VerificationEnded
from sync.core.machine import ItemEvent
from sync.core.retry import Why, at_least_asked, backoff_s
from sync.core.state import Lane, Turn, rest
from sync.core.verify import receipt_fault


def plan(turn: Turn, lane: Lane) -> None:
    """Start the next verification or look for what it could be about; called after every event."""
    proof = lane.proof
    if not lane.link.up or proof.running_id is not None or proof.asked:
        return
    if proof.fresh:
        by_urgency = sorted(proof.fresh.values(), key=lambda item: item.priority is not Priority.STAT)
        batch = by_urgency[: turn.policy.limits.transfer_item_count_max]
        for item in batch:
            del proof.fresh[item.item_id]
        _start(turn, lane, batch)
    elif proof.recheck:
        batch, proof.recheck = list(proof.recheck), ()
        _start(turn, lane, batch)
    elif proof.sent_maybe and turn.now >= proof.rest_until_mono_s:
        _ask(turn, lane)


def next_deadline(lane: Lane) -> float | None:
    """When ``plan`` would do something without any other event."""
    proof = lane.proof
    waits = lane.link.up and proof.running_id is None and not proof.asked and proof.sent_maybe
    return proof.rest_until_mono_s if waits else None


def _ask(turn: Turn, lane: Lane) -> None:
    proof = lane.proof
    proof.asked = True
    proof.sent_maybe = proof.after_item_id > 0  # a walk that begins finds out anew
    turn.emit(NeedSent(lane.destination, turn.policy.limits.transfer_item_count_max, proof.after_item_id))


def _start(turn: Turn, lane: Lane, items: list[OutboxItem]) -> None:
    proof = lane.proof
    turn.state.verification_id_last += 1
    proof.running_id = turn.state.verification_id_last
    proof.running = {item.item_id: item for item in items}
    proof.fruitful, proof.proved_count, proof.absent_count = False, 0, 0
    turn.emit(StartVerification(proof.running_id, lane.destination, tuple(items)))


def offered(turn: Turn, lane: Lane, event: SentOffered) -> None:
    """Go on with the walk; an empty page is its end."""
    proof = lane.proof
    if not proof.asked:
        return
    proof.asked = False
    if not event.items:
        proof.after_item_id = 0
        return
    proof.sent_maybe = True
    if not lane.link.up:
        return
    proof.after_item_id = max(item.item_id for item in event.items)
    items = [
        item
        for item in event.items
        if item.destination == lane.destination
        and item.state is ItemState.SENT
        and item.item_id not in proof.fresh
        and lane.batch_of(item.item_id) is None
    ]
    if items:
        _start(turn, lane, items)


def recheck_wanted(turn: Turn, lane: Lane, event: RecheckWanted) -> None:
    """Remember one page; whoever wants the eviction asks again until it is proved."""
    wanted = [
        item for item in event.items if item.state is ItemState.CONFIRMED and item.item_id not in lane.proof.running
    ]
    lane.proof.recheck = tuple(wanted[: turn.policy.limits.transfer_item_count_max])


def verified(turn: Turn, lane: Lane, event: ItemVerified) -> None:
    """The destination showed something; whether it is proof is decided here."""
    item = lane.proof.running.pop(event.item_id)
    fault = receipt_fault(item, event.receipt)
    if fault is not None:
        _still_unproved(turn, lane, item, fault)
        return
    lane.proof.fruitful = True
    lane.proof.proved_count += 1
    lane.link.answered()
    if item.state is ItemState.CONFIRMED:
        turn.emit(NoteRecheck(item.item_id, event.receipt))
        return
    turn.move(item, ItemEvent.VERIFIED)
    turn.emit(KeepReceipt(item.item_id, event.receipt))


def unverified(turn: Turn, lane: Lane, event: ItemUnverified) -> None:
    """No proof: other bytes there need a person, absent ones are sent again, the rest is asked about later."""
    item, failure = lane.proof.running.pop(event.item_id), event.failure
    if failure.kind is FailureKind.PERMANENT:
        lane.proof.fruitful = True
        turn.move(item, ItemEvent.CONFLICT, failure)
    elif event.absent:
        lane.proof.fruitful = True
        lane.proof.absent_count += 1
        lane.work = True
        turn.put_off(lane, turn.move(item, ItemEvent.ABSENT, failure, charged=True), Why.FAILED, failure.retry_after_s)
    else:
        _still_unproved(turn, lane, item, failure)


def _still_unproved(turn: Turn, lane: Lane, item: OutboxItem, failure: Failure) -> None:
    if item.state is ItemState.SENT:
        lane.proof.sent_maybe = True
        turn.emit(NoteFailure(item.item_id, failure))
    if failure.kind is FailureKind.LINK:
        turn.link_failed(lane, failure)


def ended(turn: Turn, lane: Lane, event: VerificationEnded) -> None:
    """The asking is over; what has no answer is asked about again, after a rest when nothing came of it."""
    proof, failure, limits = lane.proof, event.failure, turn.policy.limits
    proof.running_id = None
    if any(item.state is ItemState.SENT for item in proof.running.values()):
        proof.sent_maybe = True
    proof.running.clear()
    if failure is not None and failure.kind is not FailureKind.TRANSIENT:
        turn.link_failed(lane, failure)
    if proof.proved_count:
        lane.lost_count = 0
    elif proof.absent_count:
        # It says yes and keeps nothing: sending it all again at once would only burn the link.
        lane.lost_count += 1
        rest(turn, lane, lane.lost_count, None)
    if proof.fruitful:
        proof.fruitless_count = 0
        return
    proof.fruitless_count += 1
    draw = turn.state.jitter.draw()
    delay_s = backoff_s(proof.fruitless_count, limits.backoff_s_first, limits.verify_poll_s_max, draw)
    delay_s = at_least_asked(delay_s, failure.retry_after_s if failure else None, limits.backoff_s_max)
    proof.rest_until_mono_s = turn.now + delay_s
