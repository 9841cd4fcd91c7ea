"""What an import asks the unit's databases: whom a picture belongs to, and whether it is here already."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.store import journal
from appliance.store.connect import Store


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """A registration as pictures are attached to it."""

    registration_key: str
    accession_number: str
    study_instance_uid: str
    modality: str
    body_part: str
    laterality: str
    """``L``, ``R``, ``B`` or empty."""
    state: str
    study_date: str
    """YYYYMMDD, of images that are here already; empty when there are none."""
    item: bytes
    """The worklist item in UTF-8, a Part 10 file: who and what, exactly as modalities are told."""


def find_target(db: Store, wanted: str) -> ImportTarget | None:
    """The registration of that accession number or registration key; an accession number in any case."""
    row = db.row(
        """SELECT r.registration_key, r.accession_number, r.study_instance_uid, r.modality, r.body_part, r.laterality,
                r.state, coalesce(s.study_date, ''), w.item_utf8
            FROM registration AS r JOIN worklist_entry AS w USING (registration_key)
            LEFT JOIN study AS s ON s.study_instance_uid = r.study_instance_uid
            WHERE r.registration_key = ?1 OR r.accession_number = ?1 OR r.accession_number = upper(?1)""",
        (wanted,),
    )
    return ImportTarget(*row) if row else None


def is_known(unit_db: Store, door_db: Store, sop_instance_uid: str) -> bool:
    """Whether an instance came in, filed or not, on this disk or delivered and evicted.

    The ledger is asked first: what leaves it for ``unit.db`` meanwhile is found there.
    """
    if door_db.value("SELECT 1 FROM kept WHERE sop_instance_uid = ? AND removed_at = ''", (sop_instance_uid,)):
        return True
    return bool(unit_db.value("SELECT 1 FROM instance WHERE sop_instance_uid = ?", (sop_instance_uid,)))


def series_count(db: Store, series_instance_uid: str) -> int:
    """How many instances of a series are filed."""
    return int(db.value("SELECT count(*) FROM instance WHERE series_instance_uid = ?", (series_instance_uid,)))


def note_import(db: Store, sop_instance_uid: str, study_instance_uid: str, actor: str, detail: str) -> None:
    """Write into the history who brought an instance in, and from what kind of file."""
    journal.append(
        db,
        db.stamp(),
        subject="import",
        subject_id=sop_instance_uid,
        study_instance_uid=study_instance_uid,
        event="imported",
        actor=actor,
        detail=detail,
    )
