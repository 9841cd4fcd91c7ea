"""What the child that makes files is asked for, and what it answers; values, so that asking costs no DICOM library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CORRECTABLE = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDescription",
    "ReferringPhysicianName",
    "BodyPartExamined",
    "Laterality",
    "ImageLaterality",
    "ViewPosition",
)
"""What people may correct; the UIDs stay."""
NEW_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
"""What a copy for another patient gets, all three together: it is a picture of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to correct. Values are DICOM text; an empty one empties the attribute.

    ``new_uids`` is empty, or has all of ``NEW_UIDS``. ``at`` is DICOM DT with its offset; ``system`` is who corrects,
    ``source`` who gave the values before.
    """

    values: Mapping[str, str]
    new_uids: Mapping[str, str]
    at: str
    system: str
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revised:
    """What the copy is; ``before`` has the previous text of whatever was changed, empty where there was none.

    ``dataset_sha256`` is of the bytes after group 0002, ``pixels_sha256`` of those from the pixel data on, which are
    the original's; empty without pixels.
    """

    sha256: str
    dataset_sha256: str
    pixels_sha256: str
    size_bytes: int
    before: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What it says. ``pictures`` are SOP Class and Instance UIDs by Series Instance UID.

    ``title`` and ``modifier`` are names of DCM codes; ``content_date`` and ``content_time`` DICOM DA and TM.
    """

    title: str
    modifier: str
    sentence: str
    pictures: Mapping[str, Sequence[Sequence[str]]]
    sop_instance_uid: str
    series_instance_uid: str
    content_date: str
    content_time: str
    unit: str
