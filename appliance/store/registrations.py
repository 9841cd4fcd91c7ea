"""Registrations and what the worklist answers for them; an entry is always written in the transaction of its cause."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.registration import (
    MOVES_BY_PEOPLE,
    Laterality,
    Order,
    Pregnancy,
    Registration,
    RegistrationState,
    WorklistEntry,
)
from appliance.domain.values import Priority
from appliance.store import journal
from appliance.store.connect import Row, Store, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp

_COLUMNS = """registration_key, patient_key, accession_number, study_instance_uid, state, registered_at, changed_at,
    exam_code, modality, body_part, description, laterality, views, priority, pregnancy, referrer, reason,
    station_ae_title, scheduled_at"""
_ENTRY_COLUMNS = """modality, station_ae_title, scheduled_date, scheduled_time, patient_id, accession_number,
    study_instance_uid, requested_procedure_id, name_ascii, name_latin1, name_utf8, item_ascii, item_latin1,
    item_utf8"""

_ROWS = """SELECT r.registration_key, r.patient_key, r.accession_number, r.study_instance_uid, r.state, r.exam_code,
        r.modality, r.body_part, r.laterality, r.views, r.description, r.priority, r.pregnancy, r.referrer,
        r.reason, r.station_ae_title, r.scheduled_at, w.name_utf8, w.patient_id, p.birth_date, p.sex,
        p.is_emergency, EXISTS (SELECT 1 FROM study AS s WHERE s.study_instance_uid = r.study_instance_uid)
    FROM worklist_entry AS w CROSS JOIN registration AS r USING (registration_key)
    CROSS JOIN patient AS p USING (patient_key)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRow:
    """One line of the day's list, with what identifies the patient."""

    registration_key: str
    patient_key: str
    accession_number: str
    study_instance_uid: str
    state: RegistrationState
    exam_code: str
    modality: str
    body_part: str
    laterality: str
    views: str
    description: str
    priority: str
    pregnancy: str
    referrer: str
    reason: str
    station_ae_title: str
    scheduled_at: str
    patient_name: str
    """As a DICOM PN with both groups."""
    patient_id: str
    """As consoles show it."""
    patient_birth_date: str
    patient_sex: str
    is_emergency: bool
    has_images: bool
    """Whether any image of its study is here."""


class MoveRefusedError(Exception):
    """The registration is not in a state from which a person may do this; the text is a sentence."""


def add_registration(db: Store, stamp: Stamp, registration: Registration, entry: WorklistEntry, actor: str) -> None:
    """Write a new registration down with what the worklist answers for it.

    Raises:
        StoreError: ``refused`` for a number or UID that is there already.
    """
    order = registration.order
    with write(db):
        db.change(
            f"INSERT INTO registration ({_COLUMNS}) VALUES ({', '.join('?' * 19)})",  # noqa: S608 - our own columns
            (
                registration.registration_key,
                registration.patient_key,
                registration.accession_number,
                registration.study_instance_uid,
                registration.state,
                registration.registered_at,
                registration.changed_at,
                order.exam_code,
                order.modality,
                order.body_part,
                order.description,
                order.laterality,
                order.views,
                order.priority,
                order.pregnancy,
                order.referrer,
                order.reason,
                order.station_ae_title,
                order.scheduled_at,
            ),
        )
        put_entry(db, registration.registration_key, entry)
        _note(db, stamp, registration, "registered", actor, "", registration.state, order.exam_code)


