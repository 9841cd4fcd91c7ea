"""Makes DICOM objects of pictures, videos and papers, as a modality would that had fetched its worklist (PS3.3).

The same file in the same registration gives the same UIDs at any time; nothing in an object depends on the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_buffer
from pydicom.uid import (
    UID,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    VideoPhotographicImageStorage,
    VLPhotographicImageStorage,
)

from appliance.imports.anatomy import region_of
from appliance.imports.identity import Series, instance_uid, series_uid
from appliance.imports.mp4 import Video
from appliance.imports.pictures import Picture

_FROM_PATIENT = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "OtherPatientIDsSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
    "AccessionNumber",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName",
)
"""What a modality copies from its worklist item as it stands (PS3.4 table K.6-1; IHE RAD TF-2 appendix A)."""
_TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName")


_SERIES = {
    Series.ULTRASOUND: (UltrasoundImageStorage, "US", 901, "Imported ultrasound images"),
    Series.ULTRASOUND_LOOP: (UltrasoundMultiFrameImageStorage, "US", 902, "Imported ultrasound loops"),
    Series.PHOTOGRAPH: (VLPhotographicImageStorage, "XC", 903, "Imported photographs"),
    Series.VIDEO: (VideoPhotographicImageStorage, "XC", 904, "Imported videos"),
    Series.PAPER: (EncapsulatedPDFStorage, "DOC", 905, "Imported papers"),
}
"""SOP class, modality, series number (far from those of modalities) and description."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom and what an object belongs to."""

    registration_key: str
    item: Dataset
    """The worklist item."""
    study_date: str
    body_part: str
    laterality: str


def read_item(part_10: bytes) -> Dataset:
    """The worklist item from its Part 10 file."""
    return dcmread(BytesIO(part_10))


def picture_object(subject: Subject, series: Series, sha256: str, number: int, picture: Picture) -> Dataset:
    """A US Image or VL Photographic Image (PS3.3 A.6, A.32.4) of one picture."""
    dataset = _image(subject, series, sha256, number, picture.rows, picture.columns)
    dataset.SamplesPerPixel = picture.component_count
    dataset.PhotometricInterpretation = picture.photometric
    if series is Series.ULTRASOUND and picture.photometric == "YBR_FULL":
        # Ultrasound has YBR_FULL by colour planes only (PS3.3 C.8.5.6.1.3); decoders go by the JPEG's own sampling.
        dataset.PhotometricInterpretation = "YBR_FULL_422"
    if picture.component_count == 3:
        dataset.PlanarConfiguration = 0
    raw_bytes = picture.rows * picture.columns * picture.component_count
    _lossy(dataset, "ISO_10918_1" if picture.was_lossy else "", raw_bytes, picture.source_bytes)
    if picture.pixels is None:
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate([picture.baseline])
        dataset["PixelData"].is_undefined_length = True
    else:
        raw = picture.pixels.tobytes()
        dataset.PixelData = raw + bytes(len(raw) % 2)
    dataset["PixelData"].VR = "OB"
    return dataset


def video_object(
    subject: Subject, series: Series, sha256: str, number: int, video: Video, stream: BinaryIO, stream_bytes: int
) -> Dataset:
    """A US Multi-frame or Video Photographic Image (PS3.3 A.7, A.32.6); ``stream`` stays open until it is written."""
    rows, columns = video.parameters.rows, video.parameters.columns
    dataset = _image(subject, series, sha256, number, rows, columns)
    dataset.file_meta.TransferSyntaxUID = UID(video.transfer_syntax_uid)
    dataset.SamplesPerPixel = 3
    dataset.PhotometricInterpretation = "YBR_PARTIAL_420"
    dataset.PlanarConfiguration = 0
    dataset.NumberOfFrames = len(video.samples)
    dataset.FrameIncrementPointer = 0x00181063
    dataset.FrameTime = f"{video.frame_time_ms:.6g}"
    dataset.CineRate = max(1, round(1000.0 / video.frame_time_ms))
    _lossy(dataset, "ISO_14496_10", rows * columns * 3 * len(video.samples), stream_bytes)
    buffers: Any = [stream]
    dataset.PixelData = encapsulate_buffer(buffers)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def paper_object(subject: Subject, sha256: str, number: int, pdf: bytes) -> Dataset:
    """An Encapsulated PDF (PS3.3 A.45.1) of a scanned paper."""
    dataset = _base(subject, Series.PAPER, sha256, number)
    dataset.ConversionType = "SD"
    dataset.ContentDate = dataset.ContentTime = dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = "Imported paper"
    dataset.ConceptNameCodeSequence = []
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = pdf + bytes(len(pdf) % 2)
    dataset.EncapsulatedDocumentLength = len(pdf)
    return dataset


def write(dataset: Dataset, path: Path) -> None:
    """Write a Part 10 file.

    Raises:
        OSError: If there is no room.
    """
    dataset.save_as(path, enforce_file_format=True)


def _base(subject: Subject, series: Series, sha256: str, number: int) -> Dataset:
    sop_class_uid, modality, series_number, description = _SERIES[series]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _TYPE_2:
        setattr(dataset, keyword, "")
    for keyword in _FROM_PATIENT:
        if keyword in subject.item:
            setattr(dataset, keyword, subject.item[keyword].value)
    _describe_study(dataset, subject)
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = instance_uid(subject.registration_key, series, sha256)
    dataset.file_meta.MediaStorageSOPClassUID = sop_class_uid
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.SeriesInstanceUID = series_uid(subject.registration_key, series)
    dataset.SeriesNumber, dataset.SeriesDescription = series_number, description
    dataset.Modality = modality
    dataset.InstanceNumber = number
    dataset.Manufacturer = ""
    return dataset


def _describe_study(dataset: Dataset, subject: Subject) -> None:
    item = subject.item
    steps: Sequence[Dataset] = item.get("ScheduledProcedureStepSequence") or [Dataset()]
    step = steps[0]
    dataset.StudyDate = subject.study_date or step.get("ScheduledProcedureStepStartDate", "")
    dataset.StudyTime = "" if subject.study_date else step.get("ScheduledProcedureStepStartTime", "")
    dataset.StudyID = item.get("RequestedProcedureID", "")
    dataset.StudyDescription = item.get("RequestedProcedureDescription", "")
    request = Dataset()
    for keyword, source in (
        ("RequestedProcedureID", item),
        ("RequestedProcedureDescription", item),
        ("ScheduledProcedureStepID", step),
        ("ScheduledProcedureStepDescription", step),
    ):
        if source.get(keyword):
            setattr(request, keyword, source[keyword].value)
    if len(request):
        dataset.RequestAttributesSequence = [request]


def _image(subject: Subject, series: Series, sha256: str, number: int, rows: int, columns: int) -> Dataset:
    dataset = _base(subject, series, sha256, number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.PatientOrientation = ""
    dataset.BodyPartExamined = subject.body_part
    if subject.laterality in ("L", "R"):
        dataset.ImageLaterality = subject.laterality
    dataset.Rows, dataset.Columns = rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    if series in (Series.PHOTOGRAPH, Series.VIDEO):
        dataset.AcquisitionContextSequence = []
        dataset.AnatomicRegionSequence = [region_of(subject.body_part)]
    return dataset


def _lossy(dataset: Dataset, method: str, raw_bytes: int, coded_bytes: int) -> None:
    dataset.LossyImageCompression = "01" if method else "00"
    if method:
        dataset.LossyImageCompressionRatio = f"{raw_bytes / coded_bytes:.5g}"
        dataset.LossyImageCompressionMethod = method
