"""Patient records with their identifiers and search words; the journal speaks of them by key alone (invariant 12)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from appliance.domain.registration import Identifier, IdentifierKind, Patient, PatientDetails, PersonName, Sex
from appliance.registration.folding import words
from appliance.registration.terms import FIRST_AFTER, number_term, sounds_of, terms_of
from appliance.store import journal
from appliance.store.connect import Row, Store, read, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp

MERGE_DEPTH_MAX = 32
LIKE_COUNT_MAX = 200
"""Records that are compared with somebody who is being entered."""

_COLUMNS = """p.patient_key, p.family_latin, p.given_latin, p.family_arabic, p.given_arabic, p.sex, p.birth_date,
    p.age_text, p.weight_kg, p.is_emergency, p.latin_is_proposal, p.merged_into, p.registered_at"""


def add_patient(db: Store, stamp: Stamp, patient: Patient, actor: str) -> None:
    """Write a new record down.

    Raises:
        StoreError: ``refused`` for a key or a unit-made identifier that is there already.
    """
    details = patient.details
    with write(db):
        db.change(
            """INSERT INTO patient (patient_key, family_latin, given_latin, family_arabic, given_arabic, sex,
                birth_date, age_text, weight_kg, is_emergency, latin_is_proposal, registered_at, changed_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (patient.patient_key, *_values(details), stamp.at, stamp.at),
        )
        for one in patient.identifiers:
            _add_identifier(db, patient.patient_key, one)
        _write_terms(db, patient.patient_key, details, patient.identifiers)
        _note(db, stamp, patient.patient_key, "registered", actor, "emergency" if details.is_emergency else "")


def change_patient(
    db: Store,
    stamp: Stamp,
    patient_key: str,
    details: PatientDetails,
    identifiers: Iterable[Identifier],
    actor: str,
    reason: str,
) -> None:
    """Let a record say something else; identifiers are only added. ``registration.desk`` renews the worklist with it.

    Raises:
        StoreError: ``refused`` when there is no such record.
    """
    with write(db):
        changed = db.change(
            """UPDATE patient SET family_latin = ?, given_latin = ?, family_arabic = ?, given_arabic = ?, sex = ?,
                birth_date = ?, age_text = ?, weight_kg = ?, is_emergency = ?, latin_is_proposal = ?, changed_at = ?
                WHERE patient_key = ?""",
            (*_values(details), stamp.at, patient_key),
        )
        if not changed:
            raise StoreError(StoreFault.REFUSED, f"there is no patient record {patient_key}")
        known = _identifiers(db, patient_key)
        for one in identifiers:
            if one not in known:
                _add_identifier(db, patient_key, one)
        _write_terms(db, patient_key, details, _identifiers(db, patient_key))
        _note(db, stamp, patient_key, "changed", actor, reason)


def merge_patient(db: Store, stamp: Stamp, patient_key: str, into_key: str, actor: str, reason: str) -> None:
    """Say that a record is about the person of another one; both stay. An empty ``into_key`` takes it back.

    Raises:
        StoreError: ``refused`` when one is missing or the two would point at each other.
    """
    with write(db):
        if into_key and standing_key(db, into_key) in ("", patient_key):
            raise StoreError(StoreFault.REFUSED, f"the record {patient_key} cannot be merged into {into_key}")
        if not db.change(
            "UPDATE patient SET merged_into = ?, changed_at = ? WHERE patient_key = ?",
            (into_key, stamp.at, patient_key),
        ):
            raise StoreError(StoreFault.REFUSED, f"there is no patient record {patient_key}")
        _note(db, stamp, patient_key, "merged" if into_key else "unmerged", actor, f"{into_key} {reason}".strip())


def standing_key(db: Store, patient_key: str) -> str:
    """The record that stands for this one after all merges; empty when there is none."""
    for _ in range(MERGE_DEPTH_MAX):
        row = db.row("SELECT merged_into FROM patient WHERE patient_key = ?", (patient_key,))
        if row is None or not row[0]:
            return patient_key if row else ""
        patient_key = row[0]
    raise StoreError(StoreFault.REFUSED, f"merges of patient records go round in a circle at {patient_key}")


