"""How a span of pixel bytes is cut into blocks, and which ways to code each are worth trying. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import gcd

from sync.wire.limits import WireLimits
from sync.wire.raster import Order, Raster
from sync.wire.walk import Picture

BYTES_BLOCK_MAX = 4 * 1024 * 1024
"""Of bytes that are no picture: what zstd at level 19 packs with some 60 MB of memory."""
BAND_GRID = 64
"""Rows where a frame may be cut: where its wavelet, if it once was one, has the same phase again."""
GROUP_PIXELS_MAX = 64 * 1024
"""Frames smaller than this are put together until they reach it: a picture of its own costs some 30 bytes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The bytes of one block: possible rasters, best guess first (none: no picture), and how far back its like is."""

    size_bytes: int
    rasters: tuple[Raster, ...] = ()
    back: int = 0
    low: int = 0
    bits: int = 0
    """Where the header says that the picture's bits are; ``bits`` 0 where it says nothing that differs from all."""


def bytes_pieces(size_bytes: int) -> Iterator[Piece]:
    """Blocks of bytes that are no picture."""
    for start in range(0, size_bytes, BYTES_BLOCK_MAX):
        yield Piece(min(BYTES_BLOCK_MAX, size_bytes - start))


def grouped(edges: Sequence[int], block_bytes_max: int) -> Iterator[tuple[int, int, bool]]:
    """Frames that are coded together: numbers of the first and last edge, and whether frames lie between.

    What is before the second edge begins as no frame does; a frame that is larger than a block is bytes as well.
    """
    first = 1
    if edges[1] > edges[0]:
        yield 0, 1, False
    for number in range(1, len(edges) - 1):
        if edges[number + 1] - edges[number] > block_bytes_max:
            if number > first:
                yield first, number, True
            yield number, number + 1, False
            first = number + 1
        elif edges[number + 1] - edges[first] > BYTES_BLOCK_MAX and number > first:
            yield first, number, True
            first = number
    if first < len(edges) - 1:
        yield first, len(edges) - 1, True


def history(picture: Picture, size_bytes: int, limits: WireLimits) -> int:
    """How far back the blocks of native pixels look; the same for all of them."""
    return max((piece.back for piece in picture_pieces(picture, size_bytes, limits)), default=0)


def picture_pieces(picture: Picture, size_bytes: int, limits: WireLimits) -> Iterator[Piece]:
    """Blocks of native pixels, frame by frame; what does not fill a frame is cut as far as it goes.

    Together they are ``size_bytes`` long, whatever the header says.
    """
    left = size_bytes
    for piece in _of_bits(picture, left, limits) if picture.bits_allocated == 1 else _of_words(picture, left, limits):
        if piece.size_bytes > left:
            break
        yield piece
        left -= piece.size_bytes
    yield from bytes_pieces(left)


