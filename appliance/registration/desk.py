"""The desk: registers a person and an exam, and changes them, each in one transaction with its worklist entry.

It needs the database alone. Whoever changes a patient or gives a registration to another one does it here, so that
no console is ever answered with what a record said before.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from appliance.clock import local_day, local_zone
from appliance.config import UnitConfig
from appliance.dicom.worklist_item import worklist_entry
from appliance.domain.registration import (
    Identifier,
    IdentifierKind,
    Order,
    Patient,
    PatientDetails,
    PersonName,
    Registration,
    RegistrationState,
)
from appliance.registration.duplicates import SHOWN_FROM, Likeness, likeness
from appliance.registration.identifiers import Draw, new_accession_number, new_patient_id, new_study_instance_uid
from appliance.registration.identifiers import unit_prefix as prefix_of
from appliance.store import patients, registrations
from appliance.store.connect import Store, read, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.stamp import Stamp

EMERGENCY_FAMILY_NAME = "TEMP"
_DRAW_COUNT_MAX = 100


@dataclass(frozen=True, slots=True)
class UnitWords:
    """What of the unit's configuration stands in numbers and worklist items."""

    name: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Registered:
    """What came of one registering."""

    patient: Patient
    registration: Registration
    patient_id: str
    """As consoles and images show it."""


def unit_words(config: UnitConfig) -> UnitWords:
    """The unit's name and the prefix of its numbers."""
    return UnitWords(config.unit.name, config.registration.prefix or prefix_of(config.unit.name))


def possible_duplicates(
    db: Store, stamp: Stamp, details: PatientDetails, identifiers: Iterable[Identifier]
) -> tuple[Likeness, ...]:
    """Known patients who may be the one being entered, the likeliest first, each with its reasons."""
    entered = tuple(identifiers)
    today = today_of(stamp)
    compared = [likeness(details, entered, known, today) for known in patients.patients_like(db, details, entered)]
    found = [one for one in compared if one.score >= SHOWN_FROM]
    return tuple(sorted(found, key=lambda one: (-one.score, one.patient.patient_key)))


def register_person(
    db: Store,
    stamp: Stamp,
    unit: UnitWords,
    details: PatientDetails,
    identifiers: Iterable[Identifier],
    order: Order,
    actor: str,
    draw: Draw = secrets.randbelow,
) -> Registered:
    """Write a new person and an exam down. An emergency without a name gets ``TEMP`` and its number as one.

    Args:
        db: The unit's database.
        stamp: Now.
        unit: Whose numbers are drawn.
        details: As entered, the name checked by ``appliance.registration.names``.
        identifiers: As entered; the unit adds its own.
        order: What is asked.
        actor: Who types, for the journal.
        draw: Where numbers come from.
    """
    with write(db):
        unit_id = _drawn(db, lambda: new_patient_id(unit.prefix, draw))
        if details.is_emergency and not details.name.has_latin:
            temporary = PersonName(family_latin=EMERGENCY_FAMILY_NAME, given_latin=unit_id.rpartition("-")[2])
            name = replace(temporary, family_arabic=details.name.family_arabic, given_arabic=details.name.given_arabic)
            details = replace(details, name=name)
        patient = Patient(
            patient_key=str(uuid.uuid4()),
            details=details,
            identifiers=(*identifiers, Identifier(unit.name, unit_id, IdentifierKind.UNIT)),
            registered_at=stamp.at,
        )
        patients.add_patient(db, stamp, patient, actor)
        return register_exam(db, stamp, unit, patient.patient_key, order, actor, draw)


def register_exam(
    db: Store,
    stamp: Stamp,
    unit: UnitWords,
    patient_key: str,
    order: Order,
    actor: str,
    draw: Draw = secrets.randbelow,
) -> Registered:
    """Write an exam of a known person down; arguments as ``register_person``.

    Raises:
        StoreError: ``refused`` when there is no such record.
    """
    with write(db):
        patient = _standing(db, patient_key)
        registration = Registration(
            registration_key=str(uuid.uuid4()),
            patient_key=patient.patient_key,
            accession_number=_drawn(db, lambda: new_accession_number(unit.prefix, draw)),
            study_instance_uid=new_study_instance_uid(uuid.uuid4()),
            order=order,
            state=RegistrationState.SCHEDULED,
            registered_at=stamp.at,
            changed_at=stamp.at,
        )
        shown = shown_identifier(db, patient)
        entry = worklist_entry(patient, registration, shown, local_time(order.scheduled_at), unit.name)
        registrations.add_registration(db, stamp, registration, entry, actor)
        return Registered(patient, registration, shown.value)


