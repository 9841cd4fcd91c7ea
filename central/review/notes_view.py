"""What a unit says of a study beside its images, in the reader's language: the request, and what the checks found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.quality.sentences import LANGUAGES, Language, sentence, word
from central.gateway.previews import PreviewRef
from central.store.notes import NotesRow
from sync.wire.notes import Asked, Found

PREGNANCY_WORDS = {"no": "No", "possible": "Possible", "yes": "Yes", "unknown": "Not known"}
"""In English; said in the visitor's language."""


@dataclass(frozen=True, slots=True)
class Line:
    """One finding."""

    severity: str
    sentence: str
    image_numbers: tuple[int, ...]
    """As the page numbers its previews; empty where not all of them can be named so."""
    image_count: int


@dataclass(frozen=True, slots=True)
class UnitNotes:
    """What one unit says."""

    unit_name: str
    at: str
    asked: Asked | None
    pregnancy: str
    """A key of ``PREGNANCY_WORDS``, or empty."""
    checked_count: int
    lines: tuple[Line, ...]
    left_out_count: int


def unit_notes(rows: Sequence[NotesRow], previews: Sequence[PreviewRef], language: str) -> tuple[UnitNotes, ...]:
    """What each unit says, for a page that shows these previews."""
    number_by_uid = {one.sop_instance_uid: number for number, one in enumerate(previews, 1)}
    return tuple(
        UnitNotes(
            row.unit_name,
            row.at,
            row.notes.asked,
            _pregnancy(row.notes.asked),
            row.notes.checked_count,
            tuple(_line(found, number_by_uid, language) for found in row.notes.found),
            row.notes.left_out_count,
        )
        for row in rows
    )


def _pregnancy(asked: Asked | None) -> str:
    said = asked.pregnancy if asked is not None else ""
    return said if said in PREGNANCY_WORDS else ""


def _line(found: Found, number_by_uid: dict[str, int], language: str) -> Line:
    spoken: Language = next((one for one in LANGUAGES if one == language), "en")
    numbers = tuple(sorted(number_by_uid[uid] for uid in found.images if uid in number_by_uid))
    return Line(
        severity=word(found.severity, spoken),
        sentence=sentence(found.code, found.values, spoken),
        image_numbers=numbers if len(numbers) == found.image_count else (),
        image_count=found.image_count,
    )
