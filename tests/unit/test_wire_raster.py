"""Pixel bytes as pictures: every transformation has its inverse, and makes the picture that it should."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sync.wire.errors import WireError
from sync.wire.raster import (
    Order,
    Range,
    Raster,
    bytes_of,
    find_range,
    gather,
    join,
    minus,
    pack_rest,
    plus,
    samples_of,
    split,
    spread,
    unpack_rest,
)

RASTERS = [
    Raster(Order.STACKED, 1, False, 3, 5, 1),
    Raster(Order.STACKED, 2, False, 3, 5, 1),
    Raster(Order.STACKED, 2, True, 4, 3, 4),
    Raster(Order.STACKED, 2, True, 4, 7, 2, strips=3),
    Raster(Order.COLOUR, 1, False, 4, 6, 3),
    Raster(Order.COLOUR, 2, True, 4, 5, 3, strips=2),
    Raster(Order.COLOUR, 1, True, 4, 5, 3),
    Raster(Order.COLOUR_PLANES, 1, False, 4, 6, 3),
    Raster(Order.COLOUR_PLANES, 2, False, 4, 7, 3, strips=2),
    Raster(Order.HALF_CHROMA, 1, False, 3, 6, 3),
    Raster(Order.HALF_CHROMA, 1, False, 3, 6, 3, strips=2),
    Raster(Order.BITS, 1, False, 4, 6, 1),
    Raster(Order.BITS, 1, False, 8, 13, 1, strips=2),
]


@pytest.mark.parametrize("raster", RASTERS, ids=lambda r: f"{r.order.name}-{r.word_bytes}-{r.swapped}-{r.strips}")
def test_every_raster_gives_its_bytes_back(raster: Raster) -> None:
    raster.check()
    data = np.random.default_rng(0).bytes(raster.bytes_count)
    picture = spread(samples_of(data, raster), raster)
    assert picture.shape == raster.shape
    assert bytes_of(gather(picture, raster), raster) == data


def test_colour_planes_and_pixels_make_the_same_picture() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    by_pixel = Raster(Order.COLOUR, 1, False, 2, 4, 3)
    by_plane = replace(by_pixel, order=Order.COLOUR_PLANES)
    planes = pixels.transpose(2, 0, 1).tobytes()
    assert (spread(samples_of(pixels.tobytes(), by_pixel), by_pixel) == pixels).all()
    assert (spread(samples_of(planes, by_plane), by_plane) == pixels).all()


def test_half_chroma_puts_luma_above_both_chromas() -> None:
    raster = Raster(Order.HALF_CHROMA, 1, False, 1, 4, 3)
    picture = spread(samples_of(bytes([1, 2, 100, 200, 3, 4, 101, 201]), raster), raster)
    assert picture.tolist() == [[1, 2, 3, 4], [100, 101, 200, 201]]


def test_strips_repeat_the_last_column_where_they_do_not_fill() -> None:
    raster = Raster(Order.STACKED, 1, False, 2, 3, 1, strips=2)
    assert spread(samples_of(bytes([1, 2, 3, 4, 5, 6]), raster), raster).tolist() == [[1, 2], [4, 5], [3, 3], [6, 6]]


def test_swapped_words_and_pairs_are_turned_round() -> None:
    assert samples_of(b"\x01\x02", Raster(Order.STACKED, 2, True, 1, 1, 1)).tolist() == [0x0102]
    assert samples_of(b"\x01\x02", Raster(Order.STACKED, 1, True, 1, 2, 1)).tolist() == [2, 1]


@pytest.mark.parametrize(
    "raster",
    [
        Raster(Order.STACKED, 3, False, 1, 1, 1),
        Raster(Order.STACKED, 1, False, 0, 1, 1),
        Raster(Order.STACKED, 1, False, 1, 3, 1, strips=4),
        Raster(Order.COLOUR, 1, False, 1, 1, 4),
        Raster(Order.HALF_CHROMA, 1, False, 1, 3, 3),
        Raster(Order.BITS, 2, False, 8, 8, 1),
        Raster(Order.STACKED, 1, True, 3, 3, 1),
    ],
)
def test_pictures_that_cannot_be_are_refused(raster: Raster) -> None:
    with pytest.raises(WireError):
        raster.check()


@pytest.mark.parametrize(
    ("values", "bits", "expected"),
    [
        ([0, 4095], 16, Range(0, 16, 0, 12)),
        ([1000, 1007], 16, Range(0, 16, 1000, 3)),
        ([0xFFF0, 0x0010], 16, Range(0, 16, 0xFFF0, 6)),  # -16 to 16, as two's complement
        ([7, 7], 16, Range(0, 16, 7, 1)),
        ([0, 0xFFFF, 0x8000], 16, Range(0, 16, 0x8000, 16)),
        ([0xFFF, 0x001], 12, Range(0, 12, 0xFFF, 2)),  # -1 to 1 in twelve bits
    ],
)
def test_range_is_the_tightest_of_unsigned_and_signed(values: list[int], bits: int, expected: Range) -> None:
    found = find_range(np.array(values, dtype=np.uint16), 0, bits)
    assert found == expected
    field = minus(np.array(values, dtype=np.uint16), found.base, bits)
    assert int(field.max()) < 1 << found.depth
    assert plus(field, found.base, bits).tolist() == values


@pytest.mark.parametrize("span", [Range(0, 17, 0, 1), Range(8, 9, 0, 1), Range(0, 8, 256, 1), Range(0, 8, 0, 9)])
def test_values_that_cannot_be_are_refused(span: Range) -> None:
    with pytest.raises(WireError):
        span.check(16)


@pytest.mark.parametrize(("low", "bits"), [(0, 16), (4, 12), (0, 10), (3, 5)])
def test_bits_beside_the_picture_come_back(low: int, bits: int) -> None:
    samples = np.random.default_rng(1).integers(0, 1 << 16, 1001).astype(np.uint16)
    values, rest = split(samples, low, bits)
    assert int(values.max()) < 1 << bits
    assert (join(values, unpack_rest(pack_rest(rest), rest), low) == samples).all()


def test_bits_that_do_not_occur_cost_two_bytes() -> None:
    rest = np.zeros(5000, dtype=np.uint16)
    assert pack_rest(rest) == b"\0\0"
    rest[7] = 1 << 15
    assert len(pack_rest(rest)) == 2 + 625


@pytest.mark.parametrize("packed", [b"", b"\1", b"\1\0", b"\0\1" + bytes(1), b"\1\0" + bytes(3)])
def test_damaged_bits_beside_a_picture_are_refused(packed: bytes) -> None:
    with pytest.raises(WireError):
        unpack_rest(packed, np.zeros(9, dtype=np.uint8))