def _of_bits(picture: Picture, size_bytes: int, limits: WireLimits) -> Iterator[Piece]:
    """Frames of single bits follow each other without a gap (PS3.5 section 8.2), so they are one high picture."""
    columns = picture.columns
    if not 0 < columns <= limits.image_edge_pixels_max or picture.samples != 1:
        return
    step = 8 // gcd(columns, 8)
    rows_left = size_bytes * 8 // columns
    rows_most = min(limits.image_edge_pixels_max, limits.image_band_pixels_max // columns) // step * step
    while rows_left >= step and rows_most:
        rows = min(rows_most, rows_left // step * step)
        raster = Raster(Order.BITS, 1, False, rows, columns, 1)
        yield Piece(raster.bytes_count, (raster,))
        rows_left -= rows


def _of_words(picture: Picture, size_bytes: int, limits: WireLimits) -> Iterator[Piece]:
    frame = _frame(picture)
    if frame is None or frame.columns > limits.image_band_pixels_max:
        return
    if _is_grouped(frame):
        frame = replace(frame, rows=frame.rows * max(1, GROUP_PIXELS_MAX // (frame.rows * frame.columns)))
        frame = replace(frame, rows=min(frame.rows, max(1, size_bytes // (frame.bytes_count // frame.rows))))
    low, bits = _bits(picture)
    frame_bytes = frame.bytes_count
    if not 0 < frame_bytes <= limits.file_bytes_max:
        return
    back = frame_bytes if frame_bytes <= limits.history_bytes_max and size_bytes >= 2 * frame_bytes else 0
    bands = _bands(frame, limits)
    done = 0
    while done < size_bytes:
        for raster in bands:
            size = raster.bytes_count
            yield Piece(size, _alternatives(raster, picture), back if done >= frame_bytes else 0, low, bits)
            done += size


def _frame(picture: Picture) -> Raster | None:
    rows, columns, samples = picture.rows, picture.columns, picture.samples
    if picture.bits_allocated not in (8, 16, 32, 64) or not min(rows, columns, samples):
        return None
    wide = max(1, picture.bits_allocated // 16)
    word_bytes = min(2, picture.bits_allocated // 8)
    swapped = picture.words_swapped if word_bytes == 1 else picture.big_endian
    if picture.half_chroma and samples == 3 and wide == 1 and columns % 2 == 0:
        return Raster(Order.HALF_CHROMA, word_bytes, swapped, rows, columns, 3)
    if samples == 3 and picture.bits_allocated <= 16:
        return Raster(
            Order.COLOUR_PLANES if picture.planar else Order.COLOUR, word_bytes, swapped, rows, columns, samples
        )
    return Raster(Order.STACKED, word_bytes, swapped, rows, columns, samples * wide)


def _is_grouped(frame: Raster) -> bool:
    """Whether more frames are just more rows."""
    return frame.order in (Order.COLOUR, Order.STACKED) and frame.rows * frame.columns <= GROUP_PIXELS_MAX // 2


def _bits(picture: Picture) -> tuple[int, int]:
    stored, high = picture.bits_stored, picture.high_bit
    low = high + 1 - stored
    if picture.bits_allocated not in (8, 16) or not 0 < stored < picture.bits_allocated or low < 0:
        return 0, 0
    return (low, stored) if high < picture.bits_allocated else (0, 0)


def _bands(frame: Raster, limits: WireLimits) -> list[Raster]:
    """The frame as rasters whose pictures are small enough, in the order of its bytes."""
    strips = -(-frame.columns // limits.image_edge_pixels_max)
    planes = 1
    if frame.order is Order.STACKED:
        planes = frame.samples
    elif frame.order is Order.HALF_CHROMA:
        planes = 2
    pixels_most = limits.image_band_pixels_max // (2 if frame.order in (Order.COLOUR, Order.COLOUR_PLANES) else 1)
    rows_most = min(limits.image_edge_pixels_max // (strips * planes), pixels_most // (frame.columns * planes))
    if frame.order is Order.COLOUR_PLANES and rows_most < frame.rows:
        plane = Raster(Order.STACKED, frame.word_bytes, frame.swapped, frame.rows, frame.columns, 1)
        return 3 * _bands(plane, limits)
    count = -(-frame.rows // max(1, rows_most))
    edges = [frame.rows * number // count for number in range(count + 1)]
    on_grid = [edges[0], *(round(edge / BAND_GRID) * BAND_GRID for edge in edges[1:-1]), edges[-1]]
    if all(0 < b - a <= rows_most for a, b in pairwise(on_grid)):
        edges = on_grid
    return [replace(frame, rows=b - a, strips=strips) for a, b in pairwise(edges)]


def _alternatives(raster: Raster, picture: Picture) -> tuple[Raster, ...]:
    """Luma and chroma may be better off as planes than as the red, green and blue that a coder takes them for."""
    if not picture.luma_chroma:
        return (raster,)
    if raster.order is Order.COLOUR:
        return raster, replace(raster, order=Order.STACKED)
    if raster.order is Order.COLOUR_PLANES:
        return raster, replace(raster, order=Order.STACKED, rows=raster.rows * 3, samples=1)
    return (raster,)
