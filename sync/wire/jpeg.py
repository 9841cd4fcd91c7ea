"""Which JPEG streams libjxl may be given, by their markers, before it allocates for them (ITU-T T.81, annex B)."""

from __future__ import annotations

SOI = b"\xff\xd8"
_STAND_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES_TAKEN = frozenset({0xC0, 0xC1, 0xC2})
_FRAMES_REFUSED = frozenset({0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7})


def is_recompressible(data: bytes, pixels_max: int) -> bool:
    """Whether this is a baseline, extended or progressive Huffman stream of 8 bits with at most so many pixels."""
    if not data.startswith(SOI):
        return False
    position = 2
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return False
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker in _STAND_ALONE:
            position += 2
        elif marker in _FRAMES_REFUSED or marker in (0xD8, 0xD9, 0xDA):
            return False
        else:
            if marker in _FRAMES_TAKEN:
                return _is_small(data[position + 4 : position + 10], pixels_max)
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def _is_small(head: bytes, pixels_max: int) -> bool:
    """A frame header after its length: precision, height, width, components."""
    if len(head) < 6 or head[0] != 8:
        return False
    pixels = int.from_bytes(head[1:3], "big") * int.from_bytes(head[3:5], "big")
    return 0 < pixels <= pixels_max
