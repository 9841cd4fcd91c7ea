"""One block of a pixel part: how its bytes are coded, and back.

A block is decoded from its own payload, from at most ``WireLimits.history_bytes_max`` bytes that the stream gave just
before (``Past``), and from what the block before it said of its raster or its JPEG tables. Every size is checked before
memory is taken for it. Layouts are in ``docs/reference/wire-form.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from sync.wire.errors import WireError
from sync.wire.jxl import decode_jpeg
from sync.wire.limits import WireLimits
from sync.wire.octets import Octets, varint
from sync.wire.picture_codec import decode_picture, encode_picture
from sync.wire.raster import (
    Order,
    Range,
    Raster,
    Samples,
    bytes_of,
    find_range,
    gather,
    join,
    minus,
    pack_rest,
    plus,
    rest_bytes_max,
    samples_of,
    split,
    spread,
    unpack_rest,
)
from sync.wire.squeeze import compress, decompress


class Kind(IntEnum):
    """The first byte of a block."""

    END = 0
    RAW = 1
    ZSTD = 2
    PICTURE = 3
    JPEG = 4
    FILLER = 5


class Past:
    """The last bytes of the stream, as far back as the part said that its blocks look."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept = bytearray()

    def add(self, data: bytes) -> None:
        """Remember what the stream gave next."""
        if self._bytes_max:
            self._kept += data
            del self._kept[: max(0, len(self._kept) - self._bytes_max)]

    def saved(self) -> bytes:
        """What is kept now."""
        return bytes(self._kept)

    def restore(self, kept: bytes) -> None:
        """Go back to what was saved."""
        self._kept = bytearray(kept)

    def look(self, back: int, count: int) -> bytes:
        """``count`` bytes that begin ``back`` bytes before the present end.

        Raises:
            WireError: If they are not all there.
        """
        if not count <= back <= len(self._kept):
            raise WireError("a block refers to bytes that the part has not given")
        start = len(self._kept) - back
        return bytes(self._kept[start : start + count])


@dataclass(slots=True)
class Context:
    """What blocks inherit from the one before, and what they may refer to."""

    past: Past
    raster_head: bytes = b""
    reconstruction: bytes = b""

    def saved(self) -> tuple[bytes, bytes, bytes]:
        """Everything, for encoders that may have to go back."""
        return self.past.saved(), self.raster_head, self.reconstruction

    def restore(self, saved: tuple[bytes, bytes, bytes]) -> None:
        """Go back to what was saved."""
        past, self.raster_head, self.reconstruction = saved
        self.past.restore(past)


# --- pictures ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """One way to code a picture: the order of its samples, which bits it has, how far back it predicts from."""

    raster: Raster
    low: int
    bits: int
    back: int = 0


def picture_payload(data: bytes, way: Way, context: Context, effort: int, level: int) -> bytes:
    """The payload of a ``Kind.PICTURE`` block that decodes to ``data``; ``context`` is read, not changed.

    Raises:
        WireError: If this is no picture that can be, or libjxl cannot encode it.
    """
    raster = way.raster
    raster.check()
    values, rest = split(samples_of(data, raster), way.low, way.bits)
    if way.back:
        before = samples_of(context.past.look(way.back, len(data)), raster)
        values_before, rest_before = split(before, way.low, way.bits)
        values = minus(values, values_before, way.bits)
        rest = rest ^ rest_before
    span = find_range(values, way.low, way.bits)
    picture = spread(_narrow(minus(values, span.base, span.bits), span.depth), raster)
    packed = pack_rest(rest) if rest.any() else b""
    squeezed = compress(packed, level) if packed else b""
    head = _raster_head(raster)
    return b"".join(
        (
            b"\0" if head == context.raster_head else varint(len(head)) + head,
            varint(way.back),
            bytes((span.low, span.bits)),
            varint(span.base),
            bytes((span.depth,)),
            varint(len(packed)),
            varint(len(squeezed)),
            squeezed,
            encode_picture(picture, span.depth, effort),
        )
    )


def _narrow(values: Samples, depth: int) -> Samples:
    """Values below 2^depth in the type that libjxl wants for them."""
    return values.astype("uint8") if depth <= 8 else values


def _raster_head(raster: Raster) -> bytes:
    form = raster.order | (raster.word_bytes - 1) << 3 | raster.swapped << 4
    return bytes((form,)) + b"".join(map(varint, (raster.rows, raster.columns, raster.samples, raster.strips)))


