"""``unit.db``: what people corrected, and what took the place of what."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import refuse, run, unit_migrations


@unit_migrations()
def m0401_revisions(db: Database) -> None:
    """A duty stays one duty; its content is the latest revision of its instance.

    ``wanted_revision_id`` says which that is, kept by triggers so that no writer can forget it; ``revision_id`` is what
    the duty is about now, and only a move that makes it wait changes it.
    """
    run(
        db,
        """CREATE TABLE correction (
            action_id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL CHECK (kind IN ('reconcile', 'correct', 'split', 'merge', 'reject')),
            study_instance_uid TEXT NOT NULL REFERENCES study (study_instance_uid),
            before TEXT NOT NULL, -- JSON
            after TEXT NOT NULL, -- JSON
            reason TEXT NOT NULL,
            actor TEXT NOT NULL,
            at TEXT NOT NULL,
            undone_at TEXT NOT NULL DEFAULT '',
            undone_by TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE INDEX correction_by_study ON correction (study_instance_uid, action_id)",
        refuse("correction", "DELETE", "rows of correction are never deleted"),
        refuse(
            "correction",
            "UPDATE OF action_id, kind, study_instance_uid, before, after, reason, actor, at",
            "what was corrected is never rewritten",
        ),
        """CREATE TABLE revision (
            revision_id INTEGER PRIMARY KEY,
            instance_id INTEGER NOT NULL REFERENCES instance (instance_id),
            number INTEGER NOT NULL CHECK (number > 0), -- of this instance's revisions; the original is 0
            action_id INTEGER NOT NULL REFERENCES correction (action_id),
            blob_uuid TEXT NOT NULL UNIQUE,
            size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            dataset_sha256 TEXT NOT NULL CHECK (length(dataset_sha256) = 64),
            undone_at TEXT NOT NULL DEFAULT '',
            UNIQUE (instance_id, number)
        ) STRICT""",
        "CREATE INDEX revision_by_action ON revision (action_id)",
        refuse("revision", "DELETE", "rows of revision are never deleted"),
        refuse(
            "revision",
            "UPDATE OF revision_id, instance_id, number, action_id, blob_uuid, size_bytes, sha256, dataset_sha256",
            "a revision never becomes another one",
        ),
        "ALTER TABLE outbox ADD COLUMN revision_id INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE outbox ADD COLUMN wanted_revision_id INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX outbox_unrevised ON outbox (item_id) WHERE revision_id <> wanted_revision_id",
        _follow("revision_is_wanted", "AFTER INSERT ON revision", "NEW.instance_id"),
        _follow("revision_undone_is_not_wanted", "AFTER UPDATE OF undone_at ON revision", "NEW.instance_id"),
        f"""CREATE TRIGGER outbox_is_born_with_the_latest AFTER INSERT ON outbox
            BEGIN
                UPDATE outbox SET wanted_revision_id = {_latest("NEW.instance_id")},
                    revision_id = {_latest("NEW.instance_id")}, size_bytes = coalesce(
                        (SELECT size_bytes FROM revision WHERE revision_id = {_latest("NEW.instance_id")}),
                        NEW.size_bytes)
                    WHERE item_id = NEW.item_id AND {_latest("NEW.instance_id")} <> 0;
            END""",  # noqa: S608 - our own text
        """CREATE TRIGGER outbox_content_changes_only_while_it_waits BEFORE UPDATE OF revision_id ON outbox
            WHEN NEW.revision_id <> OLD.revision_id AND NEW.state NOT IN ('pending', 'held')
            BEGIN SELECT RAISE(ABORT, 'the content of a duty changes only while it waits'); END""",
        "DROP VIEW outbox_item",
        """CREATE VIEW outbox_item AS
            SELECT o.item_id, o.destination, o.state, i.sop_instance_uid, i.study_instance_uid, o.stat, o.size_bytes,
                coalesce((SELECT r.sha256 FROM revision AS r WHERE r.revision_id = o.revision_id), i.sha256) AS sha256,
                o.queued_at_s, o.attempt_count, o.announced_at <> '' AS announced, o.revision_id,
                o.wanted_revision_id
            FROM outbox AS o CROSS JOIN instance AS i ON i.instance_id = o.instance_id""",
    )


