"""What ``qafila register`` was given, made into a person and an order, or refused with a sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date, datetime
from typing import TypeVar

from appliance.cli.exits import USAGE, CliError
from appliance.clock import utc_text
from appliance.config import UnitConfig
from appliance.domain.display import safe_text
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
from appliance.registration import entering
from appliance.registration.catalogue import Catalogue, Exam
from appliance.registration.names import NameRefusedError, NoLatinNameError, checked_name

NOTHING = "Nothing was registered."
MODALITY_CHARS_MAX = 16
_T = TypeVar("_T")


def entered_about_person(arguments: argparse.Namespace) -> str:
    """The first option given that says who somebody is; empty when none was."""
    names = ("family", "given", "family_ar", "given_ar", "sex", "birth_date", "age", "national_id", "identifier")
    given = next((name for name in names if getattr(arguments, name)), "")
    return f"--{given.replace('_', '-')}" if given else ""


def details_of(arguments: argparse.Namespace, today: date, weight_kg: float) -> PatientDetails:
    """The person as entered.

    Raises:
        CliError: Something is missing or cannot be.
    """
    entered = PersonName(
        family_latin=arguments.family,
        given_latin=arguments.given,
        family_arabic=arguments.family_ar,
        given_arabic=arguments.given_ar,
    )
    name, is_proposal = _name(arguments, entered)
    birth_date = _typed(lambda: entering.birth_date(arguments.birth_date, today))
    age_text = _typed(lambda: entering.age(arguments.age))
    if not arguments.emergency:
        _need(arguments.sex, "sex", "--sex F, M or O")
        _need(birth_date or age_text, "birth date", "--birth-date 1984-03-12, or --age 45 where nobody knows it")
    return PatientDetails(
        name=name,
        sex=Sex(arguments.sex),
        birth_date=birth_date,
        age_text="" if birth_date else age_text,
        weight_kg=weight_kg,
        is_emergency=arguments.emergency,
        latin_is_proposal=is_proposal,
    )


def identifiers_of(arguments: argparse.Namespace, config: UnitConfig) -> tuple[Identifier, ...]:
    """The numbers that were given, each once.

    Raises:
        CliError: One cannot be.
    """
    found = []
    if arguments.national_id:
        issuer = config.registration.national_issuer
        found.append(_typed(lambda: entering.identifier(issuer, arguments.national_id, IdentifierKind.NATIONAL)))
    for text in arguments.identifier:
        issuer, _, value = text.partition("=")
        found.append(_typed(lambda: entering.identifier(issuer, value, IdentifierKind.OTHER)))  # noqa: B023 - at once
    return tuple(dict.fromkeys(found))


def order_of(arguments: argparse.Namespace, config: UnitConfig, catalogue: Catalogue, now: datetime) -> Order:
    """The exam as entered.

    Raises:
        CliError: Something is missing or cannot be.
    """
    exam = _exam(arguments, catalogue)
    side = Laterality(arguments.side)
    if exam.paired and side is Laterality.NONE:
        _need("", "side", "--side L, R or B (both)")
    if side is not Laterality.NONE and not exam.paired:
        raise CliError(f"The exam {exam.code} has no side. {NOTHING} Leave --side out.", USAGE, "no-side")
    stations = [one.ae_title for one in config.modality]
    station = arguments.station.strip()
    if station and station not in stations:
        known = ", ".join(stations) or "none"
        raise CliError(
            f"No device {safe_text(station)!r} is in the configuration; there is: {known}. {NOTHING}",
            USAGE,
            "no-such-station",
        )
    is_urgent = arguments.stat or arguments.emergency
    scheduled = _typed(lambda: entering.scheduled(arguments.at, now))
    return Order(
        exam_code=exam.code,
        modality=_modality(arguments.modality) or exam.modality,
        body_part=exam.body_part,
        description=exam.description(config.registration.language, side),
        laterality=side,
        views=" ".join(exam.views),
        priority=Priority.STAT if is_urgent else Priority.ROUTINE,
        pregnancy=Pregnancy(arguments.pregnancy),
        referrer=_typed(lambda: entering.long_text(arguments.referrer, "referrer")),
        reason=_typed(lambda: entering.long_text(arguments.reason, "reason")),
        station_ae_title=station,
        scheduled_at=utc_text(scheduled.timestamp()),
    )


def _name(arguments: argparse.Namespace, entered: PersonName) -> tuple[PersonName, bool]:
    """The name, and whether its Latin letters are our proposal."""
    is_missing = not (entered.has_latin or entered.has_arabic)
    if is_missing and arguments.emergency:
        return entered, False
    if is_missing:
        _need("", "name", "--family and --given")
    try:
        return checked_name(entered), False
    except NoLatinNameError as error:
        proposal = error.proposal
        if arguments.emergency:
            # Nobody stops for a spelling then: the console shows TEMP and a number, and the Arabic name is kept.
            return PersonName(family_arabic=proposal.family_arabic, given_arabic=proposal.given_arabic), False
        if arguments.accept_latin:
            return _typed(lambda: checked_name(proposal)), True
        raise CliError(
            f"{error}, and give it with --family and --given, or add --accept-latin to take the guess. {NOTHING}",
            USAGE,
            "no-latin-name",
        ) from error
    except NameRefusedError as error:
        raise CliError(f"{error}. {NOTHING}", USAGE, "name-refused") from error


def _exam(arguments: argparse.Namespace, catalogue: Catalogue) -> Exam:
    code = arguments.exam.strip().upper() or (catalogue.emergency_exam if arguments.emergency else "")
    if not code:
        _need("", "exam", "--exam CODE; 'qafila register --exams' lists them")
    exam = catalogue.by_code.get(code)
    if exam is None:
        near = catalogue.nearest(code)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise CliError(
            f"There is no exam {safe_text(code)!r}.{hint} {NOTHING} 'qafila register --exams' lists them.",
            USAGE,
            "no-such-exam",
        )
    return exam


def _modality(typed: str) -> str:
    text = typed.strip().upper()
    if text and not (text.isascii() and text.replace("_", "").isalnum() and len(text) <= MODALITY_CHARS_MAX):
        raise CliError(f"{safe_text(typed)!r} is no modality; write DX, CR or US. {NOTHING}", USAGE, "no-modality")
    return text


def _need(value: str, called: str, option: str) -> None:
    if not value:
        raise CliError(
            f"The {called} is missing. {NOTHING} Add {option}; in an emergency, --emergency needs nothing else.",
            USAGE,
            f"no-{called.replace(' ', '-')}",
        )


def _typed(read: Callable[[], _T]) -> _T:
    """A typed value; what is wrong with it becomes a sentence and exit code 2."""
    try:
        return read()
    except (entering.EntryRefusedError, NameRefusedError) as error:
        raise CliError(f"{error}. {NOTHING}", USAGE, "entry-refused") from error
