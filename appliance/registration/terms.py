"""The folded words that a patient record is found by, and those of a search; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from appliance.domain.registration import Identifier, PatientDetails
from appliance.registration.folding import sound, words

TermKind = Literal["name", "sound", "id"]
Term = tuple[TermKind, str]
FIRST_AFTER = "\U0010ffff"
"""Appended to a word it gives the end of everything that begins with the word."""


def terms_of(details: PatientDetails, identifiers: Iterable[Identifier]) -> frozenset[Term]:
    """Everything to find a record by: words of its names, their sounds, its numbers and birth date."""
    name = details.name
    fields = [words(text) for text in (name.family_latin, name.given_latin, name.family_arabic, name.given_arabic)]
    names = {word for field in fields for word in (*field, "".join(field)) if word}
    numbers = {number_term(one.value) for one in identifiers} | {details.birth_date}
    # What follows the prefix of the unit's own numbers is what people read out.
    numbers |= {words(one.value)[-1] for one in identifiers if "-" in one.value}
    return frozenset(
        {("name", word) for word in names}
        | {("sound", heard) for heard in sounds_of(details)}
        | {("id", number) for number in numbers if number}
    )


def sounds_of(details: PatientDetails) -> frozenset[str]:
    """How the names sound: each field as one, and each of its words."""
    name = details.name
    texts = (name.family_latin, name.given_latin, name.family_arabic, name.given_arabic)
    return frozenset(heard for text in texts for part in (text, *text.split()) if (heard := sound(part)))


def number_term(number: str) -> str:
    """A number without blanks, hyphens and case."""
    return "".join(words(number))