def keys_of_person(db: Store, patient_key: str) -> tuple[str, ...]:
    """This record and all that were merged into it, directly or not."""
    rows = db.rows(
        """WITH RECURSIVE person (patient_key) AS (
                VALUES (?) UNION
                SELECT p.patient_key FROM patient AS p JOIN person ON p.merged_into = person.patient_key)
            SELECT patient_key FROM person""",
        (patient_key,),
    )
    return tuple(key for (key,) in rows)


def find_patient(db: Store, patient_key: str) -> Patient | None:
    """One record as it is, merged or not."""
    with read(db):
        row = db.row(f"SELECT {_COLUMNS} FROM patient AS p WHERE patient_key = ?", (patient_key,))  # noqa: S608 - ours
        return _patient(db, row) if row else None


def patients_with_number(db: Store, number: str, issuer: str = "") -> tuple[Patient, ...]:
    """Standing records that are, or were before a merge, known by an identifier, whatever its case and hyphens.

    Args:
        db: The unit's database.
        number: The identifier's value.
        issuer: Only identifiers of this issuer; empty: of any.
    """
    with read(db):
        keys = _keys(db, "SELECT patient_key FROM patient_term WHERE kind = 'id' AND term = ?", (number_term(number),))
        wanted = number_term(number)
        found = [
            key
            for key in keys
            for one in _identifiers(db, key)
            if number_term(one.value) == wanted and issuer in ("", one.issuer)
        ]
        return _standing(db, found)


def search_patients(db: Store, text: str, limit: int) -> tuple[Patient, ...]:
    """Standing records of which every word of ``text`` begins a word of the name, a number or the birth date."""
    searched = words(text)
    if not searched:
        return ()
    each = """SELECT patient_key FROM patient_term WHERE kind = 'name' AND term >= ? AND term < ?
        UNION SELECT patient_key FROM patient_term WHERE kind = 'id' AND term >= ? AND term < ?"""
    number = number_term(text)
    sql = " INTERSECT ".join(f"SELECT * FROM ({each})" for _ in searched)  # noqa: S608 - our own text
    sql = f"""SELECT p.patient_key FROM patient AS p WHERE p.patient_key IN ({sql} UNION
            SELECT patient_key FROM patient_term WHERE kind = 'id' AND term >= ? AND term < ?)
        ORDER BY p.family_latin, p.given_latin, p.patient_key LIMIT ?"""  # noqa: S608 - our own text
    bounds = [bound for word in searched for bound in (word, word + FIRST_AFTER) * 2]
    with read(db):
        keys = _keys(db, sql, (*bounds, number, number + FIRST_AFTER, limit))
        return _standing(db, keys)


def patients_like(db: Store, details: PatientDetails, identifiers: Iterable[Identifier]) -> tuple[Patient, ...]:
    """Standing records worth comparing with what is entered: they share a number, two sounds, or one and the birth.

    At most ``LIKE_COUNT_MAX``, those that share most first.
    """
    sounds = sorted(sounds_of(details))
    numbers = sorted({number_term(one.value) for one in identifiers})
    with read(db):
        keys = _keys(
            db,
            f"SELECT patient_key FROM patient_term WHERE kind = 'id' AND term IN ({_marks(numbers)})",  # noqa: S608
            numbers,
        )
        keys += _keys(
            db,
            f"""SELECT t.patient_key FROM patient_term AS t CROSS JOIN patient AS p USING (patient_key)
                WHERE t.kind = 'sound' AND t.term IN ({_marks(sounds)})
                GROUP BY t.patient_key
                HAVING count(*) >= ? OR (p.birth_date <> '' AND p.birth_date = ?)
                ORDER BY count(*) + 2 * (p.birth_date = ?) DESC, t.patient_key LIMIT ?""",  # noqa: S608 - our marks
            (*sounds, min(2, len(sounds)), details.birth_date, details.birth_date, LIKE_COUNT_MAX),
        )
        return _standing(db, keys)


