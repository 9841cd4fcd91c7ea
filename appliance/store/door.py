"""The unit's side of ``door.db``: what the plugin kept, set aside and refused, and the leave to remove a blob."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.store.connect import Store, write
from appliance.store.stamp import Stamp


@dataclass(frozen=True, slots=True)
class KeptRow:
    """One line of the ledger: these bytes were durable before *Success* was answered."""

    kept_id: int
    blob_uuid: str
    sop_instance_uid: str
    sha256: str
    dataset_sha256: str
    size_bytes: int
    calling_ae_title: str
    received_at: str
    boot_id: str
    mono_s: float
    removed_at: str
    """When Orthanc removed the blob again (an exact duplicate, or a purge); empty while it should be there."""


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    """One thing that was set aside; it is never delivered or deleted by itself."""

    quarantined_id: int
    reason: str
    sop_instance_uid: str
    sha256: str
    size_bytes: int
    file_name: str
    calling_ae_title: str
    found_at: str
    seen_count: int


@dataclass(frozen=True, slots=True)
class RefusedCount:
    """How often the door answered with a failure, and when last."""

    reason: str
    status: int
    count: int
    last_refused_at: str


_KEPT_COLUMNS = """kept_id, blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes, calling_ae_title,
    received_at, boot_id, mono_s, removed_at"""
_QUARANTINED_COLUMNS = """quarantined_id, reason, sop_instance_uid, sha256, size_bytes, file_name, calling_ae_title,
    found_at, seen_count"""


def kept_after(door_db: Store, kept_id: int, limit: int = 256) -> tuple[KeptRow, ...]:
    """The next lines of the ledger, in the order of reception; removed ones too, for the cursor passes over them."""
    sql = f"SELECT {_KEPT_COLUMNS} FROM kept WHERE kept_id > ? ORDER BY kept_id LIMIT ?"  # noqa: S608 - our columns
    return tuple(KeptRow(*row) for row in door_db.rows(sql, (kept_id, limit)))


def kept_of(door_db: Store, sop_instance_uid: str) -> tuple[KeptRow, ...]:
    """Every blob that was kept under one SOP Instance UID and not removed, oldest first."""
    sql = f"""SELECT {_KEPT_COLUMNS} FROM kept WHERE sop_instance_uid = ? AND removed_at = ''
        ORDER BY kept_id"""  # noqa: S608 - our columns
    return tuple(KeptRow(*row) for row in door_db.rows(sql, (sop_instance_uid,)))


def find_kept(door_db: Store, blob_uuid: str) -> KeptRow | None:
    """The ledger's line about a blob; ``None``: never acknowledged, so never to be adopted."""
    sql = f"SELECT {_KEPT_COLUMNS} FROM kept WHERE blob_uuid = ?"  # noqa: S608 - our columns
    row = door_db.row(sql, (blob_uuid,))
    return KeptRow(*row) if row else None


def unindexed_count(door_db: Store, kept_id: int) -> int:
    """How many lines intake has not read yet when its cursor stands at ``kept_id``; part of the power line."""
    return int(door_db.value("SELECT count(*) FROM kept WHERE kept_id > ? AND removed_at = ''", (kept_id,)))


def quarantined_after(door_db: Store, quarantined_id: int, limit: int = 256) -> tuple[QuarantinedRow, ...]:
    """The next things set aside, in the order they were."""
    sql = f"""SELECT {_QUARANTINED_COLUMNS} FROM quarantined WHERE quarantined_id > ?
        ORDER BY quarantined_id LIMIT ?"""  # noqa: S608 - our columns
    return tuple(QuarantinedRow(*row) for row in door_db.rows(sql, (quarantined_id, limit)))


def refused_counts(door_db: Store, after_refused_id: int = 0) -> tuple[RefusedCount, ...]:
    """What the door refused since ``after_refused_id``, by reason and DIMSE status."""
    rows = door_db.rows(
        """SELECT reason, status, count(*), max(refused_at) FROM refused WHERE refused_id > ?
            GROUP BY reason, status ORDER BY reason, status""",
        (after_refused_id,),
    )
    return tuple(RefusedCount(*row) for row in rows)


def permit_purge(door_db: Store, stamp: Stamp, blob_uuids: Sequence[str]) -> None:
    """Give the plugin leave to unlink these blobs when Orthanc removes them; without it a last copy stays."""
    with write(door_db):
        door_db.change(
            """INSERT INTO purge_permit (blob_uuid, permitted_at) SELECT value, ? FROM json_each(?) WHERE true
                ON CONFLICT (blob_uuid) DO NOTHING""",
            (stamp.at, json.dumps(list(blob_uuids))),
        )


def purge_permits(door_db: Store) -> tuple[str, ...]:
    """Blobs that may go, or that went and whose instance is not marked yet."""
    return tuple(row[0] for row in door_db.rows("SELECT blob_uuid FROM purge_permit ORDER BY permitted_at, blob_uuid"))


def is_purge_permitted(door_db: Store, blob_uuid: str) -> bool:
    """Whether the leave still stands."""
    return door_db.value("SELECT 1 FROM purge_permit WHERE blob_uuid = ?", (blob_uuid,)) is not None


def end_purge(door_db: Store, blob_uuids: Sequence[str]) -> None:
    """Take the leave back: the instance is marked, or the blob stays after all."""
    with write(door_db):
        door_db.change(
            "DELETE FROM purge_permit WHERE blob_uuid IN (SELECT value FROM json_each(?))",
            (json.dumps(list(blob_uuids)),),
        )


def note_quarantined(
    door_db: Store,
    stamp: Stamp,
    *,
    reason: str,
    sop_instance_uid: str,
    sha256: str,
    size_bytes: int,
    file_name: str,
    calling_ae_title: str = "",
) -> None:
    """Record a file that recovery or the scrub set aside, under its name in the quarantine folder."""
    with write(door_db):
        door_db.change(
            """INSERT INTO quarantined (reason, sop_instance_uid, sha256, size_bytes, file_name, calling_ae_title,
                found_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
                WHERE NOT EXISTS (SELECT 1 FROM quarantined WHERE file_name = ?5)""",
            (reason, sop_instance_uid, sha256, size_bytes, file_name, calling_ae_title, stamp.at),
        )


def restore_kept(door_db: Store, row: KeptRow, header: tuple[str, int] = ("", 0)) -> None:
    """Write a line again that the ledger lost; its number is new. Recovery alone calls it, and only with proof.

    ``header`` is the name of Orthanc's header attachment and how many bytes of the blob it is.
    """
    with write(door_db):
        door_db.change(
            """INSERT INTO kept (blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes, calling_ae_title,
                received_at, boot_id, mono_s, removed_at, header_blob_uuid, header_bytes)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (blob_uuid) DO NOTHING""",
            (
                row.blob_uuid,
                row.sop_instance_uid,
                row.sha256,
                row.dataset_sha256,
                row.size_bytes,
                row.calling_ae_title,
                row.received_at,
                row.boot_id,
                row.mono_s,
                row.removed_at,
                *header,
            ),
        )


def mark_removed(door_db: Store, stamp: Stamp, blob_uuid: str) -> None:
    """Record that a blob is about to be unlinked because another one holds the same data set."""
    with write(door_db):
        door_db.change("UPDATE kept SET removed_at = ? WHERE blob_uuid = ? AND removed_at = ''", (stamp.at, blob_uuid))
