"""Orthanc's names and Orthanc's change log, pure: which rows are new, and whether the log is still the one we followed.

The log is a hint, never the truth: after a power cut its sequence may go backwards, so that ``since=26`` answers
nothing while new rows carry 17 to 21. Therefore the last row seen is remembered whole (Seq, ID, Date) and asked for
again with every question; when the log no longer says the same, it is read again from its start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


def orthanc_id(patient_id: str, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str) -> str:
    """Orthanc's identifier of an instance: SHA-1 of the four values joined by ``|``, in five groups of eight digits.

    Values are without the padding blanks at their ends; a missing Patient ID is empty. Text is UTF-8, as Orthanc
    has it after its own conversion (Orthanc Book, "Orthanc identifiers"; measured on 1.10.1 and 1.12.7).
    """
    joined = "|".join((patient_id, study_instance_uid, series_instance_uid, sop_instance_uid))
    digits = hashlib.sha1(joined.encode("utf-8"), usedforsecurity=False).hexdigest()
    return "-".join(digits[start : start + 8] for start in range(0, 40, 8))


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One row of ``/changes``."""

    seq: int
    kind: str
    resource_id: str
    date: str


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row seen; ``seq`` 0: none yet."""

    seq: int = 0
    row_id: str = ""
    row_date: str = ""


START = Cursor()


@dataclass(frozen=True, slots=True)
class Step:
    """What one page of the log tells.

    Attributes:
        cursor: Where to go on from; commit it only after ``instance_ids`` are dealt with.
        instance_ids: Orthanc identifiers of instances that are new in the log, oldest first, each once.
        rescan: The log is not the one that was followed: ``cursor`` is ``START``, and nothing was taken from the page.
    """

    cursor: Cursor
    instance_ids: tuple[str, ...] = ()
    rescan: bool = False


def since(cursor: Cursor) -> int:
    """The ``since`` to ask for, so that the remembered row itself comes first in the answer."""
    return max(cursor.seq - 1, 0)


def parse_rows(changes: object) -> tuple[ChangeRow, ...]:
    """Rows of the ``Changes`` member of Orthanc's answer.

    Raises:
        ValueError: If it has another shape.
    """
    if not isinstance(changes, list):
        raise ValueError("the change log is no list")
    try:
        return tuple(
            ChangeRow(int(row["Seq"]), str(row["ChangeType"]), str(row["ID"]), str(row["Date"])) for row in changes
        )
    except (KeyError, TypeError) as error:
        raise ValueError("a row of the change log has another shape") from error


def follow(cursor: Cursor, rows: Sequence[ChangeRow]) -> Step:
    """One step along the log.

    Args:
        cursor: The last row seen.
        rows: Orthanc's answer to ``since(cursor)``, in its order.
    """
    fresh = rows
    if cursor != START:
        if not rows or Cursor(rows[0].seq, rows[0].resource_id, rows[0].date) != cursor:
            return Step(START, rescan=True)
        fresh = rows[1:]
    before = cursor.seq
    for row in fresh:
        if row.seq <= before:
            return Step(START, rescan=True)
        before = row.seq
    if not fresh:
        return Step(cursor)
    last = fresh[-1]
    ids = dict.fromkeys(row.resource_id for row in fresh if row.kind == "NewInstance")
    return Step(Cursor(last.seq, last.resource_id, last.date), tuple(ids))
