"""``unit.db``: of which studies a centre has still to be told what was asked for, and what checks found."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import run, unit_migrations

_OF_INSTANCE = "(SELECT study_instance_uid FROM instance WHERE instance_id = NEW.instance_id)"


def _changes(name: str, when: str, study_instance_uid: str) -> str:
    """A trigger that gives a study's notes the next number of all."""
    return f"""CREATE TRIGGER study_note_{name} AFTER {when}
            BEGIN
                INSERT INTO study_note (study_instance_uid, change_number)
                    VALUES ({study_instance_uid}, (SELECT ifnull(max(change_number), 0) + 1 FROM study_note))
                    ON CONFLICT (study_instance_uid) DO UPDATE SET change_number = excluded.change_number;
            END"""  # noqa: S608 - our own text


@unit_migrations()
def m0801_study_notes(db: Database) -> None:
    """When the notes of a study changed last, kept by trigger whoever writes; and what each centre was told.

    Studies that are on their way have something to tell from the start; of older ones the centre hears when it changes.
    """
    run(
        db,
        """CREATE TABLE study_note (
            study_instance_uid TEXT PRIMARY KEY,
            change_number INTEGER NOT NULL UNIQUE -- of its last change, over all studies
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE study_note_told (
            destination TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            unit_id TEXT NOT NULL, -- this unit's at that centre
            epoch TEXT NOT NULL, -- the life of the centre that took it
            change_number INTEGER NOT NULL, -- that it was told up to
            revision INTEGER NOT NULL, -- that it was told under
            PRIMARY KEY (destination, study_instance_uid)
        ) STRICT, WITHOUT ROWID""",
        """INSERT INTO study_note (study_instance_uid, change_number)
            SELECT study_instance_uid, row_number() OVER (ORDER BY study_instance_uid)
                FROM (SELECT DISTINCT i.study_instance_uid FROM outbox AS o CROSS JOIN instance AS i USING (instance_id)
                    WHERE o.state <> 'confirmed')""",
        _changes("is_checked", "UPDATE OF outcome ON quality_run WHEN NEW.outcome <> OLD.outcome", _OF_INSTANCE),
        _changes("is_found", "INSERT ON quality_finding", "NEW.study_instance_uid"),
        _changes(
            "is_found_anew",
            """UPDATE OF severity, values_json, cleared_at ON quality_finding
                WHEN (NEW.severity, NEW.values_json, NEW.cleared_at <> '')
                    <> (OLD.severity, OLD.values_json, OLD.cleared_at <> '')""",
            "NEW.study_instance_uid",
        ),
        _changes("is_matched", "INSERT ON study_match", "NEW.study_instance_uid"),
        _changes(
            "is_matched_anew",
            "UPDATE OF registration_key, state ON study_match WHEN (NEW.registration_key, NEW.state) <> "
            "(OLD.registration_key, OLD.state)",
            "NEW.study_instance_uid",
        ),
        _changes("is_not_matched", "DELETE ON study_match", "OLD.study_instance_uid"),
        _changes("is_without_rejected", "INSERT ON rejected_image", _OF_INSTANCE),
        _changes("is_with_rejected", "UPDATE OF lifted_at ON rejected_image", _OF_INSTANCE),
    )
