"""A registration as typed: what a form holds, what a draft on disk keeps, and what is wrong with a field."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.registration import PersonName
from appliance.domain.wording import Wording


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A form as typed; every field may be empty. Also what a draft on disk holds."""

    family_latin: str = ""
    given_latin: str = ""
    family_arabic: str = ""
    given_arabic: str = ""
    birth: str = ""
    """A birth date, or an age where none is known."""
    sex: str = ""
    weight: str = ""
    national_id: str = ""
    exam_code: str = ""
    side: str = ""
    pregnancy: str = ""
    urgent: str = ""
    referrer: str = ""
    reason: str = ""
    proposed_latin: str = ""
    """The Latin name as it was proposed from the Arabic one; the record says so while it is unchanged."""
    patient_key: str = ""
    """A known person, to whom everything about the person above belongs already."""


class FieldError(Exception):
    """One field cannot be used so; ``proposal`` is a Latin spelling to look at, where that is what is missing."""

    def __init__(self, field: str, sentence: Wording, proposal: PersonName | None = None) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence
        self.proposal = proposal


def proposed_latin(proposal: PersonName) -> str:
    """As ``Entry.proposed_latin`` keeps it."""
    return f"{proposal.family_latin}^{proposal.given_latin}"
