-- Drawn by 'python -m appliance.store.schema' from migrations/; change that, never this.

-- unit.db

CREATE VIEW outbox_item AS
            SELECT o.item_id, o.destination, o.state, i.sop_instance_uid, i.study_instance_uid, o.stat, o.size_bytes,
                coalesce((SELECT r.sha256 FROM revision AS r WHERE r.revision_id = o.revision_id), i.sha256) AS sha256,
                o.queued_at_s, o.attempt_count, o.announced_at <> '' AS announced, o.revision_id,
                o.wanted_revision_id
            FROM outbox AS o CROSS JOIN instance AS i ON i.instance_id = o.instance_id;

CREATE TRIGGER acknowledgement_refuses_delete BEFORE DELETE ON acknowledgement
            BEGIN SELECT RAISE(ABORT, 'who saw what stays on record'); END;

CREATE TRIGGER acknowledgement_refuses_update BEFORE UPDATE OF answer_id, state, at, by ON acknowledgement
            BEGIN SELECT RAISE(ABORT, 'who saw what is never changed'); END;

CREATE TRIGGER answer_refuses_delete BEFORE DELETE ON answer
            BEGIN SELECT RAISE(ABORT, 'what the centre said stays on record'); END;

CREATE TRIGGER answer_refuses_update BEFORE UPDATE OF kind, body, study_instance_uid, subject_id ON answer
            BEGIN SELECT RAISE(ABORT, 'an answer never becomes another one'); END;

CREATE TRIGGER brought_receipt_refuses_delete BEFORE DELETE ON brought_receipt
            BEGIN SELECT RAISE(ABORT, 'rows of brought_receipt are never deleted'); END;

CREATE TRIGGER brought_receipt_refuses_update BEFORE UPDATE OF item_id, sha256, evidence, source, brought_at ON brought_receipt
            BEGIN SELECT RAISE(ABORT, 'a proof is never rewritten'); END;

CREATE TRIGGER command_refuses_delete BEFORE DELETE ON command
            BEGIN SELECT RAISE(ABORT, 'rows of command are never deleted'); END;

CREATE TRIGGER commissioning_refuses_delete BEFORE DELETE ON commissioning
            BEGIN SELECT RAISE(ABORT, 'what was tried out stays on record'); END;

CREATE TRIGGER commissioning_refuses_update BEFORE UPDATE OF state ON commissioning WHEN OLD.state <> 'open'
            BEGIN SELECT RAISE(ABORT, 'a commissioning that ended is not changed'); END;

CREATE TRIGGER commitment_request_refuses_delete BEFORE DELETE ON commitment_request
            BEGIN SELECT RAISE(ABORT, 'what was asked stays on record'); END;

CREATE TRIGGER commitment_request_refuses_update BEFORE UPDATE OF transaction_uid, calling_ae_title ON commitment_request
            BEGIN SELECT RAISE(ABORT, 'a request never becomes another one'); END;

CREATE TRIGGER correction_refuses_delete BEFORE DELETE ON correction
            BEGIN SELECT RAISE(ABORT, 'rows of correction are never deleted'); END;

CREATE TRIGGER correction_refuses_update BEFORE UPDATE OF action_id, kind, study_instance_uid, before, after, reason, actor, at ON correction
            BEGIN SELECT RAISE(ABORT, 'what was corrected is never rewritten'); END;

CREATE TRIGGER finding_refuses_delete BEFORE DELETE ON finding
            BEGIN SELECT RAISE(ABORT, 'rows of finding are never deleted'); END;

CREATE TRIGGER instance_refuses_delete BEFORE DELETE ON instance
            BEGIN SELECT RAISE(ABORT, 'rows of instance are never deleted'); END;

CREATE TRIGGER instance_refuses_update BEFORE UPDATE OF sop_instance_uid, study_instance_uid, dataset_sha256 ON instance WHEN (NEW.sop_instance_uid, NEW.study_instance_uid, NEW.dataset_sha256) <> (OLD.sop_instance_uid, OLD.study_instance_uid, OLD.dataset_sha256)
            BEGIN SELECT RAISE(ABORT, 'an instance never becomes another one'); END;

CREATE TRIGGER journal_refuses_delete BEFORE DELETE ON journal
            BEGIN SELECT RAISE(ABORT, 'rows of journal are never deleted'); END;

CREATE TRIGGER journal_refuses_update BEFORE UPDATE ON journal
            BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;

CREATE TRIGGER made_object_refuses_delete BEFORE DELETE ON made_object
            BEGIN SELECT RAISE(ABORT, 'rows of made_object are never deleted'); END;

CREATE TRIGGER outbox_confirmed_needs_receipt BEFORE UPDATE OF state ON outbox
            WHEN NEW.state = 'confirmed'
                AND NOT EXISTS (SELECT 1 FROM receipt WHERE item_id = NEW.item_id AND revoked_at = '')
            BEGIN SELECT RAISE(ABORT, 'confirmed needs a receipt'); END;

CREATE TRIGGER outbox_content_changes_only_while_it_waits BEFORE UPDATE OF revision_id ON outbox
            WHEN NEW.revision_id <> OLD.revision_id AND NEW.state NOT IN ('pending', 'held')
            BEGIN SELECT RAISE(ABORT, 'the content of a duty changes only while it waits'); END;

CREATE TRIGGER outbox_counts_confirmed AFTER UPDATE OF state ON outbox
            WHEN (NEW.state = 'confirmed') <> (OLD.state = 'confirmed')
            BEGIN
                UPDATE instance SET confirmed_count = confirmed_count + (NEW.state = 'confirmed') * 2 - 1
                    WHERE instance_id = NEW.instance_id;
            END;

