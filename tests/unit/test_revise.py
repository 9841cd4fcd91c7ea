"""Corrected copies: the new values, the old ones kept inside, everything else as it was, pixels bit for bit."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    generate_uid,
)

from appliance.dicom.revise import ReviseError, revise
from appliance.dicom.reviser import CopyError, Reviser
from appliance.dicom.wanted import Change, Revised
from sync.wire.digest import digests
from tests.support.files import sample_files

ARABIC = "BENALI^FATIMA=بنعلي^فاطمة"


def picture(syntax: UID = ExplicitVRLittleEndian, charset: str | None = "ISO_IR 100") -> Dataset:
    """A small picture of "DUPONT^Hélène", with a nested sequence, private data and trailing padding."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.1")
    meta.MediaStorageSOPInstanceUID = generate_uid()
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    dataset = FileDataset("", {}, b"\0" * 128, meta, is_implicit_VR=implicit, is_little_endian=little)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    if charset is not None:
        dataset.SpecificCharacterSet = charset
    dataset.PatientName = "DUPONT^Hélène" if charset else "DUPONT^HELENE"
    dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "P 1", "19800101", "F"
    dataset.AccessionNumber = "A1"
    dataset.Modality = "DX"
    item = Dataset()
    item.RequestedProcedureDescription = "Thorax debout à côté" if charset else "Thorax"
    dataset.RequestAttributesSequence = [item]
    block = dataset.private_block(0x0019, "QAFILA TEST", create=True)
    block.add_new(1, "LO", "private")
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 16, 16, 1
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation, dataset.PhotometricInterpretation = 7, 0, "MONOCHROME2"
    pixels = np.random.default_rng(1).integers(0, 256, 256, dtype=np.uint8).tobytes()
    if syntax == JPEGBaseline8Bit:
        dataset.PixelData = encapsulate([pixels, pixels[:99]])
        dataset["PixelData"].is_undefined_length = True
    else:
        dataset.PixelData = pixels
    dataset.add_new(0xFFFCFFFC, "OB", b"\0" * 10)
    return dataset


def file_of(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def change(new_uids: dict[str, str] | None = None, **values: str) -> Change:
    return Change(
        values=values, new_uids=new_uids or {}, at="20261125120000+0000", system="van-1", source="modality XRAY1"
    )


def revised(content: bytes, wanted: Change) -> tuple[bytes, Revised]:
    out = io.BytesIO()
    made = revise(io.BytesIO(content), out, wanted)
    assert made.sha256 == hashlib.sha256(out.getvalue()).hexdigest()
    assert made.size_bytes == len(out.getvalue())
    return out.getvalue(), made


SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
def test_only_what_was_asked_for_changes_and_the_pixels_not_at_all(syntax: UID) -> None:
    original = file_of(picture(syntax))
    corrected, made = revised(original, change(PatientID="P2", AccessionNumber="A2"))
    before, after = dcmread(io.BytesIO(original)), dcmread(io.BytesIO(corrected))
    assert (after.PatientID, after.AccessionNumber) == ("P2", "A2")
    assert made.before == {"PatientID": "P 1", "AccessionNumber": "A1"}
    assert after.PixelData == before.PixelData
    (item,) = after.OriginalAttributesSequence
    (kept,) = item.ModifiedAttributesSequence
    assert (kept.PatientID, kept.AccessionNumber) == ("P 1", "A1")
    assert item.ReasonForTheAttributeModification == "CORRECT"
    assert (item.ModifyingSystem, item.SourceOfPreviousValues) == ("van-1", "modality XRAY1")
    assert item.AttributeModificationDateTime == "20261125120000+0000"
    left_out = frozenset({0x00100020, 0x00080050, 0x04000561})
    assert digests(io.BytesIO(original), left_out) == digests(io.BytesIO(corrected), left_out)
    for dataset in (before, after):
        for keyword in ("PatientID", "AccessionNumber", "OriginalAttributesSequence"):
            dataset.pop(keyword, None)
    assert before == after


def test_digest_after_the_meta_header_is_of_those_bytes() -> None:
    corrected, made = revised(file_of(picture()), change(PatientID="P2"))
    group_length = int.from_bytes(corrected[140:144], "little")
    assert made.dataset_sha256 == hashlib.sha256(corrected[144 + group_length :]).hexdigest()


def test_second_correction_keeps_the_history_of_the_first() -> None:
    first, _ = revised(file_of(picture()), change(PatientID="P2"))
    second, made = revised(first, change(PatientID="P3"))
    assert made.before == {"PatientID": "P2"}
    kept = [
        item.ModifiedAttributesSequence[0].PatientID for item in dcmread(io.BytesIO(second)).OriginalAttributesSequence
    ]
    assert kept == ["P 1", "P2"]


def test_attribute_that_was_missing_is_kept_as_empty_and_one_may_be_emptied() -> None:
    corrected, made = revised(file_of(picture()), change(StudyDescription="Chest", AccessionNumber=""))
    after = dcmread(io.BytesIO(corrected))
    assert (after.StudyDescription, after.AccessionNumber) == ("Chest", "")
    assert made.before == {"StudyDescription": "", "AccessionNumber": "A1"}
    assert not after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].StudyDescription


