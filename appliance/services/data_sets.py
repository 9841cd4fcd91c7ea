"""Data sets of messages: as bytes for the store, what a change makes of one, and values that may be anything."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pynetdicom.dsutils import decode, encode

_NOT_SET = frozenset(
    (
        "SpecificCharacterSet",
        "Modality",
        "StudyID",
        "ReferencedPatientSequence",
        "ScheduledStepAttributesSequence",
        "PerformedProcedureStepID",
        "PerformedStationAETitle",
        "PerformedStationName",
        "PerformedLocation",
        "PerformedProcedureStepStartDate",
        "PerformedProcedureStepStartTime",
    )
)
"""What N-SET may not change (PS3.4 table F.7.2-1), besides the patient: consoles repeat it, so it is passed over."""
_PATIENT_GROUP = 0x0010


class DataSetError(ValueError):
    """The bytes are no data set, or one that cannot be written."""


def to_bytes(data_set: Dataset) -> bytes:
    """Explicit VR Little Endian without preamble; equal data sets give equal bytes, whatever syntax they came in.

    Raises:
        DataSetError: If a value cannot be written.
    """
    try:
        data = encode(data_set, is_implicit_vr=False, is_little_endian=True)
    except Exception as error:  # pydicom raises whatever a strange value leads to
        raise DataSetError(type(error).__name__) from error
    if data is None:
        raise DataSetError("a value cannot be written")
    return data


def from_bytes(data: bytes) -> Dataset:
    """What ``to_bytes`` made."""
    return decode(BytesIO(data), is_implicit_vr=False, is_little_endian=True)


def changed(before: bytes, changes: Dataset) -> Dataset:
    """The step after an N-SET: attributes as last set, whole sequences at a time (PS3.4 section F.7.2.2.2).

    Both may be in different character sets, so the result is in Unicode.

    Raises:
        DataSetError: If a text cannot be read.
    """
    try:
        whole, now = from_bytes(before), from_bytes(to_bytes(changes))
        whole.decode()
        now.decode()
        for element in now:
            if element.tag.group != _PATIENT_GROUP and element.keyword not in _NOT_SET:
                whole[element.tag] = element
    except Exception as error:  # as above
        raise DataSetError(type(error).__name__) from error
    whole.SpecificCharacterSet = "ISO_IR 192"
    return whole


def items_of(data_set: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence; none when it is absent, no sequence, or not to be read."""
    try:
        value = data_set.get(keyword)
    except Exception:  # pydicom raises whatever a strange value leads to
        return
    if isinstance(value, Sequence):
        yield from value


def text_of(data_set: Dataset, keyword: str) -> str:
    """A value as text without padding; empty when absent, a sequence, or not to be read."""
    try:
        value = data_set.get(keyword)
        if value is None or isinstance(value, Sequence):
            return ""
        return "\\".join(map(str, value)) if isinstance(value, MultiValue) else str(value).strip(" \0")
    except Exception:  # as above
        return ""