CREATE TRIGGER outbox_counts_owed AFTER INSERT ON outbox
            BEGIN
                UPDATE instance SET owed_count = owed_count + 1 WHERE instance_id = NEW.instance_id;
            END;

CREATE TRIGGER outbox_is_born_with_the_latest AFTER INSERT ON outbox
            BEGIN
                UPDATE outbox SET wanted_revision_id = coalesce((SELECT revision_id FROM revision WHERE instance_id = NEW.instance_id AND undone_at = ''
                        ORDER BY number DESC LIMIT 1), 0),
                    revision_id = coalesce((SELECT revision_id FROM revision WHERE instance_id = NEW.instance_id AND undone_at = ''
                        ORDER BY number DESC LIMIT 1), 0), size_bytes = coalesce(
                        (SELECT size_bytes FROM revision WHERE revision_id = coalesce((SELECT revision_id FROM revision WHERE instance_id = NEW.instance_id AND undone_at = ''
                        ORDER BY number DESC LIMIT 1), 0)),
                        NEW.size_bytes)
                    WHERE item_id = NEW.item_id AND coalesce((SELECT revision_id FROM revision WHERE instance_id = NEW.instance_id AND undone_at = ''
                        ORDER BY number DESC LIMIT 1), 0) <> 0;
            END;

CREATE TRIGGER outbox_is_never_born_confirmed BEFORE INSERT ON outbox WHEN NEW.state = 'confirmed'
            BEGIN SELECT RAISE(ABORT, 'confirmed needs a receipt'); END;

CREATE TRIGGER outbox_refuses_delete BEFORE DELETE ON outbox
            BEGIN SELECT RAISE(ABORT, 'rows of outbox are never deleted'); END;

CREATE TRIGGER outbox_refuses_update BEFORE UPDATE OF item_id, instance_id, destination ON outbox
            BEGIN SELECT RAISE(ABORT, 'a duty never becomes another one'); END;

CREATE TRIGGER outbox_unconfirmed_revokes_receipt AFTER UPDATE OF state ON outbox
            WHEN OLD.state = 'confirmed' AND NEW.state <> 'confirmed'
            BEGIN
                UPDATE receipt SET revoked_at = NEW.changed_at WHERE item_id = NEW.item_id AND revoked_at = '';
            END;

CREATE TRIGGER outbox_waits_for_its_check AFTER INSERT ON outbox
            WHEN (SELECT is_on FROM quality_gate) AND NOT EXISTS (
                SELECT 1 FROM quality_run WHERE instance_id = NEW.instance_id AND outcome <> 'due')
            BEGIN
                INSERT INTO quality_wait (item_id, instance_id) VALUES (NEW.item_id, NEW.instance_id);
            END;

CREATE TRIGGER patient_refuses_delete BEFORE DELETE ON patient
            BEGIN SELECT RAISE(ABORT, 'rows of patient are never deleted'); END;

CREATE TRIGGER patient_refuses_update BEFORE UPDATE OF patient_key ON patient
            BEGIN SELECT RAISE(ABORT, 'a patient never becomes another one'); END;

CREATE TRIGGER performed_step_refuses_delete BEFORE DELETE ON performed_step
            BEGIN SELECT RAISE(ABORT, 'what was done stays on record'); END;

CREATE TRIGGER performed_step_refuses_update BEFORE UPDATE OF state, data_set, created_data_set, last_set_data_set, dose, started, ended ON performed_step WHEN OLD.state <> 'in-progress'
            BEGIN SELECT RAISE(ABORT, 'a step that has ended is never changed'); END;

CREATE TRIGGER person_refuses_delete BEFORE DELETE ON person
            BEGIN SELECT RAISE(ABORT, 'who did something here stays on record'); END;

CREATE TRIGGER quality_finding_refuses_delete BEFORE DELETE ON quality_finding
            BEGIN SELECT RAISE(ABORT, 'rows of quality_finding are never deleted'); END;

CREATE TRIGGER receipt_is_about_these_bytes BEFORE INSERT ON receipt
            WHEN NOT EXISTS (
                SELECT 1 FROM outbox_item AS o WHERE o.item_id = NEW.item_id AND o.destination = NEW.destination
                    AND o.sop_instance_uid = NEW.sop_instance_uid AND o.sha256 = NEW.sha256)
            BEGIN SELECT RAISE(ABORT, 'the receipt is about other bytes or another item'); END;

CREATE TRIGGER receipt_is_revoked_only_with_its_item BEFORE UPDATE OF revoked_at ON receipt
            WHEN (SELECT state FROM outbox WHERE item_id = NEW.item_id) = 'confirmed'
            BEGIN SELECT RAISE(ABORT, 'a confirmed item keeps its receipt'); END;

CREATE TRIGGER receipt_refuses_delete BEFORE DELETE ON receipt
            BEGIN SELECT RAISE(ABORT, 'rows of receipt are never deleted'); END;

CREATE TRIGGER receipt_refuses_update BEFORE UPDATE OF item_id, destination, sop_instance_uid, sha256, method, evidence, received_at ON receipt
            BEGIN SELECT RAISE(ABORT, 'a receipt is never rewritten'); END;

CREATE TRIGGER receipt_stays_revoked BEFORE UPDATE OF revoked_at ON receipt WHEN OLD.revoked_at <> ''
            BEGIN SELECT RAISE(ABORT, 'a revoked receipt stays revoked'); END;

CREATE TRIGGER registration_refuses_delete BEFORE DELETE ON registration
            BEGIN SELECT RAISE(ABORT, 'rows of registration are never deleted'); END;

