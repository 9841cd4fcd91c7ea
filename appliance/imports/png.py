"""Takes a PNG apart (W3C PNG, third edition) and keeps what decoding needs; pure and bounded, owns no decoder.

Sizes are judged before anything is inflated, checksums are checked, and text, EXIF, colour profiles, unknown chunks and
trailing bytes are left out: they may carry a name, a bomb or another file.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from appliance.imports.exif import orientation as exif_orientation
from appliance.imports.problems import ImportProblem

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHUNK_COUNT_MAX = 100_000
"""Some writers cut a picture of 256 MB into pieces of 8 KB."""
_CHANNEL_COUNT = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type."""
_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})


@dataclass(frozen=True, slots=True)
class Png:
    """A PNG as far as DICOM cares."""

    rows: int
    columns: int
    orientation: int
    clean: bytes
    """The same picture without anything else."""


def read_png(data: bytes, pixel_count_max: int) -> Png:
    """Take ``data`` apart.

    Raises:
        ImportProblem: ``picture-damaged``, ``picture-cut``, ``picture-too-large``, ``picture-depth`` or
            ``picture-animated``.
    """
    if not data.startswith(SIGNATURE):
        raise ImportProblem("picture-damaged", "no signature")
    parts, orientation, at = [SIGNATURE], 1, len(SIGNATURE)
    rows = columns = 0
    has_pixels = False
    for number in range(CHUNK_COUNT_MAX):
        if len(data) < at + 12:
            raise ImportProblem("picture-cut", f"ends at byte {len(data)}")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise ImportProblem("picture-cut", f"{end - len(data)} bytes are missing")
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise ImportProblem("picture-damaged", f"a chunk at byte {at} has a wrong checksum")
        if (number == 0) != (kind == b"IHDR"):
            raise ImportProblem("picture-damaged", "its header is not where it belongs")
        body = data[at + 8 : end - 4]
        if kind == b"IHDR":
            rows, columns = _size(body, pixel_count_max)
        elif kind == b"acTL":
            raise ImportProblem("picture-animated")
        elif kind == b"eXIf":
            orientation = exif_orientation(body)
        has_pixels = has_pixels or kind == b"IDAT"
        if kind in _KEPT:
            parts.append(data[at:end])
        elif kind[:1].isupper():
            raise ImportProblem("picture-damaged", "an unknown chunk that decoding would need")
        at = end
        if kind == b"IEND":
            break
    else:
        raise ImportProblem("picture-damaged", "too many chunks")
    if not has_pixels:
        raise ImportProblem("picture-damaged", "no picture inside")
    return Png(rows, columns, orientation, b"".join(parts))


def _size(body: bytes, pixel_count_max: int) -> tuple[int, int]:
    if len(body) != 13:
        raise ImportProblem("picture-damaged", "a header of a wrong length")
    columns, rows, bits, colour_type = struct.unpack_from(">IIBB", body)
    if not rows or not columns or colour_type not in _CHANNEL_COUNT or bits not in (1, 2, 4, 8, 16):
        raise ImportProblem("picture-damaged", "an impossible header")
    if rows * columns > pixel_count_max or max(rows, columns) > 65535:
        raise ImportProblem("picture-too-large", f"{columns} x {rows}")
    if bits == 16:
        raise ImportProblem("picture-depth", "16 bits")
    return rows, columns
