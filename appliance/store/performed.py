"""Performed procedure steps: what devices say they did, and the registrations that move with it.

Nothing here judges a message (``appliance.services.step_rules`` does); a step is written with everything that follows
from it in one transaction, which the caller commits before it answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from appliance.domain.performed import Purpose, StepContent, StepState, registration_state
from appliance.store import journal
from appliance.store.connect import Store, read, write
from appliance.store.stamp import Stamp


@dataclass(frozen=True, slots=True)
class KnownStep:
    """A step as it is on record; data sets are Explicit VR Little Endian without a preamble."""

    step_uid: str
    calling_ae_title: str
    state: StepState
    created_data_set: bytes
    last_set_data_set: bytes
    data_set: bytes


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step for people and for matching: what it was done for, and how much of it is here."""

    step_uid: str
    calling_ae_title: str
    station_ae_title: str
    state: StepState
    performed_step_id: str
    modality: str
    patient_id: str
    started: str
    ended: str
    description: str
    discontinuation: str
    dose: Mapping[str, float]
    study_instance_uids: tuple[str, ...]
    registration_keys: tuple[str, ...]
    instance_count: int
    arrived_count: int
    created_at: str


def find_step(db: Store, step_uid: str) -> KnownStep | None:
    """The step of that SOP Instance UID."""
    row = db.row(
        """SELECT step_uid, calling_ae_title, state, created_data_set, last_set_data_set, data_set
            FROM performed_step WHERE step_uid = ?""",
        (step_uid,),
    )
    return KnownStep(row[0], row[1], StepState(row[2]), *row[3:]) if row else None


