"""The canonical digests: equal for every way to write the same data set, different for every change of it."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from sync.wire import digest
from sync.wire.digest import DigestError, Digests, bytes_after_meta_equal, digests, read_meta
from tests.support.files import Sample, sample_files

SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def base(syntax: UID = ExplicitVRLittleEndian) -> Dataset:
    """Text, numbers, nested sequences, private elements and 16-bit pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3.4")
    dataset.PatientName = "A^B"
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning = "1", "odd"
    outer = Dataset()
    outer.AnatomicRegionModifierSequence = Sequence([inner, Dataset()])
    dataset.AnatomicRegionSequence = Sequence([outer])
    dataset.RequestAttributesSequence = Sequence([])
    block = dataset.private_block(0x0029, "QAFILA TEST", create=True)
    block.add_new(0x01, "LO", "private text")
    block.add_new(0x02, "SQ", Sequence([inner]))
    block.add_new(0x03, "OB", b"\x01\x02\x03\x04")
    dataset.Rows = dataset.Columns = 4
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    words = struct.pack("<16H" if syntax != ExplicitVRBigEndian else ">16H", *range(1000, 1016))
    dataset.add_new(0x7FE00010, "OW", words)
    return dataset


def written(dataset: Dataset, undefined: bool = False) -> io.BytesIO:
    for element in dataset.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = undefined
            for item in element.value:
                item.is_undefined_length_sequence_item = undefined
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file


def patched(file: io.BytesIO, old: bytes, new: bytes) -> io.BytesIO:
    assert file.getvalue().count(old) == 1
    return io.BytesIO(file.getvalue().replace(old, new))


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda u: u.keyword)
@pytest.mark.parametrize("undefined", [False, True], ids=["defined", "undefined"])
def test_digests_are_equal_for_every_uncompressed_syntax_and_sequence_length(syntax: UID, undefined: bool) -> None:
    expected = digests(written(base()))
    found = digests(written(base(syntax), undefined))
    assert (found.dataset_sha256, found.pixel_sha256) == (expected.dataset_sha256, expected.pixel_sha256)
    assert found.transfer_syntax_uid == syntax


def _without_group_lengths_and_order(dataset: Dataset) -> io.BytesIO:
    file = written(dataset)
    offset = read_meta(file).dataset_offset_bytes
    head, body = file.getvalue()[:offset], file.getvalue()[offset:]
    group_length = struct.pack("<HH2sHI", 0x0008, 0, b"UL", 4, 9999)
    name = body.index(b"\x10\x00\x10\x00PN")
    element = body[name : name + 8 + body[name + 6]]
    padding = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 4) + bytes(4)
    return io.BytesIO(head + element + group_length + body.replace(element, b"") + padding)


def test_dataset_digest_ignores_order_group_lengths_and_trailing_padding() -> None:
    expected = digests(written(base()))
    assert digests(_without_group_lengths_and_order(base())) == expected


def test_dataset_digest_ignores_padding_of_text_but_not_of_numbers() -> None:
    file = written(base())
    expected = digests(file).dataset_sha256
    assert digests(patched(file, b"PN\x04\x00A^B ", b"PN\x06\x00A^B\0  ")).dataset_sha256 == expected
    assert digests(patched(file, b"PN\x04\x00A^B ", b"PN\x04\x00 A^B")).dataset_sha256 != expected
    assert digests(patched(file, b"US\x02\x00\x0b\x00", b"US\x00\x00")).dataset_sha256 != expected


