"""A patient's name as it may be entered, and as each character set can carry it; pure.

A station that reads one alphabet only gets the Latin group alone. Nothing is ever made of an Arabic name in silence: a
name without a Latin group is refused, with a proposal that a person may accept.
"""

from __future__ import annotations

from dataclasses import fields, replace

from appliance.domain.registration import PersonName
from appliance.domain.wording import Wording, told
from appliance.registration.folding import clean, is_arabic, plain_latin
from appliance.registration.transliteration import propose_latin

GROUP_CHARS_MAX = 64
"""Of one component group of a PN (PS3.5 section 6.2)."""
_DELIMITERS = frozenset("^=\\")
_FIELDS = {
    "family_latin": told("Latin family name"),
    "given_latin": told("Latin given name"),
    "family_arabic": told("Arabic family name"),
    "given_arabic": told("Arabic given name"),
}


class NameRefusedError(ValueError):
    """The name cannot be used; the text is a sentence, without its end mark, for whoever typed it."""

    def __init__(self, sentence: Wording) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NoLatinNameError(NameRefusedError):
    """There is an Arabic name only; ``proposal`` is what its Latin spelling might be."""

    def __init__(self, proposal: PersonName) -> None:
        shown = " ".join(part for part in (proposal.family_latin, proposal.given_latin) if part)
        super().__init__(
            told(
                "The name is in Arabic letters only, and most consoles read none of them. It might be spelled {name}: "
                "that is a guess. Ask the person how they spell it",
                name=repr(shown),
            )
        )
        self.proposal = proposal


def checked_name(entered: PersonName) -> PersonName:
    """The name without direction marks and needless blanks.

    Raises:
        NoLatinNameError: There is an Arabic name and no Latin one.
        NameRefusedError: A field holds a delimiter of DICOM, a letter of the other script or one that has no plain
            Latin form, is too long, or there is no name at all.
    """
    name = PersonName(**{field.name: clean(getattr(entered, field.name)) for field in fields(PersonName)})
    for field, called in _FIELDS.items():
        _check_field(getattr(name, field), called, field.endswith("_arabic"))
    for group, called in (
        (_group(name.family_latin, name.given_latin), told("Latin")),
        (_group(plain_latin(name.family_latin), plain_latin(name.given_latin)), told("Latin")),
        (_group(name.family_arabic, name.given_arabic), told("Arabic")),
    ):
        if len(group) > GROUP_CHARS_MAX:
            raise NameRefusedError(
                told("The {script} name is longer than {count} characters", script=called, count=GROUP_CHARS_MAX)
            )
    if name.has_latin:
        return name
    if not name.has_arabic:
        raise NameRefusedError(told("There is no name"))
    proposal = replace(
        name, family_latin=propose_latin(name.family_arabic), given_latin=propose_latin(name.given_arabic)
    )
    raise NoLatinNameError(proposal)


def pn_ascii(name: PersonName) -> str:
    """The Latin group with accents replaced by plain letters (``BENALI^AICHA``)."""
    return _group(plain_latin(name.family_latin), plain_latin(name.given_latin))


def pn_latin1(name: PersonName) -> str:
    """The Latin group as ISO 8859-1 can say it; a letter that it lacks is replaced by plain ones."""
    return _group(latin1(name.family_latin), latin1(name.given_latin))


def pn_utf8(name: PersonName) -> str:
    """Both groups, ``LATIN=ARABIC``; the Latin one alone where there is no Arabic name."""
    latin = _group(name.family_latin, name.given_latin)
    return f"{latin}={_group(name.family_arabic, name.given_arabic)}" if name.has_arabic else latin


def latin1(text: str) -> str:
    """``text`` with the letters that ISO 8859-1 lacks replaced by plain ones, where there are any."""
    return "".join(char if ord(char) <= 0xFF else plain_latin(char) or char for char in text)


def _group(family: str, given: str) -> str:
    return f"{family}^{given}" if given else family


def _check_field(text: str, called: Wording, wants_arabic: bool) -> None:
    found = _DELIMITERS.intersection(text)
    if found:
        raise NameRefusedError(
            told("The {field} holds {char}, which no name can hold in DICOM", field=called, char=repr(min(found)))
        )
    if wants_arabic:
        if text and not is_arabic(text):
            raise NameRefusedError(
                told("The {field} has no Arabic letter; was it meant for the Latin field?", field=called)
            )
        if any(char.isalpha() and not is_arabic(char) for char in text):
            raise NameRefusedError(told("The {field} mixes Arabic letters with others", field=called))
        return
    if is_arabic(text):
        raise NameRefusedError(
            told("The {field} holds Arabic letters; they belong into the Arabic field", field=called)
        )
    strange = next((char for char in plain_latin(text) if not char.isascii()), "")
    if strange:
        raise NameRefusedError(
            told("The {field} holds {char}, which has no plain Latin letter", field=called, char=repr(strange))
        )
