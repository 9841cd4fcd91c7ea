"""Rows of inboxes: what a unit is told, numbered without gaps from its own 1 on, each entry for ever."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from central.store.tables import inbox, unit
from sync.wire.messages import InboxKind


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it is stored; ``statement`` and ``signature`` are a receipt's."""

    seq: int
    kind: str
    study_instance_uid: str
    sop_instance_uid: str
    sha256: str
    statement: bytes | None = None
    signature: bytes | None = None
    text: str = ""
    code: str = ""
    body: str = ""


def add_entry(connection: Connection, unit_id: str, entry: Entry, at: str) -> int:
    """Append to a unit's inbox; the number it got. ``entry.seq`` is ignored."""
    counted = update(unit).where(unit.c.unit_id == unit_id).values(inbox_head=unit.c.inbox_head + 1)
    connection.execute(counted)
    seq = int(connection.scalar(select(unit.c.inbox_head).where(unit.c.unit_id == unit_id)) or 0)
    connection.execute(
        insert(inbox).values(
            unit_id=unit_id,
            seq=seq,
            at=at,
            kind=entry.kind,
            study_instance_uid=entry.study_instance_uid,
            sop_instance_uid=entry.sop_instance_uid,
            sha256=entry.sha256,
            statement=entry.statement,
            signature=entry.signature,
            text=entry.text,
            code=entry.code,
            body=entry.body,
        )
    )
    return seq


PROOF_KINDS = (InboxKind.RECEIPT.value, InboxKind.REFUSAL.value)


def entries_after(
    connection: Connection, unit_id: str, after: int, count_max: int, *, answers_only: bool = False
) -> tuple[int, list[Entry]]:
    """The head of a unit's inbox, and what comes after a number, in order; without receipts and refusals if wished.

    The head is read first: what has a number up to it is visible to the second query.
    """
    wanted = select(inbox).where(inbox.c.unit_id == unit_id, inbox.c.seq > after).order_by(inbox.c.seq)
    if answers_only:
        wanted = wanted.where(inbox.c.kind.not_in(PROOF_KINDS))
    return _head(connection, unit_id), [_entry(row) for row in connection.execute(wanted.limit(count_max))]


def last_entries(connection: Connection, unit_id: str, count_max: int) -> tuple[int, list[Entry]]:
    """The head of a unit's inbox, and its newest entries, in order."""
    wanted = select(inbox).where(inbox.c.unit_id == unit_id).order_by(inbox.c.seq.desc())
    found = [_entry(row) for row in connection.execute(wanted.limit(count_max))]
    return _head(connection, unit_id), found[::-1]


def heads(connection: Connection, unit_ids: Collection[str]) -> dict[str, int]:
    """The newest number of each of these units' inboxes."""
    wanted = select(unit.c.unit_id, unit.c.inbox_head).where(unit.c.unit_id.in_(unit_ids))
    return {unit_id: int(head) for unit_id, head in connection.execute(wanted)}


def _head(connection: Connection, unit_id: str) -> int:
    return int(connection.scalar(select(unit.c.inbox_head).where(unit.c.unit_id == unit_id)) or 0)


def _entry(row: Row[Any]) -> Entry:
    return Entry(
        row.seq,
        row.kind,
        row.study_instance_uid,
        row.sop_instance_uid,
        row.sha256,
        row.statement,
        row.signature,
        row.text,
        row.code,
        row.body,
    )
