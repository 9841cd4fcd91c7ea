"""``docs/reference/wire-form.md`` is complete and true: a decoder written from it alone reads our parts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.wire.effort import SMALL, Effort
from sync.wire.headers import DICTIONARY_NAME, pack
from sync.wire.limits import DEFAULT_LIMITS, KIB, MIB, WireLimits
from tests.property.test_wire_roundtrip import EFFORTS, LITTLE, encapsulated, images
from tests.support.files import Sample, sample_files
from tests.support.wire_decoder import read_file, read_header_part
from tests.support.wire_files import Image, Made, smooth, words
from tests.support.wire_parts import in_parts

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs" / "reference" / "wire-form.md").read_text(encoding="utf-8")
DICTIONARY = (TOP / "sync" / "wire" / DICTIONARY_NAME).read_bytes()


def assert_read_by_the_page(data: bytes, effort: Effort, limits: WireLimits = DEFAULT_LIMITS) -> None:
    parts = in_parts(data, effort, limits)
    header_part = pack({parts.encoded.sha256: parts.encoded.skeleton}, effort)
    skeletons = read_header_part(header_part, DICTIONARY)
    assert read_file(skeletons[parts.encoded.sha256], parts.pixels) == data


@given(st.data(), EFFORTS, st.sampled_from([WireLimits(), LITTLE]))
@settings(max_examples=150, deadline=None)
def test_a_decoder_written_from_the_page_reads_native_pixels(
    data: st.DataObject, effort: Effort, limits: WireLimits
) -> None:
    assert_read_by_the_page(Made(*data.draw(images())).data, effort, limits)


@given(st.data(), EFFORTS)
@settings(max_examples=60, deadline=None)
def test_a_decoder_written_from_the_page_reads_coded_frames(data: st.DataObject, effort: Effort) -> None:
    assert_read_by_the_page(data.draw(encapsulated()).data, effort)


def test_a_decoder_written_from_the_page_reads_predicted_frames_with_bits_beside_them() -> None:
    first = smooth(200, 180, 1023)
    overlay = (np.arange(36_000).reshape(200, 180) % 17 == 0) << 15
    value = words(np.concatenate([first | overlay, (first + np.eye(200, 180, dtype=np.int64)) % 1024 | overlay]), 16)
    assert_read_by_the_page(Made(image=Image(200, 180, value, stored=10, frames=2)).data, Effort(3, 9))


@pytest.mark.parametrize("sample", sample_files(broken=True), ids=lambda s: s.name)
def test_a_decoder_written_from_the_page_reads_real_files(sample: Sample) -> None:
    assert_read_by_the_page(sample.path.read_bytes(), Effort(3, 9) if sample.path.stat().st_size < 2 * MIB else SMALL)


def test_the_page_states_the_limits_that_hold() -> None:
    limits = WireLimits()
    stated = re.sub(r"\s+", " ", PAGE)
    for sentence in (
        f"| file | {limits.file_bytes_max // (1 << 30)} GiB |",
        f"{limits.header_part_bytes_max // MIB} MiB; {limits.header_part_unpacked_bytes_max // MIB} MiB; "
        f"{limits.skeleton_count_max:,}; {limits.header_ratio_max:,} |",
        f"| skeleton; holes | {limits.skeleton_bytes_max // MIB} MiB; {limits.hole_count_max:,} |",
        f"{limits.block_count_max:,}; {limits.block_bytes_max // MIB} MiB; {limits.filler_bytes_max // MIB} MiB |",
        f"| stream beyond {limits.ratio_free_bytes // MIB} MiB, to one byte of the part | {limits.ratio_max:,} |",
        f"| history | {limits.history_bytes_max // MIB} MiB |",
        f"| zstd window | {limits.zstd_window_bytes_max // MIB} MiB |",
        f"{limits.image_pixels_max:,} pixels; {limits.image_band_pixels_max:,} and {limits.image_edge_pixels_max:,} on",
        f"| a recompressed JPEG | {limits.jpeg_pixels_max:,} pixels",
        f"at most {limits.preview_edge_pixels:,} pixels on the long side",
        f"at most {limits.preview_still_bytes_max:,} bytes, and {limits.preview_ultrasound_bytes_max:,} for ultrasound",
        f"literal runs longer than {limits.literal_run_bytes_max // KIB} KiB",
    ):
        assert sentence in stated, sentence
