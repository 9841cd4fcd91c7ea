"""Many DICOM files of one size with UIDs of their own, made quickly by patching one template."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian

_SERIAL = itertools.count(1)
_PLACE = b"1.2.826.0.1.3680043.10.1.99999999999999999999"


def write_pictures(folder: Path, count: int, size_bytes: int) -> list[Path]:
    """``count`` 16-bit radiographs of about ``size_bytes`` each, no two with the same SOP Instance UID."""
    folder.mkdir(parents=True, exist_ok=True)
    template = _template(size_bytes)
    paths = []
    for _ in range(count):
        serial = b"%020d" % (10**19 + next(_SERIAL))
        path = folder / f"{serial.decode()}.dcm"
        path.write_bytes(template.replace(_PLACE, _PLACE[:-20] + serial))
        paths.append(path)
    return paths


def _template(size_bytes: int) -> bytes:
    columns = 1024
    rows = max(1, size_bytes // (2 * columns))
    picture = Dataset()
    picture.file_meta = FileMetaDataset()
    picture.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    picture.file_meta.MediaStorageSOPClassUID = picture.SOPClassUID = ComputedRadiographyImageStorage
    picture.file_meta.MediaStorageSOPInstanceUID = picture.SOPInstanceUID = UID(_PLACE.decode())
    picture.StudyInstanceUID, picture.SeriesInstanceUID = "1.2.826.0.1.3680043.10.2.1", "1.2.826.0.1.3680043.10.3.1"
    picture.PatientName, picture.PatientID, picture.Modality = "BENCH^ONE", "B1", "CR"
    picture.Rows, picture.Columns, picture.SamplesPerPixel = rows, columns, 1
    picture.PhotometricInterpretation, picture.PixelRepresentation = "MONOCHROME2", 0
    picture.BitsAllocated, picture.BitsStored, picture.HighBit = 16, 12, 11
    noise = np.random.default_rng(1).integers(0, 4096, rows * columns, dtype=np.uint16)
    picture.PixelData = noise.tobytes()
    body = io.BytesIO()
    picture.save_as(body, enforce_file_format=True)
    return body.getvalue()
