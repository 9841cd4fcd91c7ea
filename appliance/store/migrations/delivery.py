"""``unit.db``: studies, instances, what is owed to whom, and what happened to it."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import mark, refuse, run, unit_migrations
from appliance.store.release import UNIT


@unit_migrations()
def m0001_delivery(db: Database) -> None:
    """Studies, instances, the outbox and what happened to it."""
    mark(db, UNIT)
    run(
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
            last_received_at TEXT NOT NULL,
            last_instance_id INTEGER NOT NULL DEFAULT 0 -- order of arrival that no clock step can change
        ) STRICT""",
        "CREATE INDEX study_by_arrival ON study (last_instance_id)",
        "CREATE INDEX study_by_day ON study (last_received_at)",
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
            local_reason TEXT NOT NULL DEFAULT '',
            owed_count INTEGER NOT NULL DEFAULT 0, -- outbox rows; kept by trigger
            confirmed_count INTEGER NOT NULL DEFAULT 0 -- of them confirmed; kept by trigger
        ) STRICT""",
        "CREATE INDEX instance_by_study ON instance (study_instance_uid)",
        "CREATE INDEX instance_by_orthanc_id ON instance (orthanc_id)",
        "CREATE INDEX instance_by_blob ON instance (blob_uuid)",
        """CREATE INDEX instance_unsafe ON instance (study_instance_uid, size_bytes)
            WHERE owed_count = 0 OR confirmed_count < owed_count""",
        "CREATE INDEX instance_only_here ON instance (study_instance_uid) WHERE confirmed_count = 0",
        "CREATE INDEX instance_not_present ON instance (local_state) WHERE local_state <> 'present'",
        """CREATE TABLE outbox (
            item_id INTEGER PRIMARY KEY,
            instance_id INTEGER NOT NULL REFERENCES instance (instance_id),
            destination TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN
                ('pending', 'encoding', 'ready', 'sending', 'sent', 'confirmed', 'held', 'rejected')),
            stat INTEGER NOT NULL DEFAULT 0 CHECK (stat IN (0, 1)),
            size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
            attempt_count INTEGER NOT NULL DEFAULT 0,
            queued_at TEXT NOT NULL,
            queued_at_s REAL NOT NULL, -- age: never runs backwards, even when the clock does
            changed_at TEXT NOT NULL,
            failure_kind TEXT NOT NULL DEFAULT '',
            failure_code TEXT NOT NULL DEFAULT '',
            failure_sentence TEXT NOT NULL DEFAULT '',
            UNIQUE (instance_id, destination)
        ) STRICT""",
        """CREATE INDEX outbox_waiting ON outbox (destination, stat DESC, queued_at_s, size_bytes, item_id)
            WHERE state IN ('pending', 'ready')""",
        "CREATE INDEX outbox_unfinished ON outbox (state, destination, item_id) WHERE state <> 'confirmed'",
        """CREATE VIEW outbox_item AS
            SELECT o.item_id, o.destination, o.state, i.sop_instance_uid, i.study_instance_uid, o.stat, o.size_bytes,
                i.sha256, o.queued_at_s, o.attempt_count
            FROM outbox AS o CROSS JOIN instance AS i ON i.instance_id = o.instance_id""",
        """CREATE TABLE transfer (
            transfer_id INTEGER PRIMARY KEY,
            destination TEXT NOT NULL,
            item_count INTEGER NOT NULL,
            started_at TEXT NOT NULL,
            started_boot_id TEXT NOT NULL DEFAULT '',
            started_mono_s REAL NOT NULL DEFAULT 0,
            ended_at TEXT NOT NULL DEFAULT '',
            bytes_sent INTEGER NOT NULL DEFAULT 0,
            accepted_count INTEGER NOT NULL DEFAULT 0,
            duration_s REAL NOT NULL DEFAULT 0,
            failure_code TEXT NOT NULL DEFAULT '',
            failure_sentence TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE INDEX transfer_by_destination ON transfer (destination, transfer_id)",
        "CREATE INDEX transfer_open ON transfer (transfer_id) WHERE ended_at = ''",
        """CREATE TABLE receipt (
            receipt_id INTEGER PRIMARY KEY,
            item_id INTEGER NOT NULL REFERENCES outbox (item_id),
            destination TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            method TEXT NOT NULL,
            evidence TEXT NOT NULL,
            received_at TEXT NOT NULL,
            checked_again_at TEXT NOT NULL DEFAULT '',
            revoked_at TEXT NOT NULL DEFAULT '' -- set by trigger when the item leaves confirmed
        ) STRICT""",
        "CREATE UNIQUE INDEX receipt_standing ON receipt (item_id) WHERE revoked_at = ''",
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
            study_instance_uid TEXT NOT NULL DEFAULT '',
            event TEXT NOT NULL,
            from_state TEXT NOT NULL DEFAULT '',
            to_state TEXT NOT NULL DEFAULT '',
            actor TEXT NOT NULL DEFAULT '',
            detail TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE INDEX journal_by_subject ON journal (subject_id, seq)",
        "CREATE INDEX journal_by_study ON journal (study_instance_uid, seq) WHERE study_instance_uid <> ''",
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
        "CREATE INDEX finding_open ON finding (finding_id) WHERE cleared_at = ''",
        """CREATE TABLE cursor (
            feed TEXT PRIMARY KEY,
            seq INTEGER NOT NULL,
            row_id TEXT NOT NULL DEFAULT '',
            row_date TEXT NOT NULL DEFAULT ''
        ) STRICT""",
    )


