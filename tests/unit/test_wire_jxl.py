"""JPEG XL: exact at every depth; nothing is decoded whose head or inner frames are not what was expected."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from sync.wire.errors import WireError
from sync.wire.jxl import decode_jpeg, decode_picture, encode_jpeg, encode_picture
from sync.wire.jxl_boxes import put_together, taken_apart
from sync.wire.jxl_head import Head, check_picture, check_recompressed, read_head
from sync.wire.raster import Samples
from tests.support.wire_files import jpeg, smooth


@pytest.mark.parametrize("depth", range(1, 17))
@pytest.mark.parametrize("shape", [(1, 1), (9, 300), (33, 17, 3)], ids=str)
@pytest.mark.parametrize("effort", [1, 2, 5])
def test_pictures_of_every_depth_come_back(depth: int, shape: tuple[int, ...], effort: int) -> None:
    values = np.random.default_rng(depth).integers(0, 1 << depth, shape)
    values.flat[0] = (1 << depth) - 1
    picture: Samples = values.astype(np.uint8 if depth <= 8 else np.uint16)
    coded = encode_picture(picture, depth, effort)
    assert read_head(coded) == Head(shape[1], shape[0], depth, is_grey=len(shape) == 2)
    assert (decode_picture(coded, shape, depth) == picture).all()


def test_a_picture_with_patches_is_taken_and_its_frames_are_walked() -> None:
    """Letters that repeat, as on ultrasound screens: libjxl puts them into a frame of their own."""
    letter = (np.random.default_rng(0).random((12, 8)) > 0.5) * np.uint8(255)
    picture = np.zeros((300, 400), dtype=np.uint8)
    for number in range(200):
        row, column = divmod(number, 20)
        picture[row * 25 : row * 25 + 12, column * 19 : column * 19 + 8] = letter
    coded = encode_picture(picture, 8, 7)
    assert coded[8] & 0x06 == 0x04, "the first frame is no reference frame, so this test shows nothing"
    assert (decode_picture(coded, picture.shape, 8) == picture).all()


@pytest.mark.parametrize(
    ("shape", "depth"), [((20, 31), 8), ((21, 30), 8), ((20, 30, 3), 8), ((20, 30), 7), ((40_000, 40_000), 8)]
)
def test_another_picture_than_expected_is_refused(shape: tuple[int, ...], depth: int) -> None:
    coded = encode_picture(smooth(20, 30, 255).astype(np.uint8), 8, 1)
    with pytest.raises(WireError, match="not the one"):
        check_picture(coded, Head(shape[1], shape[0], depth, is_grey=len(shape) == 2))


def _spliced(coded: bytes, at: int, removed: int, fields: list[tuple[int, int]]) -> bytes:
    """The codestream with ``removed`` bits replaced by (value, width) fields."""
    number, bits = int.from_bytes(coded, "little"), 8 * len(coded)
    new, width = 0, 0
    for value, count in fields:
        new |= value << width
        width += count
    low, high = number & (1 << at) - 1, number >> at + removed
    return (low | new << at | high << at + width).to_bytes((bits + width + 7) // 8, "little")


def _u32(value: int) -> list[tuple[int, int]]:
    return [(3, 2), (value - 18688, 30)]


CROP_AT = 69
"""Bit of ``have_crop`` in the frame head of a grey 8-bit picture of 64 x 64 (seen; the test checks that it is)."""


def test_a_frame_larger_than_its_picture_is_refused_without_decoding_it() -> None:
    picture = np.random.default_rng(0).integers(0, 200, (64, 64)).astype(np.uint8)
    coded = encode_picture(picture, 8, 1)
    bomb = _spliced(coded, CROP_AT, 1, [(1, 1), *_u32(18688), *_u32(18688), *_u32(60_000), *_u32(60_000)])
    with pytest.raises(WireError, match="from pieces"):
        decode_picture(bomb, (64, 64), 8)
    kind_at = CROP_AT - 2 - 2 - 2 - 1 - 2 - 1 - 2
    reference = _spliced(coded, CROP_AT - 2, 3, [(1, 1), *_u32(60_000), *_u32(60_000)])
    reference = _spliced(reference, kind_at, 2, [(2, 2)])
    with pytest.raises(WireError, match="larger than itself"):
        decode_picture(reference, (64, 64), 8)


@pytest.mark.parametrize(
    "coded",
    [
        pytest.param(imagecodecs.jpegxl_encode(smooth(64, 64, 255, channels=3).astype(np.uint8), level=80), id="lossy"),
        pytest.param(
            imagecodecs.jpegxl_encode(smooth(64, 64, 255, channels=4).astype(np.uint8), lossless=True), id="alpha"
        ),
        pytest.param(
            imagecodecs.jpegxl_encode(np.zeros((3, 64, 64), np.uint8), lossless=True, photometric="GRAY"), id="frames"
        ),
        pytest.param(imagecodecs.jpegxl_encode(np.zeros((64, 64), np.float32), lossless=True), id="float"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\x0a", id="cut"),
        pytest.param(b"\xff\x0a" + b"\xff" * 60, id="ones"),
        pytest.param(b"\xff\x0a" + bytes(60), id="zeros"),
    ],
)
def test_what_our_encoders_do_not_write_is_refused(coded: bytes) -> None:
    codestream = bytes(coded) if not bytes(coded).startswith(b"\0\0\0\x0c") else taken_apart(bytes(coded))[0]
    for expected in (Head(64, 64, 8, is_grey=True), Head(64, 64, 8, is_grey=False), Head(64, 64, 32, is_grey=True)):
        with pytest.raises(WireError):
            check_picture(codestream, expected)


JPEGS = {
    "colour": jpeg(),
    "grey": jpeg(grey=True),
    "444": bytes(imagecodecs.jpeg8_encode(smooth(50, 40, 255, channels=3).astype(np.uint8), subsampling="444")),
    "optimised": bytes(imagecodecs.jpeg8_encode(smooth(50, 40, 255, channels=3).astype(np.uint8), optimize=True)),
    "tail": jpeg() + b"\0",
}


@pytest.mark.parametrize("name", sorted(JPEGS))
def test_jpeg_streams_come_back_bit_by_bit(name: str) -> None:
    codestream, reconstruction = encode_jpeg(JPEGS[name])
    check_recompressed(codestream)
    assert decode_jpeg(codestream, reconstruction, len(JPEGS[name]), 1 << 20) == JPEGS[name]


def test_a_recompressed_jpeg_of_another_size_or_too_many_pixels_is_refused() -> None:
    stream = jpeg(64, 48)
    codestream, reconstruction = encode_jpeg(stream)
    for size_bytes, pixels_max in (
        (len(stream) - 1, 1 << 20),
        (len(stream) + 1, 1 << 20),
        (len(stream), 64 * 48 - 1),
        (5, 1 << 20),
    ):
        with pytest.raises(WireError):
            decode_jpeg(codestream, reconstruction, size_bytes, pixels_max)
    picture = encode_picture(smooth(64, 48, 255).astype(np.uint8), 8, 1)
    with pytest.raises(WireError, match="no recompressed JPEG"):
        decode_jpeg(picture, reconstruction, len(stream), 1 << 20)


def test_only_the_two_boxes_that_count_travel() -> None:
    codestream, reconstruction = encode_jpeg(jpeg())
    assert taken_apart(put_together(codestream, reconstruction)) == (codestream, reconstruction)
    foreign = put_together(codestream, reconstruction) + b"\0\0\0\x0cbrob\1\2\3\4"
    for damaged in (foreign, foreign[:-5], b"RIFF"):
        with pytest.raises(WireError):
            taken_apart(damaged)


@pytest.mark.parametrize("depth", [15, 16])
def test_noise_that_breaks_the_fastest_effort_is_coded_with_the_next(depth: int) -> None:
    """libjxl corrupts its heap at effort 1 here, which may kill this process: it must not even be tried."""
    noise = np.random.default_rng(0).integers(0, 1 << depth, (200, 180)).astype(np.uint16)
    assert encode_picture(noise, depth, 1) == encode_picture(noise, depth, 2)
