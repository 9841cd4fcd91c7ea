"""``unit.db``: who came, what was asked, and what worklists are answered with."""

from __future__ import annotations

from sqlite_utils import Database

from appliance.store.migrations.base import refuse, run, unit_migrations


@unit_migrations()
def m0101_registrations(db: Database) -> None:
    """Patients with their identifiers and search words, their registrations, and the ready-made worklist answers.

    ``worklist_entry.is_open`` follows ``registration.state`` by trigger, so that no writer can leave a finished exam on
    a console's list.
    """
    run(
        db,
        """CREATE TABLE patient (
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
        ) STRICT""",
        "CREATE INDEX patient_by_birth_date ON patient (birth_date) WHERE birth_date <> ''",
        "CREATE INDEX patient_by_merge ON patient (merged_into) WHERE merged_into <> ''",
        """CREATE TABLE patient_identifier (
            patient_key TEXT NOT NULL REFERENCES patient (patient_key),
            issuer TEXT NOT NULL,
            value TEXT NOT NULL CHECK (value <> ''),
            kind TEXT NOT NULL CHECK (kind IN ('national', 'unit', 'other')),
            PRIMARY KEY (patient_key, issuer, value)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX patient_identifier_by_value ON patient_identifier (value, issuer)",
        "CREATE UNIQUE INDEX patient_identifier_of_unit ON patient_identifier (value) WHERE kind = 'unit'",
        """CREATE TABLE patient_term ( -- folded words to find a patient by; made anew with every change of the patient
            kind TEXT NOT NULL CHECK (kind IN ('name', 'sound', 'id')),
            term TEXT NOT NULL,
            patient_key TEXT NOT NULL REFERENCES patient (patient_key),
            PRIMARY KEY (kind, term, patient_key)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX patient_term_by_patient ON patient_term (patient_key)",
        """CREATE TABLE registration (
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
        ) STRICT""",
        "CREATE INDEX registration_by_patient ON registration (patient_key)",
        "CREATE INDEX registration_by_time ON registration (scheduled_at)",
        """CREATE TABLE worklist_entry (
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
        ) STRICT""",
        """CREATE INDEX worklist_entry_open ON worklist_entry (scheduled_date, scheduled_time, registration_key)
            WHERE is_open = 1""",
        "CREATE INDEX worklist_entry_by_patient_id ON worklist_entry (patient_id) WHERE is_open = 1",
        "CREATE INDEX worklist_entry_by_accession ON worklist_entry (accession_number)",
        """CREATE TRIGGER worklist_entry_follows_registration AFTER UPDATE OF state ON registration
            BEGIN
                UPDATE worklist_entry SET is_open = NEW.state IN ('scheduled', 'in-progress')
                    WHERE registration_key = NEW.registration_key;
            END""",
        # A number given to an image is never made again, also when the registration was forgotten with a backup.
        "CREATE INDEX study_by_accession ON study (accession_number) WHERE accession_number <> ''",
        "CREATE INDEX study_by_patient_id ON study (patient_id) WHERE patient_id <> ''",
        *(
            refuse(table, "DELETE", f"rows of {table} are never deleted")
            for table in ("patient", "registration", "worklist_entry")
        ),
        refuse("patient", "UPDATE OF patient_key", "a patient never becomes another one"),
        refuse(
            "registration",
            "UPDATE OF registration_key, accession_number, study_instance_uid",
            "a registration never becomes another one",
        ),
    )
