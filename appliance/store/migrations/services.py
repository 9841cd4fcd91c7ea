"""``unit.db``: what devices say they did and ask us to answer for, and when a study is complete."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import refuse, run, unit_migrations


@unit_migrations()
def m0201_performed_steps(db: Database) -> None:
    """Performed procedure steps (MPPS) with what they made and were done for."""
    run(
        db,
        """CREATE TABLE performed_step (
            step_uid TEXT PRIMARY KEY, -- its SOP Instance UID
            calling_ae_title TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('in-progress', 'completed', 'discontinued')),
            performed_step_id TEXT NOT NULL,
            station_ae_title TEXT NOT NULL,
            modality TEXT NOT NULL,
            patient_id TEXT NOT NULL DEFAULT '',
            started TEXT NOT NULL, -- YYYYMMDDHHMMSS by the device's clock
            ended TEXT NOT NULL DEFAULT '',
            description TEXT NOT NULL DEFAULT '',
            discontinuation TEXT NOT NULL DEFAULT '',
            dose TEXT NOT NULL DEFAULT '{}', -- numbers by DICOM keyword, in DICOM's units
            created_data_set BLOB NOT NULL, -- as created, as last set, and both together; Explicit VR LE
            last_set_data_set BLOB NOT NULL DEFAULT x'',
            data_set BLOB NOT NULL,
            created_at TEXT NOT NULL,
            changed_at TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX performed_step_open ON performed_step (step_uid) WHERE state = 'in-progress'",
        """CREATE TABLE performed_for ( -- Scheduled Step Attributes Sequence
            step_uid TEXT NOT NULL REFERENCES performed_step (step_uid),
            position INTEGER NOT NULL,
            study_instance_uid TEXT NOT NULL,
            accession_number TEXT NOT NULL DEFAULT '',
            requested_procedure_id TEXT NOT NULL DEFAULT '',
            scheduled_step_id TEXT NOT NULL DEFAULT '',
            registration_key TEXT REFERENCES registration (registration_key), -- NULL: not scheduled here
            PRIMARY KEY (step_uid, position)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX performed_for_by_study ON performed_for (study_instance_uid)",
        "CREATE INDEX performed_for_by_registration ON performed_for (registration_key)",
        """CREATE TABLE performed_series (
            step_uid TEXT NOT NULL REFERENCES performed_step (step_uid),
            series_instance_uid TEXT NOT NULL,
            protocol_name TEXT NOT NULL DEFAULT '',
            description TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (step_uid, series_instance_uid)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE performed_instance (
            step_uid TEXT NOT NULL REFERENCES performed_step (step_uid),
            sop_instance_uid TEXT NOT NULL,
            sop_class_uid TEXT NOT NULL,
            series_instance_uid TEXT NOT NULL,
            PRIMARY KEY (step_uid, sop_instance_uid)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX performed_instance_by_sop ON performed_instance (sop_instance_uid)",
        refuse("performed_step", "DELETE", "what was done stays on record"),
        refuse(
            "performed_step",
            "UPDATE OF state, data_set, created_data_set, last_set_data_set, dose, started, ended",
            "a step that has ended is never changed",
            "OLD.state <> 'in-progress'",
        ),
    )


@unit_migrations()
def m0202_commitment_requests(db: Database) -> None:
    """What devices asked us to answer for (Storage Commitment), until they have heard the answer."""
    run(
        db,
        """CREATE TABLE commitment_request (
            request_id INTEGER PRIMARY KEY,
            transaction_uid TEXT NOT NULL,
            calling_ae_title TEXT NOT NULL,
            called_ae_title TEXT NOT NULL, -- as which we report
            state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'delivered', 'given-up')),
            requested_at TEXT NOT NULL,
            attempt_count INTEGER NOT NULL DEFAULT 0, -- of the report, since it was last asked for
            attempted_at TEXT NOT NULL DEFAULT '',
            failure_code TEXT NOT NULL DEFAULT '', -- why the last attempt failed
            delivered_at TEXT NOT NULL DEFAULT '',
            UNIQUE (transaction_uid, calling_ae_title)
        ) STRICT""",
        "CREATE INDEX commitment_request_open ON commitment_request (request_id) WHERE state = 'open'",
        """CREATE TABLE commitment_reference (
            request_id INTEGER NOT NULL REFERENCES commitment_request (request_id),
            position INTEGER NOT NULL,
            sop_class_uid TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            failure_reason INTEGER NOT NULL DEFAULT -1, -- of the last report; 0: committed, -1: not reported yet
            PRIMARY KEY (request_id, position)
        ) STRICT, WITHOUT ROWID""",
        refuse("commitment_request", "DELETE", "what was asked stays on record"),
        refuse(
            "commitment_request", "UPDATE OF transaction_uid, calling_ae_title", "a request never becomes another one"
        ),
    )


@unit_migrations()
def m0203_study_completion(db: Database) -> None:
    """Whether all of a study is here; an image that comes later reopens it in the transaction that takes it in."""
    run(
        db,
        """CREATE TABLE study_completion (
            study_instance_uid TEXT PRIMARY KEY REFERENCES study (study_instance_uid),
            state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete')),
            reason TEXT NOT NULL DEFAULT '' CHECK (reason IN ('', 'steps', 'quiet', 'person')),
            missing_count INTEGER NOT NULL DEFAULT 0, -- named by a completed step and not here
            reopened_count INTEGER NOT NULL DEFAULT 0,
            changed_at TEXT NOT NULL DEFAULT '',
            CHECK ((state = 'open') = (reason = ''))
        ) STRICT""",
        "CREATE INDEX study_completion_open ON study_completion (study_instance_uid) WHERE state = 'open'",
        "INSERT INTO study_completion (study_instance_uid) SELECT study_instance_uid FROM study",
        """CREATE TRIGGER study_completion_reopens AFTER INSERT ON instance
            BEGIN
                INSERT INTO journal (at, boot_id, mono_s, subject, subject_id, study_instance_uid, event, from_state,
                        to_state, actor)
                    SELECT NEW.received_at, NEW.received_boot_id, NEW.received_mono_s, 'study', NEW.study_instance_uid,
                        NEW.study_instance_uid, 'late image', 'complete', 'open', 'intake'
                    FROM study_completion WHERE study_instance_uid = NEW.study_instance_uid AND state = 'complete';
                INSERT INTO study_completion (study_instance_uid, changed_at)
                    VALUES (NEW.study_instance_uid, NEW.received_at)
                    ON CONFLICT (study_instance_uid) DO UPDATE SET state = 'open', reason = '', missing_count = 0,
                        reopened_count = reopened_count + 1, changed_at = excluded.changed_at
                    WHERE state = 'complete';
            END""",
    )
