"""What quality checks can find, in words that never change: the codes are in databases, configurations and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How much it matters while the patient is still there."""

    NOTICE = "notice"
    """Good to know; also what could not be judged because something was not supplied."""
    WARNING = "warning"
    """Look before the next patient."""
    ALARM = "alarm"
    """The picture is of the wrong person or side, or cannot be read."""


class CheckCode(StrEnum):
    """One thing that can be found; ``docs/reference/quality.md`` says when. Codes are added, never renamed."""

    IDENTITY_DIFFERS = "identity-differs"
    ORDER_UNKNOWN = "order-unknown"
    MODALITY_DIFFERS = "modality-differs"
    BODY_PART_DIFFERS = "body-part-differs"
    LATERALITY_DIFFERS = "laterality-differs"
    LATERALITY_MISSING = "laterality-missing"
    VIEW_DIFFERS = "view-differs"
    VIEW_MISSING = "view-missing"
    EXPOSURE_HIGH = "exposure-high"
    EXPOSURE_LOW = "exposure-low"
    EXPOSURE_CONTRADICTS = "exposure-contradicts"
    EXPOSURE_MISSING = "exposure-missing"
    CLIPPED_DARK = "clipped-dark"
    CLIPPED_BRIGHT = "clipped-bright"
    FRAMES_BLANK = "frames-blank"
    PIXELS_MISSING = "pixels-missing"
    PIXELS_TRUNCATED = "pixels-truncated"
    PIXELS_UNREADABLE = "pixels-unreadable"
    PIXELS_NOT_LOOKED_AT = "pixels-not-looked-at"
    FILE_DAMAGED = "file-damaged"
    NOT_CHECKED = "not-checked"
    LOOP_SHORT = "loop-short"
    FRAME_TIME_MISSING = "frame-time-missing"
    FRAME_TIME_WRONG = "frame-time-wrong"
    SPACING_MISSING = "spacing-missing"
    SPACING_WRONG = "spacing-wrong"
    CHARSET_WRONG = "charset-wrong"
    CHARSET_UNKNOWN = "charset-unknown"
    CLOCK_AHEAD = "clock-ahead"
    CLOCK_BEHIND = "clock-behind"
    CLOCK_NOT_COMPARED = "clock-not-compared"
    CLASS_RETIRED = "class-retired"
    CLASS_PRIVATE = "class-private"
    CLASS_UNKNOWN = "class-unknown"
    REQUIRED_MISSING = "required-missing"


Value = str | int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says of one instance; a sentence is made of ``code`` and ``values`` when it is shown.

    ``values`` hold numbers, DICOM keywords and coded words, never what identifies a patient.
    """

    code: CheckCode
    severity: Severity
    values: Mapping[str, Value] = field(default_factory=dict)
