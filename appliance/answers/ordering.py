"""An order of the centre becomes a registration of this unit, or is kept for a person with the reason.

What was registered on the unit wins: an exam that is on its worklist already is not put there again, and the order is
kept beside it. Nobody is ever taken for somebody else: a known person is meant only where a number with its issuer is
the same and nothing speaks against it. What the unit knows of a person stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from appliance.clock import utc_text
from appliance.config import ConfigError, UnitConfig
from appliance.domain.registration import (
    OPEN_STATES,
    Identifier,
    IdentifierKind,
    Laterality,
    Order,
    Patient,
    PatientDetails,
    PersonName,
    Registration,
    Sex,
)
from appliance.domain.values import Priority
from appliance.domain.wording import told
from appliance.registration import desk, entering
from appliance.registration.catalogue import Exam, load_catalogue
from appliance.registration.duplicates import Likeness, Reason
from appliance.registration.names import NameRefusedError, checked_name
from appliance.store import patients, registrations
from appliance.store.connect import Store
from appliance.store.stamp import Stamp
from sync.wire.answers import PlacedOrder

SURELY_FROM = 70
"""The same name and the same birth date, as ``appliance.registration.duplicates`` weighs them."""
_AGAINST = frozenset({Reason.OTHER_BIRTH_DATE, Reason.OTHER_SEX})
_BY_NAME = frozenset({Reason.SAME_NAME, Reason.NAMES_SWAPPED, Reason.SOUNDS_ALIKE})
BY_HAND = "It is kept; register it by hand where it is right."


@dataclass(frozen=True, slots=True)
class Ordered:
    """What became of an order: a sentence without the patient's identity, and the registration that stands for it."""

    outcome: str
    registration_key: str = ""


class _NeedsPersonError(Exception):
    """The unit cannot do this by itself; the text says why."""


def register(db: Store, stamp: Stamp, config: UnitConfig, said: PlacedOrder) -> Ordered:
    """Put an order on the worklist, inside the transaction that keeps it.

    Raises:
        StoreError: As the database reports; then nothing of it was written.
    """
    try:
        exam = _exam(config, said)
        details, identifiers = _person(config, said)
        order = _order(config, said, exam, stamp)
        alike = desk.possible_duplicates(db, stamp, details, identifiers)
        known = _known(db, identifiers, alike)
    except _NeedsPersonError as why:
        return Ordered(f"{why} {BY_HAND}")
    except (entering.EntryRefusedError, NameRefusedError):
        return Ordered(f"A name, number or date of the order cannot be used on this unit. {BY_HAND}")
    surely = [one.patient for one in alike if one.score >= SURELY_FROM]
    for patient in ([known] if known else []) + surely:
        if (same := _same_exam(db, patient, order)) is not None:
            outcome = f"The exam was registered on the unit already, as {same.accession_number}; that one stands."
            return Ordered(outcome, same.registration_key)
    unit, actor = desk.unit_words(config), f"centre:{said.author}"
    if known is not None:
        done = desk.register_exam(db, stamp, unit, known.patient_key, order, actor)
    else:
        done = desk.register_person(db, stamp, unit, details, identifiers, order, actor)
    made = done.registration
    return Ordered(f"On the unit's worklist as {made.accession_number}.", made.registration_key)


def _exam(config: UnitConfig, said: PlacedOrder) -> Exam:
    """The exam of the unit's catalogue that is meant."""
    try:
        catalogue = load_catalogue(config.registration.catalogue)
    except ConfigError as error:
        raise _NeedsPersonError("The unit's exam catalogue cannot be read.") from error
    exam = catalogue.by_code.get(said.exam_code)
    if exam is None and not said.exam_code:
        of_place = [
            one for one in catalogue.exam if (one.modality, one.body_part) == (said.modality, said.body_part.upper())
        ]
        exam = of_place[0] if len(of_place) == 1 else None
    if exam is None:
        raise _NeedsPersonError("The unit's catalogue has no such exam.")
    if exam.paired and not said.laterality:
        raise _NeedsPersonError("The order does not say which side.")
    return exam


def _person(config: UnitConfig, said: PlacedOrder) -> tuple[PatientDetails, tuple[Identifier, ...]]:
    who = said.patient
    name = PersonName(
        family_latin=who.family_latin,
        given_latin=who.given_latin,
        family_arabic=who.family_arabic,
        given_arabic=who.given_arabic,
    )
    details = PatientDetails(name=checked_name(name), sex=Sex(who.sex), birth_date=who.birth_date)
    if who.birth_date:
        _check_date(who.birth_date)
    if not (who.identifier and who.issuer):
        return details, ()
    is_national = who.issuer == config.registration.national_issuer
    kind = IdentifierKind.NATIONAL if is_national else IdentifierKind.OTHER
    return details, (entering.identifier(who.issuer, who.identifier, kind),)


def _check_date(text: str) -> None:
    """A birth date that is a date.

    Raises:
        EntryRefusedError: It is none.
    """
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a date alone
    except ValueError as error:
        raise entering.EntryRefusedError(told("The birth date is no date")) from error


def _order(config: UnitConfig, said: PlacedOrder, exam: Exam, stamp: Stamp) -> Order:
    side = Laterality(said.laterality) if exam.paired else Laterality.NONE
    return Order(
        exam_code=exam.code,
        modality=exam.modality,
        body_part=exam.body_part,
        description=exam.description(config.registration.language, side),
        laterality=side,
        views=" ".join(exam.views),
        priority=Priority.STAT if said.is_stat else Priority.ROUTINE,
        referrer=entering.long_text(said.referrer or said.author[: entering.LONG_TEXT_CHARS_MAX], "referrer"),
        reason=entering.long_text(said.reason, "reason"),
        scheduled_at=_scheduled(said.scheduled_at, stamp),
    )


def _scheduled(text: str, stamp: Stamp) -> str:
    """As every ``_at``; now where the order says nothing usable."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return stamp.at
    return utc_text(moment.timestamp()) if moment.tzinfo is not None else stamp.at


def _known(db: Store, identifiers: tuple[Identifier, ...], alike: tuple[Likeness, ...]) -> Patient | None:
    """The one person who goes by the number of the order."""
    found = {
        one.patient_key: one
        for each in identifiers
        for one in patients.patients_with_number(db, each.value, each.issuer)
    }
    if not found:
        return None
    if len(found) > 1:
        raise _NeedsPersonError("Several people on this unit go by the number of the order.")
    (patient,) = found.values()
    reasons = {reason for one in alike if one.patient.patient_key == patient.patient_key for reason in one.reasons}
    if reasons & _AGAINST or not reasons & _BY_NAME:
        raise _NeedsPersonError("The number of the order belongs to somebody else on this unit.")
    return patient


def _same_exam(db: Store, patient: Patient, order: Order) -> Registration | None:
    """The person's exam of that kind which is still to be done or was done that day."""
    day = desk.local_time(order.scheduled_at).date()
    for key in patients.keys_of_person(db, patient.patient_key):
        for one in registrations.registrations_of_patient(db, key):
            is_kind = (one.order.exam_code, one.order.laterality) == (order.exam_code, order.laterality)
            that_day = desk.local_time(one.order.scheduled_at).date() == day
            if is_kind and (one.state in OPEN_STATES or that_day):
                return one
    return None
