"""What a transfer reports, and what becomes of its items: accepted, announced, refused, or put back to wait.

An item that fails waits alone; a destination at which nothing goes through rests; a link that breaks charges only the
item that was in flight, and that one lets the others go first, since it may be what breaks the link.
"""

from __future__ import annotations

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import OutboxItem
from sync.core import commands
from sync.core.effects import CloseTransfer, Step
from sync.core.events import ItemAccepted, ItemAnnounced, ItemFailed, TransferEnded
from sync.core.machine import ItemEvent
from sync.core.retry import Why
from sync.core.state import Batch, Lane, Turn, rest

_UNANSWERED = Failure(
    FailureKind.TRANSIENT, "unanswered", "The destination did not say whether it took this image. It is sent again."
)


def accepted(turn: Turn, lane: Lane, batch: Batch, event: ItemAccepted) -> None:
    """The destination took it; proof is another matter. Of an item that was only announced this means nothing."""
    if batch.step is not Step.FULL:
        return
    item = batch.items.pop(event.item_id)
    batch.accepted.append(turn.move(item, ItemEvent.ACCEPTED))
    lane.link.answered(turn.now)
    commands.miss(turn, item.item_id)


def announced(turn: Turn, lane: Lane, batch: Batch, event: ItemAnnounced) -> None:
    """The destination shows it; now its pixels wait for their turn."""
    if batch.step is not Step.ANNOUNCE:
        return
    item = batch.items.pop(event.item_id)
    batch.announced_count += 1
    lane.link.answered(turn.now)
    is_forgotten = batch.epoch not in ("", lane.epoch)  # it was perhaps told to a centre that was restored since
    put_back(turn, lane, item, ItemEvent.ANNOUNCED, announced=not is_forgotten)


def failed(turn: Turn, lane: Lane, batch: Batch, event: ItemFailed) -> None:
    """The destination did not take this one; the rest of the batch goes on."""
    item, failure = batch.items.pop(event.item_id), event.failure
    batch.failed_count += 1
    if failure.retry_after_s is not None:
        batch.asked_waits_s.append(failure.retry_after_s)
    if failure.kind is FailureKind.LINK:
        put_back(turn, lane, item, ItemEvent.INTERRUPTED, failure, Why.SUSPECT)
        turn.link_failed(lane, failure)
        return
    lane.link.answered(turn.now)
    if failure.kind is FailureKind.PERMANENT:
        turn.move(item, ItemEvent.REFUSED, failure, charged=True)
        commands.miss(turn, item.item_id)
    else:
        given_up = _announcing_given_up(turn, batch, item)
        put_back(turn, lane, item, ItemEvent.FAILED, failure, Why.FAILED, announced=given_up)


def ended(turn: Turn, lane: Lane, batch: Batch, event: TransferEnded) -> None:
    """The attempt is over: what has no outcome goes back, and the destination's pace is set."""
    assert batch.transfer_id is not None
    lane.batches.remove(batch)
    lane.work = True
    _put_back_unreported(turn, lane, batch, event.failure)
    turn.emit(
        CloseTransfer(
            batch.transfer_id, event.bytes_sent, len(batch.accepted), event.failure, lane.destination, event.coded
        )
    )
    if lane.announces and event.bytes_sent >= turn.policy.limits.link_progress_bytes_min:
        # What was carried stays there, so an outage in the middle of a long object is no reason to look seldom.
        lane.link.answered(turn.now)
    if event.failure is not None and event.failure.kind is not FailureKind.TRANSIENT:
        turn.link_failed(lane, event.failure)
    _set_pace(turn, lane, batch, event.failure)
    for item in batch.accepted:
        if len(lane.proof.fresh) < turn.policy.limits.candidate_count_max:
            lane.proof.fresh[item.item_id] = item
        else:
            lane.proof.sent_maybe = True


def _put_back_unreported(turn: Turn, lane: Lane, batch: Batch, failure: Failure | None) -> None:
    for position, item in enumerate(list(batch.items.values())):
        if failure is not None:
            suspect = position == 0 and not batch.yielding
            at_fault = suspect and failure.kind is FailureKind.TRANSIENT
            given_up = _announcing_given_up(turn, batch, item) if at_fault else None
            why = Why.SUSPECT if suspect else None
            put_back(turn, lane, item, ItemEvent.INTERRUPTED, failure, why, announced=given_up)
        elif batch.yielding:
            put_back(turn, lane, item, ItemEvent.CANCELLED)
        else:
            given_up = _announcing_given_up(turn, batch, item)
            put_back(turn, lane, item, ItemEvent.FAILED, _UNANSWERED, Why.FAILED, announced=given_up)
    batch.items.clear()


def _announcing_given_up(turn: Turn, batch: Batch, item: OutboxItem) -> bool | None:
    """True when this failed try was the last one to announce the item: from now on it goes without a preview."""
    is_last = item.attempt_count + 1 >= turn.policy.limits.announce_attempt_count_max
    return True if batch.step is Step.ANNOUNCE and is_last else None


def _set_pace(turn: Turn, lane: Lane, batch: Batch, failure: Failure | None) -> None:
    """Rest after a transfer in which nothing was taken, so that a centre in trouble is not hammered."""
    if batch.fruitful:
        lane.fruitless_count = 0
    link_failed = failure is not None and failure.kind is not FailureKind.TRANSIENT  # then the link's back-off rules
    if batch.fruitful or link_failed or (batch.yielding and failure is None):
        return
    lane.fruitless_count += 1
    rest(turn, lane, lane.fruitless_count, failure.retry_after_s if failure else batch.asked_to_wait_s)


def put_back(
    turn: Turn,
    lane: Lane,
    item: OutboxItem,
    event: ItemEvent,
    failure: Failure | None = None,
    why: Why | None = None,
    *,
    announced: bool | None = None,
) -> None:
    """Let an item wait again; with ``why`` it is charged an attempt and waits for its own deadline."""
    lane.work = True
    charged = why is not None
    if item.item_id in turn.state.wishes:
        commands.fulfil(turn, item, failure, charged, announced)
        return
    moved = turn.move(item, event, failure, charged, announced=announced)
    if why is not None:
        turn.put_off(lane, moved, why, failure.retry_after_s if failure else None)
