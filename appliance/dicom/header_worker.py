"""The child process that meets untrusted DICOM bytes: one JSON question a line in, one JSON answer a line out.

It reads no further than Series Instance UID (0020,000E), so pixels are never touched, and it may be killed at any
moment. Started by ``header.HeaderReader`` only.
"""

from __future__ import annotations

import io
import os
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from appliance.dicom.character_sets import suspect_encoding
from appliance.dicom.child_loop import serve, take_every_value
from appliance.dicom.structure import (
    BIG_ENDIAN_UID,
    DEFLATED_UID,
    IMPLICIT_UID,
    TornFile,
    check_complete,
    seek_data_set,
)
from appliance.lean import leave_out

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

LAST_TAG = 0x0020000E
INFLATED_BYTES_MAX = 16 * 1024 * 1024
"""Far more than everything before (0020,000E); a deflate bomb stops here."""
TEXT_CHARS_MAX = 324
"""Five person name groups of 64 characters with their separators."""

KEYWORDS = (
    "SOPInstanceUID",
    "SOPClassUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyDate",
    "StudyDescription",
    "Modality",
)
_NAMED_BY_PEOPLE = ("PatientName", "StudyDescription", "PatientID")


def read_header(file: BinaryIO, size_bytes: int) -> dict[str, str]:
    """Values by keyword from the head of a Part 10 file.

    Raises:
        TornFile: If it is no Part 10 file or ends before its data set.
        Exception: Whatever pydicom raises on bytes it cannot read; this process exists to contain that.
    """
    from pydicom.filereader import read_dataset
    from pydicom.tag import Tag

    def is_past(tag: int, vr: str | None, length: int) -> bool:
        return int(tag) > LAST_TAG

    transfer_syntax_uid = seek_data_set(file, size_bytes)
    if transfer_syntax_uid == DEFLATED_UID:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        file = io.BytesIO(inflate.decompress(file.read(INFLATED_BYTES_MAX), INFLATED_BYTES_MAX))
    dataset = read_dataset(
        file,
        is_implicit_VR=transfer_syntax_uid == IMPLICIT_UID,
        is_little_endian=transfer_syntax_uid != BIG_ENDIAN_UID,
        stop_when=is_past,
        specific_tags=[Tag(keyword) for keyword in ("SpecificCharacterSet", *KEYWORDS)],
    )
    values = {"TransferSyntaxUID": transfer_syntax_uid, "SuspectEncoding": _suspect(dataset)}
    # Raw bytes are judged first: reading an element by keyword replaces them by its decoded text.
    values["OrthancPatientID"] = _orthanc_patient_id(dataset)
    values |= {keyword: _text(dataset, keyword) for keyword in KEYWORDS}
    return values


def _orthanc_patient_id(dataset: Dataset) -> str:
    """Patient ID as Orthanc hashes it (measured on 1.10.1 and 1.12.7).

    Up to the first NUL, without trailing blanks but with leading ones; as it is under VR UN; its ASCII letters alone
    when it cannot be decoded.
    """
    if "PatientID" not in dataset:
        return ""
    raw = dataset.get_item("PatientID")
    if raw.VR == "UN" and isinstance(raw.value, bytes):
        return raw.value.decode("latin-1").split("\0")[0]
    value = dataset.get("PatientID") or ""
    text = value if isinstance(value, str) else "\\".join(str(part) for part in value)
    if "\ufffd" in text:
        text = text.encode("ascii", "ignore").decode("ascii")
    return text.split("\0")[0].rstrip(" ")


def _suspect(dataset: Dataset) -> str:
    """The first encoding that contradicts the label, over the elements that people type."""
    labels = _labels(dataset.get("SpecificCharacterSet"))
    for keyword in _NAMED_BY_PEOPLE:
        if keyword in dataset:
            raw = dataset.get_item(keyword).value
            found = suspect_encoding(raw, labels) if isinstance(raw, bytes) else ""
            if found:
                return found
    return ""


def _labels(value: object) -> Sequence[str]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(str(each) for each in value)  # type: ignore[attr-defined]  # a pydicom MultiValue


def _text(dataset: Dataset, keyword: str) -> str:
    value = dataset.get(keyword)
    if value is None:
        return ""
    parts = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    text = "\\".join(str(part) for part in parts)
    return text.replace("\0", "").strip()[:TEXT_CHARS_MAX]


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """The answer to one question; any failure becomes ``{"error": [code, reason]}``."""
    try:
        path = Path(str(question["path"]))
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if question["do"] == "header":
                return read_header(file, size_bytes)
            check_complete(file, size_bytes)
            return {"complete": True}
    except FileNotFoundError:
        return {"error": ["missing", "there is no such file"]}
    except OSError as error:
        if error.errno is None:  # not the medium: pydicom raises it where a sequence is cut off
            return {"error": ["unreadable", "it ends inside a sequence"]}
        return {"error": ["io-error", os.strerror(error.errno)]}
    except TornFile as error:
        return {"error": ["unreadable", str(error)]}
    except Exception as error:
        # The text of a parser's error may quote values of the data set, hence patient identity: only its type goes out.
        return {"error": ["unreadable", type(error).__name__]}


def main(memory_bytes_max: int, idle_s_max: float) -> None:
    """As ``child_loop.serve``."""
    leave_out("numpy")
    take_every_value()
    serve(answer, memory_bytes_max, idle_s_max)


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
