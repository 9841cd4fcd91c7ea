"""The identifying header of a stored Part 10 file, read by a child process that may die without harm.

Untrusted bytes never meet a parser inside intake: the child (``header_worker``) has a bound on memory, each question
has a bound on time, and a child that dies or stalls costs one question. It is started when the first question comes
and ends by itself when none comes for a while, so an idle unit does not carry the parser in memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.dicom.bounded_child import BoundedChild, ChildError
from appliance.domain.values import StudyHeader

ANSWER_S_MAX = 20.0
CHECK_S_MAX = 600.0
"""A structural check reads a whole file, at most ``object_bytes_max`` from a slow card."""
IDLE_S_MAX = 300.0
"""Long enough that one examination after another finds it started; starting takes 0.5 s on a mini-PC."""
MEMORY_BYTES_MAX = 512 * 1024 * 1024

_UID = re.compile(r"[0-9.]{1,64}")


class HeaderError(Exception):
    """A file's identity could not be read.

    Attributes:
        code: ``unreadable`` (no DICOM, cut short), ``no-identity`` (a UID is missing or malformed), ``parser-died``
            (the child crashed or hit its memory bound), ``parser-stalled`` (no answer in time), ``missing`` (no such
            file) or ``io-error`` (the medium failed).
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Header:
    """Who and what an instance is, as its own bytes say.

    ``orthanc_patient_id`` is Patient ID as Orthanc hashes it, blanks and all; people see ``study.patient_id``.
    ``suspect_encoding`` names what the patient's name looks like when its character set label cannot be right.
    """

    study: StudyHeader
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    orthanc_patient_id: str
    suspect_encoding: str = ""


def header_from(values: dict[str, Any]) -> Header:
    """A checked ``Header`` from plain values by DICOM keyword (``StudyInstanceUID`` ...).

    Raises:
        HeaderError: ``no-identity`` when a UID that names the instance is missing or is no ``[0-9.]{1,64}``.
    """

    def text(keyword: str) -> str:
        value = values.get(keyword, "")
        return value if isinstance(value, str) else ""

    for keyword in ("SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID", "TransferSyntaxUID"):
        if not _UID.fullmatch(text(keyword)):
            raise HeaderError("no-identity", f"{keyword} is missing or malformed")
    return Header(
        study=StudyHeader(
            study_instance_uid=text("StudyInstanceUID"),
            patient_name=text("PatientName"),
            patient_id=text("PatientID"),
            patient_birth_date=text("PatientBirthDate"),
            patient_sex=text("PatientSex"),
            accession_number=text("AccessionNumber"),
            study_date=text("StudyDate"),
            study_description=text("StudyDescription"),
            modality=text("Modality"),
        ),
        sop_instance_uid=text("SOPInstanceUID"),
        sop_class_uid=text("SOPClassUID"),
        series_instance_uid=text("SeriesInstanceUID"),
        transfer_syntax_uid=text("TransferSyntaxUID"),
        orthanc_patient_id=text("OrthancPatientID"),
        suspect_encoding=text("SuspectEncoding"),
    )


class HeaderReader:
    """Asks the child; one question at a time, from one thread."""

    def __init__(self, answer_s_max: float = ANSWER_S_MAX, memory_bytes_max: int = MEMORY_BYTES_MAX) -> None:
        self._answer_s_max = answer_s_max
        self._child = BoundedChild("appliance.dicom.header_worker", (str(memory_bytes_max), str(IDLE_S_MAX)))

    def read(self, path: Path) -> Header:
        """The header of the file at ``path``.

        Raises:
            HeaderError: If it has none that can be read; the next question is answered all the same.
        """
        return header_from(self._ask({"do": "header", "path": str(path)}, self._answer_s_max))

    def warm(self) -> None:
        """Start the child if it does not run, without waiting for it: a picture is on its way."""
        self._child.start()

    def check_complete(self, path: Path) -> None:
        """Return when the file is structurally whole (``structure.check_complete``).

        Raises:
            HeaderError: ``unreadable`` when it is torn; other codes as ``read``.
        """
        self._ask({"do": "complete", "path": str(path)}, CHECK_S_MAX)

    def close(self) -> None:
        """End the child; the next question starts another."""
        self._child.close()

    def __enter__(self) -> HeaderReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, question: dict[str, str], answer_s_max: float) -> dict[str, Any]:
        try:
            return self._child.ask(question, answer_s_max)
        except ChildError as error:
            raise HeaderError(error.code, error.reason) from error
