"""What the reading child answers about whole files: sound ones, damaged ones, hostile ones."""

from __future__ import annotations

import random
import warnings
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, config, dcmread, dcmwrite
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
)

from appliance.config import QualityTable
from appliance.dicom.phantom import phantom_chest
from appliance.domain.quality import CheckCode
from appliance.quality.worker import answer
from tests.support.files import Sample, sample_files

JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
PICTURE_ALARMS = {
    "clipped-dark",
    "clipped-bright",
    "frames-blank",
    "pixels-missing",
    "pixels-truncated",
    "pixels-unreadable",
    "file-damaged",
    "not-checked",
}


@pytest.fixture(autouse=True)
def _as_in_the_child(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def asked(path: Path, **more: Any) -> dict[str, Any]:
    question = {
        "path": str(path),
        "bands": msgspec.to_builtins(QualityTable()),
        "sample_count_max": 1 << 26,
        "received_at": "2026-01-01T10:00:00+01:00",
    }
    return answer(question | more)


def codes(path: Path, **more: Any) -> set[str]:
    said = asked(path, **more)
    assert "error" not in said
    return {finding["code"] for finding in said["findings"]}


def values_of(path: Path, code: CheckCode) -> dict[str, Any]:
    (values,) = [finding["values"] for finding in asked(path)["findings"] if finding["code"] == code]
    return dict(values)


def saved(folder: Path, dataset: Dataset, syntax: str = "") -> Path:
    path = folder / "made.dcm"
    if syntax:
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def chest() -> Dataset:
    return phantom_chest(160, 128, 12, 3)


def loop(frame_count: int = 6, **values: Any) -> Dataset:
    """A small ultrasound loop, uncompressed."""
    dataset = chest()
    for keyword in ("ImagerPixelSpacing", "PixelSpacing", "PresentationIntentType"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.Modality = "US"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames, dataset.FrameTime = 48, 64, frame_count, 250
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    pixels = np.random.default_rng(1).integers(0, 255, (frame_count, 48, 64), dtype=np.uint8)
    for index in values.pop("blank", ()):
        pixels[index] = 7
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OB"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


# --- sound files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["", ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_good_film_gives_no_word_about_its_picture(tmp_path: Path, syntax: str) -> None:
    dataset = chest()
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
    assert codes(saved(tmp_path, dataset, syntax)) == {"order-unknown", "exposure-missing"}


def test_good_film_is_good_in_rle_and_jpeg_xl(tmp_path: Path) -> None:
    import imagecodecs

    dataset = chest()
    dataset.compress(RLELossless, encoding_plugin="pydicom")
    assert codes(saved(tmp_path, dataset)) == {"order-unknown", "exposure-missing"}
    dataset = chest()
    coded = imagecodecs.jpegxl_encode(dataset.pixel_array, lossless=True)
    dataset.PixelData = encapsulate([bytes(coded)])
    dataset["PixelData"].is_undefined_length = True
    path = saved(tmp_path, dataset, HTJ2KLossless)  # pydicom writes no syntax that it does not know
    path.write_bytes(path.read_bytes().replace(HTJ2KLossless.encode(), JPEG_XL_LOSSLESS.encode()))
    assert codes(path) == {"order-unknown", "exposure-missing"}


@pytest.mark.parametrize("sample", sample_files(), ids=lambda sample: sample.name)
def test_real_pictures_raise_no_false_alarm_about_their_pixels(sample: Sample) -> None:
    if sample.path.read_bytes()[128:132] == b"DICM":
        assert codes(sample.path) & PICTURE_ALARMS == set()


@pytest.mark.parametrize("sample", [s for s in sample_files(broken=True) if s.broken], ids=lambda sample: sample.name)
def test_broken_files_get_an_answer(sample: Sample) -> None:
    assert asked(sample.path)["findings"]


def test_loop_of_good_frames_is_good(tmp_path: Path) -> None:
    assert codes(saved(tmp_path, loop())) == {"order-unknown", "spacing-missing", "required-missing"}
    assert values_of(tmp_path / "made.dcm", CheckCode.REQUIRED_MISSING)["attributes"] == ("FrameIncrementPointer",)


# --- what is wrong with them -----------------------------------------------------------------------------------------


def test_lungs_clipped_black_are_found_in_both_photometric_senses(tmp_path: Path) -> None:
    dataset = chest()
    pixels = np.maximum(dataset.pixel_array, np.percentile(dataset.pixel_array, 30)).astype("<u2")
    dataset.PixelData = pixels.tobytes()
    assert "clipped-dark" in codes(saved(tmp_path, dataset))
    dataset.PixelData = (4095 - pixels).astype("<u2").tobytes()
    dataset.PhotometricInterpretation = "MONOCHROME1"
    assert "clipped-dark" in codes(saved(tmp_path, dataset))
    dataset.PhotometricInterpretation = "MONOCHROME2"
    found = codes(saved(tmp_path, dataset))
    assert "clipped-bright" in found and "clipped-dark" not in found


def test_overlay_bits_above_the_stored_ones_do_not_count(tmp_path: Path) -> None:
    dataset = chest()
    dataset.PixelData = (np.full((160, 128), 5, "<u2") | (np.arange(128, dtype="<u2") % 2 << 15)).tobytes()
    assert "frames-blank" in codes(saved(tmp_path, dataset))


def test_blank_film_is_an_alarm_and_blank_frames_of_a_loop_a_notice(tmp_path: Path) -> None:
    dataset = chest()
    dataset.PixelData = np.full((160, 128), 700, "<u2").tobytes()
    assert "frames-blank" in codes(saved(tmp_path, dataset))
    assert values_of(saved(tmp_path, loop(blank=(1, 4))), CheckCode.FRAMES_BLANK)["frames"] == ("2", "5")


def test_blank_colour_picture_is_found(tmp_path: Path) -> None:
    dataset = loop(1, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    dataset.PixelData = bytes((10, 20, 30)) * (48 * 64)
    assert "frames-blank" in codes(saved(tmp_path, dataset))


@pytest.mark.parametrize("missing_bytes", [2, 4000])
def test_pixels_shorter_than_the_header_says_are_told(tmp_path: Path, missing_bytes: int) -> None:
    dataset = chest()
    dataset.PixelData = dataset.PixelData[:-missing_bytes]
    assert values_of(saved(tmp_path, dataset), CheckCode.PIXELS_TRUNCATED) == {"missing_bytes": missing_bytes}


def test_compressed_loop_with_fewer_frames_than_it_says_is_told(tmp_path: Path) -> None:
    dataset = loop()
    dataset.compress(RLELossless, encoding_plugin="pydicom")
    dataset.NumberOfFrames = 9
    assert "pixels-truncated" in codes(saved(tmp_path, dataset))


def test_frame_that_no_decoder_takes_is_told(tmp_path: Path) -> None:
    dataset = loop(1)
    dataset.PixelData = encapsulate([b"\xff\xd8 this is no picture \xff\xd9"])
    dataset["PixelData"].is_undefined_length = True
    assert "pixels-unreadable" in codes(saved(tmp_path, dataset, "1.2.840.10008.1.2.4.50"))


def test_video_is_said_not_to_have_been_looked_at(tmp_path: Path) -> None:
    dataset = loop()
    dataset.PixelData = encapsulate([b"\x00\x00\x00\x18ftypmp42"])
    dataset["PixelData"].is_undefined_length = True
    assert "pixels-not-looked-at" in codes(saved(tmp_path, dataset, MPEG4HP41))


def test_picture_without_pixels_and_cut_file_are_alarms(tmp_path: Path) -> None:
    dataset = chest()
    del dataset.PixelData
    assert "pixels-missing" in codes(saved(tmp_path, dataset))
    whole = saved(tmp_path, chest()).read_bytes()
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(whole[:-5000])
    assert codes(cut) >= {"file-damaged", "pixels-truncated"}


def test_arabic_under_a_latin_label_is_told_in_any_text(tmp_path: Path) -> None:
    dataset = chest()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ReferringPhysicianName = "فاطمة^بنعلي"
    dataset.InstitutionName = "مستشفى"
    raw = saved(tmp_path, dataset).read_bytes()
    (tmp_path / "made.dcm").write_bytes(raw.replace(b"ISO_IR 192", b"ISO_IR 100"))
    values = values_of(tmp_path / "made.dcm", CheckCode.CHARSET_WRONG)
    assert set(values["attributes"]) == {"ReferringPhysicianName", "InstitutionName"}


def test_only_frames_within_the_bound_are_decoded(tmp_path: Path) -> None:
    path = saved(tmp_path, loop(30, blank=(0, 29)))
    assert "frames-blank" in codes(path, sample_count_max=48 * 64 * 5)
    assert "frames-blank" not in codes(path, sample_count_max=48 * 64)
    assert codes(path, sample_count_max=1) & PICTURE_ALARMS == set()


# --- hostile files ---------------------------------------------------------------------------------------------------


def test_file_that_is_gone_and_folder_get_a_code(tmp_path: Path) -> None:
    assert asked(tmp_path / "absent")["error"][0] == "missing"
    assert asked(tmp_path)["error"][0] == "io-error"


@pytest.mark.fault(61)
@pytest.mark.parametrize("raw", [b"", b"x", b"\0" * 132 + b"DICM", b"MZ" + b"\0" * 126 + b"DICM"])
def test_junk_is_damaged_and_nothing_else(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "junk"
    path.write_bytes(raw)
    assert codes(path) == {"file-damaged"}


@pytest.mark.fault(61)
def test_length_of_4_gib_is_damage_and_no_lack_of_memory(tmp_path: Path) -> None:
    dataset = chest()
    dataset.add_new(0x00420011, "OB", b"12345678")
    raw = saved(tmp_path, dataset).read_bytes()
    place = raw.index(b"OB\0\0\x08\0\0\x00" + b"12345678")
    path = tmp_path / "claims"
    path.write_bytes(raw[: place + 4] + b"\xfe\xff\xff\xff" + raw[place + 8 :])
    assert "file-damaged" in codes(path)


@pytest.mark.fault(61)
def test_deflate_bomb_ends_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.quality.reading.INFLATED_BYTES_MAX", 1 << 20)
    head = BytesIO()
    dcmwrite(head, _only_meta(), enforce_file_format=True)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = deflater.compress(b"\x09\x00\x10\x00UN\0\0" + (1 << 27).to_bytes(4, "little") + b"\0" * (1 << 27))
    path = tmp_path / "bomb"
    path.write_bytes(head.getvalue() + bomb + deflater.flush())
    said = asked(path)
    assert said.get("findings") or said["error"][0] == "unreadable"


def _only_meta() -> Dataset:
    dataset = chest()
    meta = dataset.file_meta
    meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    empty = Dataset()
    empty.file_meta = meta
    empty.SOPClassUID, empty.SOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    return empty


@pytest.mark.fault(61)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), change_count=st.integers(1, 12))
def test_damaged_bytes_get_an_answer(tmp_path_factory: pytest.TempPathFactory, seed: int, change_count: int) -> None:
    """Bytes of a header are changed at random; whatever comes, it is findings or an error with a code."""
    rng = random.Random(seed)
    folder = tmp_path_factory.mktemp("fuzz")
    raw = bytearray(saved(folder, chest() if seed % 2 else loop(2)).read_bytes())
    for _ in range(change_count):
        raw[rng.randrange(128, min(len(raw), 2600))] = rng.randrange(256)
    path = folder / "changed"
    path.write_bytes(raw)
    said = asked(path)
    assert said.get("findings") is not None or said["error"][0] in ("unreadable", "memory")


def test_answer_is_json_without_identity(tmp_path: Path) -> None:
    dataset = chest()
    dataset.PatientName, dataset.PatientID = "SECRET^NAME", "SECRET-1"
    order = {"names": ["other"], "patient_ids": ["OTHER-2"], "birth_date": "19700101"}
    text = msgspec.json.encode(asked(saved(tmp_path, dataset), order=order)).decode()
    assert "identity-differs" in text
    assert not any(secret in text for secret in ("SECRET", "OTHER-2", "19700101", "19800101"))


def test_fixture_is_what_pydicom_reads(tmp_path: Path) -> None:
    assert dcmread(saved(tmp_path, loop())).pixel_array.shape == (6, 48, 64)
