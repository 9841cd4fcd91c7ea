"""Commits what the engine decided: all records of one turn in one transaction, each through its store function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from appliance.domain.values import ItemState, OutboxItem
from appliance.store import commands, courier, links, outbox, transfers
from appliance.store.connect import Store, write
from appliance.store.stamp import Stamp
from sync.core.effects import (
    Action,
    CancelTransfer,
    CloseTransfer,
    Effect,
    FinishCommand,
    KeepReceipt,
    MoveItem,
    NeedCandidates,
    NeedConfirmed,
    NeedSent,
    NoteDamage,
    NoteEpoch,
    NoteFailure,
    NoteLink,
    NoteRate,
    NoteRecheck,
    NoteUsage,
    OpenTransfer,
    PrepareItems,
    ProbeLink,
    Record,
    SetPriority,
    SettleBrought,
    StartTransfer,
    StartVerification,
)

_ACTIONS = (
    NeedCandidates,
    NeedSent,
    NeedConfirmed,
    PrepareItems,
    StartTransfer,
    StartVerification,
    CancelTransfer,
    ProbeLink,
)


def split(effects: Iterable[Effect]) -> tuple[list[Record], list[Action]]:
    """Records to commit and actions to start after that, each in the order the engine gave them."""
    records: list[Record] = []
    actions: list[Action] = []
    for effect in effects:
        if isinstance(effect, _ACTIONS):
            actions.append(effect)
        else:
            records.append(effect)
    return records, actions


def apply_records(store: Store, records: Sequence[Record]) -> list[OutboxItem]:
    """Commit ``records`` together.

    Returns:
        The rows, as they are, of the moves that were refused because the row was in another state; what belongs to
        them was not written, everything else was.

    Raises:
        StoreError: If the commit failed; then nothing was written.
    """
    if not records:
        return []
    receipts = {record.item_id: record.receipt for record in records if isinstance(record, KeepReceipt)}
    lost: list[OutboxItem] = []
    stamp = store.stamp()
    with write(store):
        for record in records:
            if isinstance(record, MoveItem):
                actual = outbox.move_item(
                    store,
                    stamp,
                    record.item_id,
                    record.from_state,
                    record.to_state,
                    record.event,
                    attempt_count=record.attempt_count,
                    failure=record.failure,
                    receipt=receipts.get(record.item_id) if record.to_state is ItemState.CONFIRMED else None,
                    actor=record.actor,
                    announced=record.announced,
                    revision_id=record.revision_id,
                )
                if actual is not None:
                    lost.append(actual)
            elif not (isinstance(record, SettleBrought) and record.item_id in {item.item_id for item in lost}):
                _apply(store, stamp, record)
    return lost


def _apply(store: Store, stamp: Stamp, record: Record) -> None:
    match record:
        case KeepReceipt() | MoveItem():
            """Kept by the item's move, so that no receipt is ever written without it."""
        case NoteRecheck():
            outbox.note_recheck(store, stamp, record.item_id, record.receipt)
        case NoteFailure():
            outbox.note_failure(store, stamp, record.item_id, record.failure)
        case NoteDamage():
            outbox.note_damage(store, stamp, record.item_id, record.failure)
        case SetPriority():
            outbox.set_priority(store, stamp, record.item_ids, record.priority, record.actor)
        case OpenTransfer():
            transfers.open_transfer(store, stamp, record.transfer_id, record.destination, len(record.item_ids))
        case CloseTransfer():
            transfers.close_transfer(
                store,
                stamp,
                record.transfer_id,
                bytes_sent=record.bytes_sent,
                accepted_count=record.accepted_count,
                failure=record.failure,
            )
            links.note_coded(store, stamp, record.destination, record.coded)
        case NoteLink():
            transfers.note_link(store, stamp, record.destination, record.state, record.failure, record.retry_in_s)
        case NoteEpoch():
            links.note_epoch(store, stamp, record.destination, record.epoch)
        case NoteRate():
            links.note_rate(store, stamp, record.destination, record.goodput, record.round_trip_s)
        case NoteUsage():
            links.add_usage(store, record.kind, record.day, record.link_bytes)
        case SettleBrought():
            courier.settle_brought(store, stamp, record.brought_id, record.outcome)
        case FinishCommand():
            commands.finish_command(store, stamp, record.command_id, record.outcome)
