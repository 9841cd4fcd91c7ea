"""Comparing what a destination gives back with an earlier proof, where our own file is gone."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID, ImplicitVRLittleEndian, RLELossless

from appliance.domain.values import Evidence
from sync.adapters.base import SendItem
from sync.adapters.codec import transcode
from sync.adapters.compare import Verdict, compare, compare_again
from sync.adapters.proof import Reading, prove
from tests.support.world import small_picture


def _file(path: Path, **changes: str) -> Path:
    picture = small_picture(6_000, 3)
    picture.SOPInstanceUID = picture.file_meta.MediaStorageSOPInstanceUID = UID("2.25.77")
    picture.file_meta.MediaStorageSOPClassUID = picture.SOPClassUID
    picture.PixelData = bytes(range(256)) * picture.Rows
    for keyword, value in changes.items():
        setattr(picture, keyword, value)
    picture.save_as(path, enforce_file_format=True)
    return path


def _proof(ours: Path, theirs: Path) -> Evidence:
    item = SendItem(1, "2.25.77", "", "", "", "", 1, "a" * 64, ours)
    made = prove(item, "wado", lambda: Reading(compare(ours, theirs), "b" * 64, 1)).evidence
    assert made is not None
    return made


def test_same_data_set_is_recognised_without_the_file(tmp_path: Path) -> None:
    ours = _file(tmp_path / "ours")
    theirs = tmp_path / "theirs"
    rewritten = dcmread(io.BytesIO(ours.read_bytes()))
    rewritten.file_meta.ImplementationVersionName = "OTHER"
    rewritten.save_as(theirs)
    assert compare_again(_proof(ours, ours), theirs).verdict is Verdict.CANONICAL


@pytest.mark.parametrize("changes", [{"PatientID": "OTHER"}, {"PixelData": b"\1" * 256 * 23}])
def test_another_data_set_or_other_pixels_are_different(tmp_path: Path, changes: dict[str, str]) -> None:
    earlier = _proof(_file(tmp_path / "ours"), tmp_path / "ours")
    assert compare_again(earlier, _file(tmp_path / "theirs", **changes)).verdict is Verdict.DIFFERENT


def test_proof_across_transfer_syntaxes_is_repeated_across_them(tmp_path: Path) -> None:
    ours = _file(tmp_path / "ours")
    theirs = tmp_path / "theirs"
    compressed = tmp_path / "compressed"
    picture = dcmread(ours)
    picture.compress(RLELossless, generate_instance_uid=False)
    picture.save_as(compressed)
    transcode(compressed, theirs, str(ImplicitVRLittleEndian))
    earlier = _proof(compressed, theirs)
    assert dict(earlier.detail)["compared"] == Verdict.DECODED
    assert compare_again(earlier, theirs).verdict is Verdict.DECODED
    assert compare_again(earlier, _file(tmp_path / "other", PatientID="X")).verdict is Verdict.DIFFERENT


def test_same_bytes_are_recognised_where_they_cannot_be_read_as_dicom(tmp_path: Path) -> None:
    strange = tmp_path / "strange"
    strange.write_bytes(b"no DICOM")
    earlier = Evidence("wado", "a" * 64, detail=(("read_sha256", hashlib.sha256(b"no DICOM").hexdigest()),))
    assert compare_again(earlier, strange).verdict is Verdict.BYTES
    strange.write_bytes(b"something else")
    assert compare_again(earlier, strange).verdict is Verdict.UNREADABLE
