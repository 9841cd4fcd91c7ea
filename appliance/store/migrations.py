"""The one schema place, for both database files; migrations only ever add (the release before runs on this schema).

``unit.db`` holds the truth about delivery. ``door.db`` is the ledger of the Orthanc plugin: what was kept before
*Success* was answered. Two files, so that reception never waits for another writer and each can rebuild the other.
A column that may be unknown is NULL-able or has a default; states are CHECKed against the vocabulary.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

unit_migrations = Migrations("unit")
door_migrations = Migrations("door")


def _run(db: Database, *statements: str) -> None:
    for statement in statements:
        db.execute(statement)


@unit_migrations()
def m0001_delivery(db: Database) -> None:
    """Studies, instances, the outbox and what happened to it."""
    _run(
        db,
        """CREATE TABLE study (
            study_instance_uid TEXT PRIMARY KEY,
            patient_name TEXT NOT NULL DEFAULT '',
            patient_id TEXT NOT NULL DEFAULT '',
            patient_birth_date TEXT NOT NULL DEFAULT '',
            patient_sex TEXT NOT NULL DEFAULT '',
            accession_number TEXT NOT NULL DEFAULT '',
            study_date TEXT NOT NULL DEFAULT '',
            study_description TEXT NOT NULL DEFAULT '',
            modality TEXT NOT NULL DEFAULT '',
            priority TEXT NOT NULL DEFAULT 'routine' CHECK (priority IN ('stat', 'routine')),
            first_received_at TEXT NOT NULL,
            last_received_at TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX study_by_arrival ON study (last_received_at)",
        """CREATE TABLE instance (
            instance_id INTEGER PRIMARY KEY,
            sop_instance_uid TEXT NOT NULL UNIQUE,
            sop_class_uid TEXT NOT NULL,
            series_instance_uid TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL REFERENCES study (study_instance_uid),
            transfer_syntax_uid TEXT NOT NULL,
            orthanc_id TEXT NOT NULL,
            blob_uuid TEXT NOT NULL,
            size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            dataset_sha256 TEXT NOT NULL CHECK (length(dataset_sha256) = 64),
            calling_ae_title TEXT NOT NULL DEFAULT '',
            received_at TEXT NOT NULL,
            received_boot_id TEXT NOT NULL DEFAULT '',
            received_mono_s REAL NOT NULL DEFAULT 0,
            local_state TEXT NOT NULL DEFAULT 'present'
                CHECK (local_state IN ('present', 'evicted', 'missing', 'corrupt')),
            local_changed_at TEXT NOT NULL DEFAULT '',
            local_reason TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE INDEX instance_by_study ON instance (study_instance_uid)",
        "CREATE INDEX instance_by_orthanc_id ON instance (orthanc_id)",
        """CREATE TABLE outbox (
            item_id INTEGER PRIMARY KEY,
            instance_id INTEGER NOT NULL REFERENCES instance (instance_id),
            destination TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN
                ('pending', 'encoding', 'ready', 'sending', 'sent', 'confirmed', 'held', 'rejected')),
            stat INTEGER NOT NULL DEFAULT 0 CHECK (stat IN (0, 1)),
            attempt_count INTEGER NOT NULL DEFAULT 0,
            queued_at TEXT NOT NULL,
            queued_at_s REAL NOT NULL,
            changed_at TEXT NOT NULL,
            failure_kind TEXT NOT NULL DEFAULT '',
            failure_code TEXT NOT NULL DEFAULT '',
            failure_sentence TEXT NOT NULL DEFAULT '',
            UNIQUE (instance_id, destination)
        ) STRICT""",
        """CREATE INDEX outbox_waiting ON outbox (destination, stat DESC, queued_at_s, item_id)
            WHERE state IN ('pending', 'ready')""",
        "CREATE INDEX outbox_unfinished ON outbox (state) WHERE state <> 'confirmed'",
        """CREATE TABLE transfer (
            transfer_id INTEGER PRIMARY KEY,
            destination TEXT NOT NULL,
            item_count INTEGER NOT NULL,
            started_at TEXT NOT NULL,
            ended_at TEXT NOT NULL DEFAULT '',
            bytes_sent INTEGER NOT NULL DEFAULT 0,
            accepted_count INTEGER NOT NULL DEFAULT 0,
            duration_s REAL NOT NULL DEFAULT 0,
            failure_code TEXT NOT NULL DEFAULT '',
            failure_sentence TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        """CREATE TABLE receipt (
            item_id INTEGER PRIMARY KEY REFERENCES outbox (item_id),
            destination TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            method TEXT NOT NULL,
            evidence TEXT NOT NULL,
            received_at TEXT NOT NULL,
            checked_again_at TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        """CREATE TABLE link (
            destination TEXT PRIMARY KEY,
            state TEXT NOT NULL DEFAULT 'unknown' CHECK (state IN ('unknown', 'up', 'down')),
            failure_code TEXT NOT NULL DEFAULT '',
            failure_sentence TEXT NOT NULL DEFAULT '',
            changed_at TEXT NOT NULL,
            next_try_at TEXT NOT NULL DEFAULT '',
            last_success_at TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        """CREATE TABLE command (
            command_id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL DEFAULT '',
            reason TEXT NOT NULL DEFAULT '',
            actor TEXT NOT NULL,
            given_at TEXT NOT NULL,
            finished_at TEXT NOT NULL DEFAULT '',
            outcome TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE INDEX command_open ON command (command_id) WHERE finished_at = ''",
        """CREATE TABLE journal (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            at TEXT NOT NULL,
            boot_id TEXT NOT NULL,
            mono_s REAL NOT NULL,
            subject TEXT NOT NULL,
            subject_id TEXT NOT NULL,
            event TEXT NOT NULL,
            from_state TEXT NOT NULL DEFAULT '',
            to_state TEXT NOT NULL DEFAULT '',
            actor TEXT NOT NULL DEFAULT '',
            detail TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE INDEX journal_by_subject ON journal (subject, subject_id, seq)",
        """CREATE TRIGGER journal_is_append_only_update BEFORE UPDATE ON journal
            BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
        """CREATE TRIGGER journal_is_append_only_delete BEFORE DELETE ON journal
            BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
        """CREATE TABLE finding (
            finding_id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            subject_id TEXT NOT NULL,
            sentence TEXT NOT NULL,
            detail TEXT NOT NULL DEFAULT '',
            severity TEXT NOT NULL CHECK (severity IN ('notice', 'warning', 'alarm')),
            found_at TEXT NOT NULL,
            cleared_at TEXT NOT NULL DEFAULT '',
            UNIQUE (kind, subject_id)
        ) STRICT""",
        """CREATE TABLE cursor (
            feed TEXT PRIMARY KEY,
            seq INTEGER NOT NULL,
            row_id TEXT NOT NULL DEFAULT '',
            row_date TEXT NOT NULL DEFAULT ''
        ) STRICT""",
    )


@door_migrations()
def d0001_ledger(db: Database) -> None:
    """What the door kept, what it set aside, and what the purge may remove."""
    _run(
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
    )
