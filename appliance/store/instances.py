"""What this disk has of each instance, and which may leave it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.domain.values import Instance, LocalState
from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp


@dataclass(frozen=True, slots=True)
class EvictionCandidate:
    """One instance on this disk that is confirmed at every destination, with its weakest evidence.

    ``receipt_at_oldest`` is not enough by itself: the caller compares all these with the purge rule of ``faults.md``.
    """

    instance_id: int
    item_ids: tuple[int, ...]
    sop_instance_uid: str
    study_instance_uid: str
    orthanc_id: str
    blob_uuid: str
    size_bytes: int
    received_at: str
    receipt_at_youngest: str
    checked_again_at_oldest: str
    """Empty when at least one destination was never asked again."""


_INSTANCE_COLUMNS = """sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid, transfer_syntax_uid,
    orthanc_id, blob_uuid, size_bytes, sha256, dataset_sha256, calling_ae_title, received_at"""


def find_instance(db: Store, sop_instance_uid: str) -> tuple[Instance, LocalState] | None:
    """The instance and what the disk has of it, or ``None`` when it never came in."""
    row = db.row(
        f"SELECT {_INSTANCE_COLUMNS}, local_state FROM instance WHERE sop_instance_uid = ?",  # noqa: S608 - our columns
        (sop_instance_uid,),
    )
    return (Instance(*row[:-1]), LocalState(row[-1])) if row else None


def instance_in_blob(db: Store, blob_uuid: str) -> str:
    """SOP Instance UID of the instance whose bytes lie, or lay, in that blob; empty when there is none."""
    return str(db.value("SELECT sop_instance_uid FROM instance WHERE blob_uuid = ?", (blob_uuid,)) or "")


def instances_of_items(db: Store, item_ids: Sequence[int]) -> dict[int, Instance]:
    """The instance that each outbox item is about, in the revision it is about; unknown ids are left out."""
    rows = db.rows(
        """SELECT item_id, sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid,
                transfer_syntax_uid, orthanc_id, coalesce(r.blob_uuid, i.blob_uuid),
                coalesce(r.size_bytes, i.size_bytes), coalesce(r.sha256, i.sha256),
                coalesce(r.dataset_sha256, i.dataset_sha256), calling_ae_title, received_at, o.revision_id
            FROM json_each(?) AS wanted CROSS JOIN outbox AS o ON o.item_id = wanted.value
            CROSS JOIN instance AS i ON i.instance_id = o.instance_id
            LEFT JOIN revision AS r ON r.revision_id = o.revision_id""",
        (id_list(item_ids),),
    )
    return {row[0]: Instance(*row[1:]) for row in rows}


def owed_digests(db: Store, digests: Sequence[str]) -> set[str]:
    """Those of the given file digests that some destination has not confirmed yet. Reads all that is owed: seldom."""
    sql = "SELECT sha256 FROM outbox_item WHERE state <> 'confirmed' AND sha256 IN (SELECT value FROM json_each(?))"
    return {str(row[0]) for row in db.rows(sql, (json.dumps(list(digests)),))}


def instances_by_state(
    db: Store, state: LocalState, after_sop_instance_uid: str = "", limit: int = 1000
) -> tuple[Instance, ...]:
    """Instances of which the disk has this, by SOP Instance UID, a page at a time (recovery, scrub, doctor)."""
    rows = db.rows(
        f"""SELECT {_INSTANCE_COLUMNS} FROM instance WHERE sop_instance_uid > ? AND local_state = ?
            ORDER BY sop_instance_uid LIMIT ?""",  # noqa: S608 - our columns
        (after_sop_instance_uid, state, limit),
    )
    return tuple(Instance(*row) for row in rows)


def set_local_state(
    db: Store, stamp: Stamp, sop_instance_uid: str, state: LocalState, reason: str, actor: str = ""
) -> bool:
    """Record what the disk has of an instance; whether that is news.

    Raises:
        StoreError: ``refused`` when the instance is unknown, or when ``evicted`` is asked for one that is not
            confirmed at every destination: unsent data is never evicted.
    """
    with write(db):
        row = db.row(
            """SELECT local_state, study_instance_uid, owed_count > 0 AND confirmed_count = owed_count
                    AND NOT EXISTS (SELECT 1 FROM outbox AS o
                        WHERE o.instance_id = i.instance_id AND o.revision_id <> o.wanted_revision_id)
                FROM instance AS i WHERE sop_instance_uid = ?""",
            (sop_instance_uid,),
        )
        if row is None:
            raise StoreError(StoreFault.REFUSED, f"{db.path}: there is no instance {sop_instance_uid}")
        before, study_instance_uid, is_safe = row
        if before == state:
            return False
        if state is LocalState.EVICTED and not is_safe:
            raise StoreError(StoreFault.REFUSED, f"{db.path}: {sop_instance_uid} is not confirmed everywhere")
        db.change(
            "UPDATE instance SET local_state = ?, local_changed_at = ?, local_reason = ? WHERE sop_instance_uid = ?",
            (state, stamp.at, reason, sop_instance_uid),
        )
        journal.append(
            db,
            stamp,
            subject="instance",
            subject_id=sop_instance_uid,
            study_instance_uid=study_instance_uid,
            event="local-state",
            from_state=before,
            to_state=state,
            actor=actor,
            detail=reason,
        )
    return True


def point_at_blob(db: Store, stamp: Stamp, instance: Instance, event: str = "re-posted") -> None:
    """The instance's bytes now lie in another blob (re-posted by recovery, or sent again after they had gone).

    Raises:
        StoreError: ``refused`` when the instance is unknown or the new blob holds another data set.
    """
    with write(db):
        before = db.value(
            "SELECT local_state FROM instance WHERE sop_instance_uid = ? AND dataset_sha256 = ?",
            (instance.sop_instance_uid, instance.dataset_sha256),
        )
        if before is None:
            raise StoreError(StoreFault.REFUSED, f"{db.path}: {instance.blob_uuid} is not that instance's data set")
        db.change(
            """UPDATE instance SET blob_uuid = ?, sha256 = ?, size_bytes = ?, orthanc_id = ?, transfer_syntax_uid = ?,
                local_state = 'present', local_changed_at = ?, local_reason = ? WHERE sop_instance_uid = ?""",
            (
                instance.blob_uuid,
                instance.sha256,
                instance.size_bytes,
                instance.orthanc_id,
                instance.transfer_syntax_uid,
                stamp.at,
                event,
                instance.sop_instance_uid,
            ),
        )
        journal.append(
            db,
            stamp,
            subject="instance",
            subject_id=instance.sop_instance_uid,
            study_instance_uid=instance.study_instance_uid,
            event=event,
            from_state=before,
            to_state=LocalState.PRESENT,
            actor="intake",
            detail=f"blob={instance.blob_uuid} sha256={instance.sha256}",
        )


def eviction_candidates(db: Store, *, after_instance_id: int = 0, limit: int = 1000) -> tuple[EvictionCandidate, ...]:
    """Instances on this disk that are confirmed at every destination by receipts for these very bytes, oldest first.

    A receipt about other bytes (the file was re-encoded since, or corrected) makes an instance no candidate.
    """
    rows = db.rows(
        """SELECT i.instance_id, json_group_array(o.item_id), i.sop_instance_uid, i.study_instance_uid,
                i.orthanc_id, i.blob_uuid, i.size_bytes, i.received_at, max(r.received_at), min(r.checked_again_at)
            FROM instance AS i CROSS JOIN outbox AS o ON o.instance_id = i.instance_id
            CROSS JOIN receipt AS r ON r.item_id = o.item_id AND r.revoked_at = ''
                AND r.sha256 = coalesce(
                    (SELECT sha256 FROM revision WHERE revision_id = o.wanted_revision_id), i.sha256)
            WHERE i.instance_id > ? AND i.local_state = 'present' AND i.owed_count > 0
                AND i.confirmed_count = i.owed_count
            GROUP BY i.instance_id HAVING count(*) = i.owed_count ORDER BY i.instance_id LIMIT ?""",
        (after_instance_id, limit),
    )
    return tuple(EvictionCandidate(row[0], tuple(sorted(json.loads(row[1]))), *row[2:]) for row in rows)


def id_list(ids: Sequence[int]) -> str:
    """Ids as one JSON parameter, so that a statement is the same text for any number of them."""
    return json.dumps(list(ids))
