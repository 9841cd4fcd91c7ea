"""Which studies are complete. A late image reopens its study by trigger (``migrations/services.py``)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from appliance.domain.completion import Complete, StudyFacts
from appliance.domain.performed import StepState
from appliance.store import journal
from appliance.store.connect import Store, read, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp


@dataclass(frozen=True, slots=True)
class Completion:
    """Where a study stands."""

    reason: Complete | None
    """``None``: open."""
    missing_count: int
    """Images that the device says it made and that are not here."""
    reopened_count: int
    changed_at: str


def open_studies(db: Store, limit: int = 256) -> tuple[str, ...]:
    """Study Instance UIDs of studies that are not complete."""
    rows = db.rows("SELECT study_instance_uid FROM study_completion WHERE state = 'open' LIMIT ?", (limit,))
    return tuple(uid for (uid,) in rows)


def study_facts(db: Store, study_instance_uid: str, now: Stamp) -> StudyFacts:
    """What decides whether it is complete.

    An instance of an earlier boot is as old as this boot at least: the monotonic clock starts with it. No device names
    what was rejected and what this unit made itself (a copy, a rejection note), and nobody waits for it to do so.

    Raises:
        StoreError: ``refused`` when there is no such study.
    """
    with read(db):
        row = db.row(
            """SELECT s.modality, i.received_boot_id, i.received_mono_s
                FROM study AS s CROSS JOIN instance AS i ON i.study_instance_uid = s.study_instance_uid
                WHERE s.study_instance_uid = ? ORDER BY i.instance_id DESC LIMIT 1""",
            (study_instance_uid,),
        )
        if row is None:
            raise StoreError(StoreFault.REFUSED, f"no study {study_instance_uid} on this unit")
        states, named, missing, unnamed = db.row(
            """WITH step AS (
                    SELECT DISTINCT s.step_uid, s.state
                    FROM performed_for AS f CROSS JOIN performed_step AS s USING (step_uid)
                    WHERE f.study_instance_uid = ?1),
                named AS (
                    SELECT DISTINCT p.sop_instance_uid
                    FROM step CROSS JOIN performed_instance AS p USING (step_uid) WHERE step.state = 'completed')
                SELECT (SELECT json_group_array(DISTINCT state) FROM step),
                    (SELECT count(*) FROM named),
                    (SELECT count(*) FROM named
                        WHERE NOT EXISTS (SELECT 1 FROM instance WHERE sop_instance_uid = named.sop_instance_uid)),
                    (SELECT count(*) FROM instance AS i
                        WHERE i.study_instance_uid = ?1
                            AND i.sop_instance_uid NOT IN (SELECT sop_instance_uid FROM named)
                            AND NOT EXISTS (SELECT 1 FROM rejected_image AS r
                                WHERE r.instance_id = i.instance_id AND r.lifted_at = '')
                            AND NOT EXISTS (SELECT 1 FROM made_object AS m
                                WHERE m.sop_instance_uid = i.sop_instance_uid))
            """,
            (study_instance_uid,),
        ) or ("[]", 0, 0, 0)
    modality, boot_id, mono_s = row
    return StudyFacts(
        modality=modality,
        step_states=[StepState(state) for state in json.loads(states)],
        named_count=named,
        missing_count=missing,
        unnamed_count=unnamed,
        quiet_s=now.mono_s - (mono_s if boot_id == now.boot_id else 0.0),
    )


def mark_complete(
    db: Store, stamp: Stamp, study_instance_uid: str, why: Complete, *, actor: str, detail: str = ""
) -> None:
    """Call a study complete; harmless when it is.

    Args:
        db: The unit's database.
        stamp: Now.
        study_instance_uid: The study.
        why: What decided.
        actor: Who: a person, or the process that looked.
        detail: A person's reason.

    Raises:
        StoreError: ``refused`` when there is no such study.
    """
    with write(db):
        missing_count = study_facts(db, study_instance_uid, stamp).missing_count
        changed = db.change(
            """UPDATE study_completion SET state = 'complete', reason = ?, missing_count = ?, changed_at = ?
                WHERE study_instance_uid = ? AND state = 'open'""",
            (why, missing_count, stamp.at, study_instance_uid),
        )
        if changed:
            journal.append(
                db,
                stamp,
                subject="study",
                subject_id=study_instance_uid,
                study_instance_uid=study_instance_uid,
                event=f"complete ({why})",
                from_state="open",
                to_state="complete",
                actor=actor,
                detail=detail or (f"missing_count={missing_count}" if missing_count else ""),
            )


def read_completion(db: Store, study_instance_uid: str) -> Completion | None:
    """Where a study stands; ``None`` when it is unknown here."""
    row = db.row(
        """SELECT reason, missing_count, reopened_count, changed_at FROM study_completion
            WHERE study_instance_uid = ?""",
        (study_instance_uid,),
    )
    return Completion(Complete(row[0]) if row[0] else None, *row[1:]) if row else None
