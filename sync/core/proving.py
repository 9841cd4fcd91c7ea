"""The way of an item from accepted to confirmed, and the second look before eviction.

Just accepted items are asked about first, then those that are to be evicted, then all others round and round by item
id, so that a proof that never comes costs one number of memory and delays nobody. A transfer never waits for a proof.
A centre that was restored from a backup says so by its epoch; which receipts are older stands in the store, so the walk
through them needs no memory of its own that a power cut could take.
"""

from __future__ import annotations

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import ItemState, OutboxItem, Priority
from sync.core.effects import (
    KeepReceipt,
    NeedConfirmed,
    NeedSent,
    NoteEpoch,
    NoteFailure,
    NoteRecheck,
    SettleBrought,
    StartVerification,
)
from sync.core.events import (
    ConfirmedOffered,
    EpochSeen,
    ItemUnverified,
    ItemVerified,
    ReceiptBrought,
    RecheckWanted,
    SentOffered,
    VerificationEnded,
)
from sync.core.machine import ItemEvent, allows
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
    elif turn.now >= proof.rest_until_mono_s:
        if proof.stale_maybe and not (proof.sent_maybe and proof.walked_stale):
            _ask_for_stale(turn, lane)
        elif proof.sent_maybe:
            _ask(turn, lane)


def next_deadline(lane: Lane) -> float | None:
    """When ``plan`` would do something without any other event."""
    proof = lane.proof
    may_ask = lane.link.up and proof.running_id is None and not proof.asked
    waits = may_ask and (proof.sent_maybe or proof.stale_maybe)
    return proof.rest_until_mono_s if waits else None


def _ask(turn: Turn, lane: Lane) -> None:
    proof = lane.proof
    proof.asked, proof.walked_stale = True, False
    proof.sent_maybe = proof.after_item_id > 0  # a walk that begins finds out anew
    turn.emit(NeedSent(lane.destination, turn.policy.limits.transfer_item_count_max, proof.after_item_id))


def _ask_for_stale(turn: Turn, lane: Lane) -> None:
    proof = lane.proof
    proof.asked, proof.walked_stale = True, True
    proof.stale_maybe = proof.stale_after_item_id > 0
    count = turn.policy.limits.transfer_item_count_max
    turn.emit(NeedConfirmed(lane.destination, lane.epoch, count, proof.stale_after_item_id))


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


def confirmed_offered(turn: Turn, lane: Lane, event: ConfirmedOffered) -> None:
    """Go on with the walk through what an earlier life of the centre confirmed; an empty page is its end.

    What is proved again or found absent leaves this set, so the walk goes round until it is empty.
    """
    proof = lane.proof
    if not proof.asked:
        return
    proof.asked = False
    if not event.items:
        proof.stale_after_item_id = 0
        return
    proof.stale_maybe = True
    if not lane.link.up:
        return
    proof.stale_after_item_id = max(item.item_id for item in event.items)
    items = [item for item in event.items if item.destination == lane.destination and item.state is ItemState.CONFIRMED]
    if items:
        _start(turn, lane, items)


def epoch_seen(turn: Turn, lane: Lane, event: EpochSeen) -> None:
    """Another epoch: whatever the centre said before has to be said again."""
    if not event.epoch or event.epoch == lane.epoch:
        return
    lane.epoch = event.epoch
    turn.emit(NoteEpoch(lane.destination, event.epoch))
    lane.work = True
    for batch in lane.batches:
        batch.epoch = batch.epoch or event.epoch  # the first one that is heard of is the one it began in
        if lane.announces and batch.transfer_id is None:  # what was announced has to be announced again
            turn.emit(batch.ask_to_yield())
    lane.proof.sent_maybe = lane.proof.stale_maybe = True
    lane.proof.stale_after_item_id = 0


def recheck_wanted(turn: Turn, lane: Lane, event: RecheckWanted) -> None:
    """Remember one page; whoever wants the eviction asks again until it is proved."""
    wanted = [
        item for item in event.items if item.state is ItemState.CONFIRMED and item.item_id not in lane.proof.running
    ]
    lane.proof.recheck = tuple(wanted[: turn.policy.limits.transfer_item_count_max])


def verified(turn: Turn, lane: Lane, event: ItemVerified) -> None:
    """The destination showed something; whether it is proof is decided here."""
    item = lane.proof.running.pop(event.item_id)
    fault = receipt_fault(item, event.receipt, lane.epoch)
    if fault is not None:
        _still_unproved(turn, lane, item, fault)
        return
    lane.proof.fruitful = True
    lane.proof.proved_count += 1
    if item.state is ItemState.CONFIRMED:
        # No word on whether transfers work: a walk through thousands would hide an item that breaks each of them.
        lane.link.heard(turn.now)
        turn.emit(NoteRecheck(item.item_id, event.receipt))
        return
    lane.link.answered(turn.now)
    turn.move(item, ItemEvent.VERIFIED)
    turn.emit(KeepReceipt(item.item_id, event.receipt))


def brought(turn: Turn, event: ReceiptBrought) -> None:
    """A receipt that came on a stick: proof like any other, but for an item that an attempt has just now.

    Its epoch may be another than that last heard of: who is newer is not known here. The walk through receipts of other
    epochs has it checked when the centre is reached.
    """
    item, receipt = event.item, event.receipt
    lane = turn.state.lanes.get(item.destination)
    fault = receipt_fault(item, receipt)
    batch = lane.batch_of(item.item_id) if lane is not None else None
    if lane is not None and batch is not None:
        if fault is None:  # the attempt is moot, and may go on for half a minute over a link that is gone
            turn.emit(batch.ask_to_yield())
            lane.brought.add(item.item_id)
        return  # told again until it is settled
    if lane is not None:
        lane.brought.discard(item.item_id)
    if fault is not None:
        turn.emit(SettleBrought(event.brought_id, item.item_id, fault.code))
    elif item.state is ItemState.CONFIRMED:
        turn.emit(SettleBrought(event.brought_id, item.item_id, "known"))
    elif allows(item.state, ItemEvent.BROUGHT):
        _take_brought(turn, lane, event)


def _take_brought(turn: Turn, lane: Lane | None, event: ReceiptBrought) -> None:
    item, receipt = event.item, event.receipt
    turn.move(item, ItemEvent.BROUGHT)
    turn.emit(KeepReceipt(item.item_id, receipt))
    turn.emit(SettleBrought(event.brought_id, item.item_id, "confirmed"))
    if lane is None:
        return
    lane.proof.fresh.pop(item.item_id, None)
    lane.proof.running.pop(item.item_id, None)
    lane.backoff.drop(item.item_id)
    if lane.epoch and receipt.evidence.epoch != lane.epoch:
        lane.proof.stale_maybe = True


def unverified(turn: Turn, lane: Lane, event: ItemUnverified) -> None:
    """No proof: other bytes there need a person, absent ones are sent again, the rest is asked about later."""
    item, failure = lane.proof.running.pop(event.item_id), event.failure
    if failure.kind is FailureKind.PERMANENT:
        lane.proof.fruitful = True
        turn.move(item, ItemEvent.CONFLICT, failure)
    elif event.absent:
        lane.proof.fruitful = True
        lane.proof.absent_count += item.state is ItemState.SENT
        lane.work = True
        moved = turn.move(item, ItemEvent.ABSENT, failure, charged=True, announced=False)
        turn.put_off(lane, moved, Why.FAILED, failure.retry_after_s)
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
    if any(item.state is ItemState.CONFIRMED for item in proof.running.values()):
        proof.stale_maybe = True
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
