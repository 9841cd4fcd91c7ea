"""Width and height that a coded frame says of itself: JPEG, JPEG-LS, JPEG 2000, JPEG XL. No decoder is involved."""

from __future__ import annotations

from sync.wire.errors import WireError
from sync.wire.jxl_head import read_head

_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_STAND_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})


def coded_frame_size(coded: bytes) -> tuple[int, int] | None:
    """(width, height), or None where the stream is of another kind or damaged."""
    if coded.startswith(b"\xff\xd8"):
        return _jpeg(coded)
    if coded.startswith(b"\xff\x4f\xff\x51"):
        return _jpeg2000(coded)
    if coded[4:8] == b"jP  " and (at := coded.find(b"\xff\x4f\xff\x51", 0, 4096)) >= 0:
        return _jpeg2000(coded[at:])
    try:
        head = read_head(coded)
    except WireError:
        return None
    return head.width, head.height


def _jpeg(coded: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(coded) and coded[position] == 0xFF:
        marker = coded[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker in _STAND_ALONE:
            position += 2
        elif marker in _FRAMES:
            height = int.from_bytes(coded[position + 5 : position + 7], "big")
            return int.from_bytes(coded[position + 7 : position + 9], "big"), height
        else:
            position += 2 + int.from_bytes(coded[position + 2 : position + 4], "big")
    return None


def _jpeg2000(coded: bytes) -> tuple[int, int] | None:
    """Reference grid minus offset: ISO/IEC 15444-1, A.5.1."""
    if len(coded) < 24:
        return None
    width, height, left, top = (int.from_bytes(coded[at : at + 4], "big") for at in (8, 12, 16, 20))
    return max(0, width - left), max(0, height - top)