CREATE TRIGGER registration_refuses_update BEFORE UPDATE OF registration_key, accession_number, study_instance_uid ON registration
            BEGIN SELECT RAISE(ABORT, 'a registration never becomes another one'); END;

CREATE TRIGGER rejected_image_refuses_delete BEFORE DELETE ON rejected_image
            BEGIN SELECT RAISE(ABORT, 'rows of rejected_image are never deleted'); END;

CREATE TRIGGER revision_is_wanted AFTER INSERT ON revision
            BEGIN
                UPDATE outbox SET wanted_revision_id = coalesce((SELECT revision_id FROM revision WHERE instance_id = NEW.instance_id AND undone_at = ''
                        ORDER BY number DESC LIMIT 1), 0) WHERE instance_id = NEW.instance_id;
            END;

CREATE TRIGGER revision_refuses_delete BEFORE DELETE ON revision
            BEGIN SELECT RAISE(ABORT, 'rows of revision are never deleted'); END;

CREATE TRIGGER revision_refuses_update BEFORE UPDATE OF revision_id, instance_id, number, action_id, blob_uuid, size_bytes, sha256, dataset_sha256 ON revision
            BEGIN SELECT RAISE(ABORT, 'a revision never becomes another one'); END;

CREATE TRIGGER revision_undone_is_not_wanted AFTER UPDATE OF undone_at ON revision
            BEGIN
                UPDATE outbox SET wanted_revision_id = coalesce((SELECT revision_id FROM revision WHERE instance_id = NEW.instance_id AND undone_at = ''
                        ORDER BY number DESC LIMIT 1), 0) WHERE instance_id = NEW.instance_id;
            END;

CREATE TRIGGER study_completion_reopens AFTER INSERT ON instance
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
            END;

CREATE TRIGGER study_note_is_checked AFTER UPDATE OF outcome ON quality_run WHEN NEW.outcome <> OLD.outcome
            BEGIN
                INSERT INTO study_note (study_instance_uid, change_number)
                    VALUES ((SELECT study_instance_uid FROM instance WHERE instance_id = NEW.instance_id), (SELECT ifnull(max(change_number), 0) + 1 FROM study_note))
                    ON CONFLICT (study_instance_uid) DO UPDATE SET change_number = excluded.change_number;
            END;

CREATE TRIGGER study_note_is_found AFTER INSERT ON quality_finding
            BEGIN
                INSERT INTO study_note (study_instance_uid, change_number)
                    VALUES (NEW.study_instance_uid, (SELECT ifnull(max(change_number), 0) + 1 FROM study_note))
                    ON CONFLICT (study_instance_uid) DO UPDATE SET change_number = excluded.change_number;
            END;

CREATE TRIGGER study_note_is_found_anew AFTER UPDATE OF severity, values_json, cleared_at ON quality_finding
                WHEN (NEW.severity, NEW.values_json, NEW.cleared_at <> '')
                    <> (OLD.severity, OLD.values_json, OLD.cleared_at <> '')
            BEGIN
                INSERT INTO study_note (study_instance_uid, change_number)
                    VALUES (NEW.study_instance_uid, (SELECT ifnull(max(change_number), 0) + 1 FROM study_note))
                    ON CONFLICT (study_instance_uid) DO UPDATE SET change_number = excluded.change_number;
            END;

CREATE TRIGGER study_note_is_matched AFTER INSERT ON study_match
            BEGIN
                INSERT INTO study_note (study_instance_uid, change_number)
                    VALUES (NEW.study_instance_uid, (SELECT ifnull(max(change_number), 0) + 1 FROM study_note))
                    ON CONFLICT (study_instance_uid) DO UPDATE SET change_number = excluded.change_number;
            END;

CREATE TRIGGER study_note_is_matched_anew AFTER UPDATE OF registration_key, state ON study_match WHEN (NEW.registration_key, NEW.state) <> (OLD.registration_key, OLD.state)
            BEGIN
                INSERT INTO study_note (study_instance_uid, change_number)
                    VALUES (NEW.study_instance_uid, (SELECT ifnull(max(change_number), 0) + 1 FROM study_note))
                    ON CONFLICT (study_instance_uid) DO UPDATE SET change_number = excluded.change_number;
            END;

CREATE TRIGGER study_note_is_not_matched AFTER DELETE ON study_match
            BEGIN
                INSERT INTO study_note (study_instance_uid, change_number)
                    VALUES (OLD.study_instance_uid, (SELECT ifnull(max(change_number), 0) + 1 FROM study_note))
                    ON CONFLICT (study_instance_uid) DO UPDATE SET change_number = excluded.change_number;
            END;

CREATE TRIGGER study_note_is_with_rejected AFTER UPDATE OF lifted_at ON rejected_image
            BEGIN
                INSERT INTO study_note (study_instance_uid, change_number)
                    VALUES ((SELECT study_instance_uid FROM instance WHERE instance_id = NEW.instance_id), (SELECT ifnull(max(change_number), 0) + 1 FROM study_note))
                    ON CONFLICT (study_instance_uid) DO UPDATE SET change_number = excluded.change_number;
            END;

CREATE TRIGGER study_note_is_without_rejected AFTER INSERT ON rejected_image
            BEGIN
                INSERT INTO study_note (study_instance_uid, change_number)
                    VALUES ((SELECT study_instance_uid FROM instance WHERE instance_id = NEW.instance_id), (SELECT ifnull(max(change_number), 0) + 1 FROM study_note))
                    ON CONFLICT (study_instance_uid) DO UPDATE SET change_number = excluded.change_number;
            END;

CREATE TRIGGER study_refuses_delete BEFORE DELETE ON study
            BEGIN SELECT RAISE(ABORT, 'rows of study are never deleted'); END;