def number_is_taken(db: Store, number: str) -> bool:
    """Whether a number that this unit would make is in use, in registrations or in any image that came."""
    return bool(
        db.value(
            """SELECT EXISTS (SELECT 1 FROM patient_identifier WHERE value = ?1)
                OR EXISTS (SELECT 1 FROM registration WHERE accession_number = ?1)
                OR EXISTS (SELECT 1 FROM study WHERE accession_number = ?1 AND accession_number <> '')
                OR EXISTS (SELECT 1 FROM study WHERE patient_id = ?1 AND patient_id <> '')""",
            (number,),
        )
    )


def identifier_is_shared(db: Store, patient_key: str, identifier: Identifier) -> bool:
    """Whether another person, too, goes by this identifier."""
    others = db.rows(
        "SELECT patient_key FROM patient_identifier WHERE value = ? AND issuer = ? AND patient_key <> ?",
        (identifier.value, identifier.issuer, patient_key),
    )
    mine = standing_key(db, patient_key)
    return any(standing_key(db, key) != mine for (key,) in others)


def _values(details: PatientDetails) -> tuple[object, ...]:
    name = details.name
    return (
        name.family_latin,
        name.given_latin,
        name.family_arabic,
        name.given_arabic,
        details.sex,
        details.birth_date,
        details.age_text,
        details.weight_kg,
        int(details.is_emergency),
        int(details.latin_is_proposal),
    )


def _patient(db: Store, row: Row) -> Patient:
    return Patient(
        patient_key=row[0],
        details=PatientDetails(
            name=PersonName(family_latin=row[1], given_latin=row[2], family_arabic=row[3], given_arabic=row[4]),
            sex=Sex(row[5]),
            birth_date=row[6],
            age_text=row[7],
            weight_kg=row[8],
            is_emergency=bool(row[9]),
            latin_is_proposal=bool(row[10]),
        ),
        identifiers=_identifiers(db, row[0]),
        merged_into=row[11],
        registered_at=row[12],
    )


def _standing(db: Store, keys: Iterable[str]) -> tuple[Patient, ...]:
    standing = dict.fromkeys(standing_key(db, key) for key in keys)
    return tuple(patient for key in standing if (patient := find_patient(db, key)))


def _identifiers(db: Store, patient_key: str) -> tuple[Identifier, ...]:
    rows = db.rows(
        "SELECT issuer, value, kind FROM patient_identifier WHERE patient_key = ? ORDER BY kind, issuer, value",
        (patient_key,),
    )
    return tuple(Identifier(issuer, value, IdentifierKind(kind)) for issuer, value, kind in rows)


def _add_identifier(db: Store, patient_key: str, one: Identifier) -> None:
    db.change(
        "INSERT INTO patient_identifier (patient_key, issuer, value, kind) VALUES (?, ?, ?, ?)",
        (patient_key, one.issuer, one.value, one.kind),
    )


def _write_terms(db: Store, patient_key: str, details: PatientDetails, identifiers: Iterable[Identifier]) -> None:
    db.change("DELETE FROM patient_term WHERE patient_key = ?", (patient_key,))
    for kind, term in sorted(terms_of(details, identifiers)):
        db.change("INSERT INTO patient_term (kind, term, patient_key) VALUES (?, ?, ?)", (kind, term, patient_key))


def _note(db: Store, stamp: Stamp, patient_key: str, event: str, actor: str, detail: str) -> None:
    journal.append(db, stamp, subject="patient", subject_id=patient_key, event=event, actor=actor, detail=detail)


def _keys(db: Store, sql: str, parameters: Sequence[object]) -> list[str]:
    return [key for (key,) in db.rows(sql, parameters)]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
