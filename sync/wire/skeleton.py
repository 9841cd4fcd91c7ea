"""The skeleton of an instance: the file without the bytes of its holes, and how to put them back.

Layout, all numbers as in ``octets.varint``: ``QS1``; size of the file; count of holes; for each hole the literal bytes
before it and its length plus one, or 0 when the four bytes before it say the length in little endian (the item header
of a fragment, a long value); then the literal bytes in order, to the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from sync.wire.errors import WireError
from sync.wire.limits import WireLimits
from sync.wire.octets import Octets, varint
from sync.wire.walk import Hole

MAGIC = b"QS1"


@dataclass(frozen=True, slots=True)
class Skeleton:
    """What is between the holes: one literal run before each hole and one after the last."""

    file_bytes: int
    literals: tuple[memoryview, ...]
    holes: tuple[int, ...]
    """Lengths, one fewer than literals."""

    @property
    def restores_bytes(self) -> int:
        """Bytes that the pixel part must give."""
        return sum(self.holes)


def make_skeleton(file: BinaryIO, holes: Sequence[Hole], file_bytes: int) -> bytes:
    """The skeleton of ``file`` with these holes, which are in order and do not overlap.

    Raises:
        OSError: If the file cannot be read.
        WireError: If it is shorter than ``file_bytes``.
    """
    table = bytearray(MAGIC + varint(file_bytes) + varint(len(holes)))
    literals = bytearray()
    end = 0
    for hole in holes:
        literal = _literal(file, end, hole.offset)
        is_said = literal[-4:] == hole.length.to_bytes(4, "little") if hole.length < 1 << 32 else False
        table += varint(len(literal)) + (b"\0" if is_said else varint(hole.length + 1))
        literals += literal
        end = hole.offset + hole.length
    literals += _literal(file, end, file_bytes)
    return bytes(table + literals)


def _literal(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    literal = file.read(end - start)
    if len(literal) != end - start:
        raise WireError("the file became shorter while it was read")
    return literal


def parse_skeleton(skeleton: bytes, limits: WireLimits) -> Skeleton:
    """Check and take apart a skeleton.

    Raises:
        WireError: If it is none, is damaged, or goes beyond a limit.
    """
    if len(skeleton) > limits.skeleton_bytes_max:
        raise WireError(f"a skeleton has {len(skeleton)} bytes, {limits.skeleton_bytes_max} are allowed")
    octets = Octets(skeleton, "skeleton")
    if octets.left < len(MAGIC) or octets.take(len(MAGIC)) != MAGIC:
        raise WireError("this is no skeleton of a version known here")
    file_bytes = octets.varint(limits.file_bytes_max)
    hole_count = octets.varint(limits.hole_count_max)
    table = [(octets.varint(file_bytes), octets.varint(file_bytes + 1)) for _ in range(hole_count)]
    literals: list[memoryview] = []
    holes: list[int] = []
    for literal_bytes, code in table:
        literal = octets.take(literal_bytes)
        if code == 0 and literal_bytes < 4:
            raise WireError("a hole of the skeleton has no length")
        literals.append(literal)
        holes.append(code - 1 if code else int.from_bytes(literal[-4:], "little"))
    literals.append(octets.rest())
    if sum(holes) + sum(map(len, literals)) != file_bytes:
        raise WireError("the skeleton does not add up to the size of its file")
    return Skeleton(file_bytes, tuple(literals), tuple(holes))


def interleaved(skeleton: Skeleton) -> Iterator[memoryview | int]:
    """Literal bytes and lengths of holes in the order of the file."""
    for literal, hole in zip(skeleton.literals, skeleton.holes, strict=False):
        yield literal
        yield hole
    yield skeleton.literals[-1]


def needs_pixels(skeleton: bytes) -> bool:
    """Whether a pixel part is needed to rebuild the file.

    Raises:
        WireError: If this is no skeleton.
    """
    octets = Octets(skeleton, "skeleton")
    if octets.left < len(MAGIC) or octets.take(len(MAGIC)) != MAGIC:
        raise WireError("this is no skeleton of a version known here")
    octets.varint(1 << 62)
    return octets.varint(1 << 62) > 0