@pytest.mark.parametrize("charset", ["ISO_IR 100", None, "ISO_IR 192"])
def test_arabic_name_beside_latin_text_makes_the_file_utf_8_and_changes_no_word(charset: str | None) -> None:
    original = file_of(picture(charset=charset))
    corrected, made = revised(original, change(PatientName=ARABIC))
    before, after = dcmread(io.BytesIO(original)), dcmread(io.BytesIO(corrected))
    assert str(after.PatientName) == ARABIC
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert made.before == {"PatientName": str(before.PatientName)}
    words = "RequestedProcedureDescription"
    assert after.RequestAttributesSequence[0][words].value == before.RequestAttributesSequence[0][words].value
    kept = after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert str(kept.PatientName) == str(before.PatientName)
    assert after.PixelData == before.PixelData


def test_file_whose_text_is_not_what_it_says_keeps_it_and_takes_the_latin_name_alone() -> None:
    wrong = file_of(picture(charset="ISO_IR 100")).replace("Hélène".encode("latin-1"), "Héle".encode() + b" ")
    corrected, _ = revised(wrong, change(PatientName=ARABIC))
    after = dcmread(io.BytesIO(corrected))
    assert str(after.PatientName) == "BENALI^FATIMA"
    assert after.SpecificCharacterSet == "ISO_IR 100"
    with pytest.raises(ReviseError, match="character-set"):
        revised(wrong, change(StudyDescription="صدر"))


def test_copy_for_another_patient_is_a_picture_of_its_own() -> None:
    original = file_of(picture())
    uids = {"StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.2", "SOPInstanceUID": "2.25.3"}
    corrected, made = revised(original, change(uids, PatientID="P2"))
    before, after = dcmread(io.BytesIO(original)), dcmread(io.BytesIO(corrected))
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID == "2.25.3"
    assert made.before["SOPInstanceUID"] == before.SOPInstanceUID
    kept = after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert kept.StudyInstanceUID == before.StudyInstanceUID
    assert "RequestAttributesSequence" not in after, "the other patient's order"
    assert kept.RequestAttributesSequence == before.RequestAttributesSequence
    assert after.PixelData == before.PixelData


@pytest.mark.parametrize(
    "wanted",
    [change(PixelSpacing="1\\1"), change(SOPInstanceUID="1.2"), change({"SOPInstanceUID": "2.25.3"}, PatientID="P2")],
)
def test_nothing_else_can_be_corrected(wanted: Change) -> None:
    with pytest.raises(ReviseError, match="not-correctable"):
        revised(file_of(picture()), wanted)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's opinion of real files
def test_every_sample_file_is_corrected_or_refused_and_never_changed_otherwise() -> None:
    corrected_count = 0
    for sample in sample_files():
        original = sample.path.read_bytes()
        try:
            corrected, _made = revised(original, change(PatientID="P2"))
        except ReviseError:
            continue
        corrected_count += 1
        ours, theirs = (
            digests(io.BytesIO(each), frozenset({0x00100020, 0x04000561})) for each in (original, corrected)
        )
        assert ours == theirs, sample.name
    assert corrected_count * 10 >= 9 * len(list(sample_files()))


def test_child_makes_a_durable_copy_and_names_it_only_when_told(tmp_path: Path) -> None:
    source = tmp_path / "original.dcm"
    source.write_bytes(file_of(picture()))
    folder = tmp_path / "revisions"
    with Reviser(folder) as reviser:
        copy = reviser.copy(source, change(PatientName=ARABIC, PatientID="P2"))
        assert hashlib.sha256(copy.partial.read_bytes()).hexdigest() == copy.revised.sha256
        copy.put_in_place()
        assert [path.name for path in folder.rglob("*") if path.is_file()] == [copy.blob_uuid]
        broken = tmp_path / "broken.dcm"
        broken.write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 50)
        with pytest.raises(CopyError):
            reviser.copy(broken, change(PatientID="P2"))
        with pytest.raises(CopyError, match="missing"):
            reviser.copy(tmp_path / "gone.dcm", change(PatientID="P2"))
        unwanted = reviser.copy(source, change(PatientID="P3"))
        unwanted.discard()
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [copy.blob_uuid]


def test_file_that_ends_inside_a_sequence_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    whole = file_of(picture())
    torn = tmp_path / "torn.dcm"
    torn.write_bytes(whole[: whole.index(b"\x08\x00\x16\x00UI")] + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff")
    with Reviser(tmp_path / "revisions") as reviser, pytest.raises(CopyError) as caught:
        reviser.copy(torn, change(PatientID="P2"))
    assert caught.value.code == "unreadable"
