"""The exams that can be ordered, read from a TOML file; an unknown key is refused and the nearest known one named.

The file that ships is ``appliance/samples/catalogue.toml``; ``[registration] catalogue`` names another one. What an
exam says of modality, body part, side and views is what the quality checks compare an image with.
"""

from __future__ import annotations

import difflib
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec

from appliance.config import ConfigError, load
from appliance.domain.registration import Laterality
from appliance.registration.names import latin1

SCHEME = "99QAFILA"
"""Coding Scheme Designator of exam codes: private, as PS3.16 section 8 asks of local schemes."""
SHIPPED = "catalogue.toml"
_SIDES = {
    Laterality.LEFT: {"fr": "côté gauche", "en": "left side", "ar": "الجانب الأيسر"},
    Laterality.RIGHT: {"fr": "côté droit", "en": "right side", "ar": "الجانب الأيمن"},
    Laterality.BOTH: {"fr": "deux côtés", "en": "both sides", "ar": "الجانبان"},
    Laterality.NONE: {"fr": "", "en": "", "ar": ""},
}

Code = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9][A-Z0-9-]{0,15}\Z")]
"""Fits Code Value (0008,0100), VR SH."""
Cs = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9][A-Z0-9_ ]{0,15}\Z")]
View = Annotated[str, msgspec.Meta(pattern=r"^(AP|PA|LL|RL|RLD|LLD|RLO|LLO)(/(AP|PA|LL|RL|RLD|LLD|RLO|LLO))*\Z")]
"""A View Position (0018,5101) of PS3.3 C.8.11.5, or several with ``/`` of which one is enough."""
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=48, pattern=r"^[^\\\^=]*\Z")]
"""Leaves room for the side in 64 characters of VR LO."""


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One text in the three languages of the unit."""

    fr: str
    en: str
    ar: str


class Title(Texts, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An exam's name; short, for it goes into DICOM values."""

    fr: Words
    en: Words
    ar: Words


class Exam(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One exam that can be ordered."""

    code: Code
    modality: Cs
    body_part: Cs
    """Body Part Examined (0018,0015), a term of PS3.16 annex L."""
    name: Title
    paired: bool = False
    """Whether a side must be said."""
    views: tuple[View, ...] = ()
    preparation: str = ""
    """Key of ``[preparation]``: what the patient is told before."""
    price: Annotated[float, msgspec.Meta(ge=0)] | None = None

    def description(self, language: str, laterality: Laterality) -> str:
        """The exam's name with its side, for one DICOM value."""
        side = _SIDES[laterality][language]
        name: str = getattr(self.name, language)
        return f"{name} - {side}" if side else name


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """All exams, what patients are told before, and which exam an emergency is when nobody says."""

    exam: Annotated[tuple[Exam, ...], msgspec.Meta(min_length=1)]
    emergency_exam: Code
    preparation: dict[str, Texts] = {}

    @cached_property
    def by_code(self) -> dict[str, Exam]:
        return {exam.code: exam for exam in self.exam}

    def nearest(self, code: str) -> tuple[str, ...]:
        """Codes like a mistyped one, the most alike first."""
        return tuple(difflib.get_close_matches(code.upper(), self.by_code, n=3, cutoff=0.4))


def load_catalogue(configured: str) -> Catalogue:
    """Read the configured catalogue; the shipped one for an empty name.

    Raises:
        ConfigError: As ``appliance.config.load``; for two exams of one code, an emergency exam that is none, a
            preparation nobody wrote, or a name that no Latin console can show.
    """
    path = Path(configured) if configured else Path(str(files("appliance") / "samples" / SHIPPED))
    catalogue = load(path, Catalogue)
    codes = [exam.code for exam in catalogue.exam]
    for exam in catalogue.exam:
        if codes.count(exam.code) > 1:
            raise ConfigError(f"{path}: two exams have the code {exam.code!r}; each needs its own")
        if exam.preparation and exam.preparation not in catalogue.preparation:
            near = difflib.get_close_matches(exam.preparation, catalogue.preparation, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{path}: exam {exam.code!r}: there is no [preparation.{exam.preparation}]{hint}")
        for language in ("fr", "en"):
            if any(ord(char) > 0xFF for char in latin1(getattr(exam.name, language))):
                raise ConfigError(
                    f"{path}: exam {exam.code!r}: name.{language} holds letters that consoles cannot show"
                )
    if catalogue.emergency_exam not in catalogue.by_code:
        near_codes = catalogue.nearest(catalogue.emergency_exam)
        hint = f"; did you mean {near_codes[0]!r}?" if near_codes else ""
        raise ConfigError(f"{path}: emergency_exam is {catalogue.emergency_exam!r}, and no exam has that code{hint}")
    emergency = catalogue.by_code[catalogue.emergency_exam]
    if emergency.paired:
        raise ConfigError(f"{path}: emergency_exam is {emergency.code!r}, which needs a side; choose one that does not")
    return catalogue
