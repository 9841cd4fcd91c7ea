"""The counter: what a form holds, as typed, made into a person and an order, compared, and registered.

It uses the same functions as ``qafila register`` (``entering``, ``names``, ``desk``), and answers with the field that
is wrong, so that a screen can go there. Nothing is written unless all of it can be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from appliance.clock import utc_text
from appliance.config import UnitConfig
from appliance.domain.registration import (
    Identifier,
    IdentifierKind,
    Laterality,
    Order,
    PatientDetails,
    PersonName,
    Pregnancy,
    Sex,
)
from appliance.domain.values import Priority
from appliance.domain.wording import Wording, joined, told
from appliance.registration import desk, entering
from appliance.registration.catalogue import Catalogue, Exam
from appliance.registration.duplicates import Likeness
from appliance.registration.entry import Entry, FieldError
from appliance.registration.folding import ascii_digits, clean
from appliance.registration.names import NameRefusedError, NoLatinNameError, checked_name
from appliance.store.connect import Store, write
from appliance.store.patients import find_patient

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt; with ``alike`` nothing was written, for somebody has to look first."""

    done: desk.Registered | None
    alike: tuple[Likeness, ...] = ()


def alike(db: Store, entry: Entry, config: UnitConfig, now: datetime) -> tuple[Likeness, ...]:
    """Who may be the one being typed; what is not readable yet is left out, for people are still typing."""
    details, identifiers = _readable(entry, config, now)
    if not (details.name.has_latin or details.name.has_arabic or identifiers):
        return ()
    return desk.possible_duplicates(db, db.stamp(), details, identifiers)


def register(
    db: Store,
    entry: Entry,
    config: UnitConfig,
    catalogue: Catalogue,
    now: datetime,
    actor: str,
    *,
    is_emergency: bool = False,
    is_nobody_known: bool = False,
) -> Result:
    """Check, compare and write in one transaction, so that two desks never register one person twice.

    Args:
        db: The unit's database.
        entry: As typed.
        config: The unit's.
        catalogue: Of the exams.
        now: In the unit's zone.
        actor: Who types, for the journal.
        is_emergency: Everything may be missing; nothing is compared.
        is_nobody_known: Those alike were looked at; it is none of them.

    Raises:
        FieldError: Something is missing or cannot be.
        StoreError: As the database reports; nothing was written.
    """
    order = order_of(entry, config, catalogue, now, is_emergency=is_emergency)
    unit = desk.unit_words(config)
    with write(db):
        stamp = db.stamp()
        if entry.patient_key and not is_emergency:
            known = find_patient(db, entry.patient_key)
            if known is None:
                raise FieldError("family_latin", told("This person's record is not there any more"))
            _ask_pregnancy(known.details, order, now)
            return Result(desk.register_exam(db, stamp, unit, known.patient_key, order, actor))
        details, identifiers = person_of(entry, config, now, is_emergency=is_emergency)
        if not is_emergency:
            _ask_pregnancy(details, order, now)
            found = () if is_nobody_known else desk.possible_duplicates(db, stamp, details, identifiers)
            if found:
                return Result(None, found)
        return Result(desk.register_person(db, stamp, unit, details, identifiers, order, actor))


def person_of(
    entry: Entry, config: UnitConfig, now: datetime, *, is_emergency: bool = False
) -> tuple[PatientDetails, tuple[Identifier, ...]]:
    """The person as typed.

    Raises:
        FieldError: Something is missing or cannot be.
    """
    name = _name(entry, is_emergency=is_emergency)
    birth_date, age_text = _birth(entry, now)
    if not is_emergency:
        _need(entry.sex, "sex", told("The sex is missing"))
        _need(birth_date or age_text, "birth", told("The birth date is missing; an age will do where nobody knows it"))
    latin = f"{name.family_latin}^{name.given_latin}"
    details = PatientDetails(
        name=name,
        sex=Sex(entry.sex),
        birth_date=birth_date,
        age_text=age_text,
        weight_kg=_typed("weight", lambda: entering.weight_kg(entry.weight)),
        is_emergency=is_emergency,
        latin_is_proposal=bool(entry.proposed_latin) and entry.proposed_latin == latin,
    )
    return details, _identifiers(entry, config)


