"""The codestream of a picture: JPEG XL, or JPEG 2000 where a sample says that it is smaller."""

from __future__ import annotations

import numpy as np

from sync.wire import j2k, jxl
from sync.wire.errors import WireError
from sync.wire.raster import Samples

J2K_EFFORT_MIN = 5
"""Below it there is no time for OpenJPEG, which codes some 14 MB a second (measured)."""
_SAMPLE_EDGE = 256
_GRID = 64
"""The sample lies on it: a wavelet's coefficients were quantised where the whole picture has them."""
_SAMPLE_EFFORT = 3
_WORTH = 0.99


def encode_picture(picture: Samples, depth: int, effort: int) -> bytes:
    """A lossless codestream of a (height, width) or (height, width, 3) picture whose values are below 2^depth.

    Raises:
        WireError: If it cannot be encoded.
    """
    if effort >= J2K_EFFORT_MIN and _is_wavelet(picture, depth):
        return j2k.encode_picture(picture, depth)
    return jxl.encode_picture(picture, depth, effort)


def decode_picture(coded: bytes | memoryview, shape: tuple[int, ...], depth: int) -> Samples:
    """The picture of a codestream, which must have this shape and depth.

    Raises:
        WireError: If it is damaged or another picture.
    """
    if j2k.is_codestream(coded):
        return j2k.decode_picture(coded, shape, depth)
    return jxl.decode_picture(coded, shape, depth)


def _is_wavelet(picture: Samples, depth: int) -> bool:
    """Whether JPEG 2000 codes its middle clearly smaller."""
    if picture.ndim != 2 or min(picture.shape) < _SAMPLE_EDGE:
        return False
    top, left = ((edge - _SAMPLE_EDGE) // 2 // _GRID * _GRID for edge in picture.shape)
    sample = np.ascontiguousarray(picture[top : top + _SAMPLE_EDGE, left : left + _SAMPLE_EDGE])
    try:
        return len(j2k.encode_picture(sample, depth)) < _WORTH * len(jxl.encode_picture(sample, depth, _SAMPLE_EFFORT))
    except WireError:
        return False
