"""The one thing of EXIF that a picture needs: which way up it is. All else in there is left out."""

from __future__ import annotations

import struct

ORIENTATION_TAG = 0x0112
ENTRY_COUNT_MAX = 512
_SHORT = 3


def orientation(tiff: bytes) -> int:
    """1 (upright) to 8, from the TIFF structure of an EXIF block; 1 when it says nothing sensible."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return 1
    (at,) = struct.unpack_from(f"{order}I", tiff, 4)
    if at + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    for entry in range(min(count, ENTRY_COUNT_MAX)):
        start = at + 2 + 12 * entry
        if start + 12 > len(tiff):
            return 1
        tag, kind, value_count, value = struct.unpack_from(f"{order}HHIH", tiff, start)
        if tag == ORIENTATION_TAG:
            return value if kind == _SHORT and value_count == 1 and 1 <= value <= 8 else 1
    return 1
