"""What people ask for: hold, release, retry, reject, STAT and routine.

A wish about an item in flight takes effect when the running attempt reported on it; the command counts as finished only
then, so a restart in between gives it again. Giving a command twice does no harm.
"""

from __future__ import annotations

import math
from dataclasses import replace

from appliance.domain.failure import Failure
from appliance.domain.values import ItemState, OutboxItem, Priority
from sync.core.effects import FinishCommand, SetPriority
from sync.core.events import CommandGiven
from sync.core.machine import ItemEvent, allows
from sync.core.state import Lane, OpenCommand, Turn, Wish

_EVENTS = {
    "hold": ItemEvent.HOLD,
    "reject": ItemEvent.REJECT,
    "release": ItemEvent.RELEASE,
    "retry": ItemEvent.RETRY,
}
_PRIORITIES = {"stat": Priority.STAT, "routine": Priority.ROUTINE}
_DONE = {
    "hold": "on hold",
    "reject": "set aside",
    "release": "released",
    "retry": "tried again now",
    "stat": "marked as STAT",
    "routine": "marked as routine",
}


def given(turn: Turn, event: CommandGiven) -> None:
    """Carry a command out for every item it is about."""
    if event.command_id in turn.state.commands:
        return
    if event.kind not in _DONE:
        turn.emit(FinishCommand(event.command_id, f"This unit does not know the command {event.kind!r}."))
        return
    command = OpenCommand(event.command_id, event.kind)
    turn.state.commands[event.command_id] = command
    items = {item.item_id: _as_known(turn, item) for item in event.items}
    if event.kind in _PRIORITIES:
        _set_priority(turn, command, list(items.values()), event)
    else:
        for item in items.values():
            _apply(turn, command, item, event)
    _finish_if_done(turn, command)


def _as_known(turn: Turn, item: OutboxItem) -> OutboxItem:
    """The item as the engine has it in flight, or as the store gave it."""
    lane = turn.state.lanes.get(item.destination)
    batch = lane.batch_of(item.item_id) if lane else None
    return batch.items[item.item_id] if batch else item


def _apply(turn: Turn, command: OpenCommand, item: OutboxItem, event: CommandGiven) -> None:
    wanted = _EVENTS[event.kind]
    lane = turn.state.lanes.get(item.destination)
    batch = lane.batch_of(item.item_id) if lane else None
    if wanted in (ItemEvent.RELEASE, ItemEvent.RETRY):
        _encourage(turn, lane, item)
        if item.item_id in turn.state.wishes:
            _settle(turn, item.item_id, fulfilled=False)
            command.done_count += 1
            return
    elif batch and item.state in (ItemState.ENCODING, ItemState.SENDING):
        _settle(turn, item.item_id, fulfilled=False)
        turn.state.wishes[item.item_id] = Wish(wanted, command.command_id, event.actor)
        command.open_count += 1
        turn.emit(batch.ask_to_yield())
        return
    stale = item.state in (ItemState.ENCODING, ItemState.SENDING)  # only a batch may say so
    if stale or not allows(item.state, wanted):
        already = item.state in _already(wanted)
        command.done_count += already
        command.missed_count += not already
        return
    turn.move(item, wanted, actor=event.actor)
    command.done_count += 1
    if batch:
        del batch.items[item.item_id]


def _already(wanted: ItemEvent) -> tuple[ItemState, ...]:
    """States in which the wish is as good as fulfilled."""
    if wanted is ItemEvent.HOLD:
        return (ItemState.HELD,)
    if wanted is ItemEvent.REJECT:
        return (ItemState.REJECTED,)
    return (ItemState.PENDING, ItemState.ENCODING, ItemState.READY, ItemState.SENDING, ItemState.SENT)


def _encourage(turn: Turn, lane: Lane | None, item: OutboxItem) -> None:
    """Forget every wait that stands in this item's way."""
    if lane is None:
        return
    lane.backoff.drop(item.item_id)
    lane.work = True
    lane.rest_until_mono_s = -math.inf
    lane.proof.rest_until_mono_s = -math.inf
    lane.link.probe_soon(turn.now)


def _set_priority(turn: Turn, command: OpenCommand, items: list[OutboxItem], event: CommandGiven) -> None:
    priority = _PRIORITIES[event.kind]
    changed = tuple(item.item_id for item in items if item.state is not ItemState.CONFIRMED)
    command.done_count, command.missed_count = len(changed), len(items) - len(changed)
    if changed:
        turn.emit(SetPriority(changed, priority, event.actor))
    wanted = set(changed)
    for lane in turn.state.lanes.values():
        lane.work = True
        for batch in lane.batches:
            touched = wanted & set(batch.items)
            for item_id in touched:
                batch.items[item_id] = replace(batch.items[item_id], priority=priority)
            if touched and priority is Priority.STAT and not batch.stat:
                # Its urgent items stand behind routine ones; they come back first in a batch of their own.
                turn.emit(batch.ask_to_yield())


def fulfil(
    turn: Turn,
    item: OutboxItem,
    failure: Failure | None = None,
    charged: bool = False,
    announced: bool | None = None,
) -> None:
    """The attempt has reported: the wish about this item takes effect now."""
    wish = turn.state.wishes[item.item_id]
    turn.move(item, wish.event, failure, charged, wish.actor, announced)
    _settle(turn, item.item_id, fulfilled=True)


def miss(turn: Turn, item_id: int) -> None:
    """The item has gone where a wish about it, if there is one, means nothing any more."""
    _settle(turn, item_id, fulfilled=False)


def _settle(turn: Turn, item_id: int, fulfilled: bool) -> None:
    wish = turn.state.wishes.pop(item_id, None)
    if wish is None:
        return
    command = turn.state.commands[wish.command_id]
    command.open_count -= 1
    command.done_count += fulfilled
    command.missed_count += not fulfilled
    _finish_if_done(turn, command)


def _finish_if_done(turn: Turn, command: OpenCommand) -> None:
    if command.open_count:
        return
    del turn.state.commands[command.command_id]
    sentence = f"{command.done_count} {_images(command.done_count)} {_DONE[command.kind]}."
    if command.missed_count:
        sentence += f" {command.missed_count} {_images(command.missed_count)} had gone on before."
    turn.emit(FinishCommand(command.command_id, sentence))


def _images(count: int) -> str:
    return "image" if count == 1 else "images"
