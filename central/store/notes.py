"""What units said of studies beside their images: what was asked for, and what their checks found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, and_, select, update

from central.store.database import insert_missing
from central.store.review_tables import study_note
from central.store.tables import unit
from sync.wire.notes import StudyNotes


@dataclass(frozen=True, slots=True)
class NotesRow:
    """What one unit said last, and when by the centre's clock."""

    unit_name: str
    at: str
    notes: StudyNotes


def put_notes(connection: Connection, unit_id: str, at: str, said: Sequence[StudyNotes]) -> None:
    """Keep what is newer than what is here, whichever way it came."""
    ordered = sorted(said, key=lambda one: one.study_instance_uid)  # two that write at once take rows in one order
    keys = [{"unit_id": unit_id, "study_instance_uid": one.study_instance_uid} for one in ordered]
    empty = {"revision": -1, "at": at, "notes": ""}
    insert_missing(connection, study_note, [key | empty for key in keys])
    for one in ordered:
        mine = and_(study_note.c.unit_id == unit_id, study_note.c.study_instance_uid == one.study_instance_uid)
        values = {"revision": one.revision, "at": at, "notes": msgspec.json.encode(one).decode()}
        connection.execute(update(study_note).where(mine, study_note.c.revision < one.revision).values(**values))


def notes_of(connection: Connection, study_uid: str) -> list[NotesRow]:
    """What each unit said of a study, by its name; notes that this release cannot read are none."""
    both = select(study_note, unit.c.name).join(unit, unit.c.unit_id == study_note.c.unit_id)
    found = []
    for row in connection.execute(both.where(study_note.c.study_instance_uid == study_uid).order_by(unit.c.name)):
        try:
            found.append(NotesRow(row.name, row.at, msgspec.json.decode(row.notes, type=StudyNotes)))
        except msgspec.MsgspecError:
            continue
    return found
