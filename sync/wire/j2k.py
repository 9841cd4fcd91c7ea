"""JPEG 2000 lossless through imagecodecs, for grey pictures that it makes smaller than JPEG XL does.

Films that were once JPEG 2000 with loss are wavelets still: coded as such again they are some 8 % smaller (measured).
OpenJPEG is native code that meets foreign bytes, as libjxl is (``sync.wire.jxl``): the size is checked before it runs.
"""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np

from sync.wire.errors import WireError
from sync.wire.raster import Samples

START = b"\xff\x4f\xff\x51"
"""SOC and SIZ (ITU-T T.800, A.4.1 and A.5.1); no JPEG XL codestream begins so."""
_SIZE = struct.Struct(">HHIIIIIIIIHBBB")
"""Lsiz, Rsiz, Xsiz, Ysiz, XOsiz, YOsiz, XTsiz, YTsiz, XTOsiz, YTOsiz, Csiz; Ssiz, XRsiz and YRsiz of one component."""
_SIZE_BYTES_OF_ONE_COMPONENT = 41


def encode_picture(picture: Samples, depth: int) -> bytes:
    """A lossless codestream of a (height, width) picture whose values are below 2^depth.

    Raises:
        WireError: If OpenJPEG cannot encode it.
    """
    try:
        coded = imagecodecs.jpeg2k_encode(
            picture, level=0, codecformat="j2k", reversible=True, bitspersample=depth, numthreads=1
        )
    except (RuntimeError, ValueError, MemoryError) as error:
        raise WireError("a picture cannot be encoded as JPEG 2000") from error
    return bytes(coded)


def is_codestream(coded: bytes | memoryview) -> bool:
    """Whether this is one, and no JPEG XL."""
    return bytes(coded[: len(START)]) == START


def decode_picture(coded: bytes | memoryview, shape: tuple[int, ...], depth: int) -> Samples:
    """The picture of a codestream, which must be grey and have this shape and depth.

    Raises:
        WireError: If it is damaged or another picture.
    """
    _check_size(coded, shape, depth)
    out = np.empty(shape, dtype=np.uint8 if depth <= 8 else np.uint16)
    try:
        imagecodecs.jpeg2k_decode(bytes(coded), numthreads=1, out=out)
    except (RuntimeError, ValueError, MemoryError, TypeError) as error:
        raise WireError("a JPEG 2000 picture is damaged") from error
    return out


def _check_size(coded: bytes | memoryview, shape: tuple[int, ...], depth: int) -> None:
    """One component, one tile, as large and deep as expected: nothing else is ever written here."""
    head = bytes(coded[len(START) : len(START) + _SIZE.size])
    if len(head) < _SIZE.size or len(shape) != 2:
        raise WireError("a JPEG 2000 picture is damaged")
    length, _, *sizes = _SIZE.unpack(head)
    height, width = shape
    if length != _SIZE_BYTES_OF_ONE_COMPONENT or sizes != [
        width,
        height,
        0,
        0,
        width,
        height,
        0,
        0,
        1,
        depth - 1,
        1,
        1,
    ]:
        raise WireError("a JPEG 2000 picture is another one than its block says")
