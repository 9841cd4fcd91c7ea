"""Whether a message about a performed step may be accepted, and what it says (PS3.4 annex F); pure.

Strict where the exam's record hangs on it (type 1 attributes, states that are final), tolerant where consoles are known
to differ: type 2 attributes may be absent, and a discontinued step needs no series.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from pydicom.dataset import Dataset

from appliance.domain.performed import PerformedInstance, PerformedSeries, Purpose, StepContent, StepState
from appliance.services.data_sets import items_of, text_of

INVALID_ATTRIBUTE_VALUE = 0x0106
PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
NO_SUCH_SOP_INSTANCE = 0x0112
MISSING_ATTRIBUTE = 0x0120
MISSING_ATTRIBUTE_VALUE = 0x0121
RESOURCE_LIMITATION = 0x0213

_STATES = {
    "IN PROGRESS": StepState.IN_PROGRESS,
    "COMPLETED": StepState.COMPLETED,
    "DISCONTINUED": StepState.DISCONTINUED,
}
_CREATED = (
    "ScheduledStepAttributesSequence",
    "PerformedProcedureStepID",
    "PerformedStationAETitle",
    "PerformedProcedureStepStartDate",
    "PerformedProcedureStepStartTime",
    "PerformedProcedureStepStatus",
    "Modality",
)
_ENDED = ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime")
_DOSE = (
    "ImageAndFluoroscopyAreaDoseProduct",
    "EntranceDose",
    "EntranceDoseInmGy",
    "TotalNumberOfExposures",
    "TotalTimeOfFluoroscopy",
    "DistanceSourceToDetector",
    "DistanceSourceToEntrance",
)
_REFERENCES = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")
_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A failure status with its Error Comment (at most 64 characters) and, where the standard has one, Error ID."""

    status: int
    comment: str
    error_id: int = 0


NO_LONGER = Refusal(PROCESSING_FAILURE, "Performed Procedure Step Object may no longer be updated", 0xA710)
"""PS3.4 table F.7.2-2."""


def check_created(data_set: Dataset) -> Refusal | None:
    """Why an N-CREATE must be refused, if it must."""
    state = text_of(data_set, "PerformedProcedureStepStatus")
    refusal = _first_missing(data_set, _CREATED)
    if refusal is None and state != "IN PROGRESS":
        refusal = _invalid("PerformedProcedureStepStatus", "must be IN PROGRESS")
    if refusal is None:
        items = items_of(data_set, "ScheduledStepAttributesSequence")
        refusal = next(filter(None, (_check_uid(item, "StudyInstanceUID") for item in items)), None)
    return refusal or _check_series(data_set, is_complete=False)


def check_changed(whole: Dataset) -> Refusal | None:
    """Why the step after an N-SET cannot be as it is, if it cannot."""
    state = _STATES.get(text_of(whole, "PerformedProcedureStepStatus"))
    if state is None:
        return _invalid("PerformedProcedureStepStatus", "is none of the three")
    refusal = _first_missing(whole, _ENDED) if state.is_final else None
    is_complete = state is StepState.COMPLETED
    if refusal is None and is_complete:
        refusal = _first_missing(whole, ("PerformedSeriesSequence",))
    return refusal or _check_series(whole, is_complete=is_complete)


def content_of(data_set: Dataset) -> StepContent:
    """What a step that was checked says; values that cannot be read count as not given."""
    reason = next(items_of(data_set, "PerformedProcedureStepDiscontinuationReasonCodeSequence"), Dataset())
    series = list(items_of(data_set, "PerformedSeriesSequence"))
    return StepContent(
        state=_STATES[text_of(data_set, "PerformedProcedureStepStatus")],
        performed_step_id=text_of(data_set, "PerformedProcedureStepID"),
        station_ae_title=text_of(data_set, "PerformedStationAETitle"),
        modality=text_of(data_set, "Modality"),
        patient_id=text_of(data_set, "PatientID"),
        started=_moment(data_set, "PerformedProcedureStepStart"),
        ended=_moment(data_set, "PerformedProcedureStepEnd"),
        description=text_of(data_set, "PerformedProcedureStepDescription"),
        discontinuation=text_of(reason, "CodeMeaning") or text_of(reason, "CodeValue"),
        dose={keyword: value for keyword in _DOSE if (value := _number(data_set, keyword)) is not None},
        purposes=tuple(
            Purpose(
                study_instance_uid=text_of(item, "StudyInstanceUID"),
                accession_number=text_of(item, "AccessionNumber"),
                requested_procedure_id=text_of(item, "RequestedProcedureID"),
                scheduled_step_id=text_of(item, "ScheduledProcedureStepID"),
            )
            for item in items_of(data_set, "ScheduledStepAttributesSequence")
        ),
        series=tuple(
            PerformedSeries(
                text_of(s, "SeriesInstanceUID"), text_of(s, "ProtocolName"), text_of(s, "SeriesDescription")
            )
            for s in series
        ),
        instances=tuple(
            PerformedInstance(
                text_of(s, "SeriesInstanceUID"),
                text_of(reference, "ReferencedSOPClassUID"),
                text_of(reference, "ReferencedSOPInstanceUID"),
            )
            for s in series
            for keyword in _REFERENCES
            for reference in items_of(s, keyword)
        ),
    )


def is_uid(text: str) -> bool:
    """Digits and dots, 1 to 64."""
    return _UID.fullmatch(text) is not None


def _check_series(data_set: Dataset, *, is_complete: bool) -> Refusal | None:
    wanted = ("SeriesInstanceUID", "ProtocolName") if is_complete else ("SeriesInstanceUID",)
    for series in items_of(data_set, "PerformedSeriesSequence"):
        refusal = _first_missing(series, wanted) or _check_uid(series, "SeriesInstanceUID")
        references = (reference for keyword in _REFERENCES for reference in items_of(series, keyword))
        for reference in references if refusal is None else ():
            refusal = _check_uid(reference, "ReferencedSOPClassUID")
            refusal = refusal or _check_uid(reference, "ReferencedSOPInstanceUID")
            if refusal:
                break
        if refusal:
            return refusal
    return None


def _check_uid(data_set: Dataset, keyword: str) -> Refusal | None:
    missing = _first_missing(data_set, (keyword,))
    if missing or is_uid(text_of(data_set, keyword)):
        return missing
    return _invalid(keyword, "is no UID")


def _first_missing(data_set: Dataset, keywords: tuple[str, ...]) -> Refusal | None:
    for keyword in keywords:
        if keyword not in data_set:
            return Refusal(MISSING_ATTRIBUTE, f"{keyword} is missing"[:64])
        if not text_of(data_set, keyword) and not any(True for _ in items_of(data_set, keyword)):
            return Refusal(MISSING_ATTRIBUTE_VALUE, f"{keyword} is empty"[:64])
    return None


def _invalid(keyword: str, why: str) -> Refusal:
    return Refusal(INVALID_ATTRIBUTE_VALUE, f"{keyword} {why}"[:64])


def _number(data_set: Dataset, keyword: str) -> float | None:
    try:
        value = float(text_of(data_set, keyword))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _moment(data_set: Dataset, keyword: str) -> str:
    """Date and time as ``YYYYMMDDHHMMSS``; empty without a date."""
    day = re.sub(r"\D", "", text_of(data_set, f"{keyword}Date"))[:8]
    clock = re.sub(r"\D", "", text_of(data_set, f"{keyword}Time").split(".")[0])[:6]
    return f"{day}{clock:0<6}" if day else ""