def _latest(instance_id: str) -> str:
    """The revision that stands, as an expression; 0 for the original."""
    return f"""coalesce((SELECT revision_id FROM revision WHERE instance_id = {instance_id} AND undone_at = ''
                        ORDER BY number DESC LIMIT 1), 0)"""  # noqa: S608 - our own text


def _follow(name: str, when: str, instance_id: str) -> str:
    """A trigger that makes every duty of an instance want its latest revision."""
    return f"""CREATE TRIGGER {name} {when}
            BEGIN
                UPDATE outbox SET wanted_revision_id = {_latest(instance_id)} WHERE instance_id = {instance_id};
            END"""  # noqa: S608 - our own text


@unit_migrations()
def m0402_matching(db: Database) -> None:
    """Which registration each study belongs to, which pictures were rejected, and what was made for a correction.

    ``covered_instance_id`` of a correction: pictures of its study that came later are corrected as well.
    """
    run(
        db,
        "ALTER TABLE correction ADD COLUMN covered_instance_id INTEGER NOT NULL DEFAULT 0",
        """CREATE TABLE study_match (
            study_instance_uid TEXT PRIMARY KEY REFERENCES study (study_instance_uid),
            registration_key TEXT NOT NULL DEFAULT '', -- of an exception: whom it would belong to, if that is known
            how TEXT NOT NULL DEFAULT '' CHECK (how IN ('', 'study-uid', 'accession', 'patient', 'person')),
            state TEXT NOT NULL CHECK (state IN ('matched', 'exception', 'reconciled')),
            exception TEXT NOT NULL DEFAULT '' CHECK (exception IN
                ('', 'unknown-patient', 'name-differs', 'id-reused', 'patient-switched', 'ambiguous')),
            at TEXT NOT NULL,
            actor TEXT NOT NULL,
            CHECK ((state = 'exception') = (exception <> ''))
        ) STRICT""",
        "CREATE INDEX study_match_exception ON study_match (at) WHERE state = 'exception'",
        "CREATE INDEX study_match_by_registration ON study_match (registration_key) WHERE registration_key <> ''",
        """CREATE TABLE known_identity ( -- as files of a corrected study say it: whose they are is decided
            study_instance_uid TEXT NOT NULL REFERENCES study (study_instance_uid),
            patient_id TEXT NOT NULL,
            patient_birth_date TEXT NOT NULL,
            patient_name TEXT NOT NULL,
            PRIMARY KEY (study_instance_uid, patient_id, patient_birth_date, patient_name)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE rejected_image (
            instance_id INTEGER NOT NULL REFERENCES instance (instance_id),
            action_id INTEGER NOT NULL REFERENCES correction (action_id),
            reason_code TEXT NOT NULL,
            rejected_at TEXT NOT NULL,
            lifted_at TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (instance_id, action_id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE UNIQUE INDEX rejected_image_standing ON rejected_image (instance_id) WHERE lifted_at = ''",
        """CREATE TABLE made_object ( -- goes through the unit's own door, like a modality's
            sop_instance_uid TEXT PRIMARY KEY,
            action_id INTEGER NOT NULL REFERENCES correction (action_id),
            role TEXT NOT NULL CHECK (role IN ('copy', 'rejection-note')),
            study_instance_uid TEXT NOT NULL,
            sop_class_uid TEXT NOT NULL,
            transfer_syntax_uid TEXT NOT NULL,
            blob_uuid TEXT NOT NULL UNIQUE,
            size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
            stored_at TEXT NOT NULL DEFAULT '',
            withdrawn_at TEXT NOT NULL DEFAULT ''
        ) STRICT""",
        "CREATE INDEX made_object_open ON made_object (action_id) WHERE stored_at = '' AND withdrawn_at = ''",
        refuse("made_object", "DELETE", "rows of made_object are never deleted"),
        refuse("rejected_image", "DELETE", "rows of rejected_image are never deleted"),
    )


@unit_migrations()
def m0403_image_commands(db: Database) -> None:
    """A wish may be about one image; its kinds are other words, so that the release before refuses them whole."""
    run(db, "ALTER TABLE command ADD COLUMN sop_instance_uid TEXT NOT NULL DEFAULT ''")
