"""``unit.db``: who may sign in at the unit's screen."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import refuse, run, unit_migrations


@unit_migrations()
def m0601_people(db: Database) -> None:
    """People with their PINs (as hashes), and how often each failed."""
    run(
        db,
        """CREATE TABLE person (
            person_id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL CHECK (name <> ''),
            role TEXT NOT NULL CHECK (role IN ('technologist', 'supervisor')),
            pin_hash TEXT NOT NULL,
            failed_count INTEGER NOT NULL DEFAULT 0 CHECK (failed_count >= 0),
            failed_at TEXT NOT NULL DEFAULT '', -- the last wrong PIN since the last right one
            added_at TEXT NOT NULL,
            removed_at TEXT NOT NULL DEFAULT '' -- a person stays on record: the journal names them
        ) STRICT""",
        "CREATE UNIQUE INDEX person_by_name ON person (name) WHERE removed_at = ''",
        refuse("person", "DELETE", "who did something here stays on record"),
    )
