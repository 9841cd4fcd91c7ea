"""A file that was cut inside an element or a sequence is torn, whatever its encoding; whole files are whole."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from appliance.dicom.structure import DEPTH_MAX, TornFile, check_complete
from tests.support.files import Sample, sample_files, small_chest

PART_10 = [s for s in sample_files() if s.path.read_bytes()[128:132] == b"DICM"]
UNCOMPRESSED = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)


def check(data: bytes) -> None:
    check_complete(io.BytesIO(data), len(data))


def encoded(folder: Path, syntax: pydicom.uid.UID) -> bytes:
    """A small chest with nested sequences of defined and undefined length in ``syntax``."""
    dataset = pydicom.dcmread(small_chest(folder / "chest.dcm"))
    inner, outer = Dataset(), Dataset()
    inner.CodeValue = "1"
    outer.ConceptNameCodeSequence = [inner, inner]
    dataset.RequestAttributesSequence = [outer]
    dataset.PerformedProtocolCodeSequence = [inner]
    dataset["PerformedProtocolCodeSequence"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    target = io.BytesIO()
    target_dataset = Dataset()
    target_dataset.update(dataset)
    target_dataset.file_meta = dataset.file_meta
    if not syntax.is_little_endian:
        target_dataset.PixelData = bytes(len(dataset.PixelData))
        target_dataset["PixelData"].VR = "OW"
    target_dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


@pytest.mark.parametrize("sample", PART_10, ids=lambda s: s.name)
def test_whole_file_is_whole(sample: Sample) -> None:
    check(sample.path.read_bytes())


@pytest.mark.parametrize("sample", PART_10, ids=lambda s: s.name)
@pytest.mark.parametrize("missing_bytes", [1, 7])
def test_file_without_its_last_bytes_is_torn(sample: Sample, missing_bytes: int) -> None:
    with pytest.raises(TornFile):
        check(sample.path.read_bytes()[:-missing_bytes])


@pytest.mark.parametrize("syntax", UNCOMPRESSED, ids=lambda s: s.name)
def test_every_uncompressed_syntax_is_walked(syntax: pydicom.uid.UID, tmp_path: Path) -> None:
    whole = encoded(tmp_path, syntax)
    check(whole)
    with pytest.raises(TornFile):
        check(whole[:-3])  # a deflated data set may end in one byte of padding


@settings(max_examples=60, deadline=None)
@given(share=st.floats(min_value=0, max_value=1))
def test_file_cut_inside_its_pixels_is_torn(share: float) -> None:
    path = next(s.path for s in sample_files() if s.name == "rgb_color")
    data = path.read_bytes()
    start = data.rindex(b"\xe0\x7f\x10\x00")
    cut = start + 1 + int(share * (len(data) - start - 2))
    with pytest.raises(TornFile):
        check(data[:cut])


def test_bottomless_nesting_is_refused_not_followed() -> None:
    meta = b"\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\0"
    nest = b"\x08\x00\x15\x11\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    with pytest.raises(TornFile, match="nested"):
        check(bytes(128) + b"DICM" + meta + nest * DEPTH_MAX)


@pytest.mark.parametrize("junk", [b"", b"\0" * 132, b"GIF89a" + bytes(200), bytes(128) + b"DICM"])
def test_junk_is_no_dicom_file(junk: bytes) -> None:
    with pytest.raises(TornFile):
        check(junk)
