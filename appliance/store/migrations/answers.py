"""``unit.db``: what people at the centre said to this unit, and what the unit still has to say about it."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import refuse, run, unit_migrations


@unit_migrations()
def m0701_answers(db: Database) -> None:
    """Reports, requests, messages, wishes and orders as they came, and how far each centre's inbox was read."""
    run(
        db,
        """CREATE TABLE answer (
            answer_id TEXT PRIMARY KEY, -- the centre's; an answer that comes again is the same
            destination TEXT NOT NULL,
            unit_id TEXT NOT NULL, -- this unit's at that centre
            seq INTEGER NOT NULL, -- its number in the inbox when it came first
            kind TEXT NOT NULL, -- as the centre calls it; one that this release does not know is kept too
            study_instance_uid TEXT NOT NULL DEFAULT '',
            subject_id TEXT NOT NULL DEFAULT '', -- of a report or an order
            version INTEGER NOT NULL DEFAULT 0, -- of a report
            is_critical INTEGER NOT NULL DEFAULT 0 CHECK (is_critical IN (0, 1)),
            urgency TEXT NOT NULL DEFAULT '',
            body TEXT NOT NULL, -- JSON, as it came
            received_at TEXT NOT NULL,
            outcome TEXT NOT NULL DEFAULT '', -- what this unit did about it, in a sentence
            registration_key TEXT NOT NULL DEFAULT '' -- of an order
        ) STRICT""",
        "CREATE INDEX answer_by_study ON answer (study_instance_uid) WHERE study_instance_uid <> ''",
        "CREATE INDEX answer_by_subject ON answer (subject_id) WHERE subject_id <> ''",
        """CREATE TABLE answer_cursor (
            destination TEXT NOT NULL,
            unit_id TEXT NOT NULL,
            epoch TEXT NOT NULL, -- the life of the centre that numbered them
            seq INTEGER NOT NULL, -- every answer up to here is in this database
            PRIMARY KEY (destination, unit_id)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE acknowledgement (
            acknowledgement_id INTEGER PRIMARY KEY,
            answer_id TEXT NOT NULL REFERENCES answer (answer_id),
            state TEXT NOT NULL CHECK (state IN ('delivered', 'seen')),
            at TEXT NOT NULL,
            by TEXT NOT NULL DEFAULT '',
            told_epoch TEXT NOT NULL DEFAULT '', -- the life of the centre that took it
            UNIQUE (answer_id, state)
        ) STRICT""",
        "CREATE INDEX acknowledgement_by_told ON acknowledgement (told_epoch, acknowledgement_id)",
        refuse("answer", "DELETE", "what the centre said stays on record"),
        refuse("answer", "UPDATE OF kind, body, study_instance_uid, subject_id", "an answer never becomes another one"),
        refuse("acknowledgement", "DELETE", "who saw what stays on record"),
        refuse("acknowledgement", "UPDATE OF answer_id, state, at, by", "who saw what is never changed"),
    )
