"""Which registration each study belongs to, and what the matching rules ask of this unit's tables."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from appliance.domain.matching import Known, Ordered, Person, Said, Verdict
from appliance.store import journal
from appliance.store.connect import Store, write
from appliance.store.patients import keys_of_person, standing_key
from appliance.store.stamp import Stamp

MATCHED, EXCEPTION, RECONCILED = "matched", "exception", "reconciled"


@dataclass(frozen=True, slots=True)
class Match:
    """A row of ``study_match``."""

    study_instance_uid: str
    registration_key: str
    how: str
    state: str
    exception: str
    at: str
    actor: str


_MATCH = "study_instance_uid, registration_key, how, state, exception, at, actor"


def find_match(db: Store, study_instance_uid: str) -> Match | None:
    """What was found out, or decided, about a study."""
    row = db.row(f"SELECT {_MATCH} FROM study_match WHERE study_instance_uid = ?", (study_instance_uid,))  # noqa: S608 - our columns
    return Match(*row) if row else None


def exceptions(db: Store) -> tuple[Match, ...]:
    """Studies that wait for a person, the oldest first."""
    sql = f"SELECT {_MATCH} FROM study_match WHERE state = 'exception' ORDER BY at"  # noqa: S608 - our columns
    return tuple(Match(*row) for row in db.rows(sql))


def facts_version(db: Store) -> tuple[object, ...]:
    """Changes with anything that the rules look at, and with nothing that happens all the time."""
    row = db.row(
        """SELECT (SELECT max(instance_id) FROM instance), (SELECT max(changed_at) FROM registration),
            (SELECT count(*) FROM registration), (SELECT max(changed_at) FROM patient),
            (SELECT count(*) FROM patient_identifier), (SELECT max(action_id) FROM correction),
            (SELECT count(*) FROM correction WHERE undone_at <> '')"""
    )
    return tuple(row or ())


def undecided(db: Store, count: int) -> tuple[str, ...]:
    """Studies to look at, the newest first: those without a row, and exceptions, which a registration may mend."""
    rows = db.rows(
        """SELECT s.study_instance_uid FROM study AS s LEFT JOIN study_match AS m USING (study_instance_uid)
            WHERE m.state IS NULL OR m.state <> 'reconciled' ORDER BY s.last_instance_id DESC LIMIT ?""",
        (count,),
    )
    return tuple(row[0] for row in rows)


def set_match(db: Store, stamp: Stamp, match: Match) -> bool:
    """Write what was found out or decided; whether that is news, which alone is journalled."""
    with write(db):
        before = find_match(db, match.study_instance_uid)
        if before is not None and says_the_same(before, match):
            return False
        db.change(
            """INSERT INTO study_match (study_instance_uid, registration_key, how, state, exception, at, actor)
                VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (study_instance_uid) DO UPDATE SET
                    registration_key = excluded.registration_key, how = excluded.how, state = excluded.state,
                    exception = excluded.exception, at = excluded.at, actor = excluded.actor""",
            (
                match.study_instance_uid,
                match.registration_key,
                match.how,
                match.state,
                match.exception,
                match.at,
                match.actor,
            ),
        )
        journal.append(
            db,
            stamp,
            subject="match",
            subject_id=match.study_instance_uid,
            study_instance_uid=match.study_instance_uid,
            event=match.exception or match.how or "none",
            from_state=before.state if before else "",
            to_state=match.state,
            actor=match.actor,
            detail=f"registration={match.registration_key}",
        )
    return True


def says_the_same(one: Match, other: Match) -> bool:
    """Whether both rows say the same, whoever says it when."""
    return (one.registration_key, one.how, one.state, one.exception) == (
        other.registration_key,
        other.how,
        other.state,
        other.exception,
    )


def forget_match(db: Store, stamp: Stamp, study_instance_uid: str, actor: str) -> None:
    """Nothing is decided about a study any more: the rules look at it anew."""
    with write(db):
        before = find_match(db, study_instance_uid)
        db.change("DELETE FROM study_match WHERE study_instance_uid = ?", (study_instance_uid,))
        journal.append(
            db,
            stamp,
            subject="match",
            subject_id=study_instance_uid,
            study_instance_uid=study_instance_uid,
            event="forgotten",
            from_state=before.state if before else "",
            actor=actor,
        )


def last_hold(db: Store, study_instance_uid: str, actor: str = "") -> str:
    """The newest of the wishes to hold or to release a study, of one who wishes or of all; empty: none."""
    sql = """SELECT kind FROM command WHERE study_instance_uid = ?1 AND kind IN ('hold', 'release')
        AND command_id = (SELECT max(command_id) FROM command WHERE study_instance_uid = ?1
            AND kind IN ('hold', 'release')) AND (?2 = '' OR actor = ?2)"""
    return str(db.value(sql, (study_instance_uid, actor)) or "")


def is_stat(db: Store, study_instance_uid: str) -> bool:
    """Whether a study is marked as STAT."""
    sql = "SELECT priority = 'stat' FROM study WHERE study_instance_uid = ?"
    return bool(db.value(sql, (study_instance_uid,)))


def ordered_as_stat(db: Store, hold: Collection[str]) -> tuple[str, ...]:
    """Studies that were ordered as STAT and of which nobody has said yet how urgent they are.

    Args:
        db: The unit's database.
        hold: Exceptions that keep a study here; such a one may be of another order.
    """
    rows = db.rows(
        """SELECT m.study_instance_uid FROM registration AS r
            CROSS JOIN study_match AS m ON m.registration_key = r.registration_key
            CROSS JOIN study AS s ON s.study_instance_uid = m.study_instance_uid AND s.priority = 'routine'
            WHERE r.priority = 'stat' AND m.exception NOT IN (SELECT value FROM json_each(?))
                AND NOT EXISTS (SELECT 1 FROM command AS c
                    WHERE c.study_instance_uid = m.study_instance_uid AND c.kind IN ('stat', 'routine'))
            ORDER BY m.study_instance_uid""",
        (json.dumps(sorted(hold)),),
    )
    return tuple(row[0] for row in rows)


def studies_of_patients(db: Store, patient_keys: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Studies that belong to registrations of these records, each with its registration's key."""
    rows = db.rows(
        """SELECT m.study_instance_uid, m.registration_key FROM study_match AS m
            JOIN registration AS r ON r.registration_key = m.registration_key
            WHERE m.state <> 'exception' AND r.patient_key IN (SELECT value FROM json_each(?))
            ORDER BY m.study_instance_uid""",
        (json.dumps(list(patient_keys)),),
    )
    return tuple((row[0], row[1]) for row in rows)


