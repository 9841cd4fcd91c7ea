"""What a device says it did: a performed procedure step (PS3.4 annex F) and what follows for its registration; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class StepState(StrEnum):
    """Performed Procedure Step Status (0040,0252)."""

    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    DISCONTINUED = "discontinued"

    @property
    def is_final(self) -> bool:
        return self is not StepState.IN_PROGRESS


@dataclass(frozen=True, slots=True)
class Purpose:
    """An item of the Scheduled Step Attributes Sequence: the ordered exam that a step was done for, if any was."""

    study_instance_uid: str
    accession_number: str = ""
    requested_procedure_id: str = ""
    scheduled_step_id: str = ""


@dataclass(frozen=True, slots=True)
class PerformedInstance:
    """One object that a step made."""

    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class PerformedSeries:
    """One series that a step made."""

    series_instance_uid: str
    protocol_name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class StepContent:
    """All that we use of a step; the data set itself is kept beside it.

    ``started`` and ``ended`` are by the device's own clock, ``YYYYMMDDHHMMSS``; ``dose`` holds the numbers of the
    radiation dose module by DICOM keyword, in DICOM's units (Image and Fluoroscopy Area Dose Product in dGy cm2).
    """

    state: StepState
    performed_step_id: str
    station_ae_title: str
    modality: str
    patient_id: str
    started: str
    ended: str = ""
    description: str = ""
    discontinuation: str = ""
    """Meaning of the discontinuation reason's code."""
    dose: Mapping[str, float] = field(default_factory=dict)
    purposes: tuple[Purpose, ...] = ()
    series: tuple[PerformedSeries, ...] = ()
    instances: tuple[PerformedInstance, ...] = ()


def registration_state(steps: Collection[StepState]) -> str:
    """What a registration is in once the steps done for it are in these states; at least one.

    While one is under way the exam is; a completed one outweighs those that were given up beside it.
    """
    for state in (StepState.IN_PROGRESS, StepState.COMPLETED, StepState.DISCONTINUED):
        if state in steps:
            return state.value
    raise ValueError("no step: the registration stays as it is")
