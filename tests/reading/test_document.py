"""The report as a DICOM document: what dciodvfy and pydicom read of it, and the same bytes every time."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from shutil import which

import msgspec
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from central.reading.document import CRITICAL, write_document
from central.reading.model import Content, Image, Paragraph, Patient, Statement
from tests.reading.test_model import statement

DIGITAL_XRAY, ULTRASOUND = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.6.1"
FULL = msgspec.structs.replace(
    statement(),
    patient=Patient(name="Diallo^Aïcha=ديالو^عائشة", patient_id="P-7", birth_date="19800101", sex="F"),
    accession_number="A-7",
    study_date="20261125",
    centre="district-hospital",
    content=Content(template="chest-xray", language="ar", critical=True, reason="نظرة ثانية\nسطر"),
    impression=Paragraph(heading="Conclusion", text="Line one.\nسطر ثان"),
    images=(
        Image(series_instance_uid="1.2.3.1", sop_class_uid=DIGITAL_XRAY, sop_instance_uid="1.2.3.1.1"),
        Image(series_instance_uid="1.2.3.1", sop_class_uid=DIGITAL_XRAY, sop_instance_uid="1.2.3.1.2"),
        Image(series_instance_uid="1.2.3.2", sop_class_uid=ULTRASOUND, sop_instance_uid="1.2.3.2.1"),
    ),
)
LEAST = msgspec.structs.replace(statement(), patient=Patient(name="عائشة^", patient_id="T1"))
MISSING = "Missing attribute or value that would be needed to build DICOMDIR"
BEFORE = (("2.25.11", "2.25.12"), ("2.25.21", "2.25.22"))


def written(said: Statement, before: tuple[tuple[str, str], ...] = ()) -> bytes:
    target = io.BytesIO()
    write_document(said, "2.25.2", before, target)
    return target.getvalue()


def texts(items: Dataset) -> list[str]:
    found = []
    for item in items.get("ContentSequence", []):
        found += [str(item.TextValue)] if item.ValueType == "TEXT" else texts(item)
    return found


def test_document_says_what_was_signed_of_whom_it_was_signed() -> None:
    read = dcmread(io.BytesIO(written(FULL, BEFORE)))
    assert (str(read.PatientName), read.PatientID, read.AccessionNumber) == (FULL.patient.name, "P-7", "A-7")
    assert (read.StudyInstanceUID, read.SOPInstanceUID) == (FULL.study_instance_uid, FULL.sop_instance_uid)
    assert (read.CompletionFlag, read.VerificationFlag) == ("COMPLETE", "VERIFIED")
    assert str(read.VerifyingObserverSequence[0].VerifyingObserverName) == "Dr Lecteur^"
    assert texts(read) == [
        CRITICAL,
        "نظرة ثانية\r\nسطر",
        *(f"{one.heading}: {one.text}" for one in FULL.findings),
        "Line one.\r\nسطر ثان",
    ]
    series = read.PredecessorDocumentsSequence[0].ReferencedSeriesSequence
    assert [one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in series] == ["2.25.12", "2.25.22"]


def test_document_names_the_images_that_it_is_about() -> None:
    (evidence,) = dcmread(io.BytesIO(written(FULL))).CurrentRequestedProcedureEvidenceSequence
    assert evidence.StudyInstanceUID == FULL.study_instance_uid
    assert [
        (series.SeriesInstanceUID, one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID)
        for series in evidence.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    ] == [(one.series_instance_uid, one.sop_class_uid, one.sop_instance_uid) for one in FULL.images]
    assert len(evidence.ReferencedSeriesSequence) == 2
    assert "CurrentRequestedProcedureEvidenceSequence" not in dcmread(io.BytesIO(written(LEAST)))


@pytest.mark.skipif(not which("dsrdump"), reason="dsrdump (Debian's dcmtk) is not installed")
def test_dcmtk_reads_the_report_with_its_references(tmp_path: Path) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(written(FULL, BEFORE))
    # A long text is cut in the middle of a letter.
    read = subprocess.run(["dsrdump", "-v", str(path)], capture_output=True, text=True, errors="replace", check=True)
    complaints = [line for line in read.stderr.splitlines() if line.startswith(("W:", "E:", "F:"))]
    assert [line for line in complaints if "does not support this Specific Character Set" not in line] == []
    assert "Basic Text SR Document" in read.stdout and CRITICAL in read.stdout
    assert "Predecessor Docs    : 2" in read.stdout


def test_document_is_the_same_whenever_it_is_made() -> None:
    assert written(FULL, BEFORE) == written(FULL, BEFORE)


@pytest.mark.skipif(not which("dciodvfy"), reason="dciodvfy (Debian's dicom3tools) is not installed")
@pytest.mark.parametrize("said", [FULL, LEAST], ids=["full", "least"])
def test_document_is_what_dciodvfy_calls_a_basic_text_report(tmp_path: Path, said: Statement) -> None:
    path = tmp_path / "report.dcm"
    path.write_bytes(written(said, BEFORE if said is FULL else ()))
    checked = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    lines = (checked.stdout + checked.stderr).splitlines()
    assert "BasicTextSR" in lines
    complaints = [line for line in lines if line.startswith(("Error", "Warning"))]
    # A unit does not tell a study's time and id, and may not know its date.
    assert [line for line in complaints if MISSING not in line] == []


@pytest.mark.parametrize("birth_date", ["", "1980", "yesterday", "1980-01-01"])
def test_dates_that_are_none_do_not_spoil_a_document(birth_date: str) -> None:
    patient = msgspec.structs.replace(FULL.patient, birth_date=birth_date)
    read = dcmread(io.BytesIO(written(msgspec.structs.replace(FULL, patient=patient, study_date=birth_date))))
    assert read.PatientBirthDate == ("19800101" if birth_date == "1980-01-01" else "")
