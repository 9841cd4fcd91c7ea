"""The way of an item from waiting to its transfer: ask the store, choose, prepare, start, and make way.

A destination has a place in line, taken by one batch. Where previews are shown, those have two places of their own: the
next ones go out while the answers to the last ones are on their way, and so do whole files once all previews went. What
a reader wants to see first never waits for the end of what is under way.
"""

from __future__ import annotations

from collections import Counter

from appliance.domain.failure import FailureKind
from appliance.domain.values import ItemState, OutboxItem, TrafficClass
from sync.core import commands, schedule
from sync.core.effects import NeedCandidates, NoteDamage, OpenTransfer, PrepareItems, StartTransfer, Step
from sync.core.events import CandidatesOffered, Prepared, PrepareFailed
from sync.core.machine import WAITING, ItemEvent
from sync.core.outcome import put_back
from sync.core.policy import Policy
from sync.core.retry import Why
from sync.core.state import Batch, Lane, Turn


def plan(turn: Turn, lane: Lane) -> None:
    """Start what is ready and ask for more; called after every event."""
    allowed = turn.allowed
    for batch in list(lane.batches):
        if batch.traffic_class not in allowed:
            turn.emit(batch.ask_to_yield())
        _pass_over_if_void(turn, lane, batch)
    if not lane.link.up:
        return
    if lane.backoff.expire(turn.now):
        lane.work = True
    if lane.again_after_rest and turn.now >= lane.rest_until_mono_s:
        lane.work, lane.again_after_rest = True, False
    if lane.work and not lane.asked and (_has_room(turn, lane) or _may_make_room(lane)):
        _ask(turn, lane, allowed)
    if not lane.asked:  # else the answer may hold something more urgent
        for batch in lane.batches:
            if batch.prepared:
                _start(turn, lane, batch)


def next_deadline(policy: Policy, lane: Lane) -> float | None:
    """When ``plan`` would do something without any other event."""
    if not lane.link.up:
        return None
    times = [lane.backoff.earliest()]
    if lane.again_after_rest or (lane.work and not lane.asked and _open_steps(policy, lane)):
        times.append(lane.rest_until_mono_s)
    return min((time for time in times if time is not None), default=None)


def _open_steps(policy: Policy, lane: Lane) -> frozenset[Step]:
    """What one more batch may do."""
    busy = Counter(batch.step for batch in lane.batches)
    count_max = {Step.FULL: policy.transfer_count_per_destination_max}
    if lane.announces:
        count_max[Step.ANNOUNCE] = policy.announce_count_per_destination_max
    return frozenset(step for step, count in count_max.items() if busy[step] < count)


def _has_room(turn: Turn, lane: Lane) -> bool:
    return turn.now >= lane.rest_until_mono_s and bool(_open_steps(turn.policy, lane))


def _may_make_room(lane: Lane) -> bool:
    """Whether something urgent, should it be offered, could have its way."""
    return any(not batch.yielding and not batch.stat for batch in lane.batches)


def _ask(turn: Turn, lane: Lane, allowed: frozenset[TrafficClass]) -> None:
    classes = tuple(each for each in TrafficClass if each in allowed)
    lane.work = False
    if not classes:
        return  # whoever allows one again sets ``work``
    lane.asked = True
    lane.request_count += 1
    turn.emit(
        NeedCandidates(
            lane.destination,
            turn.policy.limits.candidate_count_max,
            skip_item_ids=(*lane.in_flight(), *lane.backoff, *lane.brought),
            least_tried_first=_in_trouble(lane),
            classes=classes,
            announces=lane.announces,
            with_oldest=_is_turn_of_oldest(turn, lane),
        )
    )


def _in_trouble(lane: Lane) -> bool:
    """Whether those that were tried least shall go first, so that many failing old items never keep a good one waiting.

    That is so after a try that came to nothing, and for every other request while more fail than are remembered.
    """
    return lane.fruitless_count > 0 or lane.lost_count > 0 or (lane.backoff.full and lane.request_count % 2 == 0)


def _is_turn_of_oldest(turn: Turn, lane: Lane) -> bool:
    return lane.turn_count + 1 >= turn.policy.limits.aging_turn_period


