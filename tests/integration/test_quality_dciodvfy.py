"""The table of required attributes against dicom3tools' ``dciodvfy``, where that is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    VLPhotographicImageStorage,
)

from appliance.dicom.phantom import phantom_chest
from appliance.quality.checks.required import required_of

DCIODVFY = os.environ.get("QAFILA_DCIODVFY") or shutil.which("dciodvfy")
pytestmark = pytest.mark.skipif(DCIODVFY is None, reason="dciodvfy (Debian's dicom3tools) is not installed")
KINDS = {
    ComputedRadiographyImageStorage: "CR",
    DigitalXRayImageStorageForPresentation: "DX",
    UltrasoundImageStorage: "US",
    UltrasoundMultiFrameImageStorage: "US",
    SecondaryCaptureImageStorage: "OT",
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage: "OT",
    VLPhotographicImageStorage: "XC",
}
ONLY_FOR_GREY_PICTURES = {"RescaleIntercept", "RescaleSlope", "RescaleType"}
"""Type 1C in PS3.3 C.8.6.3; the reference asks an object without any pixel attribute for them too."""
NEEDED_TO_START = {"SOPClassUID", "SOPInstanceUID", "NumberOfFrames"}
"""Without the number of frames the reference takes an object for a still picture."""
_COMPLAINT = re.compile(r"^Error - (?:Missing|Empty) attribute.* Type (1C?) \w+ Element=<(\w+)>", re.MULTILINE)


def complaints(path: Path) -> tuple[set[str], set[str]]:
    """What it calls required, and what it calls required in this case."""
    assert DCIODVFY is not None
    done = subprocess.run([DCIODVFY, str(path)], capture_output=True, check=False)
    found = _COMPLAINT.findall((done.stdout + done.stderr).decode("utf-8", "replace"))
    return {word for kind, word in found if kind == "1"}, {word for kind, word in found if kind == "1C"}


def bare(sop_class_uid: UID) -> Dataset:
    """An object of this kind that lacks all that it may lack and still be told as one of its kind."""
    dataset = phantom_chest(64, 64)
    for element in list(dataset):
        if element.keyword not in NEEDED_TO_START:
            del dataset[element.tag]
    if "NumberOfFrames" in required_of(sop_class_uid):
        dataset.NumberOfFrames = 2
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class_uid
    return dataset


@pytest.mark.parametrize("sop_class_uid", KINDS, ids=lambda uid: uid.name)
def test_reference_asks_for_what_the_table_asks_for(sop_class_uid: UID, tmp_path: Path) -> None:
    path = tmp_path / "bare.dcm"
    bare(sop_class_uid).save_as(path, enforce_file_format=True)
    ours = set(required_of(sop_class_uid)) - NEEDED_TO_START
    theirs, in_this_case = complaints(path)
    assert ours - theirs - in_this_case == set(), "the table asks for more than the reference"
    assert theirs - ours - ONLY_FOR_GREY_PICTURES == set(), "the reference asks for more than the table"
