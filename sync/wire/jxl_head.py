"""What a JPEG XL codestream says of itself, read before libjxl allocates for it (ISO/IEC 18181-1, annexes D to F).

Only what our own encoders write is taken: one still picture of integer samples in its own colours, without preview,
animation, orientation, extra channels or colour profile; inside it frames that are no larger than the picture. A frame
that is larger than the picture it is cut for would be memory that no one announced.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync.wire.errors import WireError
from sync.wire.jxl_bits import Bits

_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_REGULAR, _REFERENCE = 0, 2
_CUSTOM = 2
_GREY = 1
_FRAME_COUNT_MAX = 8
"""Of one picture: itself and the places that it copies patches from, of which libjxl keeps four."""
_GROUP_PIXELS = 128
_DC_BLOCK_PIXELS = 8


@dataclass(frozen=True, slots=True)
class Head:
    """Size in pixels, bits a sample, and whether it is grey."""

    width: int
    height: int
    depth: int
    is_grey: bool


@dataclass(frozen=True, slots=True)
class _Frame:
    width: int
    height: int
    is_modular: bool
    is_last: bool
    group_shift: int
    pass_count: int


def read_head(codestream: bytes | memoryview) -> Head:
    """Size, depth and colours.

    Raises:
        WireError: If this is no codestream without container, or one of a kind that is not taken.
    """
    return _head(_begun(codestream))


def check_picture(codestream: bytes | memoryview, expected: Head) -> None:
    """Make sure that a codestream is the lossless picture that is expected, and that no frame in it is larger.

    Raises:
        WireError: If it is not.
    """
    bits = _begun(codestream)
    head = _head(bits)
    if head != expected:
        raise WireError("a JPEG XL picture is not the one that its block describes")
    for _ in range(_FRAME_COUNT_MAX):
        frame = _frame(bits, head)
        if not frame.is_modular or frame.width > head.width or frame.height > head.height:
            raise WireError("a JPEG XL picture has a frame that is larger than itself, or not lossless")
        if frame.is_last:
            return
        _skip_groups(bits, frame)
    raise WireError(f"a JPEG XL picture has more than {_FRAME_COUNT_MAX} frames")


def check_recompressed(codestream: bytes | memoryview) -> Head:
    """Make sure that a codestream is one recompressed JPEG stream: a single frame of the picture's size.

    Raises:
        WireError: If it is not.
    """
    bits = _begun(codestream)
    head = _head(bits)
    frame = _frame(bits, head)
    if frame.is_modular or not frame.is_last or (frame.width, frame.height) != (head.width, head.height):
        raise WireError("a JPEG XL picture is no recompressed JPEG")
    return head


def _begun(codestream: bytes | memoryview) -> Bits:
    if bytes(codestream[:2]) != b"\xff\x0a":
        raise WireError("this is no JPEG XL picture")
    return Bits(codestream[2:])


def _head(bits: Bits) -> Head:
    width, height = _size(bits)
    if bits.flag():
        raise WireError("a JPEG XL picture is lossy")
    if bits.flag():
        raise WireError("a JPEG XL picture is of a kind that is not taken: animated, turned or with a preview")
    if bits.flag():
        raise WireError("a JPEG XL picture has samples that are no integers")
    depth = bits.choice((8, 0), (10, 0), (12, 0), (1, 6))
    bits.flag()
    if bits.choice((0, 0), (1, 0), (2, 4), (1, 12)):
        raise WireError("a JPEG XL picture has extra channels")
    if bits.flag():
        raise WireError("a JPEG XL picture is lossy")
    is_grey = _is_grey(bits)
    if bits.large() or not bits.flag():
        raise WireError("a JPEG XL picture has extensions")
    bits.align()
    return Head(width, height, depth, is_grey)


def _size(bits: Bits) -> tuple[int, int]:
    small = bits.flag()
    height = _edge(bits, small)
    ratio = bits.take(3)
    if ratio == 0:
        return _edge(bits, small), height
    numerator, denominator = _RATIOS[ratio]
    return height * numerator // denominator, height


def _edge(bits: Bits, small: bool) -> int:
    return (bits.take(5) + 1) * 8 if small else bits.choice((1, 9), (1, 13), (1, 18), (1, 30))


def _is_grey(bits: Bits) -> bool:
    if bits.flag():
        return False
    if bits.flag():
        raise WireError("a JPEG XL picture has a colour profile")
    is_grey = bits.enumerated() == _GREY
    is_custom = bits.enumerated() == _CUSTOM or (not is_grey and bits.enumerated() == _CUSTOM)
    if is_custom:
        raise WireError("a JPEG XL picture has colours of its own")
    if bits.flag():
        bits.take(24)
    else:
        bits.enumerated()
    bits.enumerated()
    return is_grey


def _frame(bits: Bits, head: Head) -> _Frame:
    """The head of a frame, up to whether it is the last one and, for others, up to its groups."""
    if bits.flag():
        raise WireError("a JPEG XL picture has a frame of a kind that is not taken")
    kind = bits.take(2)
    if kind not in (_REGULAR, _REFERENCE):
        raise WireError("a JPEG XL picture has a frame of a kind that is not taken")
    is_modular = bits.flag()
    bits.large()
    if bits.flag():
        bits.take(6)
    upsampling = bits.take(2)
    group_shift = bits.take(2) if is_modular else 1
    passes = bits.choice((1, 0), (2, 0), (3, 0), (4, 3)) if kind == _REGULAR else 1
    if upsampling or passes != 1:
        raise WireError("a JPEG XL picture has a frame of a kind that is not taken")
    width, height = head.width, head.height
    if bits.flag():
        if kind == _REGULAR:
            raise WireError("a JPEG XL picture is put together from pieces")
        width, height = _crop_edge(bits), _crop_edge(bits)
    is_last = False
    if kind == _REGULAR:
        if bits.take(2):
            raise WireError("a JPEG XL picture is put together from layers")
        is_last = bits.flag()
    frame = _Frame(width, height, is_modular, is_last, group_shift, passes)
    if not is_last:
        _end_of_frame_head(bits)
    return frame


def _crop_edge(bits: Bits) -> int:
    return bits.choice((0, 8), (256, 11), (2304, 14), (18688, 30))


def _end_of_frame_head(bits: Bits) -> None:
    """Where the frame is kept, its name, its filters and extensions: nothing that changes its size."""
    bits.take(2)
    bits.flag()
    for _ in range(bits.choice((0, 0), (0, 4), (16, 5), (48, 10))):
        bits.take(8)
    if bits.flag() or bits.flag() or bits.take(2) or bits.large() or bits.large():
        raise WireError("a JPEG XL picture has a frame that is filtered")


def _skip_groups(bits: Bits, frame: _Frame) -> None:
    """Over the table of contents of a frame and all that it lists (annex F.3)."""
    group = _GROUP_PIXELS << frame.group_shift
    groups = -(-frame.width // group) * -(-frame.height // group)
    dc_groups = -(-frame.width // (group * _DC_BLOCK_PIXELS)) * -(-frame.height // (group * _DC_BLOCK_PIXELS))
    entries = 1 if groups == 1 else 2 + dc_groups + groups
    if bits.flag():
        raise WireError("a JPEG XL picture has its groups out of order")
    bits.align()
    size = sum(bits.choice((0, 10), (1024, 14), (17408, 22), (4211712, 30)) for _ in range(entries))
    bits.align()
    bits.skip_bytes(size)