def offered(turn: Turn, lane: Lane, event: CandidatesOffered) -> None:
    """Take the best of what waits, or make way for it."""
    if not lane.asked:
        return
    lane.asked = False
    allowed = turn.allowed
    busy = {*lane.in_flight(), *lane.revised, *lane.brought}
    lane.revised.clear()

    def is_free(item: OutboxItem) -> bool:
        return (
            item.destination == lane.destination
            and item.state in WAITING
            and item.item_id not in busy
            and item.item_id not in lane.backoff
            and schedule.class_of(item, lane.announces) in allowed
        )

    waiting = {item.item_id: item for item in event.items if is_free(item)}
    oldest = event.oldest if event.oldest is not None and is_free(event.oldest) else None
    if waiting and lane.link.up:
        _take(turn, lane, list(waiting.values()), oldest)
    elif event.items:
        # All of them were taken since the question was asked; ask again, but not in a tight circle.
        lane.work = True
        lane.rest_until_mono_s = max(lane.rest_until_mono_s, turn.now + turn.policy.limits.backoff_s_first)
    elif not lane.batches and lane.backoff.release(Why.SUSPECT):
        lane.work = True


def _take(turn: Turn, lane: Lane, waiting: list[OutboxItem], oldest: OutboxItem | None) -> None:
    chosen = schedule.choose(waiting, turn.policy.limits, lane.announces)
    if chosen and _may_begin(turn, lane, chosen[0]):
        aged = _overtakes(turn, lane, oldest, chosen)
        chosen = (oldest,) if oldest is not None and aged else chosen
        _begin(turn, lane, chosen, aged=aged)
        left = [item for item in waiting if item.item_id not in {each.item_id for each in chosen}]
        lane.work = lane.work or _has_room(turn, lane) or schedule.has_stat(left)
    elif lane.batches and schedule.has_stat(waiting):
        make_way(turn, lane)
    lane.again_after_rest = lane.again_after_rest or turn.now < lane.rest_until_mono_s


def _may_begin(turn: Turn, lane: Lane, item: OutboxItem) -> bool:
    """Whether there is a place for it. Previews take theirs from whole files only where they are more urgent."""
    wanted = schedule.class_of(item, lane.announces)
    step = schedule.step_of(wanted)
    if turn.now < lane.rest_until_mono_s or step not in _open_steps(turn.policy, lane):
        return False
    if any(batch.aged and batch.transfer_id is None for batch in lane.batches):
        return False  # turns are counted in the order in which they begin
    whole = [batch.traffic_class for batch in lane.batches if batch.step is Step.FULL]
    return step is Step.FULL or all(schedule.RANK[wanted] < schedule.RANK[each] for each in whole)


def _overtakes(turn: Turn, lane: Lane, oldest: OutboxItem | None, chosen: tuple[OutboxItem, ...]) -> bool:
    """Whether the oldest routine item has its turn although more urgent ones wait."""
    return (
        oldest is not None
        and Step.FULL in _open_steps(turn.policy, lane)
        and all(batch.transfer_id is not None and not batch.aged for batch in lane.batches)
        and _is_turn_of_oldest(turn, lane)
        and all(oldest.queued_at_s < item.queued_at_s for item in chosen)
        and schedule.is_old(oldest, turn.state.allowance.wall, turn.now, turn.policy.limits)
    )


def _begin(turn: Turn, lane: Lane, chosen: tuple[OutboxItem, ...], *, aged: bool) -> None:
    step = schedule.step_of(schedule.class_of(chosen[0], lane.announces))
    moved = [turn.move(item, ItemEvent.CHOSEN) for item in chosen]
    beside = step is Step.ANNOUNCE and bool(lane.batches) and not aged
    lane.batches.append(Batch({item.item_id: item for item in moved}, step, beside=beside, aged=aged))
    turn.emit(PrepareItems(lane.destination, tuple(moved)))


def make_way(turn: Turn, lane: Lane) -> None:
    """Ask every batch that is not purely STAT to stop between two items, or between two appends."""
    for batch in lane.batches:
        if not batch.stat and (batch.moved or not batch.aged):
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
    lane.turn_count = 0 if batch.aged else lane.turn_count + (not batch.beside)
    batch.transfer_id, batch.epoch = turn.state.transfer_id_last, lane.epoch
    turn.emit(OpenTransfer(batch.transfer_id, lane.destination, tuple(batch.items)))
    batch.items = {item_id: turn.move(item, ItemEvent.STARTED) for item_id, item in batch.items.items()}
    turn.emit(StartTransfer(batch.transfer_id, lane.destination, tuple(batch.items.values()), batch.step))
