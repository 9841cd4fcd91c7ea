"""Damaged and hostile parts end in ``WireError``, or in a file whose digest is another; never in anything else."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.wire.effort import FAST, Effort
from sync.wire.errors import WireError
from sync.wire.headers import pack, unpack
from sync.wire.limits import WireLimits
from sync.wire.skeleton import needs_pixels, parse_skeleton
from tests.support.wire_files import BASELINE, Image, Made, jpeg, smooth, words
from tests.support.wire_parts import Parts, in_parts, rebuilt

LIMITS = WireLimits(file_bytes_max=1 << 20, block_bytes_max=1 << 20, image_pixels_max=1 << 20, jpeg_pixels_max=1 << 20)


def _grey() -> Made:
    return Made(image=Image(60, 50, words(smooth(60, 50, 4095), 16), stored=12))


def _overlay() -> Made:
    values = smooth(60, 50, 1023) | (np.arange(3000).reshape(60, 50) % 11 == 0) << 15
    return Made(image=Image(60, 50, words(values, 16), stored=10))


def _loop() -> Made:
    first = smooth(200, 180, 255, channels=3)
    frames = np.concatenate([first, (first + np.eye(200, 180, dtype=np.int64)[:, :, None]) & 255])
    return Made(image=Image(200, 180, words(frames, 8), 3, 8, 8, frames=2, photometric="RGB"))


def _coded() -> Made:
    return Made(
        BASELINE, Image(160, 120, b"", 3, 8, 8, frames=2), [jpeg(160, 120, quality=97, seed=n) + b"\0" for n in (1, 2)]
    )


def _bytes() -> Made:
    return Made("1.2.840.10008.1.2.4.100", Image(64, 48, b""), [b"some video" * 100])


MADE = {"grey": _grey, "overlay": _overlay, "loop": _loop, "coded": _coded, "bytes": _bytes}


@cache
def parts_of(name: str) -> tuple[Parts, bytes]:
    """The parts of one kind of file, and the file."""
    data = MADE[name]().data
    return in_parts(data, Effort(3, 9)), data


def test_every_kind_of_block_is_among_the_victims() -> None:
    assert {name: parts_of(name)[0].encoded.codec for name in MADE} == {
        "grey": "jxl",
        "overlay": "jxl",
        "loop": "jxl",
        "coded": "jxl-jpeg",
        "bytes": "zstd",
    }
    part = parts_of("loop")[0].pixels
    assert part is not None
    assert part[35:39] != b"\0\0\0\0", "the loop is not predicted, so damaged history would not be tried"


def outcome(skeleton: bytes, pixels: bytes | None) -> str:
    """Digest of what comes out; empty where it is refused."""
    try:
        return hashlib.sha256(rebuilt(skeleton, pixels, LIMITS)).hexdigest()
    except WireError as error:
        assert str(error)
        return ""


@st.composite
def damage(draw: st.DrawFn, whole: bytes) -> bytes:
    """The same bytes with some changed, cut out, put in or cut off."""
    raw = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.one_of(st.integers(0, len(raw)), st.integers(0, min(90, len(raw)))))
        kind = draw(st.sampled_from(["flip", "set", "insert", "remove", "cut"]))
        if kind == "flip" and at < len(raw):
            raw[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set" and at < len(raw):
            raw[at : at + 1] = draw(st.binary(min_size=1, max_size=9))
        elif kind == "insert":
            raw[at:at] = draw(st.binary(max_size=9))
        elif kind == "remove":
            del raw[at : at + draw(st.integers(1, 40))]
        elif kind == "cut":
            del raw[at:]
    return bytes(raw)


@pytest.mark.parametrize("name", sorted(MADE))
@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_a_damaged_pixel_part_never_passes_for_the_file(name: str, data: st.DataObject) -> None:
    parts, whole = parts_of(name)
    assert parts.pixels is not None
    damaged = data.draw(damage(parts.pixels))
    digest = outcome(parts.encoded.skeleton, damaged)
    if digest and damaged != parts.pixels:
        assert digest == hashlib.sha256(whole).hexdigest(), "the part's own digest was not checked"


@pytest.mark.parametrize("name", sorted(MADE))
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_skeleton_is_refused_or_gives_another_file(name: str, data: st.DataObject) -> None:
    parts, whole = parts_of(name)
    damaged = data.draw(damage(parts.encoded.skeleton))
    if damaged != parts.encoded.skeleton:
        assert outcome(damaged, parts.pixels) != hashlib.sha256(whole).hexdigest()


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_as_parts_end_in_an_error(raw: bytes) -> None:
    for call in (
        lambda: parse_skeleton(b"QS1" + raw, LIMITS),
        lambda: needs_pixels(b"QS1" + raw),
        lambda: rebuilt(parts_of("grey")[0].encoded.skeleton, b"QX1" + raw, LIMITS),
        lambda: unpack(pack({"0" * 64: b""}, FAST)[:11] + raw, LIMITS),
        lambda: unpack(raw, LIMITS),
    ):
        try:
            call()
        except WireError as error:
            assert str(error)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_header_part_is_refused_or_gives_bounded_skeletons(data: st.DataObject) -> None:
    whole = pack({f"{n:064x}": parts_of(name)[0].encoded.skeleton for n, name in enumerate(sorted(MADE))}, FAST)
    try:
        found = unpack(data.draw(damage(whole)), LIMITS)
    except WireError as error:
        assert str(error)
    else:
        assert sum(map(len, found.values())) <= LIMITS.header_part_unpacked_bytes_max


@pytest.mark.parametrize("name", sorted(MADE))
def test_parts_of_two_files_do_not_go_together(name: str) -> None:
    ours, whole = parts_of(name)
    for other in sorted(set(MADE) - {name}):
        assert outcome(ours.encoded.skeleton, parts_of(other)[0].pixels) != hashlib.sha256(whole).hexdigest()
    assert outcome(ours.encoded.skeleton, None) == ""