def order_of(
    entry: Entry, config: UnitConfig, catalogue: Catalogue, now: datetime, *, is_emergency: bool = False
) -> Order:
    """The exam as chosen.

    Raises:
        FieldError: Something is missing or cannot be.
    """
    code = entry.exam_code or (catalogue.emergency_exam if is_emergency else "")
    _need(code, "exam_code", told("The exam is missing"))
    exam = catalogue.by_code.get(code)
    if exam is None:
        raise FieldError("exam_code", told("There is no exam {code} in the list any more", code=code))
    side = _side(entry, exam)
    return Order(
        exam_code=exam.code,
        modality=exam.modality,
        body_part=exam.body_part,
        description=exam.description(config.registration.language, side),
        laterality=side,
        views=" ".join(exam.views),
        priority=Priority.STAT if entry.urgent or is_emergency else Priority.ROUTINE,
        pregnancy=Pregnancy(entry.pregnancy),
        referrer=_typed("referrer", lambda: entering.long_text(entry.referrer, "referrer")),
        reason=_typed("reason", lambda: entering.long_text(entry.reason, "reason")),
        scheduled_at=utc_text(now.timestamp()),
    )


def _name(entry: Entry, *, is_emergency: bool) -> PersonName:
    typed = PersonName(
        family_latin=entry.family_latin,
        given_latin=entry.given_latin,
        family_arabic=entry.family_arabic,
        given_arabic=entry.given_arabic,
    )
    if not (typed.has_latin or typed.has_arabic):
        if is_emergency:
            return typed
        raise FieldError("family_latin", told("The name is missing"))
    try:
        return checked_name(typed)
    except NoLatinNameError as error:
        if is_emergency:  # nobody stops for a spelling then: consoles show TEMP and a number
            return replace(error.proposal, family_latin="", given_latin="")
        raise FieldError("family_latin", error.sentence, error.proposal) from error
    except NameRefusedError as error:
        raise FieldError("family_latin", error.sentence) from error


def _birth(entry: Entry, now: datetime) -> tuple[str, str]:
    """Date and age; up to three digits, with or without their letter, are an age."""
    typed = ascii_digits(clean(entry.birth))
    if len(typed) <= 5 and "-" not in typed and "/" not in typed:
        return "", _typed("birth", lambda: entering.age(typed))
    return _typed("birth", lambda: entering.birth_date(typed, now.date())), ""


def _identifiers(entry: Entry, config: UnitConfig) -> tuple[Identifier, ...]:
    if not entry.national_id.strip():
        return ()
    issuer = config.registration.national_issuer
    made = _typed("national_id", lambda: entering.identifier(issuer, entry.national_id, IdentifierKind.NATIONAL))
    return (made,)


def _side(entry: Entry, exam: Exam) -> Laterality:
    if not exam.paired:
        return Laterality.NONE
    _need(entry.side, "side", told("The side is missing"))
    return Laterality(entry.side)


def _readable(entry: Entry, config: UnitConfig, now: datetime) -> tuple[PatientDetails, tuple[Identifier, ...]]:
    """As much of the person as can be read already."""
    parts = dict.fromkeys(("birth", "weight", "national_id"), "")
    for field in parts:
        alone = replace(Entry(), **{field: getattr(entry, field)})
        try:
            _birth(alone, now)
            _identifiers(alone, config)
        except FieldError:
            continue
        parts[field] = getattr(entry, field)
    birth_date, age_text = _birth(Entry(birth=parts["birth"]), now)
    name = PersonName(
        family_latin=clean(entry.family_latin),
        given_latin=clean(entry.given_latin),
        family_arabic=clean(entry.family_arabic),
        given_arabic=clean(entry.given_arabic),
    )
    details = PatientDetails(name=name, sex=Sex(entry.sex), birth_date=birth_date, age_text=age_text)
    return details, _identifiers(Entry(national_id=parts["national_id"]), config)


def _ask_pregnancy(details: PatientDetails, order: Order, now: datetime) -> None:
    if entering.pregnancy_is_open(details, order, now.date()):
        raise FieldError("pregnancy", told("Ask whether she may be pregnant: this exam uses X-rays"))


def _need(value: str, field: str, sentence: Wording) -> None:
    if not value:
        raise FieldError(field, joined("", (sentence, told("; in an emergency, F2 needs nothing else"))))


def _typed(field: str, read: Callable[[], _T]) -> _T:
    """A typed value, or the field and the sentence about it."""
    try:
        return read()
    except (entering.EntryRefusedError, NameRefusedError) as error:
        raise FieldError(field, error.sentence) from error
