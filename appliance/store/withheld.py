"""Test studies: kept like all others, and owed to no destination until a person says that they are no test.

A study is a test by what it says: the Study Instance UID or accession number of a test exam, or the ID of the test
patient, so that also a device which makes up UIDs of its own brings no test to the centre.
"""

from __future__ import annotations

from appliance.domain.values import StudyHeader
from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.findings import clear_finding, note_finding
from appliance.store.stamp import Stamp

USED_KIND = "test-patient-used"
IS_WITHHELD = "SELECT study_instance_uid FROM withheld_study WHERE lifted_at = ''"
"""For conditions of other queries."""


def withhold(db: Store, stamp: Stamp, study_instance_uid: str, registration_key: str, actor: str) -> None:
    """Let a study be a test, of the test exam ``registration_key``; one that is on record stays as it is."""
    with write(db):
        changed = db.change(
            """INSERT INTO withheld_study (study_instance_uid, registration_key, withheld_at) VALUES (?, ?, ?)
                ON CONFLICT (study_instance_uid) DO NOTHING""",
            (study_instance_uid, registration_key, stamp.at),
        )
        if changed:
            journal.append(
                db,
                stamp,
                subject="study",
                subject_id=study_instance_uid,
                study_instance_uid=study_instance_uid,
                event="withheld",
                to_state="withheld",
                actor=actor,
                detail=f"registration={registration_key}",
            )


def is_withheld(db: Store, stamp: Stamp, study: StudyHeader) -> bool:
    """Whether what arrives is a test; a study that is found to be one by its other numbers is written down as one."""
    known = db.value(
        "SELECT lifted_at = '' FROM withheld_study WHERE study_instance_uid = ?", (study.study_instance_uid,)
    )
    if known is not None:
        return bool(known)
    exam = db.value(
        """SELECT e.registration_key FROM commissioning_exam AS e
            CROSS JOIN worklist_entry AS w ON w.registration_key = e.registration_key
            WHERE (w.accession_number = ?1 AND ?1 <> '') OR (w.patient_id = ?2 AND ?2 <> '')
            ORDER BY w.accession_number <> ?1, e.commissioning_id DESC LIMIT 1""",
        (study.accession_number, study.patient_id),
    )
    if exam is None:
        return False
    withhold(db, stamp, study.study_instance_uid, str(exam), "intake")
    return True


def lifted_studies(db: Store) -> tuple[str, ...]:
    """Studies that are tests no more and whose pictures are not queued yet."""
    rows = db.rows("SELECT study_instance_uid FROM withheld_study WHERE lifted_at <> '' AND queued_at = ''")
    return tuple(row[0] for row in rows)


def note_queued(db: Store, stamp: Stamp, study_instance_uid: str) -> None:
    """What was withheld of a study is owed to every destination now."""
    with write(db):
        db.change(
            "UPDATE withheld_study SET queued_at = ? WHERE study_instance_uid = ?", (stamp.at, study_instance_uid)
        )
        journal.append(
            db,
            stamp,
            subject="study",
            subject_id=study_instance_uid,
            study_instance_uid=study_instance_uid,
            event="withheld no more",
            from_state="withheld",
            actor="intake",
        )
        clear_finding(db, stamp, kind=USED_KIND, subject_id=study_instance_uid, actor="intake")


def note_if_out_of_season(db: Store, stamp: Stamp, study_instance_uid: str, calling_ae_title: str) -> None:
    """A test picture from a device that nobody tries out may be of a person: it was the wrong line of the worklist."""
    sql = "SELECT 1 FROM commissioning WHERE ae_title = ? AND state = 'open'"
    if db.value(sql, (calling_ae_title,)) is None:
        note_finding(
            db,
            stamp,
            kind=USED_KIND,
            subject_id=study_instance_uid,
            sentence="A picture arrived under the test patient while no device is being tried out. It is kept and goes "
            "to no centre. If it is of a person, say which exam it belongs to ('qafila reconcile').",
            severity="warning",
            detail=f"ae={calling_ae_title}",
        )


def clear_used(db: Store, stamp: Stamp, calling_ae_title: str, actor: str) -> None:
    """Its device is tried out now: what it sent was a test."""
    rows = db.rows(
        """SELECT DISTINCT subject_id FROM finding JOIN instance ON study_instance_uid = subject_id
            WHERE kind = ? AND cleared_at = '' AND calling_ae_title = ?""",
        (USED_KIND, calling_ae_title),
    )
    for (study_instance_uid,) in rows:
        clear_finding(db, stamp, kind=USED_KIND, subject_id=study_instance_uid, actor=actor)