@unit_migrations()
def m0002_guards(db: Database) -> None:
    """Refuse what must never happen, whoever asks."""
    run(
        db,
        *(
            refuse(table, "DELETE", f"rows of {table} are never deleted")
            for table in ("study", "instance", "outbox", "transfer", "receipt", "command", "journal", "finding")
        ),
        refuse("journal", "UPDATE", "the journal is append-only"),
        refuse(
            "instance",
            "UPDATE OF sop_instance_uid, study_instance_uid, dataset_sha256",
            "an instance never becomes another one",
            "(NEW.sop_instance_uid, NEW.study_instance_uid, NEW.dataset_sha256)"
            " <> (OLD.sop_instance_uid, OLD.study_instance_uid, OLD.dataset_sha256)",
        ),
        refuse("outbox", "UPDATE OF item_id, instance_id, destination", "a duty never becomes another one"),
        refuse(
            "receipt",
            "UPDATE OF item_id, destination, sop_instance_uid, sha256, method, evidence, received_at",
            "a receipt is never rewritten",
        ),
        """CREATE TRIGGER receipt_is_about_these_bytes BEFORE INSERT ON receipt
            WHEN NOT EXISTS (
                SELECT 1 FROM outbox_item AS o WHERE o.item_id = NEW.item_id AND o.destination = NEW.destination
                    AND o.sop_instance_uid = NEW.sop_instance_uid AND o.sha256 = NEW.sha256)
            BEGIN SELECT RAISE(ABORT, 'the receipt is about other bytes or another item'); END""",
        """CREATE TRIGGER receipt_stays_revoked BEFORE UPDATE OF revoked_at ON receipt WHEN OLD.revoked_at <> ''
            BEGIN SELECT RAISE(ABORT, 'a revoked receipt stays revoked'); END""",
        """CREATE TRIGGER receipt_is_revoked_only_with_its_item BEFORE UPDATE OF revoked_at ON receipt
            WHEN (SELECT state FROM outbox WHERE item_id = NEW.item_id) = 'confirmed'
            BEGIN SELECT RAISE(ABORT, 'a confirmed item keeps its receipt'); END""",
        """CREATE TRIGGER outbox_confirmed_needs_receipt BEFORE UPDATE OF state ON outbox
            WHEN NEW.state = 'confirmed'
                AND NOT EXISTS (SELECT 1 FROM receipt WHERE item_id = NEW.item_id AND revoked_at = '')
            BEGIN SELECT RAISE(ABORT, 'confirmed needs a receipt'); END""",
        """CREATE TRIGGER outbox_is_never_born_confirmed BEFORE INSERT ON outbox WHEN NEW.state = 'confirmed'
            BEGIN SELECT RAISE(ABORT, 'confirmed needs a receipt'); END""",
        """CREATE TRIGGER outbox_unconfirmed_revokes_receipt AFTER UPDATE OF state ON outbox
            WHEN OLD.state = 'confirmed' AND NEW.state <> 'confirmed'
            BEGIN
                UPDATE receipt SET revoked_at = NEW.changed_at WHERE item_id = NEW.item_id AND revoked_at = '';
            END""",
    )


