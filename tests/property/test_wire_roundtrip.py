"""``rebuild(encode(file)) == file`` for every byte string: DICOM of every transfer syntax, broken DICOM, no DICOM."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sync.wire.effort import FAST, PLAIN, Effort
from sync.wire.limits import WireLimits
from tests.support.wire_files import (
    BIG_ENDIAN,
    DEFLATED,
    ENCAPSULATED,
    EXPLICIT,
    IMPLICIT,
    SYNTAXES,
    Image,
    Made,
    Writer,
    jpeg,
    real_frame,
    smooth,
    words,
)
from tests.support.wire_parts import assert_comes_back

NATIVE = (IMPLICIT, EXPLICIT, BIG_ENDIAN)
EFFORTS = st.sampled_from([FAST, PLAIN, Effort(3, 9), Effort(5, 12)])
LITTLE = WireLimits(
    literal_run_bytes_max=300,
    hole_count_max=5,
    image_band_pixels_max=600,
    image_edge_pixels_max=40,
    history_bytes_max=2_000,
    skeleton_bytes_max=2_000,
    ratio_free_bytes=1_000,
    ratio_max=8,
)
"""So tight that bands, strips, filler and whole-file holes happen in small files too."""


@st.composite
def images(draw: st.DrawFn) -> tuple[str, Image]:
    """Native pixels of every kind that the standard knows and some that it does not, with a syntax to write them in."""
    syntax = draw(st.sampled_from(NATIVE))
    allocated = draw(st.sampled_from([1, 8, 12, 16, 24, 32, 64]))
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 90))
    samples = draw(st.sampled_from([1, 1, 3, 3, 4, 2])) if allocated > 1 else 1
    frames = draw(st.integers(1, 4))
    count = rows * columns * samples * frames
    big = syntax == BIG_ENDIAN
    if allocated in (8, 16, 32, 64):
        width = min(allocated, 16)
        stored = draw(st.integers(1, width))
        high = draw(st.integers(stored - 1, width - 1))
        kind = draw(st.sampled_from(["smooth", "noise", "still", "signed", "overlay"]))
        values = _values(kind, rows, columns * samples * frames, stored, draw(st.integers(0, 9)))
        if kind == "overlay":
            values = values << (high + 1 - stored) | (np.arange(count).reshape(values.shape) % 7 == 0) << (width - 1)
        value = words(values, allocated, big=big)
    else:
        stored = high = allocated
        value = np.random.default_rng(draw(st.integers(0, 9))).bytes((count * allocated + 7) // 8)
    value = _cut_or_padded(value, draw(st.sampled_from([0, 0, 0, 1, 2, -1, -7, 9])))
    photometric = draw(st.sampled_from(["MONOCHROME1", "RGB", "YBR_FULL", "YBR_FULL_422", "PALETTE COLOR"]))
    return syntax, Image(
        rows,
        columns,
        value,
        samples,
        allocated,
        stored,
        high,
        signed=draw(st.booleans()),
        planar=draw(st.integers(0, 1)),
        frames=frames,
        photometric=photometric,
        vr=draw(st.sampled_from(["OW", "OB", "UN"])),
    )


def _values(kind: str, rows: int, columns: int, stored: int, seed: int) -> NDArray[np.int64]:
    top = (1 << stored) - 1
    if kind == "noise":
        return np.random.default_rng(seed).integers(0, top + 1, (rows, columns))
    if kind == "still":
        return np.full((rows, columns), top, dtype=np.int64)
    values = smooth(rows, columns, top, seed=seed)
    return values - (top // 2) if kind == "signed" else values


def _cut_or_padded(value: bytes, change: int) -> bytes:
    return value[:change] if change < 0 else value + bytes(change)


@st.composite
def encapsulated(draw: st.DrawFn) -> Made:
    """Fragments of every shape: empty, many a frame, odd, of real streams and of rubbish."""
    syntax = draw(st.sampled_from(ENCAPSULATED))
    real = [jpeg(seed=1), jpeg(40, 33, seed=2), jpeg(16, 16, grey=True), real_frame(syntax) or b"\1\2\3"]
    frames = draw(st.lists(st.one_of(st.sampled_from(real), st.binary(max_size=60)), max_size=5))
    fragments: list[bytes] = []
    for frame in frames:
        cuts = sorted(draw(st.lists(st.integers(0, len(frame)), max_size=3)))
        fragments += [frame[a:b] for a, b in zip([0, *cuts], [*cuts, len(frame)], strict=True)]
    if draw(st.booleans()):
        fragments = [fragment + bytes(len(fragment) % 2) for fragment in fragments]
    table = draw(st.sampled_from([b"", b"\0\0\0\0", b"\xff" * 12]))
    image = Image(64, 48, b"", 3, 8, 8, frames=max(1, len(frames)), photometric="YBR_FULL_422")
    offsets = Writer().element(0x7FE00001, "OV", b"".join(n.to_bytes(8, "little") for n in range(len(frames))))
    return Made(
        syntax,
        image,
        fragments,
        table,
        closed=draw(st.booleans()),
        extra=(offsets,) if draw(st.booleans()) else (),
    )


@st.composite
def surroundings(draw: st.DrawFn, made: Made) -> Made:
    """The same pixels in another file."""
    padding = Writer.of(made.syntax).element(0xFFFCFFFC, "OB", bytes(draw(st.integers(0, 9))))
    return Made(
        made.syntax,
        made.image,
        made.fragments,
        made.table,
        made.closed,
        preamble=draw(st.sampled_from([bytes(128), b"x" * 128, None])),
        meta=draw(st.sampled_from([True, True, False])),
        private=draw(st.binary(max_size=50)) * draw(st.sampled_from([1, 20])),
        undefined=draw(st.booleans()),
        icon=draw(st.sampled_from([b"", b"\1\2\3\4"])),
        after=draw(st.sampled_from([b"", padding, b"\0", b"rubbish after the end"])),
        pixel_tag=made.pixel_tag,
        extra=made.extra,
    )


@given(st.data(), EFFORTS, st.sampled_from([WireLimits(), LITTLE]))
@settings(max_examples=250, deadline=None)
def test_native_pixels_of_any_kind_come_back(data: st.DataObject, effort: Effort, limits: WireLimits) -> None:
    syntax, image = data.draw(images())
    tag = data.draw(st.sampled_from([0x7FE00010] * 3 + [0x7FE00008, 0x7FE00009]))
    assert_comes_back(data.draw(surroundings(Made(syntax, image, pixel_tag=tag))).data, effort, limits)


@given(st.data(), EFFORTS, st.sampled_from([WireLimits(), LITTLE]))
@settings(max_examples=150, deadline=None)
def test_encapsulated_pixels_of_any_kind_come_back(data: st.DataObject, effort: Effort, limits: WireLimits) -> None:
    assert_comes_back(data.draw(surroundings(data.draw(encapsulated()))).data, effort, limits)


@given(st.data(), EFFORTS)
@settings(max_examples=150, deadline=None)
def test_cut_and_damaged_files_come_back(data: st.DataObject, effort: Effort) -> None:
    syntax, image = data.draw(images())
    made = data.draw(st.one_of(st.just(Made(syntax, image)), encapsulated()))
    raw = bytearray(made.data)
    del raw[data.draw(st.integers(0, len(raw))) :]
    for _ in range(data.draw(st.integers(0, 3)) if raw else 0):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert_comes_back(bytes(raw), effort)


@given(st.binary(max_size=2_000), st.integers(0, 140), EFFORTS, st.sampled_from([WireLimits(), LITTLE]))
@settings(max_examples=150, deadline=None)
def test_files_that_are_no_dicom_come_back(raw: bytes, zeros: int, effort: Effort, limits: WireLimits) -> None:
    assert_comes_back(bytes(zeros) + raw, effort, limits)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_real_object_of_every_transfer_syntax_comes_back(syntax: str) -> None:
    picture = smooth(40, 36, 4095)
    image = Image(40, 36, words(picture, 16, big=syntax == BIG_ENDIAN), stored=12)
    if syntax in NATIVE:
        made = Made(syntax, image)
    elif syntax == DEFLATED:
        whole = Made(EXPLICIT, image)
        head = Made(DEFLATED, meta=True).data[: -len(Made(DEFLATED, meta=False, preamble=None).data)]
        deflated = zlib.compress(Made(EXPLICIT, image, meta=False, preamble=None).data, wbits=-15)
        assert whole.data != head + deflated
        assert_comes_back(head + deflated)
        return
    else:
        frame = real_frame(syntax) or b"\0\1" * 300
        made = Made(syntax, image, [frame + bytes(len(frame) % 2)])
    for effort in (FAST, Effort(4, 9)):
        parts = assert_comes_back(made.data, effort)
        assert parts.pixels is not None


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_equal_files_give_equal_parts_and_the_header_does_not_touch_the_pixels(data: st.DataObject) -> None:
    syntax, image = data.draw(images())
    if len(image.value) < 256:
        image = Image(16, 16, bytes(range(256)) * 2)
    effort = data.draw(EFFORTS)
    first = assert_comes_back(Made(syntax, image).data, effort)
    again = assert_comes_back(Made(syntax, image).data, effort)
    corrected = assert_comes_back(Made(syntax, image, name="CORRECTED^NAME^OF^SOMEBODY").data, effort)
    assert first == again
    assert first.pixels == corrected.pixels
    assert first.encoded.restores_sha256 == corrected.encoded.restores_sha256
    assert first.encoded.skeleton != corrected.encoded.skeleton
