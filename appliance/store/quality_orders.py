"""What was ordered for a study, for comparing its pictures with; and which studies have to be compared again."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.store.connect import Store


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A registration with its patient, as far as pictures can be compared with it."""

    modality: str
    body_part: str
    laterality: str
    views: str
    patient_ids: tuple[str, ...]
    names: tuple[str, ...]
    birth_date: str
    sex: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What one instance of a study was compared with the last time, and what stands now."""

    study_instance_uid: str
    order_digests: frozenset[str]
    is_other_file: bool


def registration_key_of_study(db: Store, study_instance_uid: str) -> str:
    """The registration that the study was matched to; before it was matched, the one with its UID or accession number.

    Empty when there is none.
    """
    return _matched(db, study_instance_uid) or str(
        db.value(
            """SELECT r.registration_key FROM registration AS r WHERE r.study_instance_uid = ?1
                UNION ALL SELECT r.registration_key FROM study AS s CROSS JOIN registration AS r
                    ON r.accession_number = s.accession_number
                    WHERE s.study_instance_uid = ?1 AND s.accession_number <> '' LIMIT 1""",
            (study_instance_uid,),
        )
        or ""
    )


def order_of_study(db: Store, study_instance_uid: str) -> OrderRow | None:
    """What the study's registration asks for.

    A patient who was merged into another one goes by the identifiers of both.
    """
    row = db.row(
        """SELECT r.modality, r.body_part, r.laterality, r.views, p.patient_key, p.merged_into, p.family_latin,
                p.given_latin, p.family_arabic, p.given_arabic, p.birth_date, p.sex
            FROM registration AS r CROSS JOIN patient AS p USING (patient_key) WHERE r.registration_key = ?""",
        (registration_key_of_study(db, study_instance_uid),),
    )
    if row is None:
        return None
    modality, body_part, laterality, views, patient_key, merged_into, *names, birth_date, sex = row
    ids = db.rows(
        "SELECT value FROM patient_identifier WHERE patient_key IN (?, ?) ORDER BY value", (patient_key, merged_into)
    )
    return OrderRow(modality, body_part, laterality, views, tuple(row[0] for row in ids), tuple(names), birth_date, sex)


def _matched(db: Store, study_instance_uid: str) -> str:
    """What a person or the matching decided stands before what the file says."""
    return str(
        db.value(
            "SELECT registration_key FROM study_match WHERE study_instance_uid = ? AND state <> 'exception'",
            (study_instance_uid,),
        )
        or ""
    )


def recently_compared(db: Store, study_count: int) -> tuple[Compared, ...]:
    """The newest studies of which every instance here was looked at."""
    rows = db.rows(
        """SELECT s.study_instance_uid, group_concat(DISTINCT r.order_digest), max(r.blob_uuid <> ifnull(
                (SELECT v.blob_uuid FROM revision AS v WHERE v.instance_id = i.instance_id AND v.undone_at = ''
                    ORDER BY v.number DESC LIMIT 1), i.blob_uuid))
            FROM (SELECT study_instance_uid FROM study ORDER BY last_instance_id DESC LIMIT ?) AS s
            CROSS JOIN instance AS i USING (study_instance_uid) CROSS JOIN quality_run AS r USING (instance_id)
            WHERE r.outcome = 'checked' GROUP BY s.study_instance_uid""",
        (study_count,),
    )
    return tuple(Compared(row[0], frozenset(row[1].split(",")), bool(row[2])) for row in rows)