def test_dataset_digest_sees_un_as_the_representation_it_hides() -> None:
    private_text = b"LO\x0c\x00private text"
    file = written(base())
    as_unknown = patched(file, private_text, b"UN\0\0\x0c\0\0\0private text")
    assert digests(as_unknown) == digests(file)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_any_changed_byte_of_a_value_changes_a_digest(data: st.DataObject) -> None:
    file = written(base())
    raw = bytearray(file.getvalue())
    values = [b"ORIGINAL\\PRIMARY", b"private text", struct.pack("<16H", *range(1000, 1016)), b"\x01\x02\x03\x04"]
    value = data.draw(st.sampled_from(values))
    start = raw.index(value)
    at = data.draw(st.integers(start, start + len(value) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    expected, found = digests(file), digests(io.BytesIO(bytes(raw)))
    if value is values[0] and bytes(raw[start : start + len(value)]).rstrip(b" \0") == value:
        assert found == expected
    else:
        assert (found.dataset_sha256, found.pixel_sha256) != (expected.dataset_sha256, expected.pixel_sha256)


@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
@settings(max_examples=400, deadline=None)
def test_hostile_bytes_end_in_a_digest_or_an_error(body: bytes, syntax: UID) -> None:
    head = written(base(syntax)).getvalue()
    offset = read_meta(io.BytesIO(head)).dataset_offset_bytes
    file = io.BytesIO(head[:offset] + body)
    try:
        assert isinstance(digests(file), Digests)
    except DigestError as error:
        assert str(error)


@given(st.integers(0, 2000), st.sampled_from(SYNTAXES[:3]))
@settings(max_examples=100, deadline=None)
def test_a_shortened_file_never_has_the_digests_of_the_whole(cut: int, syntax: UID) -> None:
    raw = written(base(syntax)).getvalue()
    shortened = raw[: max(0, len(raw) - 1 - cut)]
    try:
        assert digests(io.BytesIO(shortened)) != digests(io.BytesIO(raw))
    except DigestError as error:
        assert str(error)


def test_deep_nesting_is_refused() -> None:
    dataset = base()
    for _ in range(digest.DEPTH_MAX + 2):
        outer = Dataset()
        outer.AnatomicRegionModifierSequence = Sequence([dataset["AnatomicRegionSequence"].value[0]])
        dataset.AnatomicRegionSequence = Sequence([outer])
    with pytest.raises(DigestError, match="nested deeper"):
        digests(written(dataset))


def test_a_deflate_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest, "STEP_BYTES", 1 << 12)
    head = written(base(DeflatedExplicitVRLittleEndian)).getvalue()
    head = head[: read_meta(io.BytesIO(head)).dataset_offset_bytes]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    element = struct.pack("<HH2sHI", 0x0029, 0x1001, b"OB", 0, 64 << 20)
    bomb = packer.compress(element + bytes(64 << 20)) + packer.flush()
    with pytest.raises(DigestError, match="out of bounds"):
        digests(io.BytesIO(head + bomb))


def test_bytes_after_meta_are_equal_only_within_one_syntax() -> None:
    explicit, implicit = written(base()), written(base(ImplicitVRLittleEndian))
    other_meta = base()
    other_meta.file_meta.ImplementationVersionName = "OTHER"
    assert bytes_after_meta_equal(explicit, written(other_meta))
    assert not bytes_after_meta_equal(explicit, implicit)
    assert not bytes_after_meta_equal(explicit, patched(explicit, b"private text", b"private texT"))


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("sample", sample_files(), ids=lambda s: s.name)
def test_digests_of_real_files_survive_rewriting_by_pydicom(sample: Sample, tmp_path: Path) -> None:
    with sample.path.open("rb") as file:
        expected = digests(file)
    dataset = dcmread(sample.path)
    for element in dataset.iterall():
        if element.VR == "SQ":
            element.is_undefined_length = not element.is_undefined_length
    rewritten = tmp_path / "rewritten.dcm"
    dataset.save_as(rewritten)
    with rewritten.open("rb") as file:
        assert digests(file) == expected


def test_a_file_without_preamble_is_an_error_not_a_guess() -> None:
    raw = written(base()).getvalue()
    with pytest.raises(DigestError, match="preamble"):
        digests(io.BytesIO(raw[132:]))


@pytest.mark.parametrize("second_tag", [0x7FE00008, 0x7FE00010])
def test_every_pixel_element_counts_where_a_file_has_two(second_tag: int) -> None:
    def of(first: bytes, second: bytes) -> Digests:
        pixels = b"".join(
            struct.pack("<HH2sHI", 0x7FE0, tag & 0xFFFF, b"OW", 0, len(value)) + value
            for tag, value in ((second_tag, first), (0x7FE00010, second))
        )
        dataset = base()
        del dataset[0x7FE00010]
        return digests(io.BytesIO(written(dataset).getvalue() + pixels))

    assert len({of(b"aa", b"bb"), of(b"xx", b"bb"), of(b"aa", b"xx")}) == 3