def match_of(verdict: Verdict, study_instance_uid: str, stamp: Stamp, actor: str) -> Match:
    """The row that says what the rules say."""
    state = EXCEPTION if verdict.doubt else MATCHED
    return Match(study_instance_uid, verdict.registration_key, verdict.how, state, verdict.doubt, stamp.at, actor)


def said_of(db: Store, study_instance_uid: str) -> Said | None:
    """What the study's files say of the patient, as they were received."""
    row = db.row(
        """SELECT study_instance_uid, patient_id, patient_birth_date, patient_name, accession_number, modality
            FROM study WHERE study_instance_uid = ?""",
        (study_instance_uid,),
    )
    return Said(*row) if row else None


def known_of(db: Store, said: Said) -> Known:
    """Everything here that may fit a study."""
    people = _people(db, "SELECT DISTINCT patient_key FROM patient_identifier WHERE value = ?", said.patient_id)
    by_study_uid = _ordered(db, "r.study_instance_uid = ?1", said.study_instance_uid)
    by_accession = _ordered(db, "r.accession_number = ?1", said.accession_number) if said.accession_number else ()
    first = next(iter((*by_study_uid, *by_accession)), None)
    return Known(
        by_study_uid=next(iter(by_study_uid), None),
        by_accession=next(iter(by_accession), None),
        people=tuple(people.values()),
        orders=_orders_of(db, list(people), said.study_instance_uid),
        is_next_under_way=first is not None and _is_next_under_way(db, first.registration_key, said),
    )


