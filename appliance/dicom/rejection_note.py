"""A note that pictures are rejected: a Key Object Selection document as IHE IOCM has it (PS3.3 A.35.4, TID 2010).

It belongs to the study of the pictures and says of the patient what they say now, so a centre that knows IOCM hides
them, and one that does not shows a document with the reason.
"""

from __future__ import annotations

from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID, ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from appliance.dicom.wanted import Note

FROM_THE_PICTURE = (
    "SpecificCharacterSet",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
)


def write_note(picture: BinaryIO, target: BinaryIO, note: Note) -> None:
    """Write the note about ``picture`` and others of its study; what pydicom cannot read it raises about."""
    source = dcmread(picture, stop_before_pixels=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = KeyObjectSelectionDocumentStorage
    meta.MediaStorageSOPInstanceUID = UID(note.sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = "QAFILA"
    made = FileDataset("", {}, b"\0" * 128, meta, is_implicit_VR=False, is_little_endian=True)
    for keyword in FROM_THE_PICTURE:
        value = source.get(keyword)
        if value is not None or keyword not in ("IssuerOfPatientID", "StudyDescription", "SpecificCharacterSet"):
            setattr(made, keyword, value)
    made.SOPClassUID, made.SOPInstanceUID = KeyObjectSelectionDocumentStorage, note.sop_instance_uid
    made.SeriesInstanceUID, made.SeriesNumber, made.InstanceNumber = note.series_instance_uid, 9000, 1
    made.Modality, made.SeriesDescription = "KO", "Rejection note"
    made.Manufacturer, made.StationName = "Qafila", note.unit[:16]
    made.ReferencedPerformedProcedureStepSequence = []
    made.ContentDate, made.ContentTime = note.content_date, note.content_time
    _describe(made, str(source.StudyInstanceUID), note)
    made.save_as(target, enforce_file_format=True)


def _describe(made: Dataset, study_instance_uid: str, note: Note) -> None:
    made.CurrentRequestedProcedureEvidenceSequence = [_evidence(study_instance_uid, note)]
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [_code(note.title)]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "2010"
    made.ContentTemplateSequence = [template]
    content = []
    if note.modifier:
        modifier = _item("HAS CONCEPT MOD", "CODE", "DocumentTitleModifier")
        modifier.ConceptCodeSequence = [_code(note.modifier)]
        content.append(modifier)
    words = _item("CONTAINS", "TEXT", "KeyObjectDescription")
    words.TextValue = note.sentence
    content.append(words)
    for pictures in note.pictures.values():
        for sop_class_uid, sop_instance_uid in pictures:
            image = _item("CONTAINS", "IMAGE")
            image.ReferencedSOPSequence = [_reference(sop_class_uid, sop_instance_uid)]
            content.append(image)
    made.ContentSequence = content


def _evidence(study_instance_uid: str, note: Note) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = study_instance_uid
    study.ReferencedSeriesSequence = []
    for series_instance_uid, pictures in note.pictures.items():
        series = Dataset()
        series.SeriesInstanceUID = series_instance_uid
        series.ReferencedSOPSequence = [_reference(*picture) for picture in pictures]
        study.ReferencedSeriesSequence.append(series)
    return study


def _reference(sop_class_uid: str, sop_instance_uid: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class_uid, sop_instance_uid
    return reference


def _item(relationship: str, value_type: str, concept: str = "") -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = relationship, value_type
    if concept:
        item.ConceptNameCodeSequence = [_code(concept)]
    return item


def _code(name: str) -> Dataset:
    known = getattr(codes.DCM, name)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = known.value, known.scheme_designator, known.meaning
    return code
