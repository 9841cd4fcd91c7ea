"""The head of a JPEG XL codestream: enough to know its size before libjxl allocates for it (ISO/IEC 18181-1, annex D).

Only what our own encoders write is taken: one still picture, no preview, no animation, no orientation, no extra
channels, integer samples.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync.wire.errors import WireError

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


@dataclass(frozen=True, slots=True)
class Head:
    """What a codestream says of itself."""

    width: int
    height: int
    depth: int
    is_xyb: bool
    is_grey: bool


class _Bits:
    """Least significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._number = int.from_bytes(data, "little")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise WireError("a JPEG XL picture ends in its head")
        value = self._number & (1 << count) - 1
        self._number >>= count
        return value

    def flag(self) -> bool:
        return self.take(1) == 1

    def choice(self, *ways: tuple[int, int]) -> int:
        """U32 of the standard: one of four offsets, each with a count of further bits."""
        offset, count = ways[self.take(2)]
        return offset + self.take(count)


def _edge(bits: _Bits, small: bool) -> int:
    return (bits.take(5) + 1) * 8 if small else bits.choice((1, 9), (1, 13), (1, 18), (1, 30))


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.flag()
    height = _edge(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return _edge(bits, small), height
    numerator, denominator = _RATIOS[ratio]
    return height * numerator // denominator, height


def read_head(codestream: bytes) -> Head:
    """Read it from the first bytes of a codestream without container; 64 are enough.

    Raises:
        WireError: If it is none, or one of a kind that is not taken.
    """
    if codestream[:2] != b"\xff\x0a":
        raise WireError("this is no JPEG XL picture")
    bits = _Bits(codestream[2:])
    width, height = _size(bits)
    if bits.flag():
        return Head(width, height, depth=8, is_xyb=True, is_grey=False)
    if bits.flag():
        raise WireError("a JPEG XL picture is of a kind that is not taken: animated, turned or with a preview")
    if bits.flag():
        raise WireError("a JPEG XL picture has samples that are no integers")
    depth = bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    bits.flag()
    if bits.choice((0, 0), (1, 0), (2, 4), (1, 12)):
        raise WireError("a JPEG XL picture has extra channels")
    is_xyb = bits.flag()
    if bits.flag():
        return Head(width, height, depth, is_xyb, is_grey=False)
    if bits.flag():
        raise WireError("a JPEG XL picture has a colour profile")
    space = bits.choice((0, 0), (1, 0), (2, 4), (18, 6))
    return Head(width, height, depth, is_xyb, is_grey=space == 1)


def check_head(codestream: bytes, width: int, height: int, channels: int, depth: int) -> None:
    """Make sure that a codestream is the picture that is expected.

    Raises:
        WireError: If it is not.
    """
    head = read_head(codestream)
    if (
        (head.width, head.height, head.depth) != (width, height, depth)
        or head.is_xyb
        or head.is_grey != (channels == 1)
    ):
        raise WireError("a JPEG XL picture is not the one that its block describes")
