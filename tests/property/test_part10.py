"""The meta header parser takes any bytes: it answers a checked identity or ``NotPart10Error``, and nothing else."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import config
from appliance.orthanc import blobs
from appliance.orthanc.part10 import (
    META_BYTES_MAX,
    NotPart10Error,
    digests,
    is_executable_preamble,
    is_uid,
    parse_meta,
)
from tests.support.files import Sample, sample_files

DATASET = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"
UIDS = {0x0002: b"1.2.840.10008.5.1.4.1.1.2\0", 0x0003: b"1.2.3.4\0", 0x0010: b"1.2.840.10008.1.2.1\0"}


def element(number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", 2, number, vr, len(value)) + value


def file_of(*elements: bytes, preamble: bytes = b"", dataset: bytes = DATASET) -> bytes:
    return preamble.ljust(128, b"\0") + b"DICM" + b"".join(elements) + dataset


def file_with(uids: dict[int, bytes]) -> bytes:
    return file_of(*(element(number, b"UI", value) for number, value in sorted(uids.items())))


@pytest.mark.parametrize(
    "sample", [s for s in sample_files() if s.path.read_bytes()[128:132] == b"DICM"], ids=lambda s: s.name
)
def test_identity_and_offset_equal_pydicoms_for_real_files(sample: Sample) -> None:
    data = sample.path.read_bytes()
    meta = parse_meta(data)
    expected = pydicom.dcmread(sample.path, stop_before_pixels=True)
    assert meta.sop_instance_uid == expected.file_meta.MediaStorageSOPInstanceUID
    assert meta.sop_class_uid == expected.file_meta.MediaStorageSOPClassUID
    assert meta.transfer_syntax_uid == expected.file_meta.TransferSyntaxUID
    group_length = expected.file_meta.FileMetaInformationGroupLength
    assert meta.dataset_offset == 128 + 4 + 12 + group_length


@given(st.binary(max_size=600))
def test_any_bytes_after_the_prefix_give_a_checked_identity_or_a_refusal(tail: bytes) -> None:
    data = file_of(tail, dataset=b"")
    try:
        meta = parse_meta(data)
    except NotPart10Error:
        return
    assert is_uid(meta.sop_instance_uid) and is_uid(meta.sop_class_uid) and is_uid(meta.transfer_syntax_uid)
    assert 132 < meta.dataset_offset < len(data)


@given(st.binary(max_size=400))
def test_any_bytes_at_all_never_raise_anything_else(data: bytes) -> None:
    with pytest.raises(NotPart10Error):
        parse_meta(data.replace(b"DICM", b"dicm"))


@given(st.integers(0, len(file_with(UIDS))))
def test_every_cut_of_a_whole_file_is_refused_or_still_names_the_same_instance(length: int) -> None:
    data = file_with(UIDS)[:length]
    try:
        meta = parse_meta(data)
    except NotPart10Error:
        return
    assert meta.sop_instance_uid == "1.2.3.4"
    assert meta.dataset_offset == len(file_with(UIDS)) - len(DATASET)


@given(st.text(max_size=80))
def test_only_digits_and_dots_are_a_uid(text: str) -> None:
    expected = 0 < len(text) <= 64 and all(c in "0123456789." for c in text)
    assert is_uid(text) is expected


@pytest.mark.fault(62)
@pytest.mark.parametrize("value", [b"../../etc/passwd", b"1.2/3", b"", b"1" * 66, b"1.2\n", b"\xd9\xa1.2"])
def test_hostile_uid_is_refused_before_any_use(value: bytes) -> None:
    for number in UIDS:
        with pytest.raises(NotPart10Error):
            parse_meta(file_with({**UIDS, number: value}))


def test_missing_uid_is_refused() -> None:
    for number in UIDS:
        with pytest.raises(NotPart10Error):
            parse_meta(file_with({n: v for n, v in UIDS.items() if n != number}))


def test_private_information_beyond_the_bound_is_refused() -> None:
    huge = struct.pack("<HH2sHI", 2, 0x0102, b"OB", 0, META_BYTES_MAX) + bytes(META_BYTES_MAX)
    with pytest.raises(NotPart10Error):
        parse_meta(file_of(*(element(n, b"UI", v) for n, v in UIDS.items()), huge))


@pytest.mark.parametrize("start", [b"MZ", b"\x7fELF", b"PK\x03\x04", b"#!/bin/sh"])
def test_program_in_the_preamble_is_seen(start: bytes) -> None:
    assert is_executable_preamble(file_of(preamble=start))


@pytest.mark.parametrize("start", [b"", b"II*\0", b"MM\0*"])
def test_empty_and_tiff_preambles_are_no_programs(start: bytes) -> None:
    assert not is_executable_preamble(file_of(preamble=start))


@given(st.binary(max_size=200), st.integers(0, 200))
def test_digests_are_of_the_file_and_of_what_follows_the_header(data: bytes, offset: int) -> None:
    both = digests(data, offset)
    assert both.sha256 == hashlib.sha256(data).hexdigest()
    assert both.dataset_sha256 == hashlib.sha256(data[offset:]).hexdigest()


@given(st.one_of(st.uuids().map(str), st.text(max_size=40), st.text("0123456789abcdef-", min_size=36, max_size=36)))
def test_blob_path_equals_the_configurations_and_never_leaves_the_folder(name: str) -> None:
    folder = Path("/data/blobs")
    try:
        path = blobs.blob_path(folder, name)
    except ValueError:
        with pytest.raises(ValueError, match="not a blob uuid"):
            config.blob_path(folder, name)
        return
    assert path == config.blob_path(folder, name)
    assert path.parent.parent == folder
