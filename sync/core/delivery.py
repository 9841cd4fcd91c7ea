"""The way of an item from waiting to accepted: choose, prepare, send, and put back what did not go through.

An item that fails waits alone; a destination at which nothing goes through rests; a link that breaks charges only the
item that was in flight, and that one lets the others go first, since it may be what breaks the link.
"""

from __future__ import annotations

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import ItemState, OutboxItem
from sync.core import commands, schedule
from sync.core.effects import CloseTransfer, NeedCandidates, NoteDamage, OpenTransfer, PrepareItems, StartTransfer
from sync.core.events import CandidatesOffered, ItemAccepted, ItemFailed, Prepared, PrepareFailed, TransferEnded
from sync.core.machine import WAITING, ItemEvent
from sync.core.retry import Why
from sync.core.state import Batch, Lane, Turn, rest

_UNANSWERED = Failure(
    FailureKind.TRANSIENT, "unanswered", "The destination did not say whether it took this image. It is sent again."
)


def plan(turn: Turn, lane: Lane) -> None:
    """Start what is ready and ask for more; called after every event."""
    for batch in list(lane.batches):
        _pass_over_if_void(turn, lane, batch)
    if not lane.link.up:
        return
    if lane.backoff.expire(turn.now):
        lane.work = True
    if lane.work and not lane.asked and (_has_room(turn, lane) or _may_make_room(lane)):
        _ask(turn, lane)
    if not lane.asked:  # else the answer may hold something more urgent
        for batch in lane.batches:
            if batch.prepared:
                _start(turn, lane, batch)


def next_deadline(transfer_count_max: int, lane: Lane) -> float | None:
    """When ``plan`` would do something without any other event."""
    if not lane.link.up:
        return None
    times = [lane.backoff.earliest()]
    if lane.work and not lane.asked and len(lane.batches) < transfer_count_max:
        times.append(lane.rest_until_mono_s)
    return min((time for time in times if time is not None), default=None)


def _has_room(turn: Turn, lane: Lane) -> bool:
    transfer_count_max = turn.policy.transfer_count_per_destination_max
    return len(lane.batches) < transfer_count_max and turn.now >= lane.rest_until_mono_s


def _may_make_room(lane: Lane) -> bool:
    """Whether a STAT item, should one be offered, could have its way."""
    return any(not batch.yielding and not batch.stat for batch in lane.batches)


def _ask(turn: Turn, lane: Lane) -> None:
    lane.asked, lane.work = True, False
    lane.request_count += 1
    turn.emit(
        NeedCandidates(
            lane.destination,
            turn.policy.limits.candidate_count_max,
            skip_item_ids=(*lane.in_flight(), *lane.backoff),
            least_tried_first=_in_trouble(lane),
        )
    )


def _in_trouble(lane: Lane) -> bool:
    """Whether those that were tried least shall go first, so that many failing old items never keep a good one waiting.

    That is so after a try that came to nothing, and for every other request while more fail than are remembered.
    """
    return lane.fruitless_count > 0 or lane.lost_count > 0 or (lane.backoff.full and lane.request_count % 2 == 0)


def offered(turn: Turn, lane: Lane, event: CandidatesOffered) -> None:
    """Take the best of what waits, or make way for it."""
    if not lane.asked:
        return
    lane.asked = False
    busy = set(lane.in_flight())
    waiting = {
        item.item_id: item
        for item in event.items
        if item.destination == lane.destination
        and item.state in WAITING
        and item.item_id not in busy
        and item.item_id not in lane.backoff
    }
    if waiting and lane.link.up:
        _take(turn, lane, list(waiting.values()))
    elif event.items:
        # All of them were taken since the question was asked; ask again, but not in a tight circle.
        lane.work = True
        lane.rest_until_mono_s = max(lane.rest_until_mono_s, turn.now + turn.policy.limits.backoff_s_first)
    elif not lane.batches and lane.backoff.release(Why.SUSPECT):
        lane.work = True


def _take(turn: Turn, lane: Lane, waiting: list[OutboxItem]) -> None:
    if _has_room(turn, lane):
        chosen = schedule.choose(waiting, turn.policy.limits)
        moved = [turn.move(item, ItemEvent.CHOSEN) for item in chosen]
        lane.batches.append(Batch({item.item_id: item for item in moved}))
        turn.emit(PrepareItems(lane.destination, tuple(moved)))
        lane.work = lane.work or _has_room(turn, lane)
    elif lane.batches and schedule.has_stat(waiting):
        make_way(turn, lane)
    elif not lane.batches:
        lane.work = True  # resting