CREATE TRIGGER transfer_refuses_delete BEFORE DELETE ON transfer
            BEGIN SELECT RAISE(ABORT, 'rows of transfer are never deleted'); END;

CREATE TRIGGER withheld_study_is_another_changed AFTER UPDATE ON study_match
            WHEN NEW.state = 'reconciled'
            BEGIN
                UPDATE withheld_study SET lifted_at = NEW.at
                    WHERE study_instance_uid = NEW.study_instance_uid AND lifted_at = ''
                        AND registration_key <> NEW.registration_key;
            END;

CREATE TRIGGER withheld_study_is_another_new AFTER INSERT ON study_match
            WHEN NEW.state = 'reconciled'
            BEGIN
                UPDATE withheld_study SET lifted_at = NEW.at
                    WHERE study_instance_uid = NEW.study_instance_uid AND lifted_at = ''
                        AND registration_key <> NEW.registration_key;
            END;

CREATE TRIGGER withheld_study_is_released AFTER INSERT ON command
            WHEN NEW.kind = 'release' AND NEW.actor <> 'matching'
            BEGIN
                UPDATE withheld_study SET lifted_at = NEW.given_at
                    WHERE study_instance_uid = NEW.study_instance_uid AND lifted_at = '';
            END;

CREATE TRIGGER withheld_study_refuses_delete BEFORE DELETE ON withheld_study
            BEGIN SELECT RAISE(ABORT, 'what was withheld stays on record'); END;

CREATE TRIGGER worklist_entry_follows_registration AFTER UPDATE OF state ON registration
            BEGIN
                UPDATE worklist_entry SET is_open = NEW.state IN ('scheduled', 'in-progress')
                    WHERE registration_key = NEW.registration_key;
            END;

CREATE TRIGGER worklist_entry_refuses_delete BEFORE DELETE ON worklist_entry
            BEGIN SELECT RAISE(ABORT, 'rows of worklist_entry are never deleted'); END;

CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);

CREATE TABLE acknowledgement (
            acknowledgement_id INTEGER PRIMARY KEY,
            answer_id TEXT NOT NULL REFERENCES answer (answer_id),
            state TEXT NOT NULL CHECK (state IN ('delivered', 'seen')),
            at TEXT NOT NULL,
            by TEXT NOT NULL DEFAULT '',
            told_epoch TEXT NOT NULL DEFAULT '', -- the life of the centre that took it
            UNIQUE (answer_id, state)
        ) STRICT;

CREATE TABLE answer (
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
        ) STRICT;