def _read_raster(octets: Octets, context: Context, limits: WireLimits) -> Raster:
    head_bytes = octets.varint(64)
    if head_bytes:
        context.raster_head = bytes(octets.take(head_bytes))
    head = Octets(context.raster_head, "raster")
    form = head.byte()
    if form >> 5 or form & 7 > max(Order):
        raise WireError("a block has a raster of an unknown kind")
    rows, columns, samples, strips = (head.varint(limits.image_pixels_max) for _ in range(4))
    head.end()
    raster = Raster(Order(form & 7), 1 + (form >> 3 & 1), bool(form >> 4), rows, columns, samples, strips)
    raster.check()
    height, width = raster.shape[:2]
    if height * width > limits.image_pixels_max:
        raise WireError(f"a block has a picture of {height * width} pixels, {limits.image_pixels_max} are allowed")
    return raster


def decode_picture_payload(payload: memoryview, size_bytes: int, context: Context, limits: WireLimits) -> bytes:
    """The bytes of a ``Kind.PICTURE`` block.

    Raises:
        WireError: If it is damaged or declares more than is allowed.
    """
    octets = Octets(payload, "picture block")
    raster = _read_raster(octets, context, limits)
    if raster.bytes_count != size_bytes:
        raise WireError("a block has another size than its picture")
    back = octets.varint(limits.history_bytes_max)
    low, bits = octets.byte(), octets.byte()
    span = Range(low, bits, octets.varint(0xFFFF), octets.byte())
    span.check(1 if raster.order is Order.BITS else 8 * raster.word_bytes)
    sample_count = size_bytes * 8 if raster.order is Order.BITS else size_bytes // raster.word_bytes
    rest_bytes = octets.varint(rest_bytes_max(sample_count))
    squeezed = octets.take(octets.varint(octets.left))
    picture = decode_picture(octets.rest(), raster.shape, span.depth)
    values = gather(picture, raster).astype("uint16" if raster.word_bytes == 2 else "uint8", copy=False)
    values = plus(values, span.base, bits)
    rest = np.zeros_like(values)
    if rest_bytes:
        rest = unpack_rest(decompress(squeezed, rest_bytes, limits.zstd_window_bytes_max), values)
    elif len(squeezed):
        raise WireError("a block has bits beside its picture that it does not declare")
    if back:
        before = samples_of(context.past.look(back, size_bytes), raster)
        values_before, rest_before = split(before, low, bits)
        values = plus(values, values_before, bits)
        rest = rest ^ rest_before
    return bytes_of(join(values, rest, low), raster)


# --- JPEG streams --------------------------------------------------------------------------------------------------


def jpeg_payload(codestream: bytes, reconstruction: bytes, context: Context) -> bytes:
    """The payload of a ``Kind.JPEG`` block.

    Frames of a loop have the same tables: reconstruction data begin as those of the frame before, and only the rest
    is written (11 of 237 bytes, measured on an X-ray loop).
    """
    before, shared = context.reconstruction, 0
    for ours, theirs in zip(reconstruction, before, strict=False):
        if ours != theirs:
            break
        shared += 1
    own = reconstruction[shared:]
    return varint(shared) + varint(len(own)) + own + codestream


def decode_jpeg_payload(payload: memoryview, size_bytes: int, context: Context, limits: WireLimits) -> bytes:
    """The bytes of a ``Kind.JPEG`` block.

    Raises:
        WireError: If it is damaged or declares more than is allowed.
    """
    octets = Octets(payload, "JPEG block")
    shared = octets.varint(len(context.reconstruction))
    context.reconstruction = context.reconstruction[:shared] + bytes(octets.take(octets.varint(octets.left)))
    return decode_jpeg(octets.rest(), context.reconstruction, size_bytes, limits.jpeg_pixels_max)


# --- any block -----------------------------------------------------------------------------------------------------


def decode_block(kind: Kind, payload: memoryview, size_bytes: int, context: Context, limits: WireLimits) -> bytes:
    """The ``size_bytes`` that a block stands for; the caller has checked that number against the limits.

    Raises:
        WireError: If the block is damaged or declares more than is allowed.
    """
    if kind is Kind.RAW:
        data = bytes(payload)
    elif kind is Kind.ZSTD:
        data = decompress(payload, size_bytes, limits.zstd_window_bytes_max)
    elif kind is Kind.PICTURE:
        data = decode_picture_payload(payload, size_bytes, context, limits)
    elif kind is Kind.JPEG:
        data = decode_jpeg_payload(payload, size_bytes, context, limits)
    else:
        data = b""
    if len(data) != size_bytes:
        raise WireError("a block gives another number of bytes than it declares")
    context.past.add(data)
    return data
