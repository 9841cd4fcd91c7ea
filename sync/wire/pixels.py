"""The container of a pixel part: a head, blocks one after the other, and an end. It is read and written in one pass.

``QX1``; SHA-256 and size of what it restores; how far back blocks refer; then blocks of kind, original size, coded size
and payload, up to the kind 0. ``docs/reference/wire-form.md`` has every byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import BinaryIO

from sync.wire.block import Context, Kind, Past, decode_block
from sync.wire.errors import WireError
from sync.wire.limits import WireLimits
from sync.wire.octets import read_varint, varint

MAGIC = b"QX1"
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class PartHead:
    """The first bytes of a pixel part."""

    restores_sha256: str
    restores_bytes: int
    history_bytes: int

    def packed(self) -> bytes:
        """As they stand in the part."""
        digest = bytes.fromhex(self.restores_sha256)
        return MAGIC + digest + varint(self.restores_bytes) + varint(self.history_bytes)


def packed_block(kind: Kind, size_bytes: int, payload: bytes) -> bytes:
    """A block as it stands in the part."""
    return b"".join((bytes((kind,)), varint(size_bytes), varint(len(payload)), payload))


def filler_block(restored_bytes: int, part_bytes: int, limits: WireLimits) -> bytes:
    """What has to go before a block, so that a part of ``part_bytes`` may have restored ``restored_bytes`` after it."""
    lacking = -(-(restored_bytes - limits.ratio_free_bytes) // limits.ratio_max) - part_bytes
    return packed_block(Kind.FILLER, 0, bytes(lacking)) if lacking > 0 else b""


class _Source:
    """A part being read, with the count of bytes so far."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.position = 0

    def take(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) != count:
            raise WireError("the pixel part ends too early")
        self.position += count
        return data

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self, most: int, what: str) -> int:
        number = read_varint(self.byte)
        if number > most:
            raise WireError(f"the pixel part declares {number} {what}, {most} are allowed")
        return number

    def is_at_end(self) -> bool:
        return not self._file.read(1)


def read_part_head(file: BinaryIO, limits: WireLimits) -> PartHead:
    """The head of a pixel part; the file is left behind it.

    Raises:
        WireError: If it is none, or declares more than is allowed.
        OSError: If the file cannot be read.
    """
    return _head(_Source(file), limits)


def _head(source: _Source, limits: WireLimits) -> PartHead:
    if source.take(len(MAGIC)) != MAGIC:
        raise WireError("this is no pixel part of a version known here")
    digest = source.take(_DIGEST_BYTES).hex()
    restores_bytes = source.number(limits.file_bytes_max, "bytes")
    return PartHead(digest, restores_bytes, source.number(limits.history_bytes_max, "bytes of history"))


def restored(file: BinaryIO, expected_bytes: int, limits: WireLimits) -> Iterator[bytes]:
    """The pixel bytes of a part, block by block; whole and right only when this ends without an error.

    Args:
        file: The part, at its start.
        expected_bytes: What the skeleton's holes need.
        limits: Bounds.

    Raises:
        WireError: If the part is damaged, restores something else, or goes beyond a limit.
        OSError: If the file cannot be read.
    """
    source = _Source(file)
    head = _head(source, limits)
    if head.restores_bytes != expected_bytes:
        raise WireError(f"the pixel part restores {head.restores_bytes} bytes, the skeleton needs {expected_bytes}")
    context = Context(Past(head.history_bytes))
    hashed, given = sha256(), 0
    for _ in range(limits.block_count_max):
        kind = _kind(source)
        if kind is Kind.END:
            break
        size = source.number(min(limits.block_bytes_max, expected_bytes - given), "bytes in a block")
        if (size == 0) is not (kind is Kind.FILLER):
            raise WireError("the pixel part has an empty block")
        coded = source.number(limits.filler_bytes_max if kind is Kind.FILLER else size, "coded bytes in a block")
        payload = source.take(coded)
        given += size
        if given > limits.ratio_free_bytes + limits.ratio_max * source.position:
            raise WireError(f"the pixel part grows out of bounds: {source.position} bytes become {given}")
        data = decode_block(kind, memoryview(payload), size, context, limits)
        hashed.update(data)
        if data:
            yield data
    else:
        raise WireError(f"the pixel part has more than {limits.block_count_max} blocks")
    if given != expected_bytes or not source.is_at_end():
        raise WireError("the pixel part does not end where it should")
    if hashed.hexdigest() != head.restores_sha256:
        raise WireError("the pixel part restores other bytes than it names")


def _kind(source: _Source) -> Kind:
    number = source.byte()
    if number > max(Kind):
        raise WireError("the pixel part has a block of an unknown kind")
    return Kind(number)