@unit_migrations()
def m0003_counts(db: Database) -> None:
    """What each instance owes and what of it is confirmed, counted where the outbox changes."""
    run(
        db,
        """CREATE TRIGGER outbox_counts_owed AFTER INSERT ON outbox
            BEGIN
                UPDATE instance SET owed_count = owed_count + 1 WHERE instance_id = NEW.instance_id;
            END""",
        """CREATE TRIGGER outbox_counts_confirmed AFTER UPDATE OF state ON outbox
            WHEN (NEW.state = 'confirmed') <> (OLD.state = 'confirmed')
            BEGIN
                UPDATE instance SET confirmed_count = confirmed_count + (NEW.state = 'confirmed') * 2 - 1
                    WHERE instance_id = NEW.instance_id;
            END""",
    )


@unit_migrations()
def m0004_courier(db: Database) -> None:
    """What sticks carry, and the proofs that came back on one."""
    run(
        db,
        """CREATE TABLE courier_copy (
            copy_id INTEGER PRIMARY KEY,
            stick TEXT NOT NULL,
            item_id INTEGER NOT NULL REFERENCES outbox (item_id),
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            verified_at TEXT NOT NULL, -- when the stick last gave it back
            UNIQUE (stick, item_id)
        ) STRICT""",
        "CREATE INDEX courier_copy_by_item ON courier_copy (item_id)",
        """CREATE TABLE brought_receipt (
            brought_id INTEGER PRIMARY KEY,
            item_id INTEGER NOT NULL REFERENCES outbox (item_id),
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            evidence TEXT NOT NULL,
            source TEXT NOT NULL,
            brought_at TEXT NOT NULL,
            settled_at TEXT NOT NULL DEFAULT '',
            outcome TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE UNIQUE INDEX brought_receipt_open ON brought_receipt (item_id) WHERE settled_at = ''",
        refuse("brought_receipt", "DELETE", "rows of brought_receipt are never deleted"),
        refuse(
            "brought_receipt", "UPDATE OF item_id, sha256, evidence, source, brought_at", "a proof is never rewritten"
        ),
    )


@unit_migrations()
def m0005_previews_first(db: Database) -> None:
    """What was announced, how long things are on the link, which life of the centre proved them, what a link may cost.

    The view gets one more column at its end, which the release before does not look at.
    """
    run(
        db,
        "ALTER TABLE outbox ADD COLUMN announced_at TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE outbox ADD COLUMN coded_bytes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE receipt ADD COLUMN epoch TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE link ADD COLUMN epoch TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE link ADD COLUMN rate_low_bytes_per_s REAL NOT NULL DEFAULT 0",
        "ALTER TABLE link ADD COLUMN rate_bytes_per_s REAL NOT NULL DEFAULT 0",
        "ALTER TABLE link ADD COLUMN rate_high_bytes_per_s REAL NOT NULL DEFAULT 0",
        "ALTER TABLE link ADD COLUMN round_trip_s REAL NOT NULL DEFAULT 0",
        # What was coded so far: its stored size, and its size on the link, for an estimate of the rest.
        "ALTER TABLE link ADD COLUMN plain_bytes_sum INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE link ADD COLUMN coded_bytes_sum INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE link_usage (
            kind TEXT NOT NULL,
            day TEXT NOT NULL, -- the unit's local date, as it believed
            link_bytes INTEGER NOT NULL,
            PRIMARY KEY (kind, day)
        ) STRICT""",
        "DROP VIEW outbox_item",
        """CREATE VIEW outbox_item AS
            SELECT o.item_id, o.destination, o.state, i.sop_instance_uid, i.study_instance_uid, o.stat, o.size_bytes,
                i.sha256, o.queued_at_s, o.attempt_count, o.announced_at <> '' AS announced
            FROM outbox AS o CROSS JOIN instance AS i ON i.instance_id = o.instance_id""",
        """CREATE INDEX outbox_by_class
            ON outbox (destination, stat, announced_at <> '', queued_at_s, size_bytes, item_id)
            WHERE state IN ('pending', 'ready')""",
        """CREATE INDEX outbox_backlog ON outbox (destination, coded_bytes, size_bytes)
            WHERE state IN ('pending', 'encoding', 'ready', 'sending')""",
        "CREATE INDEX receipt_by_epoch ON receipt (destination, epoch, item_id) WHERE revoked_at = ''",
    )
