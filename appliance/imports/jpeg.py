"""Takes a JPEG apart (ITU-T T.81 annex B) and puts together what DICOM may hold; pure, bounded, owns no decoder.

Only what decoding needs is kept: no EXIF, XMP, IPTC, comments, thumbnails or trailing bytes, which may carry somebody
else's name, a place, or another file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from appliance.imports import exif
from appliance.imports.problems import ImportProblem

SEGMENT_COUNT_MAX = 8192
"""Extended XMP of a telephone's portrait takes some hundred segments."""
SCAN_COUNT_MAX = 100
"""Progressive files have about ten; thousands over a large picture are a known way to keep a decoder busy."""

_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SOF_BASELINE, _SOF_EXTENDED, _SOF_PROGRESSIVE = 0xC0, 0xC1, 0xC2
_DHT, _SOI, _EOI, _SOS, _DQT, _DNL, _DRI, _DAC = 0xC4, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xCC
_APP0, _APP1, _APP14 = 0xE0, 0xE1, 0xEE
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""In entropy-coded data: neither a stuffed byte nor a restart marker (T.81 section B.1.1.5)."""


@dataclass(frozen=True, slots=True)
class Jpeg:
    """A JPEG as far as DICOM cares."""

    rows: int
    columns: int
    component_count: int
    """1 (grey) or 3."""
    is_rgb: bool
    """The three components are red, green and blue, not luminance and colour differences."""
    is_subsampled: bool
    is_baseline: bool
    """Process 1 in one scan, so that the bytes may stand in DICOM as they are."""
    orientation: int
    """EXIF orientation, 1 (upright) to 8."""
    clean: bytes
    """The same picture without anything else."""


@dataclass(slots=True)
class _Frame:
    marker: int
    rows: int
    columns: int
    component_ids: bytes
    sampling: bytes


def read_jpeg(data: bytes) -> Jpeg:
    """Take ``data`` apart.

    Raises:
        ImportProblem: ``picture-damaged``, ``picture-cut``, ``picture-colours``, ``picture-depth`` or
            ``picture-coding``.
    """
    if data[:2] != b"\xff\xd8":
        raise ImportProblem("picture-damaged", "no start of image")
    parts = [b"\xff\xd8"]
    frame: _Frame | None = None
    orientation, adobe_transform, is_jfif, scan_count = 1, -1, False, 0
    at = 2
    for _ in range(SEGMENT_COUNT_MAX):
        marker, at = _marker(data, at)
        if marker == _EOI:
            break
        body, after = _segment(data, at)
        if marker in _SOF:
            if frame is not None:
                raise ImportProblem("picture-coding", "several frames")
            frame = _frame(marker, body)
        elif marker == _APP0 and body[:5] == b"JFIF\0" and len(body) >= 14:
            is_jfif = True
            parts.append(b"\xff\xe0\x00\x10" + body[:12] + b"\0\0")
        elif marker == _APP1 and body[:6] == b"Exif\0\0" and orientation == 1:
            orientation = exif.orientation(body[6:])
        elif marker == _APP14 and body[:5] == b"Adobe" and len(body) >= 12:
            adobe_transform = body[11]
            parts.append(b"\xff\xee\x00\x0e" + body[:12])
        elif marker in (_DNL, _DAC):
            raise ImportProblem("picture-coding", f"marker {marker:02x}")
        if marker in _SOF or marker in (_DQT, _DHT, _DRI, _SOS):
            parts.append(data[at - 2 : after])
        at = after
        if marker == _SOS:
            if frame is None:
                raise ImportProblem("picture-damaged", "a scan before its frame")
            scan_count += 1
            if scan_count > SCAN_COUNT_MAX:
                raise ImportProblem("picture-damaged", "too many scans")
            found = _NEXT_MARKER.search(data, at)
            if found is None:
                raise ImportProblem("picture-cut", f"no end after {len(data)} bytes")
            parts.append(data[at : found.start()])
            at = found.start()
    else:
        raise ImportProblem("picture-damaged", "too many segments")
    if frame is None or not scan_count:
        raise ImportProblem("picture-damaged", "no picture inside")
    parts.append(b"\xff\xd9")
    count = len(frame.component_ids)
    return Jpeg(
        rows=frame.rows,
        columns=frame.columns,
        component_count=count,
        is_rgb=count == 3 and _is_rgb(adobe_transform, is_jfif, frame.component_ids),
        is_subsampled=count == 3 and len(set(frame.sampling)) > 1,
        is_baseline=frame.marker == _SOF_BASELINE and scan_count == 1,
        orientation=orientation,
        clean=b"".join(parts),
    )


def _marker(data: bytes, at: int) -> tuple[int, int]:
    """The marker at ``at``, past fill bytes, and the offset behind it."""
    start = at
    while data[at : at + 2] == b"\xff\xff":
        at += 1
    if len(data) < at + 2:
        raise ImportProblem("picture-cut", f"ends at byte {len(data)}")
    if data[at] != 0xFF or data[at + 1] in (0x00, 0x01, _SOI) or 0xD0 <= data[at + 1] <= 0xD7:
        raise ImportProblem("picture-damaged", f"no marker at byte {start}")
    return data[at + 1], at + 2


def _segment(data: bytes, at: int) -> tuple[bytes, int]:
    """The parameters of a marker segment, and the offset behind it."""
    length = int.from_bytes(data[at : at + 2], "big")
    if len(data) < at + 2 or at + length > len(data):
        raise ImportProblem("picture-cut", f"ends at byte {len(data)}")
    if length < 2:
        raise ImportProblem("picture-damaged", f"a segment of {length} bytes")
    return data[at + 2 : at + length], at + length


def _frame(marker: int, body: bytes) -> _Frame:
    if marker not in (_SOF_BASELINE, _SOF_EXTENDED, _SOF_PROGRESSIVE):
        raise ImportProblem("picture-coding", f"frame {marker:02x}")
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        raise ImportProblem("picture-damaged", "a frame header of a wrong length")
    if body[0] != 8:
        raise ImportProblem("picture-depth", f"{body[0]} bits")
    if body[5] not in (1, 3):
        raise ImportProblem("picture-colours", f"{body[5]} components")
    rows, columns = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if not rows or not columns:
        raise ImportProblem("picture-coding", "its size is not said")
    return _Frame(marker, rows, columns, body[6::3], body[7::3])


def _is_rgb(adobe_transform: int, is_jfif: bool, component_ids: bytes) -> bool:
    """As decoders guess it: JFIF says YCbCr, then Adobe's flag counts, then the components' names."""
    if is_jfif:
        return False
    if adobe_transform >= 0:
        return adobe_transform == 0
    return component_ids == b"RGB"
