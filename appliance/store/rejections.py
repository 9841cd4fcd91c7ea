"""Pictures that people rejected, and objects made for corrections on their way through the unit's own door."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.domain.values import OutboxItem
from appliance.store import commands, journal
from appliance.store.connect import Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.outbox import items_of_study
from appliance.store.stamp import Stamp

COPY, NOTE = "copy", "rejection-note"


@dataclass(frozen=True, slots=True)
class Rejected:
    """One picture that is kept and not shown or sent."""

    sop_instance_uid: str
    study_instance_uid: str
    action_id: int
    reason_code: str
    rejected_at: str


@dataclass(frozen=True, slots=True)
class MadeObject:
    """A whole file in ``revisions/`` that becomes an instance like any other, by C-STORE to the own door."""

    sop_instance_uid: str
    action_id: int
    role: str
    study_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    blob_uuid: str
    size_bytes: int
    stored_at: str = ""
    withdrawn_at: str = ""


_OBJECT = """sop_instance_uid, action_id, role, study_instance_uid, sop_class_uid, transfer_syntax_uid, blob_uuid,
    size_bytes, stored_at, withdrawn_at"""


def reject_image(db: Store, stamp: Stamp, action_id: int, sop_instance_uid: str, reason_code: str, actor: str) -> None:
    """Set a picture aside for good, at whatever destination it waits for; what was sent is not taken back by this.

    Raises:
        StoreError: ``refused`` when it is not on this unit or rejected already.
    """
    with write(db):
        row = db.row(
            """SELECT i.instance_id, i.study_instance_uid, x.instance_id FROM instance AS i
                LEFT JOIN rejected_image AS x ON x.instance_id = i.instance_id AND x.lifted_at = ''
                WHERE i.sop_instance_uid = ?""",
            (sop_instance_uid,),
        )
        if row is None or row[2] is not None:
            what = "not on this unit" if row is None else "rejected already"
            raise StoreError(StoreFault.REFUSED, f"{db.path}: {sop_instance_uid} is {what}")
        db.insert(
            "INSERT INTO rejected_image (instance_id, action_id, reason_code, rejected_at) VALUES (?, ?, ?, ?)",
            (row[0], action_id, reason_code, stamp.at),
        )
        commands.give_command(db, stamp, "reject-image", row[1], actor, reason_code, sop_instance_uid)
        journal.append(
            db,
            stamp,
            subject="instance",
            subject_id=sop_instance_uid,
            study_instance_uid=row[1],
            event="rejected",
            to_state=reason_code,
            actor=actor,
            detail=f"action={action_id}",
        )


def lift_rejections(db: Store, stamp: Stamp, action_id: int, actor: str) -> int:
    """Let the pictures that an action rejected count again; how many."""
    with write(db):
        lifted = [one for one in rejected(db) if one.action_id == action_id]
        db.change(
            "UPDATE rejected_image SET lifted_at = ? WHERE action_id = ? AND lifted_at = ''", (stamp.at, action_id)
        )
        for one in lifted:
            commands.give_command(
                db, stamp, "restore-image", one.study_instance_uid, actor, one.reason_code, one.sop_instance_uid
            )
            journal.append(
                db,
                stamp,
                subject="instance",
                subject_id=one.sop_instance_uid,
                study_instance_uid=one.study_instance_uid,
                event="rejection-lifted",
                from_state=one.reason_code,
                actor=actor,
                detail=f"action={action_id}",
            )
    return len(lifted)


def rejected(db: Store, study_instance_uid: str = "") -> tuple[Rejected, ...]:
    """Pictures that are rejected now, of one study or all."""
    rows = db.rows(
        """SELECT i.sop_instance_uid, i.study_instance_uid, x.action_id, x.reason_code, x.rejected_at
            FROM rejected_image AS x JOIN instance AS i ON i.instance_id = x.instance_id
            WHERE x.lifted_at = '' AND (?1 = '' OR i.study_instance_uid = ?1) ORDER BY i.instance_id""",
        (study_instance_uid,),
    )
    return tuple(Rejected(*row) for row in rows)


def may_be_seen(db: Store, sop_instance_uid: str) -> bool:
    """Whether a destination may have seen anything of a picture: a transfer of it was started once."""
    sql = """SELECT 1 FROM outbox_item AS o JOIN journal AS j ON j.subject = 'item'
            AND j.subject_id = CAST(o.item_id AS TEXT) AND j.event = 'started'
        WHERE o.sop_instance_uid = ? LIMIT 1"""
    return db.value(sql, (sop_instance_uid,)) is not None


def items_of_command(db: Store, command: commands.Command) -> tuple[tuple[OutboxItem, ...], str]:
    """The items that a wish is about and the word for it in the core.

    A wish about a study never brings a rejected picture back; only lifting its rejection does.
    """
    items = items_of_study(db, command.study_instance_uid)
    kind = commands.IMAGE_KINDS.get(command.kind)
    if kind is not None:
        return tuple(item for item in items if item.sop_instance_uid == command.sop_instance_uid), kind
    aside = {one.sop_instance_uid for one in rejected(db, command.study_instance_uid)}
    return tuple(item for item in items if item.sop_instance_uid not in aside), command.kind


def add_made_object(db: Store, made: MadeObject) -> None:
    """An object waits for the door; its file is in place."""
    with write(db):
        db.insert(
            """INSERT INTO made_object (sop_instance_uid, action_id, role, study_instance_uid, sop_class_uid,
                transfer_syntax_uid, blob_uuid, size_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                made.sop_instance_uid,
                made.action_id,
                made.role,
                made.study_instance_uid,
                made.sop_class_uid,
                made.transfer_syntax_uid,
                made.blob_uuid,
                made.size_bytes,
            ),
        )


def made_objects(db: Store, action_id: int | None = None) -> tuple[MadeObject, ...]:
    """What an action made; without one, all that still waits for the door, the oldest first."""
    condition = "action_id = ?" if action_id is not None else "stored_at = '' AND withdrawn_at = ''"
    sql = f"SELECT {_OBJECT} FROM made_object WHERE {condition} ORDER BY rowid"  # noqa: S608 - our own text
    return tuple(MadeObject(*row) for row in db.rows(sql, () if action_id is None else (action_id,)))


def withdrawn_but_here(db: Store) -> tuple[MadeObject, ...]:
    """Objects of undone actions that became instances nevertheless, and that are not rejected."""
    rows = db.rows(
        f"""SELECT {", ".join(f"m.{name.strip()}" for name in _OBJECT.split(","))} FROM made_object AS m
            JOIN instance AS i ON i.sop_instance_uid = m.sop_instance_uid
            WHERE m.withdrawn_at <> '' AND i.instance_id NOT IN
                (SELECT instance_id FROM rejected_image WHERE lifted_at = '')"""  # noqa: S608 - our own columns
    )
    return tuple(MadeObject(*row) for row in rows)


def note_stored(db: Store, stamp: Stamp, sop_instance_uid: str) -> None:
    """The door answered Success for a made object: intake does the rest, as for any other."""
    with write(db):
        db.change(
            "UPDATE made_object SET stored_at = ? WHERE sop_instance_uid = ? AND stored_at = ''",
            (stamp.at, sop_instance_uid),
        )


def withdraw_objects(db: Store, stamp: Stamp, action_id: int) -> Sequence[MadeObject]:
    """What an action made and the door has not got stays out of it; the others, which came in already."""
    with write(db):
        db.change(
            "UPDATE made_object SET withdrawn_at = ? WHERE action_id = ? AND stored_at = ''", (stamp.at, action_id)
        )
    return [one for one in made_objects(db, action_id) if one.stored_at]
