"""What the two devices make: real pixels, with the identity that the worklist gave them copied into them."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pydicom
import pydicom.examples
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from appliance.dicom.phantom import phantom_chest

COPIED = (
    "SpecificCharacterSet",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyInstanceUID",
    "ReferringPhysicianName",
)
"""From a worklist item into every picture (IHE Scheduled Workflow)."""
ROWS, COLUMNS = 320, 256


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture on a device's own disk; ``key`` is what the day calls it."""

    key: str
    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str

    @property
    def reference(self) -> tuple[str, str]:
        """SOP Class and Instance UID, as MPPS and commitment name it."""
        return self.sop_class_uid, self.sop_instance_uid

    def read(self) -> Dataset:
        return pydicom.dcmread(self.path)


def film(folder: Path, key: str, item: Dataset, seed: int, view: str = "PA") -> Picture:
    """A chest film; its pixels follow from the seed, its UIDs are new."""
    dataset = phantom_chest(ROWS, COLUMNS, 12, seed)
    dataset.ViewPosition = view
    return _save(folder, key, dataset, item)


def echo(folder: Path, key: str, item: Dataset, example: str = "rgb_color") -> Picture:
    """An ultrasound picture or loop from pydicom's examples, with its transfer syntax."""
    source: Dataset = getattr(pydicom.examples, example)
    kept = Dataset()
    kept.file_meta = source.file_meta
    for element in source:
        if element.tag.group == 0x0028 or element.keyword in _KEPT_OF_EXAMPLES:
            kept.add(element)
    if "PixelSpacing" in kept:
        del kept.PixelSpacing  # of no use in ultrasound, and no attribute of its objects
    kept.Manufacturer, kept.ManufacturerModelName = "Qafila", "test"
    kept.PatientOrientation = ""
    return _save(folder, key, kept, item)


_KEPT_OF_EXAMPLES = {
    "SOPClassUID",
    "ImageType",
    "Modality",
    "FrameTime",
    "CineRate",
    "PixelData",
    "LossyImageCompression",
}


def other_pixels(folder: Path, key: str, of: Picture) -> Picture:
    """Another picture under the same SOP Instance UID: a console whose counter was put back."""
    dataset = of.read()
    pixels = bytearray(dataset.PixelData)
    pixels[len(pixels) // 2] ^= 0x01
    dataset.PixelData = bytes(pixels)
    return _write(folder, key, dataset)


def _save(folder: Path, key: str, dataset: Dataset, item: Dataset) -> Picture:
    for keyword in COPIED:
        if keyword in dataset:
            delattr(dataset, keyword)
        if keyword in item:
            dataset.add(item[keyword])
    (step,) = item.ScheduledProcedureStepSequence
    request = Dataset()
    request.RequestedProcedureID = item.RequestedProcedureID
    request.RequestedProcedureDescription = item.RequestedProcedureDescription
    request.ScheduledProcedureStepID = step.ScheduledProcedureStepID
    request.ScheduledProcedureStepDescription = step.ScheduledProcedureStepDescription
    request.ScheduledProtocolCodeSequence = step.ScheduledProtocolCodeSequence
    dataset.RequestAttributesSequence = [request]
    dataset.StudyID = item.RequestedProcedureID
    dataset.StudyDescription = item.RequestedProcedureDescription
    _number(dataset, step)
    return _write(folder, key, dataset)


def _number(dataset: Dataset, step: Dataset) -> None:
    """Times of the appointment, so that they are of today, and UIDs of this device."""
    for what in ("Study", "Series", "Content", "Acquisition"):
        setattr(dataset, f"{what}Date", step.ScheduledProcedureStepStartDate)
        setattr(dataset, f"{what}Time", step.ScheduledProcedureStepStartTime)
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID = generate_uid(), generate_uid()


def _write(folder: Path, key: str, dataset: Dataset) -> Picture:
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    path, plain = folder / f"{key}.dcm", folder / f"{key}.plain"
    dataset.save_as(plain, enforce_file_format=True)
    # storescu writes a data set in DCMTK's way; from a file that DCMTK wrote it sends the very bytes of the file.
    subprocess.run(["dcmconv", str(plain), str(path)], check=True, timeout=60)
    plain.unlink()
    return Picture(key, path, str(dataset.SOPClassUID), str(dataset.SOPInstanceUID), str(dataset.SeriesInstanceUID))
