"""``unit.db``: what was checked of each instance, and what was found."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import refuse, run, unit_migrations


@unit_migrations()
def m0301_quality(db: Database) -> None:
    """Which version of the checks saw each instance, what it found, and which findings keep a study here."""
    run(
        db,
        """CREATE TABLE quality_run (
            instance_id INTEGER PRIMARY KEY REFERENCES instance (instance_id),
            checks_version INTEGER NOT NULL DEFAULT 0, -- 0: by none yet
            blob_uuid TEXT NOT NULL DEFAULT '', -- the file that was looked at
            order_digest TEXT NOT NULL DEFAULT '', -- of the order that it was compared with
            outcome TEXT NOT NULL DEFAULT 'due' CHECK (outcome IN ('due', 'checked', 'failed', 'gone')),
            attempt_count INTEGER NOT NULL DEFAULT 0, -- readings that ended without an answer
            checked_at TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE INDEX quality_run_by_version ON quality_run (checks_version, instance_id)",
        # Those that were here before the checks come after whatever is new.
        "INSERT INTO quality_run (instance_id) SELECT instance_id FROM instance",
        """CREATE TABLE quality_finding (
            finding_id INTEGER PRIMARY KEY,
            sop_instance_uid TEXT NOT NULL REFERENCES instance (sop_instance_uid),
            study_instance_uid TEXT NOT NULL,
            check_code TEXT NOT NULL,
            severity TEXT NOT NULL CHECK (severity IN ('notice', 'warning', 'alarm')),
            values_json TEXT NOT NULL, -- sentences are made of it, in any language
            checks_version INTEGER NOT NULL,
            found_at TEXT NOT NULL,
            cleared_at TEXT NOT NULL DEFAULT '',
            UNIQUE (sop_instance_uid, check_code)
        ) STRICT""",
        "CREATE INDEX quality_finding_by_study ON quality_finding (study_instance_uid) WHERE cleared_at = ''",
        "CREATE INDEX quality_finding_open ON quality_finding (check_code) WHERE cleared_at = ''",
        refuse("quality_finding", "DELETE", "rows of quality_finding are never deleted"),
        """CREATE TABLE quality_hold (
            finding_id INTEGER PRIMARY KEY REFERENCES quality_finding (finding_id),
            study_instance_uid TEXT NOT NULL,
            command_id INTEGER NOT NULL DEFAULT 0, -- of the hold; 0: it was let go at once
            held_at TEXT NOT NULL,
            let_go_at TEXT NOT NULL DEFAULT '',
            let_go_why TEXT NOT NULL DEFAULT '' CHECK (let_go_why IN ('', 'released', 'stat', 'cleared'))
        ) STRICT""",
        "CREATE INDEX quality_hold_open ON quality_hold (study_instance_uid) WHERE let_go_at = ''",
    )


@unit_migrations()
def m0302_quality_gate(db: Database) -> None:
    """While a policy may hold studies, what is queued waits until it was checked; a link may be faster than a check.

    Kept by trigger, because a row that another process writes a moment later would be too late.
    """
    run(
        db,
        """CREATE TABLE quality_gate (
            gate_id INTEGER PRIMARY KEY CHECK (gate_id = 1),
            is_on INTEGER NOT NULL DEFAULT 0 CHECK (is_on IN (0, 1))
        ) STRICT""",
        "INSERT INTO quality_gate (gate_id) VALUES (1)",
        """CREATE TABLE quality_wait (
            item_id INTEGER PRIMARY KEY REFERENCES outbox (item_id),
            instance_id INTEGER NOT NULL REFERENCES instance (instance_id)
        ) STRICT""",
        """CREATE TRIGGER outbox_waits_for_its_check AFTER INSERT ON outbox
            WHEN (SELECT is_on FROM quality_gate) AND NOT EXISTS (
                SELECT 1 FROM quality_run WHERE instance_id = NEW.instance_id AND outcome <> 'due')
            BEGIN
                INSERT INTO quality_wait (item_id, instance_id) VALUES (NEW.item_id, NEW.instance_id);
            END""",
    )