def create_step(
    db: Store, stamp: Stamp, step_uid: str, calling_ae_title: str, content: StepContent, data_set: bytes
) -> None:
    """Record a new step, in progress, and the registrations it is done for.

    Raises:
        StoreError: ``refused`` when there is such a step already; the caller asks first, in the same transaction.
    """
    with write(db):
        db.change(
            """INSERT INTO performed_step (step_uid, calling_ae_title, state, performed_step_id, station_ae_title,
                modality, patient_id, started, description, dose, created_data_set, data_set, created_at, changed_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                step_uid,
                calling_ae_title,
                content.state,
                content.performed_step_id,
                content.station_ae_title,
                content.modality,
                content.patient_id,
                content.started,
                content.description,
                json.dumps(content.dose),
                data_set,
                data_set,
                stamp.at,
                stamp.at,
            ),
        )
        for position, purpose in enumerate(content.purposes):
            db.change(
                """INSERT INTO performed_for (step_uid, position, study_instance_uid, accession_number,
                    requested_procedure_id, scheduled_step_id, registration_key) VALUES (?, ?, ?, ?, ?, ?, ?)""",
                (
                    step_uid,
                    position,
                    purpose.study_instance_uid,
                    purpose.accession_number,
                    purpose.requested_procedure_id,
                    purpose.scheduled_step_id,
                    _registration_of(db, purpose),
                ),
            )
        _write_made(db, step_uid, content)
        _follow(db, stamp, step_uid, "", content, calling_ae_title)


def set_step(
    db: Store, stamp: Stamp, known: KnownStep, calling_ae_title: str, content: StepContent, changes: bytes, whole: bytes
) -> None:
    """Record what a device says of its step now.

    Args:
        db: The unit's database.
        stamp: Now.
        known: The step before, read in the same transaction.
        calling_ae_title: Who says so.
        content: What the step is after the change.
        changes: The data set that came.
        whole: The step's data set after the change.

    Raises:
        StoreError: ``refused`` when the step has ended.
    """
    with write(db):
        _write_made(db, known.step_uid, content)
        db.change(
            """UPDATE performed_step SET state = ?, ended = ?, description = ?, discontinuation = ?, dose = ?,
                last_set_data_set = ?, data_set = ?, changed_at = ? WHERE step_uid = ?""",
            (
                content.state,
                content.ended,
                content.description,
                content.discontinuation,
                json.dumps(content.dose),
                changes,
                whole,
                stamp.at,
                known.step_uid,
            ),
        )
        _follow(db, stamp, known.step_uid, known.state, content, calling_ae_title)


def link_step(db: Store, stamp: Stamp, step_uid: str, registration_key: str, actor: str, reason: str) -> None:
    """A person says which registration a step was done for; that one follows the step's state.

    The one it was linked to before, if any, stays as it is: only a person knows what became of that exam.

    Raises:
        StoreError: ``refused`` when there is no such registration.
    """
    with write(db):
        db.change("UPDATE performed_for SET registration_key = ? WHERE step_uid = ?", (registration_key, step_uid))
        journal.append(
            db,
            stamp,
            subject="step",
            subject_id=step_uid,
            event="linked",
            actor=actor,
            detail=f"registration {registration_key}: {reason}",
        )
        _move_registration(db, stamp, registration_key, actor)


def give_steps(
    db: Store, stamp: Stamp, study_instance_uid: str, registration_key: str | None, actor: str, reason: str
) -> str | None:
    """A person says which registration the steps of a study were done for; that one follows their states.

    The one they were linked to before stays as it is: only a person knows what became of that exam.

    Args:
        db: The unit's database.
        stamp: Now.
        study_instance_uid: The study, as the device named it in its steps.
        registration_key: The registration; ``None``: none that is known.
        actor: Who says so.
        reason: Why; kept in the journal.

    Returns:
        The registration that the first of them was linked to before.
    """
    with write(db):
        rows = db.rows(
            """SELECT step_uid, registration_key FROM performed_for
                WHERE study_instance_uid = ? AND registration_key IS NOT ? ORDER BY step_uid, position""",
            (study_instance_uid, registration_key),
        )
        db.change(
            "UPDATE performed_for SET registration_key = ? WHERE study_instance_uid = ?",
            (registration_key, study_instance_uid),
        )
        for step_uid in dict.fromkeys(row[0] for row in rows):
            journal.append(
                db,
                stamp,
                subject="step",
                subject_id=step_uid,
                study_instance_uid=study_instance_uid,
                event="linked",
                actor=actor,
                detail=f"registration={registration_key or ''} {reason}",
            )
        if rows and registration_key is not None:
            _move_registration(db, stamp, registration_key, actor)
    return rows[0][1] if rows else None


def registration_keys_of(db: Store, step_uid: str) -> tuple[str, ...]:
    """The registrations that a step was done for."""
    rows = db.rows(
        """SELECT DISTINCT registration_key FROM performed_for WHERE step_uid = ? AND registration_key IS NOT NULL
            ORDER BY registration_key""",
        (step_uid,),
    )
    return tuple(key for (key,) in rows)


def steps_of_study(db: Store, study_instance_uid: str) -> tuple[StepRow, ...]:
    """Every step that was done for a study or made an instance of it, in the order they were reported."""
    return _step_rows(
        db,
        """SELECT step_uid FROM performed_for WHERE study_instance_uid = ?1
            UNION SELECT p.step_uid FROM instance AS i CROSS JOIN performed_instance AS p USING (sop_instance_uid)
                WHERE i.study_instance_uid = ?1""",
        (study_instance_uid,),
    )


def steps_of_registration(db: Store, registration_key: str) -> tuple[StepRow, ...]:
    """Every step that was done for a registration."""
    return _step_rows(db, "SELECT step_uid FROM performed_for WHERE registration_key = ?", (registration_key,))


def unscheduled_steps(db: Store) -> tuple[StepRow, ...]:
    """Steps that no registration is known for: an emergency, or a patient picked from nowhere."""
    return _step_rows(db, "SELECT step_uid FROM performed_for WHERE registration_key IS NULL", ())


def _step_rows(db: Store, which: str, parameters: tuple[str, ...]) -> tuple[StepRow, ...]:
    with read(db):
        rows = db.rows(
            f"""SELECT s.step_uid, s.calling_ae_title, s.station_ae_title, s.state, s.performed_step_id, s.modality,
                    s.patient_id, s.started, s.ended, s.description, s.discontinuation, s.dose,
                    (SELECT json_group_array(DISTINCT study_instance_uid) FROM performed_for
                        WHERE step_uid = s.step_uid),
                    (SELECT json_group_array(DISTINCT registration_key) FILTER (WHERE registration_key IS NOT NULL)
                        FROM performed_for WHERE step_uid = s.step_uid),
                    (SELECT count(*) FROM performed_instance WHERE step_uid = s.step_uid),
                    (SELECT count(*) FROM performed_instance AS p CROSS JOIN instance AS i USING (sop_instance_uid)
                        WHERE p.step_uid = s.step_uid),
                    s.created_at
                FROM performed_step AS s WHERE s.step_uid IN ({which}) ORDER BY s.rowid""",  # noqa: S608 - ours
            parameters,
        )
    return tuple(
        StepRow(
            step_uid=row[0],
            calling_ae_title=row[1],
            station_ae_title=row[2],
            state=StepState(row[3]),
            performed_step_id=row[4],
            modality=row[5],
            patient_id=row[6],
            started=row[7],
            ended=row[8],
            description=row[9],
            discontinuation=row[10],
            dose=json.loads(row[11]),
            study_instance_uids=tuple(json.loads(row[12])),
            registration_keys=tuple(json.loads(row[13])),
            instance_count=row[14],
            arrived_count=row[15],
            created_at=row[16],
        )
        for row in rows
    )


def _write_made(db: Store, step_uid: str, content: StepContent) -> None:
    """Series and instances as the step has them now."""
    db.change("DELETE FROM performed_series WHERE step_uid = ?", (step_uid,))
    db.change("DELETE FROM performed_instance WHERE step_uid = ?", (step_uid,))
    for series in content.series:
        db.change(
            """INSERT INTO performed_series (step_uid, series_instance_uid, protocol_name, description)
                VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING""",
            (step_uid, series.series_instance_uid, series.protocol_name, series.description),
        )
    for instance in content.instances:
        db.change(
            """INSERT INTO performed_instance (step_uid, sop_instance_uid, sop_class_uid, series_instance_uid)
                VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING""",
            (step_uid, instance.sop_instance_uid, instance.sop_class_uid, instance.series_instance_uid),
        )


def _follow(db: Store, stamp: Stamp, step_uid: str, before: str, content: StepContent, actor: str) -> None:
    """The journal and the registrations, when the step's state has changed."""
    if before == content.state:
        return
    journal.append(
        db,
        stamp,
        subject="step",
        subject_id=step_uid,
        study_instance_uid=content.purposes[0].study_instance_uid if content.purposes else "",
        event="performed",
        from_state=before,
        to_state=content.state,
        actor=actor,
        detail=f"instance_count={len(content.instances)}",
    )
    for key in registration_keys_of(db, step_uid):
        _move_registration(db, stamp, key, actor)


def _registration_of(db: Store, purpose: Purpose) -> str | None:
    """By the study's UID, which a console takes from the worklist, else by the accession number typed by hand."""
    key: str | None = db.value(
        "SELECT registration_key FROM registration WHERE study_instance_uid = ?", (purpose.study_instance_uid,)
    )
    return key or db.value(
        "SELECT registration_key FROM registration WHERE accession_number = ?", (purpose.accession_number,)
    )


def _move_registration(db: Store, stamp: Stamp, registration_key: str, actor: str) -> None:
    """A registration is in what its steps are in, whatever it was in before: what was done outweighs what was planned.

    Its worklist entry follows by trigger.
    """
    states = db.rows(
        """SELECT DISTINCT s.state FROM performed_for AS f CROSS JOIN performed_step AS s USING (step_uid)
            WHERE f.registration_key = ?""",
        (registration_key,),
    )
    found = db.row("SELECT state, study_instance_uid FROM registration WHERE registration_key = ?", (registration_key,))
    if not states or found is None:
        return
    after = registration_state({StepState(state) for (state,) in states})
    if found[0] == after:
        return
    db.change(
        "UPDATE registration SET state = ?, changed_at = ? WHERE registration_key = ?",
        (after, stamp.at, registration_key),
    )
    journal.append(
        db,
        stamp,
        subject="registration",
        subject_id=registration_key,
        study_instance_uid=found[1],
        event="performed",
        from_state=found[0],
        to_state=after,
        actor=actor,
    )
