"""What people ask for: screens and the command line write a row here, the engine carries it out and answers in it."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.store import journal
from appliance.store.connect import Store, open_unit, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp

KINDS = ("hold", "release", "retry", "stat", "routine", "evict")
IMAGE_KINDS = {"reject-image": "reject", "restore-image": "retry"}
"""Wishes about one image, and what the engine is asked for."""

__all__ = [
    "IMAGE_KINDS",
    "KINDS",
    "Command",
    "StoreError",
    "finish_command",
    "give_command",
    "open_commands",
    "open_unit",
    "read_command",
]


@dataclass(frozen=True, slots=True)
class Command:
    """One wish about one study; ``finished_at`` is empty while it waits."""

    command_id: int
    kind: str
    study_instance_uid: str
    actor: str
    reason: str
    given_at: str
    finished_at: str = ""
    outcome: str = ""
    sop_instance_uid: str = ""
    """Of the kinds that are about one image."""


_COLUMNS = "command_id, kind, study_instance_uid, actor, reason, given_at, finished_at, outcome, sop_instance_uid"


def give_command(
    db: Store,
    stamp: Stamp,
    kind: str,
    study_instance_uid: str,
    actor: str,
    reason: str = "",
    sop_instance_uid: str = "",
) -> int:
    """Write a wish down; it is carried out by the sync process, at the latest after its next start.

    Returns:
        The command's id.

    Raises:
        StoreError: ``refused`` for an unknown kind, for one about an image without it, or the other way round, and for
            a study that is not on this unit.
    """
    if kind not in KINDS and kind not in IMAGE_KINDS:
        raise StoreError(StoreFault.REFUSED, f"there is no command {kind!r}; there are {', '.join(KINDS)}")
    if (kind in IMAGE_KINDS) != bool(sop_instance_uid):
        raise StoreError(StoreFault.REFUSED, f"{kind} is about {'one image' if kind in IMAGE_KINDS else 'a study'}")
    with write(db):
        if not db.value("SELECT 1 FROM study WHERE study_instance_uid = ?", (study_instance_uid,)):
            raise StoreError(StoreFault.REFUSED, f"no study {study_instance_uid} on this unit")
        command_id = db.insert(
            """INSERT INTO command (kind, study_instance_uid, reason, actor, given_at, sop_instance_uid)
                VALUES (?, ?, ?, ?, ?, ?)""",
            (kind, study_instance_uid, reason, actor, stamp.at, sop_instance_uid),
        )
        journal.append(
            db,
            stamp,
            subject="command",
            subject_id=str(command_id),
            study_instance_uid=study_instance_uid,
            event=kind,
            to_state="given",
            actor=actor,
            detail=reason,
        )
    return command_id


def open_commands(db: Store) -> tuple[Command, ...]:
    """Wishes not answered yet, oldest first."""
    sql = f"SELECT {_COLUMNS} FROM command WHERE finished_at = '' ORDER BY command_id"  # noqa: S608 - our columns
    return tuple(Command(*row) for row in db.rows(sql))


def read_command(db: Store, command_id: int) -> Command | None:
    """One wish with its outcome."""
    sql = f"SELECT {_COLUMNS} FROM command WHERE command_id = ?"  # noqa: S608 - our columns
    row = db.row(sql, (command_id,))
    return Command(*row) if row else None


def finish_command(db: Store, stamp: Stamp, command_id: int, outcome: str) -> bool:
    """Answer a wish with a sentence; whether it was still open."""
    with write(db):
        finished = db.change(
            "UPDATE command SET finished_at = ?, outcome = ? WHERE command_id = ? AND finished_at = ''",
            (stamp.at, outcome, command_id),
        )
        if finished:
            kind, study_instance_uid = db.row(
                "SELECT kind, study_instance_uid FROM command WHERE command_id = ?", (command_id,)
            ) or ("", "")
            journal.append(
                db,
                stamp,
                subject="command",
                subject_id=str(command_id),
                study_instance_uid=study_instance_uid,
                event=kind,
                from_state="given",
                to_state="finished",
                actor="sync",
                detail=outcome,
            )
    return bool(finished)
