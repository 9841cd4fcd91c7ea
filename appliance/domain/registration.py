"""Who came and what was asked: patients, their identifiers, and registrations of one exam each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.values import Priority


class Sex(StrEnum):
    """Patient's Sex (0010,0040); ``UNKNOWN`` only of somebody registered in an emergency."""

    FEMALE = "F"
    MALE = "M"
    OTHER = "O"
    UNKNOWN = ""


class Pregnancy(StrEnum):
    """The answer to the pregnancy question; ``UNKNOWN`` is an answer, ``NOT_ASKED`` is none."""

    NO = "no"
    POSSIBLE = "possible"
    YES = "yes"
    UNKNOWN = "unknown"
    NOT_ASKED = ""


class Laterality(StrEnum):
    """Side of a paired body part; ``NONE`` for one that is not paired."""

    LEFT = "L"
    RIGHT = "R"
    BOTH = "B"
    NONE = ""


class IdentifierKind(StrEnum):
    """Who made an identifier: the state, this unit, or somebody else."""

    NATIONAL = "national"
    UNIT = "unit"
    OTHER = "other"


class RegistrationState(StrEnum):
    """How far one ordered exam is."""

    SCHEDULED = "scheduled"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"
    CANCELLED = "cancelled"


OPEN_STATES = frozenset({RegistrationState.SCHEDULED, RegistrationState.IN_PROGRESS})
"""Those that consoles see; a trigger keeps ``worklist_entry.is_open`` in step."""

MOVES_BY_PEOPLE: dict[RegistrationState, frozenset[RegistrationState]] = {
    RegistrationState.SCHEDULED: frozenset(
        {RegistrationState.CANCELLED, RegistrationState.DISCONTINUED, RegistrationState.COMPLETED}
    ),
    RegistrationState.IN_PROGRESS: frozenset({RegistrationState.DISCONTINUED, RegistrationState.COMPLETED}),
    RegistrationState.COMPLETED: frozenset({RegistrationState.SCHEDULED}),
    RegistrationState.DISCONTINUED: frozenset({RegistrationState.SCHEDULED}),
    RegistrationState.CANCELLED: frozenset({RegistrationState.SCHEDULED}),
}
"""What a person may do to a registration. What a device says it did is followed from any state
(``appliance.store.performed``): an exam under way is not cancelled, it is discontinued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonName:
    """Family and given name in both scripts; what is empty is not known. Logical order, no direction marks."""

    family_latin: str = ""
    given_latin: str = ""
    family_arabic: str = ""
    given_arabic: str = ""

    @property
    def has_latin(self) -> bool:
        return bool(self.family_latin or self.given_latin)

    @property
    def has_arabic(self) -> bool:
        return bool(self.family_arabic or self.given_arabic)


@dataclass(frozen=True, slots=True)
class Identifier:
    """One number that a person is known by; unique only together with its issuer."""

    issuer: str
    value: str
    kind: IdentifierKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDetails:
    """What is known of a person, as it was entered.

    ``birth_date`` is ``YYYYMMDD`` or empty; ``age_text`` a DICOM age (``045Y``, ``008M``) for whom only that is known.
    ``weight_kg`` 0 means unknown. ``latin_is_proposal``: the Latin name was made from the Arabic one and accepted.
    """

    name: PersonName
    sex: Sex = Sex.UNKNOWN
    birth_date: str = ""
    age_text: str = ""
    weight_kg: float = 0.0
    is_emergency: bool = False
    latin_is_proposal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """A patient record with its identifiers, the unit's own among them."""

    patient_key: str
    details: PatientDetails
    identifiers: tuple[Identifier, ...]
    merged_into: str = ""
    registered_at: str = ""

    @property
    def unit_id(self) -> str:
        """The identifier that this unit made."""
        return next((one.value for one in self.identifiers if one.kind is IdentifierKind.UNIT), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for one patient; ``views`` are expected View Positions, ``AP LL/RL``: AP, and one of LL and RL."""

    exam_code: str
    modality: str
    body_part: str
    description: str
    laterality: Laterality = Laterality.NONE
    views: str = ""
    priority: Priority = Priority.ROUTINE
    pregnancy: Pregnancy = Pregnancy.NOT_ASKED
    referrer: str = ""
    reason: str = ""
    station_ae_title: str = ""
    """Empty: any station of the modality."""
    scheduled_at: str
    """UTC text, as every ``_at``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One ordered exam of a patient; its accession number and Study Instance UID never change."""

    registration_key: str
    patient_key: str
    accession_number: str
    study_instance_uid: str
    order: Order
    state: RegistrationState
    registered_at: str
    changed_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistEntry:
    """What the worklist is answered with for one registration: keys to match, and an item in each character set."""

    modality: str
    station_ae_title: str
    scheduled_date: str
    scheduled_time: str
    patient_id: str
    accession_number: str
    study_instance_uid: str
    requested_procedure_id: str
    name_ascii: str
    name_latin1: str
    name_utf8: str
    item_ascii: bytes
    item_latin1: bytes
    item_utf8: bytes
