"""The original file again, from its skeleton and its pixel part.

A file that comes out without an error still has to be compared: the caller knows the SHA-256 that the manifest
promised, and nothing else counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import BinaryIO

from sync.wire.errors import WireError
from sync.wire.limits import DEFAULT_LIMITS, WireLimits
from sync.wire.pixels import restored
from sync.wire.skeleton import interleaved, needs_pixels, parse_skeleton

__all__ = ["needs_pixels", "rebuild"]


def rebuild(skeleton: bytes, pixels: BinaryIO | None, out: BinaryIO, limits: WireLimits = DEFAULT_LIMITS) -> str:
    """Write the file to ``out`` as it comes; memory is bounded by a block and its history.

    Args:
        skeleton: One of a header part, or of ``encode``.
        pixels: The pixel part at its start; None where ``needs_pixels`` says no.
        out: Written from its present place on. What was written before an error is of no use.
        limits: Bounds.

    Returns:
        Hexadecimal SHA-256 of what was written.

    Raises:
        WireError: If a part is damaged, belongs to another file, or goes beyond a limit.
        OSError: If reading or writing fails.
    """
    parsed = parse_skeleton(skeleton, limits)
    if parsed.holes and pixels is None:
        raise WireError("the file has pixels, and there is no pixel part")
    blocks = restored(pixels, parsed.restores_bytes, limits) if parsed.holes and pixels is not None else iter(())
    hashed = sha256()
    stream = _Stream(blocks)
    for piece in interleaved(parsed):
        for data in (piece,) if isinstance(piece, memoryview) else stream.take(piece):
            hashed.update(data)
            out.write(data)
    stream.finish()
    return hashed.hexdigest()


class _Stream:
    """Blocks as one run of bytes."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = memoryview(b"")

    def take(self, count: int) -> Iterator[memoryview]:
        while count:
            if not self._block:
                self._block = memoryview(next(self._blocks, b""))
                if not self._block:
                    raise WireError("the pixel part has too few bytes")
            piece = self._block[:count]
            self._block = self._block[len(piece) :]
            count -= len(piece)
            yield piece

    def finish(self) -> None:
        """Run the part to its end, which checks its digest."""
        if self._block or next(self._blocks, None) is not None:
            raise WireError("the pixel part has too many bytes")
