"""What an order must be for a unit to put it on its worklist by itself, checked before it travels; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.registration import IdentifierKind, PersonName
from appliance.registration import entering
from appliance.registration.names import NameRefusedError, NoLatinNameError, checked_name
from sync.wire.answers import OrderedPatient


class Trouble(StrEnum):
    """Why a unit could not register this person."""

    NAME = "name"
    LATIN = "latin"
    """There is no name that consoles can show."""
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Judged:
    """What is in the way; of a name in Arabic alone also a Latin one that could be meant, for a person to check."""

    trouble: Trouble
    family_latin: str = ""
    given_latin: str = ""


def trouble_with(who: OrderedPatient) -> Judged | None:
    """As the unit itself will judge; ``None`` when it will take the person."""
    name = PersonName(
        family_latin=who.family_latin,
        given_latin=who.given_latin,
        family_arabic=who.family_arabic,
        given_arabic=who.given_arabic,
    )
    try:
        checked_name(name)
    except NoLatinNameError as error:
        return Judged(Trouble.LATIN, error.proposal.family_latin, error.proposal.given_latin)
    except NameRefusedError:
        return Judged(Trouble.NAME)
    if who.identifier:
        try:
            entering.identifier(who.issuer, who.identifier, IdentifierKind.OTHER)
        except entering.EntryRefusedError:
            return Judged(Trouble.NUMBER)
    return None