def make_way(turn: Turn, lane: Lane) -> None:
    """Ask every batch that is not purely STAT to stop between two items."""
    for batch in lane.batches:
        if not batch.stat:
            turn.emit(batch.ask_to_yield())


def prepared(turn: Turn, lane: Lane, batch: Batch, event: Prepared) -> None:
    """Its bytes are good."""
    item = batch.items[event.item_id]
    if item.state is not ItemState.ENCODING:
        return
    if item.item_id in turn.state.wishes:
        del batch.items[item.item_id]
        commands.fulfil(turn, item)
        return
    batch.items[item.item_id] = turn.move(item, ItemEvent.PREPARED)


def prepare_failed(turn: Turn, lane: Lane, batch: Batch, event: PrepareFailed) -> None:
    """Its bytes are damaged (a person decides) or could not be read this time; the others of the batch go on."""
    item = batch.items[event.item_id]
    if item.state is not ItemState.ENCODING:
        return
    del batch.items[item.item_id]
    if event.failure.kind is FailureKind.PERMANENT:
        turn.move(item, ItemEvent.DAMAGED, event.failure)
        turn.emit(NoteDamage(item.item_id, event.failure))
        commands.miss(turn, item.item_id)
    else:
        put_back(turn, lane, item, ItemEvent.UNPREPARED, event.failure, Why.FAILED)


def _pass_over_if_void(turn: Turn, lane: Lane, batch: Batch) -> None:
    """Give a prepared batch up that has lost its items, its turn or its link."""
    if not batch.prepared or (batch.items and not batch.yielding and lane.link.up):
        return
    lane.batches.remove(batch)
    lane.work = True
    for item in batch.items.values():
        put_back(turn, lane, item, ItemEvent.PASSED_OVER)


def _start(turn: Turn, lane: Lane, batch: Batch) -> None:
    turn.state.transfer_id_last += 1
    batch.transfer_id = turn.state.transfer_id_last
    turn.emit(OpenTransfer(batch.transfer_id, lane.destination, tuple(batch.items)))
    batch.items = {item_id: turn.move(item, ItemEvent.STARTED) for item_id, item in batch.items.items()}
    turn.emit(StartTransfer(batch.transfer_id, lane.destination, tuple(batch.items.values())))


def accepted(turn: Turn, lane: Lane, batch: Batch, event: ItemAccepted) -> None:
    """The destination took it; proof is another matter."""
    item = batch.items.pop(event.item_id)
    batch.accepted.append(turn.move(item, ItemEvent.ACCEPTED))
    lane.link.answered()
    commands.miss(turn, item.item_id)


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
    lane.link.answered()
    if failure.kind is FailureKind.PERMANENT:
        turn.move(item, ItemEvent.REFUSED, failure, charged=True)
        commands.miss(turn, item.item_id)
    else:
        put_back(turn, lane, item, ItemEvent.FAILED, failure, Why.FAILED)


def ended(turn: Turn, lane: Lane, batch: Batch, event: TransferEnded) -> None:
    """The attempt is over: what has no outcome goes back, and the destination's pace is set."""
    assert batch.transfer_id is not None
    lane.batches.remove(batch)
    lane.work = True
    _put_back_unreported(turn, lane, batch, event.failure)
    turn.emit(CloseTransfer(batch.transfer_id, event.bytes_sent, len(batch.accepted), event.failure))
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
            put_back(turn, lane, item, ItemEvent.INTERRUPTED, failure, Why.SUSPECT if suspect else None)
        elif batch.yielding:
            put_back(turn, lane, item, ItemEvent.CANCELLED)
        else:
            put_back(turn, lane, item, ItemEvent.FAILED, _UNANSWERED, Why.FAILED)
    batch.items.clear()


def _set_pace(turn: Turn, lane: Lane, batch: Batch, failure: Failure | None) -> None:
    """Rest after a transfer in which nothing was accepted, so that a centre in trouble is not hammered."""
    if batch.accepted:
        lane.fruitless_count = 0
    link_failed = failure is not None and failure.kind is not FailureKind.TRANSIENT  # then the link's back-off rules
    if batch.accepted or link_failed or (batch.yielding and failure is None):
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
) -> None:
    """Let an item wait again; with ``why`` it is charged an attempt and waits for its own deadline."""
    lane.work = True
    charged = why is not None
    if item.item_id in turn.state.wishes:
        commands.fulfil(turn, item, failure, charged)
        return
    moved = turn.move(item, event, failure, charged)
    if why is not None:
        turn.put_off(lane, moved, why, failure.retry_after_s if failure else None)
