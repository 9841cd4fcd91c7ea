"""The demo's pictures: made-up chests as DICOM files, and their previews without an Orthanc."""

from __future__ import annotations

import hashlib
import io
import uuid
from functools import lru_cache

from pydicom.dataset import Dataset

from appliance.clock import utc_text
from appliance.config import UnitConfig, blob_path
from appliance.dicom.phantom import chest_pixels, phantom_chest
from appliance.domain.rendered import Preview, Rendered
from appliance.domain.values import Instance, StudyHeader
from appliance.orthanc.part10 import parse_meta
from appliance.store.intake import KeptInstance
from appliance.store.registrations import RegistrationRow
from appliance.store.stamp import Stamp

ROWS, COLUMNS, BITS = 480, 400, 12
HEADER = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyDate", "StudyDescription",
    "Modality",
)  # fmt: skip


def picture_of(config: UnitConfig, exam: RegistrationRow, number: int, stamp: Stamp) -> KeptInstance:
    """Picture ``number`` of an exam, as a device would have sent it and the door kept it: file and row."""
    dataset = phantom_chest(
        ROWS,
        COLUMNS,
        BITS,
        _seed(exam.study_instance_uid) + number,
        study_instance_uid=exam.study_instance_uid,
        instance_number=number,
        patient_id=exam.patient_id,
        patient_name=exam.patient_name,
    )
    dataset.PatientBirthDate, dataset.PatientSex = exam.patient_birth_date, exam.patient_sex
    dataset.AccessionNumber, dataset.StudyDescription = exam.accession_number, exam.description
    dataset.StudyDate, dataset.Modality = stamp.at[:10].replace("-", ""), exam.modality
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return _kept(config, dataset, out.getvalue(), stamp)


def _kept(config: UnitConfig, dataset: Dataset, content: bytes, stamp: Stamp) -> KeptInstance:
    blob_uuid = str(uuid.uuid4())
    path = blob_path(config.blob_dir, blob_uuid)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    instance = Instance(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        study_instance_uid=str(dataset.StudyInstanceUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        orthanc_id=hashlib.sha256(blob_uuid.encode()).hexdigest()[:40],
        blob_uuid=blob_uuid,
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        dataset_sha256=hashlib.sha256(content[parse_meta(content).dataset_offset :]).hexdigest(),
        calling_ae_title="XRAY",
        received_at=utc_text(stamp.wall_s),
    )
    values = (str(dataset.get(keyword, "")) for keyword in HEADER)
    return KeptInstance(instance, StudyHeader(instance.study_instance_uid, *values), stamp.boot_id, stamp.mono_s)


class DrawnPreviews:
    """Implements ``Previews``: a made-up chest for every picture, always the same one for the same picture."""

    def preview(self, sop_instance_uid: str, frame_number: int, width_px: int, height_px: int) -> Preview:
        """As the protocol says; every picture has one frame."""
        width = min(width_px, height_px * COLUMNS // ROWS)
        height = min(height_px, width * ROWS // COLUMNS)
        if width < 1 or height < 1:
            return Preview(None)
        return Preview(_drawn(_seed(sop_instance_uid), width, height))


@lru_cache(maxsize=64)
def _drawn(seed: int, width: int, height: int) -> Rendered:
    pixels = chest_pixels(max(height, 8), max(width, 8), BITS, seed)[:height, :width]
    low, high = int(pixels.min()), max(int(pixels.max()), int(pixels.min()) + 1)
    grey = ((pixels.astype("int32") - low) * 255 // (high - low)).astype("uint8")
    return Rendered(width, height, 1, grey.tobytes())


def _seed(uid: str) -> int:
    return int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4], "big") // 1000
