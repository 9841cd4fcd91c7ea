"""A correction takes the place of what an item is about: the item waits again, and nothing that was proved counts.

What is under way is not changed under an attempt's hands. The attempt is asked to stop, and the wish is told again, so
nothing has to be remembered here that a power cut could take.
"""

from __future__ import annotations

from sync.core.effects import MoveItem
from sync.core.events import RevisionWanted
from sync.core.machine import ItemEvent, allows, move
from sync.core.state import Lane, Turn


def wanted(turn: Turn, event: RevisionWanted) -> None:
    """Move the item on, or stop what has it."""
    item = event.item
    lane = turn.state.lanes.get(item.destination)
    for batch in lane.batches if lane is not None else ():
        if item.item_id in batch.items or any(taken.item_id == item.item_id for taken in batch.accepted):
            turn.emit(batch.ask_to_yield())
            return
    if item.revision_id == event.revision_id or not allows(item.state, ItemEvent.REVISED):
        return  # heard twice; or a row that an attempt has which just ended, and that is told again
    state = move(item.state, ItemEvent.REVISED)
    turn.emit(
        MoveItem(
            item.item_id,
            item.state,
            state,
            ItemEvent.REVISED.value,
            attempt_count=0,
            actor=event.actor,
            announced=False,
            revision_id=event.revision_id,
        )
    )
    if lane is not None:
        _forget(lane, item.item_id)


def _forget(lane: Lane, item_id: int) -> None:
    """All that is remembered of it is about something else."""
    lane.proof.fresh.pop(item_id, None)
    lane.proof.running.pop(item_id, None)
    lane.proof.recheck = tuple(item for item in lane.proof.recheck if item.item_id != item_id)
    lane.backoff.drop(item_id)
    lane.work = True
    if lane.asked:
        lane.revised.add(item_id)  # the answer may have been read before