CREATE TABLE answer_cursor (
            destination TEXT NOT NULL,
            unit_id TEXT NOT NULL,
            epoch TEXT NOT NULL, -- the life of the centre that numbered them
            seq INTEGER NOT NULL, -- every answer up to here is in this database
            PRIMARY KEY (destination, unit_id)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE brought_receipt (
            brought_id INTEGER PRIMARY KEY,
            item_id INTEGER NOT NULL REFERENCES outbox (item_id),
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            evidence TEXT NOT NULL,
            source TEXT NOT NULL,
            brought_at TEXT NOT NULL,
            settled_at TEXT NOT NULL DEFAULT '',
            outcome TEXT NOT NULL DEFAULT ''
        ) STRICT;

CREATE TABLE command (
            command_id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL DEFAULT '',
            reason TEXT NOT NULL DEFAULT '',
            actor TEXT NOT NULL,
            given_at TEXT NOT NULL,
            finished_at TEXT NOT NULL DEFAULT '',
            outcome TEXT NOT NULL DEFAULT ''
        , sop_instance_uid TEXT NOT NULL DEFAULT '') STRICT;

CREATE TABLE commissioning ( -- a device tried out, from its test patient to the end
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
        ) STRICT;

CREATE TABLE commissioning_exam ( -- its test exams: one, and one more for each further day it takes
            registration_key TEXT PRIMARY KEY REFERENCES registration (registration_key),
            commissioning_id INTEGER NOT NULL REFERENCES commissioning (commissioning_id)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE commissioning_step (
            commissioning_id INTEGER NOT NULL REFERENCES commissioning (commissioning_id),
            step TEXT NOT NULL,
            outcome TEXT NOT NULL CHECK (outcome IN ('fine', 'failed', 'waiting', 'skipped', 'waived')),
            sentence TEXT NOT NULL, -- what was seen
            hint TEXT NOT NULL DEFAULT '', -- what to do
            at TEXT NOT NULL, -- when it was first so
            PRIMARY KEY (commissioning_id, step)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE commitment_reference (
            request_id INTEGER NOT NULL REFERENCES commitment_request (request_id),
            position INTEGER NOT NULL,
            sop_class_uid TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL,
            failure_reason INTEGER NOT NULL DEFAULT -1, -- of the last report; 0: committed, -1: not reported yet
            PRIMARY KEY (request_id, position)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE commitment_request (
            request_id INTEGER PRIMARY KEY,
            transaction_uid TEXT NOT NULL,
            calling_ae_title TEXT NOT NULL,
            called_ae_title TEXT NOT NULL, -- as which we report
            state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'delivered', 'given-up')),
            requested_at TEXT NOT NULL,
            attempt_count INTEGER NOT NULL DEFAULT 0, -- of the report, since it was last asked for
            attempted_at TEXT NOT NULL DEFAULT '',
            failure_code TEXT NOT NULL DEFAULT '', -- why the last attempt failed
            delivered_at TEXT NOT NULL DEFAULT '', wait_count INTEGER NOT NULL DEFAULT 0, wait_boot_id TEXT NOT NULL DEFAULT '', wait_until_mono_s REAL NOT NULL DEFAULT 0,
            UNIQUE (transaction_uid, calling_ae_title)
        ) STRICT;

CREATE TABLE correction (
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
        , covered_instance_id INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE TABLE courier_copy (
            copy_id INTEGER PRIMARY KEY,
            stick TEXT NOT NULL,
            item_id INTEGER NOT NULL REFERENCES outbox (item_id),
            sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
            verified_at TEXT NOT NULL, -- when the stick last gave it back
            UNIQUE (stick, item_id)
        ) STRICT;

CREATE TABLE cursor (
            feed TEXT PRIMARY KEY,
            seq INTEGER NOT NULL,
            row_id TEXT NOT NULL DEFAULT '',
            row_date TEXT NOT NULL DEFAULT ''
        ) STRICT;

CREATE TABLE finding (
            finding_id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL,
            subject_id TEXT NOT NULL,
            sentence TEXT NOT NULL,
            detail TEXT NOT NULL DEFAULT '',
            severity TEXT NOT NULL CHECK (severity IN ('notice', 'warning', 'alarm')),
            found_at TEXT NOT NULL,
            cleared_at TEXT NOT NULL DEFAULT '',
            UNIQUE (kind, subject_id)
        ) STRICT;

CREATE TABLE instance (
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
        ) STRICT;

CREATE TABLE journal (
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
        ) STRICT;

CREATE TABLE known_identity ( -- as files of a corrected study say it: whose they are is decided
            study_instance_uid TEXT NOT NULL REFERENCES study (study_instance_uid),
            patient_id TEXT NOT NULL,
            patient_birth_date TEXT NOT NULL,
            patient_name TEXT NOT NULL,
            PRIMARY KEY (study_instance_uid, patient_id, patient_birth_date, patient_name)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE link (
            destination TEXT PRIMARY KEY,
            state TEXT NOT NULL DEFAULT 'unknown' CHECK (state IN ('unknown', 'up', 'down')),
            failure_code TEXT NOT NULL DEFAULT '',
            failure_sentence TEXT NOT NULL DEFAULT '',
            changed_at TEXT NOT NULL,
            next_try_at TEXT NOT NULL DEFAULT '',
            last_success_at TEXT NOT NULL DEFAULT ''
        , epoch TEXT NOT NULL DEFAULT '', rate_low_bytes_per_s REAL NOT NULL DEFAULT 0, rate_bytes_per_s REAL NOT NULL DEFAULT 0, rate_high_bytes_per_s REAL NOT NULL DEFAULT 0, round_trip_s REAL NOT NULL DEFAULT 0, plain_bytes_sum INTEGER NOT NULL DEFAULT 0, coded_bytes_sum INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE TABLE link_usage (
            kind TEXT NOT NULL,
            day TEXT NOT NULL, -- the unit's local date, as it believed
            link_bytes INTEGER NOT NULL,
            PRIMARY KEY (kind, day)
        ) STRICT;

CREATE TABLE made_object ( -- goes through the unit's own door, like a modality's
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
        ) STRICT;

CREATE TABLE outbox (
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
            failure_sentence TEXT NOT NULL DEFAULT '', announced_at TEXT NOT NULL DEFAULT '', coded_bytes INTEGER NOT NULL DEFAULT 0, revision_id INTEGER NOT NULL DEFAULT 0, wanted_revision_id INTEGER NOT NULL DEFAULT 0,
            UNIQUE (instance_id, destination)
        ) STRICT;

CREATE TABLE patient (
            patient_key TEXT PRIMARY KEY,
            family_latin TEXT NOT NULL DEFAULT '',
            given_latin TEXT NOT NULL DEFAULT '',
            family_arabic TEXT NOT NULL DEFAULT '',
            given_arabic TEXT NOT NULL DEFAULT '',
            latin_is_proposal INTEGER NOT NULL DEFAULT 0 CHECK (latin_is_proposal IN (0, 1)), -- made from the Arabic
            sex TEXT NOT NULL DEFAULT '' CHECK (sex IN ('F', 'M', 'O', '')),
            birth_date TEXT NOT NULL DEFAULT '', -- YYYYMMDD
            age_text TEXT NOT NULL DEFAULT '', -- DICOM AS, when the birth date is unknown
            weight_kg REAL NOT NULL DEFAULT 0, -- 0: unknown
            is_emergency INTEGER NOT NULL DEFAULT 0 CHECK (is_emergency IN (0, 1)),
            merged_into TEXT NOT NULL DEFAULT '' CHECK (merged_into <> patient_key),
            registered_at TEXT NOT NULL,
            changed_at TEXT NOT NULL
        ) STRICT;

CREATE TABLE patient_identifier (
            patient_key TEXT NOT NULL REFERENCES patient (patient_key),
            issuer TEXT NOT NULL,
            value TEXT NOT NULL CHECK (value <> ''),
            kind TEXT NOT NULL CHECK (kind IN ('national', 'unit', 'other')),
            PRIMARY KEY (patient_key, issuer, value)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE patient_term ( -- folded words to find a patient by; made anew with every change of the patient
            kind TEXT NOT NULL CHECK (kind IN ('name', 'sound', 'id')),
            term TEXT NOT NULL,
            patient_key TEXT NOT NULL REFERENCES patient (patient_key),
            PRIMARY KEY (kind, term, patient_key)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE performed_for ( -- Scheduled Step Attributes Sequence
            step_uid TEXT NOT NULL REFERENCES performed_step (step_uid),
            position INTEGER NOT NULL,
            study_instance_uid TEXT NOT NULL,
            accession_number TEXT NOT NULL DEFAULT '',
            requested_procedure_id TEXT NOT NULL DEFAULT '',
            scheduled_step_id TEXT NOT NULL DEFAULT '',
            registration_key TEXT REFERENCES registration (registration_key), -- NULL: not scheduled here
            PRIMARY KEY (step_uid, position)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE performed_instance (
            step_uid TEXT NOT NULL REFERENCES performed_step (step_uid),
            sop_instance_uid TEXT NOT NULL,
            sop_class_uid TEXT NOT NULL,
            series_instance_uid TEXT NOT NULL,
            PRIMARY KEY (step_uid, sop_instance_uid)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE performed_series (
            step_uid TEXT NOT NULL REFERENCES performed_step (step_uid),
            series_instance_uid TEXT NOT NULL,
            protocol_name TEXT NOT NULL DEFAULT '',
            description TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (step_uid, series_instance_uid)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE performed_step (
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
        ) STRICT;

CREATE TABLE person (
            person_id INTEGER PRIMARY KEY AUTOINCREMENT,
            name TEXT NOT NULL CHECK (name <> ''),
            role TEXT NOT NULL CHECK (role IN ('technologist', 'supervisor')),
            pin_hash TEXT NOT NULL,
            failed_count INTEGER NOT NULL DEFAULT 0 CHECK (failed_count >= 0),
            failed_at TEXT NOT NULL DEFAULT '', -- the last wrong PIN since the last right one
            added_at TEXT NOT NULL,
            removed_at TEXT NOT NULL DEFAULT '' -- a person stays on record: the journal names them
        ) STRICT;

CREATE TABLE quality_finding (
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
        ) STRICT;

CREATE TABLE quality_gate (
            gate_id INTEGER PRIMARY KEY CHECK (gate_id = 1),
            is_on INTEGER NOT NULL DEFAULT 0 CHECK (is_on IN (0, 1))
        ) STRICT;

CREATE TABLE quality_hold (
            finding_id INTEGER PRIMARY KEY REFERENCES quality_finding (finding_id),
            study_instance_uid TEXT NOT NULL,
            command_id INTEGER NOT NULL DEFAULT 0, -- of the hold; 0: it was let go at once
            held_at TEXT NOT NULL,
            let_go_at TEXT NOT NULL DEFAULT '',
            let_go_why TEXT NOT NULL DEFAULT '' CHECK (let_go_why IN ('', 'released', 'stat', 'cleared'))
        ) STRICT;

CREATE TABLE quality_run (
            instance_id INTEGER PRIMARY KEY REFERENCES instance (instance_id),
            checks_version INTEGER NOT NULL DEFAULT 0, -- 0: by none yet
            blob_uuid TEXT NOT NULL DEFAULT '', -- the file that was looked at
            order_digest TEXT NOT NULL DEFAULT '', -- of the order that it was compared with
            outcome TEXT NOT NULL DEFAULT 'due' CHECK (outcome IN ('due', 'checked', 'failed', 'gone')),
            attempt_count INTEGER NOT NULL DEFAULT 0, -- readings that ended without an answer
            checked_at TEXT NOT NULL DEFAULT ''
        ) STRICT;

CREATE TABLE quality_wait (
            item_id INTEGER PRIMARY KEY REFERENCES outbox (item_id),
            instance_id INTEGER NOT NULL REFERENCES instance (instance_id)
        ) STRICT;

CREATE TABLE receipt (
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
        , epoch TEXT NOT NULL DEFAULT '') STRICT;

CREATE TABLE registration (
            registration_key TEXT PRIMARY KEY,
            patient_key TEXT NOT NULL REFERENCES patient (patient_key),
            accession_number TEXT NOT NULL UNIQUE CHECK (length(accession_number) BETWEEN 1 AND 16),
            study_instance_uid TEXT NOT NULL UNIQUE,
            exam_code TEXT NOT NULL,
            modality TEXT NOT NULL,
            body_part TEXT NOT NULL DEFAULT '',
            laterality TEXT NOT NULL DEFAULT '' CHECK (laterality IN ('', 'L', 'R', 'B')),
            views TEXT NOT NULL DEFAULT '', -- expected view positions: 'AP LL/RL' is AP, and one of LL and RL
            description TEXT NOT NULL,
            priority TEXT NOT NULL DEFAULT 'routine' CHECK (priority IN ('stat', 'routine')),
            pregnancy TEXT NOT NULL DEFAULT '' CHECK (pregnancy IN ('', 'no', 'possible', 'yes', 'unknown')),
            referrer TEXT NOT NULL DEFAULT '',
            reason TEXT NOT NULL DEFAULT '',
            station_ae_title TEXT NOT NULL DEFAULT '', -- '': any
            scheduled_at TEXT NOT NULL,
            state TEXT NOT NULL DEFAULT 'scheduled'
                CHECK (state IN ('scheduled', 'in-progress', 'completed', 'discontinued', 'cancelled')),
            registered_at TEXT NOT NULL,
            changed_at TEXT NOT NULL
        ) STRICT;

CREATE TABLE rejected_image (
            instance_id INTEGER NOT NULL REFERENCES instance (instance_id),
            action_id INTEGER NOT NULL REFERENCES correction (action_id),
            reason_code TEXT NOT NULL,
            rejected_at TEXT NOT NULL,
            lifted_at TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (instance_id, action_id)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE revision (
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
        ) STRICT;

CREATE TABLE sqlite_sequence(name,seq);

CREATE TABLE study (
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
        ) STRICT;

CREATE TABLE study_completion (
            study_instance_uid TEXT PRIMARY KEY REFERENCES study (study_instance_uid),
            state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete')),
            reason TEXT NOT NULL DEFAULT '' CHECK (reason IN ('', 'steps', 'quiet', 'person')),
            missing_count INTEGER NOT NULL DEFAULT 0, -- named by a completed step and not here
            reopened_count INTEGER NOT NULL DEFAULT 0,
            changed_at TEXT NOT NULL DEFAULT '',
            CHECK ((state = 'open') = (reason = ''))
        ) STRICT;

CREATE TABLE study_match (
            study_instance_uid TEXT PRIMARY KEY REFERENCES study (study_instance_uid),
            registration_key TEXT NOT NULL DEFAULT '', -- of an exception: whom it would belong to, if that is known
            how TEXT NOT NULL DEFAULT '' CHECK (how IN ('', 'study-uid', 'accession', 'patient', 'person')),
            state TEXT NOT NULL CHECK (state IN ('matched', 'exception', 'reconciled')),
            exception TEXT NOT NULL DEFAULT '' CHECK (exception IN
                ('', 'unknown-patient', 'name-differs', 'id-reused', 'patient-switched', 'ambiguous')),
            at TEXT NOT NULL,
            actor TEXT NOT NULL,
            CHECK ((state = 'exception') = (exception <> ''))
        ) STRICT;

CREATE TABLE study_note (
            study_instance_uid TEXT PRIMARY KEY,
            change_number INTEGER NOT NULL UNIQUE -- of its last change, over all studies
        ) STRICT, WITHOUT ROWID;

CREATE TABLE study_note_told (
            destination TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            unit_id TEXT NOT NULL, -- this unit's at that centre
            epoch TEXT NOT NULL, -- the life of the centre that took it
            change_number INTEGER NOT NULL, -- that it was told up to
            revision INTEGER NOT NULL, -- that it was told under
            PRIMARY KEY (destination, study_instance_uid)
        ) STRICT, WITHOUT ROWID;

CREATE TABLE transfer (
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
        ) STRICT;

CREATE TABLE withheld_study ( -- of a test patient: owed to no destination
            study_instance_uid TEXT PRIMARY KEY,
            registration_key TEXT NOT NULL REFERENCES registration (registration_key), -- the test exam
            withheld_at TEXT NOT NULL,
            lifted_at TEXT NOT NULL DEFAULT '',
            queued_at TEXT NOT NULL DEFAULT '' -- when its pictures became owed after that
        ) STRICT;

CREATE TABLE worklist_entry (
            registration_key TEXT PRIMARY KEY REFERENCES registration (registration_key),
            is_open INTEGER NOT NULL CHECK (is_open IN (0, 1)), -- kept by trigger
            modality TEXT NOT NULL,
            station_ae_title TEXT NOT NULL DEFAULT '', -- '': any
            scheduled_date TEXT NOT NULL, -- YYYYMMDD, the unit's local time
            scheduled_time TEXT NOT NULL, -- HHMMSS
            patient_id TEXT NOT NULL,
            accession_number TEXT NOT NULL,
            study_instance_uid TEXT NOT NULL,
            requested_procedure_id TEXT NOT NULL,
            name_ascii TEXT NOT NULL,
            name_latin1 TEXT NOT NULL,
            name_utf8 TEXT NOT NULL,
            item_ascii BLOB NOT NULL, -- each a Part 10 file with the whole Modality Worklist item
            item_latin1 BLOB NOT NULL,
            item_utf8 BLOB NOT NULL
        ) STRICT;

CREATE INDEX acknowledgement_by_told ON acknowledgement (told_epoch, acknowledgement_id);

CREATE INDEX answer_by_study ON answer (study_instance_uid) WHERE study_instance_uid <> '';

CREATE INDEX answer_by_subject ON answer (subject_id) WHERE subject_id <> '';

CREATE UNIQUE INDEX brought_receipt_open ON brought_receipt (item_id) WHERE settled_at = '';

CREATE INDEX command_open ON command (command_id) WHERE finished_at = '';

CREATE INDEX commissioning_by_title ON commissioning (ae_title);

CREATE INDEX commissioning_exam_by_commissioning ON commissioning_exam (commissioning_id);

CREATE UNIQUE INDEX commissioning_open ON commissioning (ae_title) WHERE state = 'open';

CREATE INDEX commitment_request_open ON commitment_request (request_id) WHERE state = 'open';

CREATE INDEX correction_by_study ON correction (study_instance_uid, action_id);

CREATE INDEX courier_copy_by_item ON courier_copy (item_id);

CREATE INDEX finding_open ON finding (finding_id) WHERE cleared_at = '';

CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");

CREATE INDEX instance_by_blob ON instance (blob_uuid);

CREATE INDEX instance_by_orthanc_id ON instance (orthanc_id);

CREATE INDEX instance_by_study ON instance (study_instance_uid);

CREATE INDEX instance_not_present ON instance (local_state) WHERE local_state <> 'present';

CREATE INDEX instance_only_here ON instance (study_instance_uid) WHERE confirmed_count = 0;

CREATE INDEX instance_unsafe ON instance (study_instance_uid, size_bytes)
            WHERE owed_count = 0 OR confirmed_count < owed_count;

CREATE INDEX journal_by_study ON journal (study_instance_uid, seq) WHERE study_instance_uid <> '';

CREATE INDEX journal_by_subject ON journal (subject_id, seq);

CREATE INDEX made_object_open ON made_object (action_id) WHERE stored_at = '' AND withdrawn_at = '';

CREATE INDEX outbox_backlog ON outbox (destination, coded_bytes, size_bytes)
            WHERE state IN ('pending', 'encoding', 'ready', 'sending');

CREATE INDEX outbox_by_class
            ON outbox (destination, stat, announced_at <> '', queued_at_s, size_bytes, item_id)
            WHERE state IN ('pending', 'ready');

CREATE INDEX outbox_unfinished ON outbox (state, destination, item_id) WHERE state <> 'confirmed';

CREATE INDEX outbox_unrevised ON outbox (item_id) WHERE revision_id <> wanted_revision_id;

CREATE INDEX outbox_waiting ON outbox (destination, stat DESC, queued_at_s, size_bytes, item_id)
            WHERE state IN ('pending', 'ready');

CREATE INDEX patient_by_birth_date ON patient (birth_date) WHERE birth_date <> '';

CREATE INDEX patient_by_merge ON patient (merged_into) WHERE merged_into <> '';

CREATE INDEX patient_identifier_by_value ON patient_identifier (value, issuer);

CREATE UNIQUE INDEX patient_identifier_of_unit ON patient_identifier (value) WHERE kind = 'unit';

CREATE INDEX patient_term_by_patient ON patient_term (patient_key);

CREATE INDEX performed_for_by_registration ON performed_for (registration_key);

CREATE INDEX performed_for_by_study ON performed_for (study_instance_uid);

CREATE INDEX performed_instance_by_sop ON performed_instance (sop_instance_uid);

CREATE INDEX performed_step_open ON performed_step (step_uid) WHERE state = 'in-progress';

CREATE UNIQUE INDEX person_by_name ON person (name) WHERE removed_at = '';

CREATE INDEX quality_finding_by_study ON quality_finding (study_instance_uid) WHERE cleared_at = '';

CREATE INDEX quality_finding_open ON quality_finding (check_code) WHERE cleared_at = '';

CREATE INDEX quality_hold_open ON quality_hold (study_instance_uid) WHERE let_go_at = '';

CREATE INDEX quality_run_by_version ON quality_run (checks_version, instance_id);

CREATE INDEX receipt_by_epoch ON receipt (destination, epoch, item_id) WHERE revoked_at = '';

CREATE UNIQUE INDEX receipt_standing ON receipt (item_id) WHERE revoked_at = '';

CREATE INDEX registration_by_patient ON registration (patient_key);

CREATE INDEX registration_by_time ON registration (scheduled_at);

CREATE UNIQUE INDEX rejected_image_standing ON rejected_image (instance_id) WHERE lifted_at = '';

CREATE INDEX revision_by_action ON revision (action_id);

CREATE INDEX study_by_accession ON study (accession_number) WHERE accession_number <> '';

CREATE INDEX study_by_arrival ON study (last_instance_id);

CREATE INDEX study_by_day ON study (last_received_at);

CREATE INDEX study_by_patient_id ON study (patient_id) WHERE patient_id <> '';

CREATE INDEX study_completion_open ON study_completion (study_instance_uid) WHERE state = 'open';

CREATE INDEX study_match_by_registration ON study_match (registration_key) WHERE registration_key <> '';

CREATE INDEX study_match_exception ON study_match (at) WHERE state = 'exception';

CREATE INDEX transfer_by_destination ON transfer (destination, transfer_id);

CREATE INDEX transfer_open ON transfer (transfer_id) WHERE ended_at = '';

CREATE INDEX withheld_study_by_registration ON withheld_study (registration_key);

CREATE INDEX withheld_study_lifted ON withheld_study (study_instance_uid) WHERE lifted_at <> '' AND queued_at = '';

CREATE INDEX worklist_entry_by_accession ON worklist_entry (accession_number);

CREATE INDEX worklist_entry_by_patient_id ON worklist_entry (patient_id) WHERE is_open = 1;

CREATE INDEX worklist_entry_open ON worklist_entry (scheduled_date, scheduled_time, registration_key)
            WHERE is_open = 1;

-- door.db

CREATE TRIGGER kept_refuses_delete BEFORE DELETE ON kept
            BEGIN SELECT RAISE(ABORT, 'what was kept stays in the ledger'); END;

CREATE TRIGGER kept_refuses_update BEFORE UPDATE OF blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes ON kept
            BEGIN SELECT RAISE(ABORT, 'what was kept is never rewritten'); END;

CREATE TRIGGER quarantined_refuses_delete BEFORE DELETE ON quarantined
            BEGIN SELECT RAISE(ABORT, 'what was set aside stays in the ledger'); END;

CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);

CREATE TABLE kept (
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
        ) STRICT;

CREATE TABLE purge_permit (
            blob_uuid TEXT PRIMARY KEY,
            permitted_at TEXT NOT NULL
        ) STRICT;

CREATE TABLE quarantined (
            quarantined_id INTEGER PRIMARY KEY AUTOINCREMENT,
            reason TEXT NOT NULL,
            sop_instance_uid TEXT NOT NULL DEFAULT '',
            sha256 TEXT NOT NULL DEFAULT '',
            size_bytes INTEGER NOT NULL DEFAULT 0,
            file_name TEXT NOT NULL DEFAULT '',
            calling_ae_title TEXT NOT NULL DEFAULT '',
            found_at TEXT NOT NULL,
            seen_count INTEGER NOT NULL DEFAULT 1
        ) STRICT;

CREATE TABLE refused (
            refused_id INTEGER PRIMARY KEY AUTOINCREMENT,
            reason TEXT NOT NULL,
            status INTEGER NOT NULL,
            calling_ae_title TEXT NOT NULL DEFAULT '',
            refused_at TEXT NOT NULL
        ) STRICT;

CREATE TABLE sqlite_sequence(name,seq);

CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");

CREATE INDEX kept_by_header ON kept (header_blob_uuid) WHERE header_blob_uuid <> '';

CREATE INDEX kept_by_sop ON kept (sop_instance_uid);

CREATE INDEX quarantined_by_sop ON quarantined (sop_instance_uid, sha256);
