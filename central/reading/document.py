"""A signed report as DICOM: a Basic Text SR (PS3.3 A.35.1), laid out as a basic diagnostic imaging report (TID 2000).

Made of the statement alone, and the same bytes whenever it is made: the PACS may be given it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import BinaryIO

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID, BasicTextSRStorage, ExplicitVRLittleEndian

from central.reading.model import Paragraph, Statement

SERIES_NUMBER = 9100
TITLE = ("18748-4", "LN", "Diagnostic imaging report")
LANGUAGE_OF_CONTENT = ("121049", "DCM", "Language of Content Item and Descendants")
FINDINGS, FINDING = ("121070", "DCM", "Findings"), ("121071", "DCM", "Finding")
IMPRESSIONS, IMPRESSION = ("121072", "DCM", "Impressions"), ("121073", "DCM", "Impression")
COMMENT = ("121106", "DCM", "Comment")
CRITICAL = "CRITICAL RESULT"
LANGUAGES = {
    "fr": ("fr", "RFC5646", "French"),
    "en": ("en", "RFC5646", "English"),
    "ar": ("ar", "RFC5646", "Arabic"),
}
Code = tuple[str, str, str]


def write_document(
    statement: Statement, series_instance_uid: str, predecessors: tuple[tuple[str, str], ...], target: BinaryIO
) -> None:
    """Write the Part 10 file.

    Args:
        statement: What was signed.
        series_instance_uid: Of this document's own series.
        predecessors: Series and SOP Instance UID of the documents that it amends, the oldest first.
        target: Where to.
    """
    made = FileDataset("", {}, b"\0" * 128, _meta(statement), is_implicit_VR=False, is_little_endian=True)
    made.SpecificCharacterSet = "ISO_IR 192"
    _identify(made, statement)
    signed = datetime.fromisoformat(statement.signed_at)
    made.SOPClassUID, made.SOPInstanceUID = BasicTextSRStorage, statement.sop_instance_uid
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = series_instance_uid, SERIES_NUMBER, 1
    made.Modality, made.SeriesDescription, made.Manufacturer = "SR", statement.title[:64], "Qafila"
    made.ReferencedPerformedProcedureStepSequence = []
    made.PerformedProcedureCodeSequence = []
    made.ContentDate, made.ContentTime = signed.strftime("%Y%m%d"), signed.strftime("%H%M%S")
    made.TimezoneOffsetFromUTC = "+0000"
    made.CompletionFlag, made.VerificationFlag = "COMPLETE", "VERIFIED"
    made.VerifyingObserverSequence = [_observer(statement, signed)]
    if statement.images:
        images = [(one.series_instance_uid, one.sop_class_uid, one.sop_instance_uid) for one in statement.images]
        made.CurrentRequestedProcedureEvidenceSequence = [_study(statement.study_instance_uid, images)]
    if predecessors:
        documents = [(series, BasicTextSRStorage, document) for series, document in predecessors]
        made.PredecessorDocumentsSequence = [_study(statement.study_instance_uid, documents)]
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [_code(TITLE)]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2000"
    made.ContentTemplateSequence = [template]
    made.ContentSequence = _content(statement)
    made.save_as(target, enforce_file_format=True)


def _meta(statement: Statement) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = BasicTextSRStorage
    meta.MediaStorageSOPInstanceUID = UID(statement.sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = "QAFILA"
    return meta


def _identify(made: Dataset, statement: Statement) -> None:
    """Whose it is, in the words that the images have: those that the reader was shown."""
    patient = statement.patient
    made.StudyInstanceUID, made.StudyID = statement.study_instance_uid, ""
    made.StudyDate, made.StudyTime = _date(statement.study_date), ""
    made.AccessionNumber, made.ReferringPhysicianName = statement.accession_number, ""
    made.PatientName, made.PatientID = patient.name, patient.patient_id
    made.PatientBirthDate, made.PatientSex = _date(patient.birth_date), patient.sex


def _date(text: str) -> str:
    """What a unit said of a date, where it is one."""
    digits = text.replace("-", "")
    return digits if len(digits) == 8 and digits.isascii() and digits.isdecimal() else ""


def _observer(statement: Statement, signed: datetime) -> Dataset:
    observer = Dataset()
    observer.VerifyingObserverName = _person(statement.author.name)
    observer.VerifyingObserverIdentificationCodeSequence = []
    observer.VerifyingOrganization = statement.centre[:64] or "Qafila"
    observer.VerificationDateTime = signed.strftime("%Y%m%d%H%M%S.%f+0000")
    return observer


def _person(name: str) -> str:
    """A name as people call somebody, as the first component: what is given and what is family is not known here."""
    return " ".join(name.replace("^", " ").replace("=", " ").replace("\\", " ").split())[:63] + "^"


def _content(statement: Statement) -> list[Dataset]:
    language = _item("HAS CONCEPT MOD", "CODE", LANGUAGE_OF_CONTENT)
    language.ConceptCodeSequence = [_code(LANGUAGES[statement.content.language])]
    items = [language]
    if statement.content.critical:
        items.append(_text(COMMENT, CRITICAL))
    if statement.content.reason.strip():
        items.append(_text(COMMENT, statement.content.reason.strip()))
    if statement.findings:
        findings = [_text(FINDING, f"{one.heading}: {one.text}") for one in statement.findings]
        items.append(_section(FINDINGS, findings))
    items.append(_section(IMPRESSIONS, [_impression(statement.impression)]))
    return items


def _impression(said: Paragraph) -> Dataset:
    return _text(IMPRESSION, said.text)


def _section(concept: Code, items: list[Dataset]) -> Dataset:
    section = _item("CONTAINS", "CONTAINER", concept)
    section.ContinuityOfContent = "SEPARATE"
    section.ContentSequence = items
    return section


def _text(concept: Code, text: str) -> Dataset:
    item = _item("CONTAINS", "TEXT", concept)
    item.TextValue = "\r\n".join(text.splitlines())
    return item


def _item(relationship: str, value_type: str, concept: Code) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    item.ConceptNameCodeSequence = [_code(concept)]
    return item


def _code(of: Code) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = of
    return code


def _study(study_instance_uid: str, references: Sequence[tuple[str, str, str]]) -> Dataset:
    """A study with what is referred to in it: series, SOP class and SOP instance of each, kept together by series."""
    by_series: dict[str, list[Dataset]] = {}
    for series_instance_uid, sop_class_uid, sop_instance_uid in references:
        reference = Dataset()
        reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
        by_series.setdefault(series_instance_uid, []).append(reference)
    study = Dataset()
    study.StudyInstanceUID = study_instance_uid
    study.ReferencedSeriesSequence = []
    for series_instance_uid, instances in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID, series.ReferencedSOPSequence = series_instance_uid, instances
        study.ReferencedSeriesSequence.append(series)
    return study
