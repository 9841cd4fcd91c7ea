"""Why a picture is rejected: our words, and the codes that a centre is told (PS3.16 CID 7011, IHE IOCM)."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.domain.wording import message

QUALITY, SAFETY, WORKLIST = (
    "RejectedForQualityReasons",
    "RejectedForPatientSafetyReasons",
    "IncorrectModalityWorklistEntry",
)
"""Titles of a rejection note, as pydicom's dictionary of DCM codes names them."""


@dataclass(frozen=True, slots=True)
class Reason:
    """``title`` and, for quality, ``modifier`` are names in ``pydicom.sr.codedict.codes.DCM``."""

    sentence: str
    title: str
    modifier: str = ""


REASONS = {
    "wrong-patient": Reason(message("It is of another patient."), WORKLIST),
    "wrong-order": Reason(message("It belongs to another order."), WORKLIST),
    "patient-safety": Reason(message("It must not be read: it could harm the patient."), SAFETY),
    "positioning": Reason(message("The positioning is wrong."), QUALITY, "Positioning"),
    "motion": Reason(message("It is blurred by motion."), QUALITY, "MotionBlur"),
    "underexposed": Reason(message("It is underexposed."), QUALITY, "UnderExposed"),
    "overexposed": Reason(message("It is overexposed."), QUALITY, "OverExposed"),
    "artefact": Reason(message("It shows an artefact."), QUALITY, "ImageArtifacts"),
    "no-image": Reason(message("It shows nothing, or was only a test."), QUALITY, "NoImage"),
    "device": Reason(message("The device failed."), QUALITY, "MechanicalFailure"),
    "other": Reason(message("It cannot be used."), QUALITY, "OtherFailure"),
}
"""By the word that people choose; the list of the screen and of ``qafila reject``."""
UNDONE = "undone"
"""Of an object that an action made and that its undoing set aside; nobody chooses it."""
