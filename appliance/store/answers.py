"""What people at the centre said, each kept once and for ever; and what the unit still has to say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.domain.answers import NOW, NewCounts, UnitAnswer
from appliance.store import journal
from appliance.store.connect import Row, Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp

DELIVERED, SEEN = "delivered", "seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAnswer:
    """An answer as it came, with what lists need to know of it."""

    answer_id: str
    seq: int
    kind: str
    body: str
    study_instance_uid: str = ""
    subject_id: str = ""
    version: int = 0
    is_critical: bool = False
    urgency: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """Something to tell the centre about one answer."""

    acknowledgement_id: int
    answer_id: str
    state: str
    at: str
    by: str
    outcome: str


def cursor(db: Store, destination: str, unit_id: str, epoch: str) -> int:
    """Every answer up to this number of the centre's inbox is kept here.

    0 at first, and in another life of the centre: a restored one may have given numbers anew, so all is read again.
    """
    found = db.value(
        "SELECT seq FROM answer_cursor WHERE destination = ? AND unit_id = ? AND epoch = ?",
        (destination, unit_id, epoch),
    )
    return int(found or 0)


def move_cursor(db: Store, destination: str, unit_id: str, epoch: str, seq: int) -> None:
    """Inside the transaction that keeps what was read."""
    db.change(
        """INSERT INTO answer_cursor (destination, unit_id, epoch, seq) VALUES (?, ?, ?, ?)
            ON CONFLICT (destination, unit_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq""",
        (destination, unit_id, epoch, seq),
    )


def keep_answer(db: Store, stamp: Stamp, destination: str, unit_id: str, new: NewAnswer) -> bool:
    """Keep an answer and owe the centre the word that it is here; ``False`` when it was here before."""
    with write(db):
        added = db.change(
            """INSERT INTO answer (answer_id, destination, unit_id, seq, kind, study_instance_uid, subject_id, version,
                is_critical, urgency, body, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (answer_id) DO NOTHING""",
            (
                new.answer_id,
                destination,
                unit_id,
                new.seq,
                new.kind,
                new.study_instance_uid,
                new.subject_id,
                new.version,
                new.is_critical,
                new.urgency,
                new.body,
                stamp.at,
            ),
        )
        if not added:
            return False
        _owe(db, stamp, new.answer_id, DELIVERED, "")
        _note(db, stamp, new.answer_id, new.study_instance_uid, new.kind, DELIVERED, "centre")
        return True


def note_outcome(db: Store, answer_id: str, outcome: str, registration_key: str = "") -> None:
    """What the unit did about an answer, inside the transaction in which it did it."""
    db.change(
        "UPDATE answer SET outcome = ?, registration_key = ? WHERE answer_id = ?",
        (outcome, registration_key, answer_id),
    )


def acknowledge(db: Store, stamp: Stamp, answer_id: str, by: str) -> bool:
    """Somebody has read it; the first who says so stands. ``False`` when it was acknowledged before.

    Raises:
        StoreError: ``refused`` without a name, or when there is no such answer.
    """
    if not by.strip():
        raise StoreError(StoreFault.REFUSED, "whoever acknowledges an answer has a name")
    with write(db):
        row = db.row("SELECT study_instance_uid, kind FROM answer WHERE answer_id = ?", (answer_id,))
        if row is None:
            raise StoreError(StoreFault.REFUSED, f"there is no answer {answer_id}")
        if not _owe(db, stamp, answer_id, SEEN, by.strip()):
            return False
        _note(db, stamp, answer_id, row[0], row[1], SEEN, by.strip())
        return True


def untold(db: Store, destination: str, unit_id: str, epoch: str, count_max: int) -> tuple[Said, ...]:
    """What this life of the centre has not answered yet, oldest first."""
    rows = db.rows(
        """SELECT k.acknowledgement_id, k.answer_id, k.state, k.at, k.by,
                CASE k.state WHEN 'delivered' THEN a.outcome ELSE '' END
            FROM acknowledgement AS k JOIN answer AS a USING (answer_id)
            WHERE k.told_epoch <> ? AND a.destination = ? AND a.unit_id = ?
            ORDER BY k.acknowledgement_id LIMIT ?""",
        (epoch, destination, unit_id, count_max),
    )
    return tuple(Said(*row) for row in rows)


def note_told(db: Store, acknowledgement_ids: Sequence[int], epoch: str) -> None:
    """The centre answered these."""
    with write(db):
        for one in acknowledgement_ids:
            db.change("UPDATE acknowledgement SET told_epoch = ? WHERE acknowledgement_id = ?", (epoch, one))


_ANSWERS = """SELECT a.answer_id, a.destination, a.kind, a.study_instance_uid, a.subject_id, a.version, a.is_critical,
        a.urgency, a.body, a.received_at, a.outcome, a.registration_key, coalesce(k.at, ''), coalesce(k.by, ''),
        (SELECT count(*) FROM acknowledgement AS t WHERE t.answer_id = a.answer_id AND t.told_epoch <> ''),
        a.subject_id <> '' AND EXISTS (SELECT 1 FROM answer AS b
            WHERE b.subject_id = a.subject_id AND b.kind = a.kind AND b.version > a.version),
        coalesce(s.patient_name, ''), coalesce(s.patient_id, '')
    FROM answer AS a LEFT JOIN acknowledgement AS k ON k.answer_id = a.answer_id AND k.state = 'seen'
    LEFT JOIN study AS s ON s.study_instance_uid = a.study_instance_uid"""


def list_answers(
    db: Store, *, kinds: Sequence[str] = (), study_instance_uid: str = "", new_only: bool = False, limit: int = 500
) -> tuple[UnitAnswer, ...]:
    """Answers, what nobody acknowledged first: critical, then urgent, then the rest; within each the newest first."""
    marks = ", ".join("?" * len(kinds))
    rows = db.rows(
        f"""{_ANSWERS} WHERE (? = '' OR a.study_instance_uid = ?) AND (? = 0 OR k.at IS NULL)
                {f"AND a.kind IN ({marks})" if kinds else ""}
            ORDER BY k.at IS NOT NULL, CASE WHEN k.at IS NULL THEN 1 - a.is_critical END,
                CASE WHEN k.at IS NULL THEN a.urgency <> '{NOW}' END, a.received_at DESC, a.seq DESC LIMIT ?""",
        (study_instance_uid, study_instance_uid, new_only, *kinds, limit),
    )
    return tuple(map(_answer, rows))


def answers_named(db: Store, part: str, limit: int = 10) -> tuple[UnitAnswer, ...]:
    """Answers whose number begins with ``part``, or that are of the report or order ``part``; the newest first."""
    if not part:
        return ()
    rows = db.rows(
        f"""{_ANSWERS} WHERE substr(a.answer_id, 1, length(?1)) = ?1 OR a.subject_id = ?1
            ORDER BY a.answer_id <> ?1, a.version DESC, a.received_at DESC LIMIT ?2""",
        (part, limit),
    )
    return tuple(map(_answer, rows))


def new_counts(db: Store) -> NewCounts:
    """What waits for somebody to read it."""
    row = db.row(
        """SELECT count(*), coalesce(sum(is_critical), 0), coalesce(sum(urgency = ? AND NOT is_critical), 0)
            FROM answer WHERE answer_id NOT IN (SELECT answer_id FROM acknowledgement WHERE state = 'seen')""",
        (NOW,),
    )
    return NewCounts(*row) if row else NewCounts()


def _owe(db: Store, stamp: Stamp, answer_id: str, state: str, by: str) -> bool:
    owed = """INSERT INTO acknowledgement (answer_id, state, at, by) VALUES (?, ?, ?, ?)
        ON CONFLICT (answer_id, state) DO NOTHING"""
    return bool(db.change(owed, (answer_id, state, stamp.at, by)))


def _note(db: Store, stamp: Stamp, answer_id: str, study_uid: str, kind: str, to_state: str, actor: str) -> None:
    journal.append(
        db,
        stamp,
        subject="answer",
        subject_id=answer_id,
        study_instance_uid=study_uid,
        event=kind,
        to_state=to_state,
        actor=actor,
    )


def _answer(row: Row) -> UnitAnswer:
    return UnitAnswer(
        answer_id=row[0],
        destination=row[1],
        kind=row[2],
        study_instance_uid=row[3],
        subject_id=row[4],
        version=row[5],
        is_critical=bool(row[6]),
        urgency=row[7],
        body=row[8],
        received_at=row[9],
        outcome=row[10],
        registration_key=row[11],
        seen_at=row[12],
        seen_by=row[13],
        told_count=row[14],
        is_superseded=bool(row[15]),
        patient_name=row[16],
        patient_id=row[17],
    )