def put_entry(db: Store, registration_key: str, entry: WorklistEntry) -> None:
    """Make or renew what the worklist answers for a registration, inside the transaction that is the cause of it."""
    db.change(
        f"""INSERT INTO worklist_entry (registration_key, is_open, {_ENTRY_COLUMNS})
            SELECT ?1, state IN ('scheduled', 'in-progress'), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
                ?15 FROM registration WHERE registration_key = ?1
            ON CONFLICT (registration_key) DO UPDATE SET modality = excluded.modality,
                station_ae_title = excluded.station_ae_title, scheduled_date = excluded.scheduled_date,
                scheduled_time = excluded.scheduled_time, patient_id = excluded.patient_id,
                name_ascii = excluded.name_ascii, name_latin1 = excluded.name_latin1, name_utf8 = excluded.name_utf8,
                item_ascii = excluded.item_ascii, item_latin1 = excluded.item_latin1,
                item_utf8 = excluded.item_utf8""",  # noqa: S608 - our own columns
        (
            registration_key,
            entry.modality,
            entry.station_ae_title,
            entry.scheduled_date,
            entry.scheduled_time,
            entry.patient_id,
            entry.accession_number,
            entry.study_instance_uid,
            entry.requested_procedure_id,
            entry.name_ascii,
            entry.name_latin1,
            entry.name_utf8,
            entry.item_ascii,
            entry.item_latin1,
            entry.item_utf8,
        ),
    )


def move_registration(
    db: Store, stamp: Stamp, registration_key: str, to_state: RegistrationState, actor: str, reason: str
) -> Registration:
    """What a person does to a registration: cancel, discontinue, complete, or put it back onto the worklist.

    Returns:
        The registration after it; unchanged, without a journal row, when it was in that state already.

    Raises:
        MoveRefusedError: From its present state a person may not do that.
        StoreError: ``refused`` when there is no such registration.
    """
    with write(db):
        registration = _known(db, registration_key)
        if registration.state is to_state:
            return registration
        if to_state not in MOVES_BY_PEOPLE[registration.state]:
            raise MoveRefusedError(
                f"The exam {registration.accession_number} is {registration.state} and cannot become {to_state} from "
                "there. Nothing was changed."
            )
        db.change(
            "UPDATE registration SET state = ?, changed_at = ? WHERE registration_key = ?",
            (to_state, stamp.at, registration_key),
        )
        _note(db, stamp, registration, "moved", actor, registration.state, to_state, reason)
        return _known(db, registration_key)


def give_to_patient(
    db: Store, stamp: Stamp, registration_key: str, patient_key: str, actor: str, reason: str
) -> Registration:
    """Say that a registration is another person's; ``registration.desk`` renews its worklist entry with it.

    Raises:
        StoreError: ``refused`` when there is no such registration or patient.
    """
    with write(db):
        before = _known(db, registration_key)
        db.change(
            "UPDATE registration SET patient_key = ?, changed_at = ? WHERE registration_key = ?",
            (patient_key, stamp.at, registration_key),
        )
        _note(db, stamp, before, "given", actor, before.patient_key, patient_key, reason)
        return _known(db, registration_key)


def find_registration(db: Store, registration_key: str) -> Registration | None:
    """One registration by its key."""
    return _one(db, "registration_key = ?", registration_key)


def registration_of_study(db: Store, study_instance_uid: str) -> Registration | None:
    """The registration that made this Study Instance UID."""
    return _one(db, "study_instance_uid = ?", study_instance_uid)


def registration_of_accession(db: Store, accession_number: str) -> Registration | None:
    """The registration that made this accession number."""
    return _one(db, "accession_number = ?", accession_number)


def registrations_of_patient(db: Store, patient_key: str) -> tuple[Registration, ...]:
    """Every registration of one record, the oldest first."""
    sql = f"SELECT {_COLUMNS} FROM registration WHERE patient_key = ? ORDER BY scheduled_at"  # noqa: S608 - ours
    return tuple(map(_registration, db.rows(sql, (patient_key,))))


def registrations_named(db: Store, part: str, limit: int) -> tuple[Registration, ...]:
    """Registrations whose key, accession number or Study Instance UID is ``part``, or whose accession ends with it."""
    sql = f"""SELECT {_COLUMNS} FROM registration
        WHERE registration_key = ?1 OR accession_number = ?1 OR study_instance_uid = ?1
            OR substr(accession_number, -length(?1)) = ?1
        ORDER BY accession_number <> ?1, scheduled_at DESC LIMIT ?2"""  # noqa: S608 - our own columns
    return tuple(map(_registration, db.rows(sql, (part, limit)))) if part else ()