def change_person(
    db: Store,
    stamp: Stamp,
    unit: UnitWords,
    patient_key: str,
    details: PatientDetails,
    actor: str,
    reason: str,
    new_identifiers: Iterable[Identifier] = (),
) -> Patient:
    """Let a record say something else, and the worklist with it; a reconciled emergency is one no more.

    Raises:
        StoreError: ``refused`` when there is no such record.
    """
    with write(db):
        patients.change_patient(db, stamp, patient_key, details, new_identifiers, actor, reason)
        renew_entries(db, unit, patient_key)
        return _standing(db, patient_key)


def give_registration(
    db: Store, stamp: Stamp, unit: UnitWords, registration_key: str, patient_key: str, actor: str, reason: str
) -> Registration:
    """Say that a registration is another person's, and renew its worklist entry; its numbers stay.

    Raises:
        StoreError: ``refused`` when one of the two is not there.
    """
    with write(db):
        patient = _standing(db, patient_key)
        registration = registrations.give_to_patient(db, stamp, registration_key, patient.patient_key, actor, reason)
        _renew(db, unit, patient, registration)
        return registration


def merge_people(
    db: Store, stamp: Stamp, unit: UnitWords, patient_key: str, into_key: str, actor: str, reason: str
) -> None:
    """Say that two records are one person's (an empty ``into_key`` takes it back), and renew the worklist.

    Raises:
        StoreError: As ``appliance.store.patients.merge_patient``.
    """
    with write(db):
        patients.merge_patient(db, stamp, patient_key, into_key, actor, reason)
        renew_entries(db, unit, patient_key)


def renew_entries(db: Store, unit: UnitWords, patient_key: str) -> None:
    """Make the worklist say what the standing record of a patient says now, inside the transaction of its change."""
    patient = _standing(db, patient_key)
    for key in patients.keys_of_person(db, patient_key):
        for registration in registrations.registrations_of_patient(db, key):
            _renew(db, unit, patient, registration)


def shown_identifier(db: Store, patient: Patient) -> Identifier:
    """The identifier that consoles and images carry: the national one, else the unit's own.

    A national number that two people go by (typed wrongly, or a mother's for her child) tells nobody apart, so the
    unit's own is shown then.
    """
    own = next(one for one in patient.identifiers if one.kind is IdentifierKind.UNIT)
    national = (one for one in patient.identifiers if one.kind is IdentifierKind.NATIONAL)
    return next((one for one in national if not patients.identifier_is_shared(db, patient.patient_key, one)), own)


def find_person(db: Store, typed: str) -> tuple[Patient, ...]:
    """Standing records meant by a patient key or any identifier, however it was typed."""
    with read(db):
        key = patients.standing_key(db, typed)
        found = patients.find_patient(db, key) if key else None
        return (found,) if found else patients.patients_with_number(db, typed)


def local_time(at: str) -> datetime:
    """A moment of an ``_at`` column in the unit's local time, as consoles ask for it."""
    moment = datetime.fromisoformat(at)
    return moment.astimezone(local_zone(moment.timestamp()))


def today_of(stamp: Stamp) -> date:
    """The unit's local date."""
    return date.fromisoformat(local_day(stamp.wall_s)[0])


def _renew(db: Store, unit: UnitWords, patient: Patient, registration: Registration) -> None:
    shown = shown_identifier(db, patient)
    scheduled = local_time(registration.order.scheduled_at)
    entry = worklist_entry(patient, registration, shown, scheduled, unit.name)
    registrations.put_entry(db, registration.registration_key, entry)


def _standing(db: Store, patient_key: str) -> Patient:
    patient = patients.find_patient(db, patients.standing_key(db, patient_key))
    if patient is None:
        raise StoreError(StoreFault.REFUSED, f"there is no patient record {patient_key}")
    return patient


def _drawn(db: Store, make: Callable[[], str]) -> str:
    """A number that nothing on this unit knows."""
    for _ in range(_DRAW_COUNT_MAX):
        number = make()
        if not patients.number_is_taken(db, number):
            return number
    raise StoreError(StoreFault.REFUSED, "no free number was found; the source of random numbers does not work")
