"""Chest radiographs that were never of anybody: test pictures for the demo, the tests and the benchmarks.

They are deterministic by seed and behave like a detector's picture where it matters for storage and compression: the
noise is quantum (Poisson) noise blurred with the signal by the scintillator plus white read-out noise, so it does not
compress away, and the field is collimated. They are no model of anatomy and must never be used to judge image quality.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

_Floats = NDArray[np.float32]

QUANTA_PER_PIXEL = 2500.0
"""Mean quanta in open field at 0.139 mm pixels; about what a bedside exposure of speed class 400 leaves."""
READOUT_NOISE_QUANTA = 6.0
BORDER_SHARE = 0.03
"""Of each side, covered by the collimator."""
SCATTER_UNDER_COLLIMATOR = 0.004


def phantom_chest(
    rows: int = 3000,
    columns: int = 2500,
    bits: int = 12,
    seed: int = 0,
    *,
    study_instance_uid: str = "",
    instance_number: int = 1,
    patient_id: str = "QF-DEMO-1",
    patient_name: str = "PHANTOM^CHEST",
) -> Dataset:
    """A Digital X-Ray Image - For Presentation (PS3.3 A.26) of a made-up chest.

    Args:
        rows: Height in pixels; at least 64.
        columns: Width in pixels; at least 64.
        bits: Bits stored, 8 to 16; 16 are allocated.
        seed: Picture, noise and UIDs follow from it.
        study_instance_uid: Of the study to belong to; empty: one that follows from the seed.
        instance_number: Number in the series; other numbers give other noise and another SOP Instance UID.
        patient_id: Of the made-up patient.
        patient_name: Of the made-up patient, ASCII.

    Raises:
        ValueError: If a size is out of range.
    """
    if rows < 64 or columns < 64 or not 8 <= bits <= 16:
        raise ValueError("rows and columns must be at least 64, bits 8 to 16")
    key = f"{seed}/{rows}/{columns}/{bits}"
    study_uid = study_instance_uid or generate_uid(entropy_srcs=["qafila-phantom-study", key])
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    _describe_patient_and_study(dataset, study_uid, patient_id, patient_name)
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["qafila-phantom-series", key, study_uid])
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["qafila-phantom", key, study_uid, str(instance_number)])
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.InstanceNumber = instance_number
    _describe_acquisition(dataset)
    _set_pixels(dataset, chest_pixels(rows, columns, bits, seed + 7919 * instance_number), bits)
    return dataset


def write_phantom_chest(path: Path, rows: int = 3000, columns: int = 2500, bits: int = 12, seed: int = 0) -> Dataset:
    """Write ``phantom_chest`` as a Part 10 file and return its data set."""
    dataset = phantom_chest(rows, columns, bits, seed)
    dataset.save_as(path, enforce_file_format=True)
    return dataset


def chest_pixels(rows: int, columns: int, bits: int, seed: int) -> NDArray[np.uint16]:
    """The picture alone, shape (rows, columns); dense things are bright (MONOCHROME2)."""
    rng = np.random.default_rng(seed)
    attenuation = _attenuation(rows, columns, rng)
    signal = np.float32(QUANTA_PER_PIXEL) * np.exp(-attenuation)
    quanta = rng.poisson(signal).astype(np.float32)
    quanta = _blur(quanta, sigma_px=0.9)
    quanta += rng.normal(0.0, READOUT_NOISE_QUANTA, quanta.shape).astype(np.float32)
    optical_density = np.log(np.float32(QUANTA_PER_PIXEL) / np.maximum(quanta, 6.0))
    top = (1 << bits) - 1
    scaled = (optical_density + np.float32(0.15)) * np.float32(top / 7.0)
    return np.asarray(np.clip(np.rint(scaled), 0, top), dtype=np.uint16)


def _attenuation(rows: int, columns: int, rng: np.random.Generator) -> _Floats:
    """Line integrals of attenuation, dimensionless, of a body made of soft ellipses under a collimator."""
    y = np.linspace(-1, 1, rows, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, columns, dtype=np.float32)[None, :]
    shift = rng.uniform(-0.03, 0.03, 2).astype(np.float32)
    x, y = x - shift[0], y - shift[1]

    body = 2.6 * _soft_ellipse(x, y, 0.0, 0.25, 0.92, 1.35)
    lungs = _soft_ellipse(x, y, -0.42, -0.05, 0.33, 0.62) + _soft_ellipse(x, y, 0.42, -0.05, 0.31, 0.60)
    heart = 0.9 * _soft_ellipse(x, y, 0.14, 0.28, 0.30, 0.30)
    spine = 0.7 * np.exp(-((x / 0.075) ** 2)) * (1.0 + 0.15 * np.cos(42.0 * y))
    below_diaphragm = 1.3 / (1.0 + np.exp(np.clip(-(y - 0.52 - 0.25 * x**2) / 0.02, -40, 40)))
    arcs = y + 0.55 * (np.abs(x) - 0.1) ** 2
    ribs = 0.45 * np.maximum(np.cos(arcs * 38.0), 0.0) ** 3 * _soft_ellipse(x, y, 0.0, 0.0, 0.85, 0.8)
    vessels = 0.10 * np.cos(31.0 * x + 9.0 * y) * np.cos(23.0 * y - 7.0 * x) * lungs
    attenuation = body - 1.75 * lungs * (1.0 - 0.6 * heart) + heart + spine + below_diaphragm + ribs + vessels

    open_field = np.zeros((rows, columns), dtype=np.float32)
    edge_rows, edge_columns = max(1, int(rows * BORDER_SHARE)), max(1, int(columns * BORDER_SHARE))
    open_field[edge_rows : rows - edge_rows, edge_columns : columns - edge_columns] = 1.0
    open_field = _blur(open_field, sigma_px=2.0)
    transmission = np.exp(-np.maximum(attenuation, 0.0)) * open_field + np.float32(SCATTER_UNDER_COLLIMATOR)
    return np.asarray(-np.log(transmission), dtype=np.float32)


def _soft_ellipse(x: _Floats, y: _Floats, x0: float, y0: float, a: float, b: float) -> _Floats:
    """1 inside, 0 outside, with an edge a few percent wide."""
    radius = np.sqrt(((x - x0) / a) ** 2 + ((y - y0) / b) ** 2)
    return np.asarray(1.0 / (1.0 + np.exp(np.clip((radius - 1.0) / 0.04, -40, 40))), dtype=np.float32)


def _blur(picture: _Floats, sigma_px: float) -> _Floats:
    """Separable Gaussian: the detector's modulation transfer."""
    reach = max(1, int(3 * sigma_px))
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma_px**2))
    weights = (weights / weights.sum()).astype(np.float32)
    for axis in (0, 1):
        padded = np.pad(picture, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        size = picture.shape[axis]
        blurred = np.zeros_like(picture)
        for i, weight in enumerate(weights):
            window = slice(i, i + size)
            blurred += weight * (padded[window, :] if axis == 0 else padded[:, window])
        picture = blurred
    return picture


def _describe_patient_and_study(dataset: Dataset, study_uid: str, patient_id: str, patient_name: str) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.PatientName = patient_name
    dataset.PatientID = patient_id
    dataset.PatientBirthDate = "19800101"
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = study_uid
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20260101"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "090000"
    dataset.ReferringPhysicianName = ""
    dataset.StudyID = "1"
    dataset.AccessionNumber = "QF0001"
    dataset.StudyDescription = "Chest phantom"


def _describe_acquisition(dataset: Dataset) -> None:
    dataset.Modality = "DX"
    dataset.PresentationIntentType = "FOR PRESENTATION"
    dataset.SeriesNumber = 1
    dataset.Manufacturer = "Qafila"
    dataset.ManufacturerModelName = "phantom"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", ""]
    dataset.AcquisitionNumber = 1
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "AP"
    dataset.ImageLaterality = "U"
    dataset.PatientOrientation = ["L", "F"]
    dataset.PositionerType = "NONE"
    dataset.DetectorType = "SCINTILLATOR"
    dataset.ImagerPixelSpacing = [0.139, 0.139]
    dataset.PixelSpacing = [0.139, 0.139]
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.AcquisitionContextSequence = []
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "43799004", "SCT", "Thoracic cavity structure"
    dataset.AnatomicRegionSequence = [region]


def _set_pixels(dataset: Dataset, pixels: NDArray[np.uint16], bits: int) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "LOG"
    dataset.PixelIntensityRelationshipSign = 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    dataset.PresentationLUTShape = "IDENTITY"
    low, high = (float(v) for v in np.percentile(pixels[::8, ::8], (2, 98)))
    dataset.WindowCenter = round((low + high) / 2)
    dataset.WindowWidth = max(1, round(high - low))
    dataset.PixelData = pixels.astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
