"""``unit.db``: devices as they were tried out, and test studies, which never leave this unit by themselves."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import refuse, run, unit_migrations


@unit_migrations()
def m0501_commissioning(db: Database) -> None:
    """Withheld studies, and the record of each commissioning with its steps.

    A person who releases a withheld study, or says that it belongs to another exam, lifts that by trigger, wherever
    they said it; intake queues it then.
    """
    run(
        db,
        """CREATE TABLE withheld_study ( -- of a test patient: owed to no destination
            study_instance_uid TEXT PRIMARY KEY,
            registration_key TEXT NOT NULL REFERENCES registration (registration_key), -- the test exam
            withheld_at TEXT NOT NULL,
            lifted_at TEXT NOT NULL DEFAULT '',
            queued_at TEXT NOT NULL DEFAULT '' -- when its pictures became owed after that
        ) STRICT""",
        "CREATE INDEX withheld_study_by_registration ON withheld_study (registration_key)",
        "CREATE INDEX withheld_study_lifted ON withheld_study (study_instance_uid) "
        "WHERE lifted_at <> '' AND queued_at = ''",
        refuse("withheld_study", "DELETE", "what was withheld stays on record"),
        """CREATE TRIGGER withheld_study_is_released AFTER INSERT ON command
            WHEN NEW.kind = 'release' AND NEW.actor <> 'matching'
            BEGIN
                UPDATE withheld_study SET lifted_at = NEW.given_at
                    WHERE study_instance_uid = NEW.study_instance_uid AND lifted_at = '';
            END""",
        *(
            f"""CREATE TRIGGER withheld_study_is_another_{name} AFTER {change} ON study_match
            WHEN NEW.state = 'reconciled'
            BEGIN
                UPDATE withheld_study SET lifted_at = NEW.at
                    WHERE study_instance_uid = NEW.study_instance_uid AND lifted_at = ''
                        AND registration_key <> NEW.registration_key;
            END"""  # noqa: S608 - our own text
            for name, change in (("new", "INSERT"), ("changed", "UPDATE"))
        ),
        """CREATE TABLE commissioning ( -- a device tried out, from its test patient to the end
            commissioning_id INTEGER PRIMARY KEY,
            ae_title TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'passed', 'abandoned')),
            actor TEXT NOT NULL,
            began_at TEXT NOT NULL,
            ended_at TEXT NOT NULL DEFAULT '',
            after_instance_id INTEGER NOT NULL, -- what came later counts
            after_request_id INTEGER NOT NULL,
            baseline TEXT NOT NULL, -- JSON: what the gatekeeper had counted of it when it began
            CHECK ((state = 'open') = (ended_at = ''))
        ) STRICT""",
        "CREATE UNIQUE INDEX commissioning_open ON commissioning (ae_title) WHERE state = 'open'",
        "CREATE INDEX commissioning_by_title ON commissioning (ae_title)",
        """CREATE TABLE commissioning_exam ( -- its test exams: one, and one more for each further day it takes
            registration_key TEXT PRIMARY KEY REFERENCES registration (registration_key),
            commissioning_id INTEGER NOT NULL REFERENCES commissioning (commissioning_id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX commissioning_exam_by_commissioning ON commissioning_exam (commissioning_id)",
        """CREATE TABLE commissioning_step (
            commissioning_id INTEGER NOT NULL REFERENCES commissioning (commissioning_id),
            step TEXT NOT NULL,
            outcome TEXT NOT NULL CHECK (outcome IN ('fine', 'failed', 'waiting', 'skipped', 'waived')),
            sentence TEXT NOT NULL, -- what was seen
            hint TEXT NOT NULL DEFAULT '', -- what to do
            at TEXT NOT NULL, -- when it was first so
            PRIMARY KEY (commissioning_id, step)
        ) STRICT, WITHOUT ROWID""",
        refuse("commissioning", "DELETE", "what was tried out stays on record"),
        refuse("commissioning", "UPDATE OF state", "a commissioning that ended is not changed", "OLD.state <> 'open'"),
    )


@unit_migrations()
def m0502_commitment_waits(db: Database) -> None:
    """Commitment requests that wait for images which are not here yet, in planned pauses."""
    run(
        db,
        # Pauses begun for images that are not here yet, since it was last asked.
        "ALTER TABLE commitment_request ADD COLUMN wait_count INTEGER NOT NULL DEFAULT 0",
        # When the present pause ends: a monotonic second of one boot; of an earlier boot: it has ended.
        "ALTER TABLE commitment_request ADD COLUMN wait_boot_id TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE commitment_request ADD COLUMN wait_until_mono_s REAL NOT NULL DEFAULT 0",
    )
