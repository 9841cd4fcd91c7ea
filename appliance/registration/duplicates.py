"""How likely two patient records are one person, with every reason named; pure.

A score only orders what a person then decides: nothing is merged by it. The weights say how much a nurse would believe
each reason; ``SHOWN_FROM`` is reached by the same name alone, but not by a name that only sounds alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from appliance.domain.registration import Identifier, IdentifierKind, Patient, PatientDetails, Sex
from appliance.domain.wording import told
from appliance.registration.entering import age_years
from appliance.registration.folding import fold, sound
from appliance.registration.terms import number_term

SHOWN_FROM = 40


class Reason(StrEnum):
    """What speaks for or against two records being one person."""

    SAME_IDENTIFIER = "same-identifier"
    SAME_NUMBER = "same-number"
    SAME_NAME = "same-name"
    NAMES_SWAPPED = "names-swapped"
    SOUNDS_ALIKE = "sounds-alike"
    SAME_BIRTH_DATE = "same-birth-date"
    BIRTH_DATE_NEAR = "birth-date-near"
    AGE_FITS = "age-fits"
    SAME_SEX = "same-sex"
    OTHER_IDENTIFIER = "other-identifier"
    OTHER_BIRTH_DATE = "other-birth-date"
    OTHER_SEX = "other-sex"


REASON_WORDS = {
    Reason.SAME_IDENTIFIER: told("same identifier"),
    Reason.SAME_NUMBER: told("same number from another issuer"),
    Reason.SAME_NAME: told("same name"),
    Reason.NAMES_SWAPPED: told("same name, family and given swapped"),
    Reason.SOUNDS_ALIKE: told("name sounds alike"),
    Reason.SAME_BIRTH_DATE: told("same birth date"),
    Reason.BIRTH_DATE_NEAR: told("nearly the same birth date"),
    Reason.AGE_FITS: told("age fits"),
    Reason.SAME_SEX: told("same sex"),
    Reason.OTHER_IDENTIFIER: told("but another identifier"),
    Reason.OTHER_BIRTH_DATE: told("but another birth date"),
    Reason.OTHER_SEX: told("but another sex"),
}
"""As people read them."""
WEIGHTS = {
    Reason.SAME_IDENTIFIER: 100,
    Reason.SAME_NUMBER: 40,
    Reason.SAME_NAME: 40,
    Reason.NAMES_SWAPPED: 35,
    Reason.SOUNDS_ALIKE: 25,
    Reason.SAME_BIRTH_DATE: 30,
    Reason.BIRTH_DATE_NEAR: 15,
    Reason.AGE_FITS: 10,
    Reason.SAME_SEX: 5,
    Reason.OTHER_IDENTIFIER: -40,
    Reason.OTHER_BIRTH_DATE: -30,
    Reason.OTHER_SEX: -30,
}


@dataclass(frozen=True, slots=True)
class Likeness:
    """A known patient who may be the one being entered."""

    patient: Patient
    score: int
    reasons: tuple[Reason, ...]


def likeness(details: PatientDetails, identifiers: Iterable[Identifier], known: Patient, today: date) -> Likeness:
    """Compare what was entered with a known record.

    Args:
        details: What was entered.
        identifiers: Those that were entered.
        known: A record of the unit.
        today: For ages.
    """
    found = [
        *_about_identifiers(tuple(identifiers), known.identifiers),
        *_about_names(details, known.details),
        *_about_birth(details, known.details, today),
        *_about_sex(details.sex, known.details.sex),
    ]
    return Likeness(known, sum(WEIGHTS[reason] for reason in found), tuple(found))


def _about_identifiers(entered: tuple[Identifier, ...], known: tuple[Identifier, ...]) -> list[Reason]:
    pairs = {(one.issuer, number_term(one.value)) for one in known}
    if any((one.issuer, number_term(one.value)) in pairs for one in entered):
        return [Reason.SAME_IDENTIFIER]
    found = [Reason.SAME_NUMBER] if {number_term(one.value) for one in entered} & {value for _, value in pairs} else []
    national = {one.issuer for one in known if one.kind is IdentifierKind.NATIONAL}
    if any(one.kind is IdentifierKind.NATIONAL and one.issuer in national for one in entered):
        found.append(Reason.OTHER_IDENTIFIER)
    return found


def _about_names(entered: PatientDetails, known: PatientDetails) -> list[Reason]:
    one, other = entered.name, known.name
    pairs = (
        ((one.family_latin, one.given_latin), (other.family_latin, other.given_latin)),
        ((one.family_arabic, one.given_arabic), (other.family_arabic, other.given_arabic)),
    )
    folded = [tuple(tuple(fold(part).replace(" ", "") for part in name) for name in pair) for pair in pairs]
    if any(a == b and any(a) for a, b in folded):
        return [Reason.SAME_NAME]
    if any(a == (b[1], b[0]) and any(a) for a, b in folded):
        return [Reason.NAMES_SWAPPED]
    sounds = [[_sounds(name) for name in side] for side in zip(*pairs, strict=True)]
    if any(a == b and any(a) for a in sounds[0] for b in sounds[1]):
        return [Reason.SOUNDS_ALIKE]
    return []


def _sounds(name: tuple[str, str]) -> tuple[str, ...]:
    """In one order, for the two are often swapped."""
    return tuple(sorted(sound(part) for part in name))


def _about_birth(entered: PatientDetails, known: PatientDetails, today: date) -> list[Reason]:
    if entered.birth_date and known.birth_date:
        if entered.birth_date == known.birth_date:
            return [Reason.SAME_BIRTH_DATE]
        near = _near(entered.birth_date, known.birth_date)
        return [Reason.BIRTH_DATE_NEAR if near else Reason.OTHER_BIRTH_DATE]
    one, other = age_years(entered, today), age_years(known, today)
    return [Reason.AGE_FITS] if one is not None and other is not None and abs(one - other) <= 2 else []


def _near(one: str, other: str) -> bool:
    """One digit differs, day and month are swapped, or only the year is known (1 January) and is the same."""
    swapped = one[:4] + one[6:] + one[4:6]
    same_year = one[:4] == other[:4] and "0101" in (one[4:], other[4:])
    return sum(a != b for a, b in zip(one, other, strict=True)) == 1 or swapped == other or same_year


def _about_sex(entered: Sex, known: Sex) -> list[Reason]:
    if Sex.UNKNOWN in (entered, known):
        return []
    return [Reason.SAME_SEX if entered is known else Reason.OTHER_SEX]
