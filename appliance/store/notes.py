"""What a centre is told of studies beside their images, and which centre was told how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.domain.registration import Registration
from appliance.store.connect import Store, read, write
from appliance.store.quality import QualityRow, findings_of_study
from appliance.store.quality_orders import registration_key_of_study
from appliance.store.registrations import find_registration


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What is known of a study now; findings are the open ones of images that nobody rejected, the gravest first."""

    study_instance_uid: str
    change_number: int
    revision_told: int
    """The highest that a centre was told something of it under; 0: none was."""
    registration: Registration | None
    checked_count: int
    findings: tuple[QualityRow, ...]


def study_facts(db: Store, study_instance_uid: str) -> StudyFacts:
    """All of one study, as it stands at one moment."""
    with read(db):
        return StudyFacts(
            study_instance_uid,
            db.value("SELECT change_number FROM study_note WHERE study_instance_uid = ?", (study_instance_uid,)) or 0,
            db.value(
                "SELECT ifnull(max(revision), 0) FROM study_note_told WHERE study_instance_uid = ?",
                (study_instance_uid,),
            ),
            find_registration(db, registration_key_of_study(db, study_instance_uid)),
            db.value(
                f"""SELECT count(*) FROM quality_run AS r CROSS JOIN instance AS i USING (instance_id)
                    WHERE i.study_instance_uid = ? AND r.outcome IN ('checked', 'failed')
                        AND i.sop_instance_uid NOT IN ({_REJECTED})""",  # noqa: S608 - our own text
                (study_instance_uid, study_instance_uid),
            ),
            _standing(db, study_instance_uid),
        )


_REJECTED = """SELECT i.sop_instance_uid FROM instance AS i CROSS JOIN rejected_image AS x USING (instance_id)
    WHERE i.study_instance_uid = ? AND x.lifted_at = ''"""


def _standing(db: Store, study_instance_uid: str) -> tuple[QualityRow, ...]:
    rejected = {row[0] for row in db.rows(_REJECTED, (study_instance_uid,))}
    return tuple(one for one in findings_of_study(db, study_instance_uid) if one.sop_instance_uid not in rejected)


def untold(
    db: Store, destination: str, unit_id: str, epoch: str, after_number: int, count_max: int
) -> tuple[tuple[str, ...], int]:
    """Studies that this life of the centre knows of by their images, and whose notes it has not as they are now.

    Args:
        db: The unit's database.
        destination: The centre.
        unit_id: Who the unit is there.
        epoch: Of the centre.
        after_number: Only changes after this one.
        count_max: At most so many studies, the first changed first.

    Returns:
        The studies, and a number up to which nothing is untold any more, to go on after.
    """
    rows = db.rows(
        """SELECT n.study_instance_uid, n.change_number, EXISTS (
                SELECT 1 FROM instance AS i CROSS JOIN outbox AS o USING (instance_id)
                WHERE i.study_instance_uid = n.study_instance_uid AND o.destination = ?1
                    AND (o.announced_at <> '' OR o.state IN ('sent', 'confirmed')))
            FROM study_note AS n LEFT JOIN study_note_told AS t
                ON t.destination = ?1 AND t.study_instance_uid = n.study_instance_uid
            WHERE n.change_number > ?4
                AND (t.change_number IS NOT n.change_number OR t.unit_id IS NOT ?2 OR t.epoch IS NOT ?3)
            ORDER BY n.change_number""",
        (destination, unit_id, epoch, after_number),
    )
    newest = int(db.value("SELECT ifnull(max(change_number), 0) FROM study_note"))
    known = tuple(row[0] for row in rows if row[2])
    return known[:count_max], rows[0][1] - 1 if rows else newest


def note_told(db: Store, destination: str, unit_id: str, epoch: str, told: Sequence[tuple[StudyFacts, int]]) -> None:
    """The centre has these, each under the revision beside it."""
    with write(db):
        for facts, revision in told:
            db.change(
                """INSERT INTO study_note_told
                    (destination, study_instance_uid, unit_id, epoch, change_number, revision)
                    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (destination, study_instance_uid) DO UPDATE SET
                        unit_id = excluded.unit_id, epoch = excluded.epoch, change_number = excluded.change_number,
                        revision = max(revision, excluded.revision)""",
                (destination, facts.study_instance_uid, unit_id, epoch, facts.change_number, revision),
            )