def list_registrations(
    db: Store,
    *,
    from_date: str = "",
    to_date: str = "",
    modality: str = "",
    states: frozenset[RegistrationState] = frozenset(RegistrationState),
    limit: int,
) -> tuple[RegistrationRow, ...]:
    """The list of some days, urgent ones first, then by time.

    Args:
        db: The unit's database.
        from_date: First local day, ``YYYYMMDD``; empty: since ever.
        to_date: Last local day; empty: for ever.
        modality: Only this one; empty: any.
        states: Only these.
        limit: At most so many rows.
    """
    marks = ", ".join("?" * len(states))
    rows = db.rows(
        f"""{_ROWS} WHERE (? = '' OR w.scheduled_date >= ?) AND (? = '' OR w.scheduled_date <= ?)
                AND (? = '' OR r.modality = ?) AND r.state IN ({marks})
            ORDER BY r.priority = 'routine', r.scheduled_at, r.registration_key LIMIT ?""",
        (from_date, from_date, to_date, to_date, modality, modality, *sorted(states), limit),
    )
    return tuple(map(_row, rows))


def registration_row(db: Store, registration_key: str) -> RegistrationRow | None:
    """One registration as a line of the list."""
    row = db.row(f"{_ROWS} WHERE r.registration_key = ?", (registration_key,))
    return _row(row) if row else None


def _row(row: Row) -> RegistrationRow:
    return RegistrationRow(
        registration_key=row[0],
        patient_key=row[1],
        accession_number=row[2],
        study_instance_uid=row[3],
        state=RegistrationState(row[4]),
        exam_code=row[5],
        modality=row[6],
        body_part=row[7],
        laterality=row[8],
        views=row[9],
        description=row[10],
        priority=row[11],
        pregnancy=row[12],
        referrer=row[13],
        reason=row[14],
        station_ae_title=row[15],
        scheduled_at=row[16],
        patient_name=row[17],
        patient_id=row[18],
        patient_birth_date=row[19],
        patient_sex=row[20],
        is_emergency=bool(row[21]),
        has_images=bool(row[22]),
    )


def _one(db: Store, condition: str, value: str) -> Registration | None:
    row = db.row(f"SELECT {_COLUMNS} FROM registration WHERE {condition}", (value,))  # noqa: S608 - our own columns
    return _registration(row) if row else None


def _known(db: Store, registration_key: str) -> Registration:
    found = find_registration(db, registration_key)
    if found is None:
        raise StoreError(StoreFault.REFUSED, f"there is no registration {registration_key}")
    return found


def _registration(row: Row) -> Registration:
    return Registration(
        registration_key=row[0],
        patient_key=row[1],
        accession_number=row[2],
        study_instance_uid=row[3],
        state=RegistrationState(row[4]),
        registered_at=row[5],
        changed_at=row[6],
        order=Order(
            exam_code=row[7],
            modality=row[8],
            body_part=row[9],
            description=row[10],
            laterality=Laterality(row[11]),
            views=row[12],
            priority=Priority(row[13]),
            pregnancy=Pregnancy(row[14]),
            referrer=row[15],
            reason=row[16],
            station_ae_title=row[17],
            scheduled_at=row[18],
        ),
    )


def _note(
    db: Store, stamp: Stamp, registration: Registration, event: str, actor: str, before: str, after: str, detail: str
) -> None:
    journal.append(
        db,
        stamp,
        subject="registration",
        subject_id=registration.registration_key,
        study_instance_uid=registration.study_instance_uid,
        event=event,
        from_state=before,
        to_state=after,
        actor=actor,
        detail=detail,
    )
