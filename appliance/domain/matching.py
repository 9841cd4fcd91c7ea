"""What is compared when a study meets its registration, as frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.wording import told


class How(StrEnum):
    """By what a study and its registration found each other."""

    STUDY_UID = "study-uid"
    ACCESSION = "accession"
    PATIENT = "patient"
    PERSON = "person"
    NONE = ""


class Doubt(StrEnum):
    """Why a person has to look; the words of ``[matching] hold``."""

    NONE = ""
    UNKNOWN_PATIENT = "unknown-patient"
    """Nobody here has this patient ID, and no registration this study or accession number."""
    NAME_DIFFERS = "name-differs"
    """The numbers fit, the name does not."""
    ID_REUSED = "id-reused"
    """The patient ID belongs to somebody born on another day."""
    PATIENT_SWITCHED = "patient-switched"
    """The device still had another patient: the order is of one, the picture says another."""
    AMBIGUOUS = "ambiguous"
    """The patient is known; which of several orders, or whether any, cannot be told."""


DOUBT_SENTENCES = {
    Doubt.UNKNOWN_PATIENT: told("Nobody with this patient ID is registered here."),
    Doubt.NAME_DIFFERS: told("The numbers are those of the order, the name is another one."),
    Doubt.ID_REUSED: told("The patient ID belongs to somebody with another birth date."),
    Doubt.PATIENT_SWITCHED: told(
        "The order is of one patient, the pictures say another; was the last one still on it?"
    ),
    Doubt.AMBIGUOUS: told("The patient is known, and which order is meant cannot be told."),
}
"""What each means, for people."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the files of a study say."""

    study_instance_uid: str
    patient_id: str = ""
    birth_date: str = ""
    name: str = ""
    accession_number: str = ""
    modality: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """A patient record; ``ids`` are all identifiers, of records merged into this one too.

    ``unit_ids`` are those of them that this unit made: no two people have one, so no birth date is needed beside it.
    """

    patient_key: str
    ids: frozenset[str] = frozenset()
    unit_ids: frozenset[str] = frozenset()
    birth_date: str = ""
    names: tuple[str, ...] = ()
    """Every part of the name, in whatever script."""
    is_emergency: bool = False
    """Registered in an emergency: nobody knew the name, so another one says nothing."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """A registration with its patient; ``is_open``: scheduled or in progress, and no study belongs to it yet."""

    registration_key: str
    study_instance_uid: str
    accession_number: str
    modality: str
    person: Person
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """What this unit knows that may fit: registrations by the study's numbers, people by its patient ID."""

    by_study_uid: Ordered | None = None
    by_accession: Ordered | None = None
    people: Sequence[Person] = ()
    orders: Sequence[Ordered] = ()
    """Of ``people``, whatever their state."""
    is_next_under_way: bool = False
    """At this station another registration went in progress before the newest picture of the study came."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """``registration_key`` is empty when there is none to name; with a doubt it is whom the study would belong to."""

    registration_key: str = ""
    how: How = How.NONE
    doubt: Doubt = Doubt.NONE