def person_of(db: Store, patient_key: str) -> Person | None:
    """A patient record, the one that it was merged into where it was."""
    return _person(db, standing_key(db, patient_key))


def _people(db: Store, sql: str, value: str) -> dict[str, Person]:
    found: dict[str, Person] = {}
    for (patient_key,) in db.rows(sql, (value,)) if value else ():
        person = person_of(db, patient_key)
        if person is not None:
            found[person.patient_key] = person
    return found


def _person(db: Store, patient_key: str) -> Person | None:
    row = db.row(
        """SELECT patient_key, birth_date, is_emergency, family_latin, given_latin, family_arabic, given_arabic
            FROM patient WHERE patient_key = ?""",
        (patient_key,),
    )
    if row is None:
        return None
    sql = "SELECT value, kind FROM patient_identifier WHERE patient_key IN (SELECT value FROM json_each(?))"
    ids = db.rows(sql, (json.dumps(keys_of_person(db, patient_key)),))
    return Person(
        patient_key=row[0],
        ids=frozenset(value for value, _ in ids),
        unit_ids=frozenset(value for value, kind in ids if kind == "unit"),
        birth_date=row[1],
        names=tuple(part for part in row[3:] if part),
        is_emergency=bool(row[2]),
    )


def _ordered(db: Store, condition: str, value: str, study_instance_uid: str = "") -> tuple[Ordered, ...]:
    rows = db.rows(
        f"""SELECT r.registration_key, r.study_instance_uid, r.accession_number, r.modality, r.patient_key,
                r.state IN ('scheduled', 'in-progress') AND NOT EXISTS (SELECT 1 FROM study_match AS m
                    WHERE m.registration_key = r.registration_key AND m.state <> 'exception'
                        AND m.study_instance_uid <> ?2)
            FROM registration AS r WHERE {condition}""",  # noqa: S608 - our conditions
        (value, study_instance_uid),
    )
    found = []
    for key, study_uid, accession, modality, patient_key, is_open in rows:
        person = person_of(db, patient_key)
        assert person is not None, "registrations refer to patients"
        found.append(Ordered(key, study_uid, accession, modality, person, bool(is_open)))
    return tuple(found)


def _orders_of(db: Store, patient_keys: Sequence[str], study_instance_uid: str) -> tuple[Ordered, ...]:
    keys = dict.fromkeys(key for patient_key in patient_keys for key in keys_of_person(db, patient_key))
    return tuple(one for key in keys for one in _ordered(db, "r.patient_key = ?1", key, study_instance_uid))


def _is_next_under_way(db: Store, registration_key: str, said: Said) -> bool:
    """Whether a picture of the study came after its exam was done, while the device was at work on somebody else.

    The order of all three is that of the unit's own clock, and stays what it was when that exam is done too. A picture
    that the device itself named in a step of this exam is of it however late it comes; a rejected one counts no more.
    """
    return bool(
        db.value(
            """SELECT 1 FROM registration AS mine
                CROSS JOIN instance AS i ON i.study_instance_uid = ?1 AND i.received_at > mine.changed_at
                    AND NOT EXISTS (SELECT 1 FROM performed_instance AS p CROSS JOIN performed_for AS f USING (step_uid)
                        WHERE p.sop_instance_uid = i.sop_instance_uid AND f.registration_key = mine.registration_key)
                    AND NOT EXISTS (SELECT 1 FROM rejected_image AS r
                        WHERE r.instance_id = i.instance_id AND r.lifted_at = '')
                CROSS JOIN registration AS next ON next.modality = mine.modality
                    AND next.patient_key <> mine.patient_key AND next.changed_at > mine.changed_at
                CROSS JOIN performed_for AS f ON f.registration_key = next.registration_key
                CROSS JOIN performed_step AS s ON s.step_uid = f.step_uid AND s.created_at > mine.changed_at
                    AND s.created_at < i.received_at AND (s.state = 'in-progress' OR s.changed_at > i.received_at)
                WHERE mine.registration_key = ?2 AND mine.state IN ('completed', 'discontinued') LIMIT 1""",
            (said.study_instance_uid, registration_key),
        )
    )
