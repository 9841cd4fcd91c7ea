"""JPEG XL through imagecodecs: lossless pictures and bit-exact JPEG recompression, with their sizes checked first.

libjxl is native code that meets foreign bytes: callers run it in a process of its own with a bound on its memory. What
comes from a stream's own head (size, depth, channels) is read here, without libjxl, before it may allocate for it.
"""

from __future__ import annotations

import imagecodecs
import numpy as np

from sync.wire.errors import WireError
from sync.wire.jxl_boxes import put_together, taken_apart
from sync.wire.jxl_head import Head, check_picture, check_recompressed
from sync.wire.raster import Samples

_FAST_DEPTH_MAX = 14
"""libjxl 0.11.2 writes beyond its buffer at effort 1 when it meets noise of 15 or 16 bits (seen under a checking
allocator: 9,000 pictures of up to 14 bits were sound, and so were the other efforts at every depth)."""
_JPEG_PIXELS_PER_BYTE_MAX = 512
"""A block of 8 x 8 pixels takes a bit at least, in progressive streams too (ITU-T T.81, annexes F.1.2 and G.1.2)."""


def encode_picture(picture: Samples, depth: int, effort: int) -> bytes:
    """A lossless codestream of a (height, width) or (height, width, 3) picture whose values are below 2^depth.

    Effort 1 becomes 2 where 1 is not safe.

    Raises:
        WireError: If libjxl cannot encode it.
    """
    if depth > _FAST_DEPTH_MAX:
        effort = max(effort, 2)
    try:
        coded = imagecodecs.jpegxl_encode(
            picture, effort=effort, lossless=True, bitspersample=depth, usecontainer=False, numthreads=1
        )
    except (RuntimeError, ValueError, MemoryError) as error:
        raise WireError("a picture cannot be encoded as JPEG XL") from error
    return taken_apart(bytes(coded))[0]


def decode_picture(coded: bytes | memoryview, shape: tuple[int, ...], depth: int) -> Samples:
    """The picture of a codestream, which must have this shape and depth.

    Raises:
        WireError: If it is damaged or another picture.
    """
    check_picture(coded, Head(shape[1], shape[0], depth, is_grey=len(shape) == 2))
    kind = np.uint8 if depth <= 8 else np.uint16
    out = np.empty(shape, dtype=kind)
    try:
        imagecodecs.jpegxl_decode(bytes(coded), index=0, numthreads=1, out=out)
    except (RuntimeError, ValueError, MemoryError, TypeError) as error:
        raise WireError("a JPEG XL picture is damaged") from error
    return out


def encode_jpeg(jpeg: bytes) -> tuple[bytes, bytes]:
    """Codestream and reconstruction data of a JPEG stream.

    Raises:
        WireError: If libjxl cannot take it (arithmetic coding, 12 bits, lossless, damaged).
    """
    try:
        coded = imagecodecs.jpegxl_encode_jpeg(jpeg, usecontainer=True, numthreads=1)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise WireError("a JPEG stream cannot be recompressed") from error
    return taken_apart(bytes(coded))


def decode_jpeg(codestream: bytes | memoryview, reconstruction: bytes, size_bytes: int, pixels_max: int) -> bytes:
    """The JPEG stream again, which must have ``size_bytes``; the caller has checked that number.

    Raises:
        WireError: If it is damaged, has another size, or a picture of more than ``pixels_max`` pixels.
    """
    head = check_recompressed(codestream)
    pixels_allowed = min(pixels_max, _JPEG_PIXELS_PER_BYTE_MAX * size_bytes)
    if head.width * head.height > pixels_allowed:
        raise WireError(f"a JPEG of {head.width} x {head.height} pixels, {pixels_allowed} are allowed")
    try:
        jpeg = imagecodecs.jpegxl_decode_jpeg(
            put_together(codestream, reconstruction), numthreads=1, out=bytearray(size_bytes)
        )
    except (RuntimeError, ValueError, MemoryError) as error:
        raise WireError("a recompressed JPEG stream is damaged") from error
    if len(jpeg) != size_bytes:
        raise WireError("a recompressed JPEG stream has another size than its block declares")
    return bytes(jpeg)
