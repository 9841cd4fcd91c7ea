"""Devices as they were tried out: one record a commissioning, with what was seen of each step and since when.

What was seen to be fine stays so in its record; what was not is looked at again until it is, or is waived.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.domain.commissioning import Looked, Outcome, Step
from appliance.store import journal
from appliance.store.connect import Row, Store, read, write
from appliance.store.stamp import Stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """What is on record of one step."""

    step: Step
    outcome: Outcome
    sentence: str
    hint: str
    at: str
    """When it was first so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One commissioning of one device."""

    commissioning_id: int
    ae_title: str
    state: str
    """``open``, ``passed`` or ``abandoned``."""
    actor: str
    began_at: str
    ended_at: str
    after_instance_id: int
    after_request_id: int
    baseline: Mapping[str, Any]
    exams: tuple[str, ...]
    """Keys of its test registrations, the newest last."""
    steps: tuple[StepRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPicture:
    """A picture of the test patient that the device stored since it began, the newest first."""

    __test__ = False

    sop_instance_uid: str
    sop_class_uid: str
    blob_uuid: str
    is_of_ordered_study: bool
    """Its Study Instance UID is the one that the worklist gave."""
    has_ordered_accession: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCommitment:
    """The newest commitment request of the device that names a test picture."""

    __test__ = False

    state: str
    attempt_count: int
    wait_count: int
    failure_code: str
    reference_count: int
    failed_count: int
    """Of the last report."""


def last_record(db: Store, ae_title: str) -> Record | None:
    """The newest commissioning of a device."""
    with read(db):
        row = db.row(
            """SELECT commissioning_id, ae_title, state, actor, began_at, ended_at, after_instance_id,
                    after_request_id, baseline
                FROM commissioning WHERE ae_title = ? ORDER BY commissioning_id DESC LIMIT 1""",
            (ae_title,),
        )
        return _record(db, row) if row else None


def passed_at(db: Store) -> dict[str, str]:
    """When each device passed last, by AE title."""
    rows = db.rows("SELECT ae_title, max(ended_at) FROM commissioning WHERE state = 'passed' GROUP BY ae_title")
    return {str(title): str(at) for title, at in rows}


def begin(db: Store, stamp: Stamp, ae_title: str, actor: str, baseline: Mapping[str, Any]) -> int:
    """Write a new commissioning down; its id.

    Raises:
        StoreError: ``refused`` when one of this device is open.
    """
    with write(db):
        commissioning_id = db.insert(
            """INSERT INTO commissioning (ae_title, actor, began_at, after_instance_id, after_request_id, baseline)
                SELECT ?, ?, ?, (SELECT coalesce(max(instance_id), 0) FROM instance),
                    (SELECT coalesce(max(request_id), 0) FROM commitment_request), ?""",
            (ae_title, actor, stamp.at, json.dumps(baseline)),
        )
        _note(db, stamp, ae_title, "begun", "", "open", actor)
    return commissioning_id


def add_exam(db: Store, commissioning_id: int, registration_key: str) -> None:
    """A test registration of it."""
    with write(db):
        db.change(
            "INSERT INTO commissioning_exam (registration_key, commissioning_id) VALUES (?, ?)",
            (registration_key, commissioning_id),
        )


def note_steps(db: Store, stamp: Stamp, record: Record, looked: Sequence[Looked]) -> None:
    """What was seen now; a step that says the same as before keeps its time."""
    before = {row.step: row for row in record.steps}
    changed = [one for one in looked if one.step not in before or not _says_the_same(before[one.step], one)]
    if not changed:
        return
    with write(db):
        for one in changed:
            db.change(
                """INSERT INTO commissioning_step (commissioning_id, step, outcome, sentence, hint, at)
                    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (commissioning_id, step) DO UPDATE SET
                        outcome = excluded.outcome, sentence = excluded.sentence, hint = excluded.hint,
                        at = excluded.at""",
                (record.commissioning_id, one.step, one.outcome, one.sentence, one.hint, stamp.at),
            )


def end(db: Store, stamp: Stamp, record: Record, state: str, actor: str) -> None:
    """Close an open commissioning as ``passed`` or ``abandoned``."""
    with write(db):
        changed = db.change(
            "UPDATE commissioning SET state = ?, ended_at = ? WHERE commissioning_id = ? AND state = 'open'",
            (state, stamp.at, record.commissioning_id),
        )
        if changed:
            _note(db, stamp, record.ae_title, "ended", "open", state, actor)


def test_pictures(db: Store, record: Record) -> tuple[TestPicture, ...]:
    """Pictures of the test patient that the device stored since it began, the newest first; bounded."""
    rows = db.rows(
        """SELECT i.sop_instance_uid, i.sop_class_uid, i.blob_uuid,
                EXISTS (SELECT 1 FROM commissioning_exam AS e JOIN registration AS r USING (registration_key)
                    WHERE e.commissioning_id = ?1 AND r.study_instance_uid = i.study_instance_uid),
                EXISTS (SELECT 1 FROM commissioning_exam AS e JOIN registration AS r USING (registration_key)
                    WHERE e.commissioning_id = ?1 AND r.accession_number = s.accession_number)
            FROM instance AS i JOIN study AS s USING (study_instance_uid)
            JOIN withheld_study AS w USING (study_instance_uid)
            WHERE i.instance_id > ?2 AND i.calling_ae_title = ?3 AND i.local_state = 'present'
            ORDER BY i.instance_id DESC LIMIT 64""",
        (record.commissioning_id, record.after_instance_id, record.ae_title),
    )
    return tuple(
        TestPicture(
            sop_instance_uid=row[0],
            sop_class_uid=row[1],
            blob_uuid=row[2],
            is_of_ordered_study=bool(row[3]),
            has_ordered_accession=bool(row[4]),
        )
        for row in rows
    )


def other_picture_count(db: Store, record: Record) -> int:
    """Pictures of the device since it began that are of no test patient."""
    return int(
        db.value(
            """SELECT count(*) FROM instance WHERE instance_id > ? AND calling_ae_title = ?
                AND study_instance_uid NOT IN (SELECT study_instance_uid FROM withheld_study)""",
            (record.after_instance_id, record.ae_title),
        )
    )


def test_commitment(db: Store, record: Record, sop_instance_uids: Sequence[str]) -> TestCommitment | None:
    """The newest commitment request of the device since it began that names one of these pictures."""
    row = db.row(
        """SELECT q.state, q.attempt_count, q.wait_count, q.failure_code, count(*), sum(r.failure_reason > 0)
            FROM commitment_request AS q JOIN commitment_reference AS r USING (request_id)
            WHERE q.request_id = (SELECT max(request_id) FROM commitment_request
                JOIN commitment_reference USING (request_id)
                WHERE request_id > ?1 AND calling_ae_title = ?2
                    AND sop_instance_uid IN (SELECT value FROM json_each(?3)))
            GROUP BY q.request_id""",
        (record.after_request_id, record.ae_title, json.dumps(list(sop_instance_uids))),
    )
    if row is None:
        return None
    return TestCommitment(
        state=row[0],
        attempt_count=row[1],
        wait_count=row[2],
        failure_code=row[3],
        reference_count=row[4],
        failed_count=row[5],
    )


def test_step_states(db: Store, record: Record) -> tuple[str, ...]:
    """States of the procedure steps (MPPS) that the device reported for its test exams, the newest first."""
    rows = db.rows(
        """SELECT DISTINCT s.state, s.created_at FROM performed_step AS s JOIN performed_for AS f USING (step_uid)
            JOIN commissioning_exam AS e ON e.registration_key = f.registration_key
            WHERE e.commissioning_id = ? AND s.calling_ae_title = ? ORDER BY s.created_at DESC""",
        (record.commissioning_id, record.ae_title),
    )
    return tuple(row[0] for row in rows)


def last_modality(db: Store, ae_title: str) -> str:
    """What kind of pictures a device sent last; empty when it sent none."""
    return str(
        db.value(
            """SELECT s.modality FROM instance AS i JOIN study AS s USING (study_instance_uid)
                WHERE i.calling_ae_title = ? AND s.modality <> '' ORDER BY i.instance_id DESC LIMIT 1""",
            (ae_title,),
        )
        or ""
    )


def _says_the_same(row: StepRow, looked: Looked) -> bool:
    return (row.outcome, row.sentence, row.hint) == (looked.outcome, looked.sentence, looked.hint)


def _record(db: Store, row: Row) -> Record:
    exams = db.rows(
        """SELECT registration_key FROM commissioning_exam JOIN registration USING (registration_key)
            WHERE commissioning_id = ? ORDER BY registered_at, registration_key""",
        (row[0],),
    )
    steps = db.rows(
        "SELECT step, outcome, sentence, hint, at FROM commissioning_step WHERE commissioning_id = ?", (row[0],)
    )
    found = {
        one[0]: StepRow(step=Step(one[0]), outcome=Outcome(one[1]), sentence=one[2], hint=one[3], at=one[4])
        for one in steps
    }
    return Record(
        commissioning_id=row[0],
        ae_title=row[1],
        state=row[2],
        actor=row[3],
        began_at=row[4],
        ended_at=row[5],
        after_instance_id=row[6],
        after_request_id=row[7],
        baseline=json.loads(row[8]),
        exams=tuple(key for (key,) in exams),
        steps=tuple(found[step] for step in Step if step in found),
    )


def _note(db: Store, stamp: Stamp, ae_title: str, event: str, before: str, after: str, actor: str) -> None:
    journal.append(
        db,
        stamp,
        subject="device",
        subject_id=ae_title,
        event=f"commissioning {event}",
        from_state=before,
        to_state=after,
        actor=actor,
    )
