"""``door.db``: the ledger of the Orthanc plugin."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import door_migrations, mark, refuse, run
from appliance.store.release import DOOR


@door_migrations()
def d0001_ledger(db: Database) -> None:
    """What the door kept, what it set aside, and what the purge may remove."""
    mark(db, DOOR)
    run(
        db,
        """CREATE TABLE kept (
            kept_id INTEGER PRIMARY KEY AUTOINCREMENT,
            blob_uuid TEXT NOT NULL UNIQUE,
            sop_instance_uid TEXT NOT NULL,
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            dataset_sha256 TEXT NOT NULL CHECK (length(dataset_sha256) = 64),
            size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
            calling_ae_title TEXT NOT NULL DEFAULT '',
            received_at TEXT NOT NULL,
            boot_id TEXT NOT NULL,
            mono_s REAL NOT NULL,
            header_blob_uuid TEXT NOT NULL DEFAULT '',
            header_bytes INTEGER NOT NULL DEFAULT 0,
            removed_at TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE INDEX kept_by_sop ON kept (sop_instance_uid)",
        "CREATE INDEX kept_by_header ON kept (header_blob_uuid) WHERE header_blob_uuid <> ''",
        """CREATE TABLE quarantined (
            quarantined_id INTEGER PRIMARY KEY AUTOINCREMENT,
            reason TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL DEFAULT '',
            sha256 TEXT NOT NULL DEFAULT '',
            size_bytes INTEGER NOT NULL DEFAULT 0,
            file_name TEXT NOT NULL DEFAULT '',
            calling_ae_title TEXT NOT NULL DEFAULT '',
            found_at TEXT NOT NULL,
            seen_count INTEGER NOT NULL DEFAULT 1
        ) STRICT""",
        "CREATE INDEX quarantined_by_sop ON quarantined (sop_instance_uid, sha256)",
        """CREATE TABLE refused (
            refused_id INTEGER PRIMARY KEY AUTOINCREMENT,
            reason TEXT NOT NULL,
            status INTEGER NOT NULL,
            calling_ae_title TEXT NOT NULL DEFAULT '',
            refused_at TEXT NOT NULL
        ) STRICT""",
        """CREATE TABLE purge_permit (
            blob_uuid TEXT PRIMARY KEY,
            permitted_at TEXT NOT NULL
        ) STRICT""",
        refuse("kept", "DELETE", "what was kept stays in the ledger"),
        refuse(
            "kept",
            "UPDATE OF blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes",
            "what was kept is never rewritten",
        ),
        refuse("quarantined", "DELETE", "what was set aside stays in the ledger"),
    )
