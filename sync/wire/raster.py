"""Native pixel bytes as pictures that an image coder likes, and exactly back: pure arithmetic on arrays.

A *raster* says how the bytes of one block form samples; a *range* says which bits of the samples hold the picture and
where its values begin. ``spread`` and ``gather`` are inverse to each other for every byte string of the right length,
whatever the header said: nothing here rounds, clips or guesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sync.wire.errors import WireError

Samples = NDArray[np.unsignedinteger[Any]]
"""Of 8 or 16 bits."""


class Order(IntEnum):
    """How samples follow each other in the bytes, and what picture is made of them."""

    STACKED = 0
    """(rows, columns, samples) -> the planes of the samples under each other, grey."""
    COLOUR = 1
    """(rows, columns, 3) -> one colour picture."""
    COLOUR_PLANES = 2
    """(3, rows, columns) -> one colour picture."""
    HALF_CHROMA = 3
    """(rows, columns / 2, Y Y B R) -> Y above B beside R, grey."""
    BITS = 4
    """One bit a sample, least significant first -> grey of one bit."""


@dataclass(frozen=True, slots=True)
class Raster:
    """The shape of one block. ``word_bytes`` is 1 or 2: wider samples count as several of two bytes."""

    order: Order
    word_bytes: int
    swapped: bool
    """Big endian words; for ``word_bytes`` 1: the bytes of each pair are exchanged."""
    rows: int
    columns: int
    samples: int
    strips: int = 1
    """Columns are cut into so many strips, put under each other, the last one filled up with its last column."""

    @property
    def bytes_count(self) -> int:
        """Of the block that this describes."""
        count = self.rows * self.columns * (2 if self.order is Order.HALF_CHROMA else self.samples)
        return (count + 7) // 8 if self.order is Order.BITS else count * self.word_bytes

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the picture: (height, width) or (height, width, 3)."""
        width = -(-self.columns // self.strips)
        if self.order in (Order.COLOUR, Order.COLOUR_PLANES):
            return self.rows * self.strips, width, 3
        planes = {Order.STACKED: self.samples, Order.HALF_CHROMA: 2, Order.BITS: 1}[self.order]
        return self.rows * planes * self.strips, width

    def check(self) -> None:
        """Make sure that the numbers make sense together.

        Raises:
            WireError: If they do not.
        """
        is_colour = self.order in (Order.COLOUR, Order.COLOUR_PLANES)
        sound = (
            self.word_bytes in (1, 2)
            and min(self.rows, self.columns, self.samples) >= 1
            and 1 <= self.strips <= self.columns
            and (not is_colour or self.samples == 3)
            and (self.order is not Order.HALF_CHROMA or (self.columns % 2 == 0 and self.samples == 3))
            and (self.order is not Order.BITS or (self.samples == 1 and self.word_bytes == 1 and not self.swapped))
            and not (self.swapped and self.word_bytes == 1 and self.bytes_count % 2)
        )
        if not sound:
            raise WireError("a block describes a picture that cannot be")


def samples_of(data: bytes | memoryview, raster: Raster) -> Samples:
    """The words of a block in the machine's order, flat; one sample a byte for ``Order.BITS``."""
    raw = np.frombuffer(data, dtype=np.uint8)
    if raw.size != raster.bytes_count:
        raise WireError("a block has another size than its picture")
    if raster.order is Order.BITS:
        return np.unpackbits(raw, bitorder="little")[: raster.rows * raster.columns]
    if raster.word_bytes == 1:
        return _pairs_swapped(raw) if raster.swapped else raw
    return raw.view(">u2" if raster.swapped else "<u2").astype(np.uint16)


def bytes_of(samples: Samples, raster: Raster) -> bytes:
    """The inverse of ``samples_of``; unused bits of the last byte of ``Order.BITS`` are 0."""
    if raster.order is Order.BITS:
        return np.packbits(samples, bitorder="little").tobytes()
    if raster.word_bytes == 1:
        return (_pairs_swapped(samples) if raster.swapped else samples).tobytes()
    return samples.astype(">u2" if raster.swapped else "<u2").tobytes()


def _pairs_swapped(samples: Samples) -> Samples:
    return samples.reshape(-1, 2)[:, ::-1].reshape(-1)


def spread(samples: Samples, raster: Raster) -> Samples:
    """Flat samples as the picture, of ``raster.shape``."""
    rows, columns = raster.rows, raster.columns
    picture: Samples
    if raster.order is Order.COLOUR:
        picture = samples.reshape(rows, columns, 3)
    elif raster.order is Order.COLOUR_PLANES:
        picture = samples.reshape(3, rows, columns).transpose(1, 2, 0)
    elif raster.order is Order.HALF_CHROMA:
        pairs = samples.reshape(rows, columns // 2, 4)
        luma = pairs[:, :, :2].reshape(rows, columns)
        picture = np.concatenate([luma, np.concatenate([pairs[:, :, 2], pairs[:, :, 3]], axis=1)])
    elif raster.order is Order.BITS:
        picture = samples.reshape(rows, columns)
    else:
        picture = samples.reshape(rows, columns, raster.samples).transpose(2, 0, 1).reshape(-1, columns)
    return np.ascontiguousarray(_in_strips(picture, raster.strips))


def gather(picture: Samples, raster: Raster) -> Samples:
    """The inverse of ``spread``: flat samples."""
    rows, columns = raster.rows, raster.columns
    picture = _from_strips(picture, raster.strips, columns)
    if raster.order is Order.COLOUR_PLANES:
        picture = picture.transpose(2, 0, 1)
    elif raster.order is Order.HALF_CHROMA:
        pairs = np.empty((rows, columns // 2, 4), dtype=picture.dtype)
        pairs[:, :, :2] = picture[:rows].reshape(rows, columns // 2, 2)
        pairs[:, :, 2] = picture[rows:, : columns // 2]
        pairs[:, :, 3] = picture[rows:, columns // 2 :]
        picture = pairs
    elif raster.order is Order.STACKED:
        picture = picture.reshape(raster.samples, rows, columns).transpose(1, 2, 0)
    return np.ascontiguousarray(picture).reshape(-1)


def _in_strips(picture: Samples, strips: int) -> Samples:
    if strips == 1:
        return picture
    height, columns = picture.shape[:2]
    width = -(-columns // strips)
    fill = [(0, 0), (0, width * strips - columns)] + [(0, 0)] * (picture.ndim - 2)
    cut = np.pad(picture, fill, mode="edge").reshape(height, strips, width, *picture.shape[2:])
    return cut.swapaxes(0, 1).reshape(strips * height, width, *picture.shape[2:])


def _from_strips(picture: Samples, strips: int, columns: int) -> Samples:
    if strips == 1:
        return picture
    height, width = picture.shape[0] // strips, picture.shape[1]
    cut = picture.reshape(strips, height, width, *picture.shape[2:]).swapaxes(0, 1)
    return cut.reshape(height, strips * width, *picture.shape[2:])[:, :columns]


@dataclass(frozen=True, slots=True)
class Range:
    """Values ``(field + base) mod 2^bits`` with ``field < 2^depth`` stand in bits ``low`` to ``low + bits - 1``."""

    low: int
    bits: int
    base: int
    depth: int

    def check(self, word_bits: int) -> None:
        """Make sure that it fits words of so many bits.

        Raises:
            WireError: If it does not.
        """
        fits = self.bits >= 1 and self.low + self.bits <= word_bits and 1 <= self.depth <= self.bits
        if not fits or not 0 <= self.base < 1 << self.bits:
            raise WireError("a block describes values that cannot be")


def find_range(values: Samples, low: int, bits: int) -> Range:
    """The tightest range of values of ``bits`` bits, counted as unsigned or as two's complement numbers."""
    half, top = 1 << bits - 1, (1 << bits) - 1
    least, most = int(values.min()), int(values.max())
    shifted = (values + values.dtype.type(half)) & values.dtype.type(top)
    signed_least, signed_most = int(shifted.min()), int(shifted.max())
    base, spread_over = least, most - least
    if signed_most - signed_least < spread_over:
        base, spread_over = (signed_least - half) & top, signed_most - signed_least
    return Range(low, bits, base, max(1, spread_over.bit_length()))


def minus(values: Samples, base: int | Samples, bits: int) -> Samples:
    """``values - base`` modulo 2^bits; the dtype stays."""
    kind = values.dtype.type
    other = kind(base) if isinstance(base, int) else base
    return np.asarray((values - other) & kind((1 << bits) - 1), dtype=values.dtype)


def plus(values: Samples, base: int | Samples, bits: int) -> Samples:
    """``values + base`` modulo 2^bits; the dtype stays."""
    kind = values.dtype.type
    other = kind(base) if isinstance(base, int) else base
    return np.asarray((values + other) & kind((1 << bits) - 1), dtype=values.dtype)


def split(samples: Samples, low: int, bits: int) -> tuple[Samples, Samples]:
    """The picture's bits, shifted down, and the words without them."""
    kind = samples.dtype.type
    mask = (1 << bits) - 1
    whole = kind((1 << samples.dtype.itemsize * 8) - 1)
    return np.asarray(samples >> kind(low) & kind(mask)), np.asarray(samples & ~kind(mask << low) & whole)


def join(values: Samples, rest: Samples, low: int) -> Samples:
    """The inverse of ``split``."""
    return np.asarray(values << values.dtype.type(low) | rest, dtype=values.dtype)


def pack_rest(rest: Samples) -> bytes:
    """Bits beside the picture: a mask of those that occur (two bytes, little endian), then each as a plane of bits."""
    mask = int(np.bitwise_or.reduce(rest))
    planes = [np.packbits(rest >> rest.dtype.type(bit) & rest.dtype.type(1)) for bit in range(16) if mask >> bit & 1]
    return mask.to_bytes(2, "little") + b"".join(plane.tobytes() for plane in planes)


def rest_bytes_max(sample_count: int) -> int:
    """The most that ``pack_rest`` makes of so many samples."""
    return 2 + 16 * ((sample_count + 7) // 8)


def unpack_rest(packed: bytes, like: Samples) -> Samples:
    """The inverse of ``pack_rest`` for samples of the shape and type of ``like``.

    Raises:
        WireError: If it has another size.
    """
    rest = np.zeros_like(like)
    mask = int.from_bytes(packed[:2], "little")
    plane_bytes = (like.size + 7) // 8
    if len(packed) != 2 + plane_bytes * mask.bit_count() or mask >> like.dtype.itemsize * 8:
        raise WireError("the bits beside a picture are damaged")
    position = 2
    for bit in range(16):
        if mask >> bit & 1:
            plane = np.frombuffer(packed, dtype=np.uint8, count=plane_bytes, offset=position)
            rest |= np.unpackbits(plane, count=like.size).astype(like.dtype) << like.dtype.type(bit)
            position += plane_bytes
    return rest
