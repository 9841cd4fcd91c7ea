"""Which coding a block gets: what is smallest among the ways worth trying, and decodes to the same bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sync.wire.block import Context, Kind, decode_block, jpeg_payload
from sync.wire.choose_picture import PictureChooser
from sync.wire.effort import Effort
from sync.wire.errors import WireError
from sync.wire.jpeg import is_recompressible
from sync.wire.jxl import encode_jpeg
from sync.wire.limits import WireLimits
from sync.wire.plan import Piece
from sync.wire.squeeze import compress

JPEG_EFFORT_MIN = 3
"""Below it JPEG streams travel as they are: recompression runs at 16 Mbit/s (measured), and saves a fifth."""
_HOPELESS_SHARE = 0.98
_PROBE_BYTES = 256 * 1024
_FAST_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Block:
    """A coded block."""

    kind: Kind
    size_bytes: int
    payload: bytes


class Chooser:
    """Codes the blocks of one pixel part in their order."""

    def __init__(self, effort: Effort, limits: WireLimits, context: Context) -> None:
        self._effort = effort
        self._limits = limits
        self._context = context
        self._pictures = PictureChooser(effort, context)
        self.used: Counter[str] = Counter()
        """Original bytes by what they were coded with."""

    def block(self, data: bytes, piece: Piece) -> Block:
        """Code one block that is a picture, or is not."""
        payload = self._pictures.payload(data, piece) if piece.rasters and self._effort.jxl else None
        return self._used(self._smallest(data, Kind.PICTURE, payload))

    def jpegs(self, frames: Sequence[bytes]) -> list[Block]:
        """Code frames that begin as JPEG streams: each recompressed, or all as bytes in one block.

        What does not move in an ultrasound loop gives the same bytes in every frame; zstd finds them, JPEG XL cannot.
        """
        if self._effort.jxl < JPEG_EFFORT_MIN:
            return [self._used(self._smallest(b"".join(frames), Kind.JPEG, None))]
        before = self._context.saved()
        blocks = [self._smallest(frame, Kind.JPEG, self._recompressed(frame)) for frame in frames]
        after = self._context.saved()
        together = b"".join(frames)
        coded_bytes = sum(len(block.payload) for block in blocks)
        if len(frames) > 1 and self._zstd_may_win(together, coded_bytes):
            squeezed = compress(together, self._effort.zstd)
            if len(squeezed) < coded_bytes:
                self._context.restore(before)
                if self._is_exact(Kind.ZSTD, together, squeezed):
                    return [self._used(Block(Kind.ZSTD, len(together), squeezed))]
                self._context.restore(after)
        return [self._used(block) for block in blocks]

    def _recompressed(self, frame: bytes) -> bytes | None:
        if not is_recompressible(frame, self._limits.jpeg_pixels_max):
            return None
        try:
            return jpeg_payload(*encode_jpeg(frame), self._context)
        except WireError:
            return None

    def _used(self, block: Block) -> Block:
        self.used[block.kind.name.lower()] += block.size_bytes
        return block

    def _smallest(self, data: bytes, kind: Kind, payload: bytes | None) -> Block:
        """The block of this kind where there is one and it is smallest; else under zstd, or as it is."""
        is_rival = payload is not None and len(payload) < len(data)
        squeezed = None
        if payload is None or not is_rival or self._zstd_may_win(data, len(payload)):
            squeezed = self._squeezed(data)
        if payload is not None and is_rival and len(payload) < len(squeezed or data):
            if self._is_exact(kind, data, payload):
                return Block(kind, len(data), payload)
            squeezed = squeezed or self._squeezed(data)
        for way, coded in ((Kind.ZSTD, squeezed), (Kind.RAW, data)):
            if coded is not None and self._is_exact(way, data, coded):
                return Block(way, len(data), coded)
        raise WireError("bytes cannot be stored as they are")

    def _is_exact(self, kind: Kind, data: bytes, payload: bytes) -> bool:
        """Decode and compare; the context moves on only if they are equal."""
        before = self._context.saved()
        try:
            if decode_block(kind, memoryview(payload), len(data), self._context, self._limits) == data:
                return True
        except WireError:
            pass
        self._context.restore(before)
        return False

    def _zstd_may_win(self, data: bytes, rival_bytes: int) -> bool:
        """Whether zstd at the level asked for may beat so many bytes, as its fastest level and a sample tell."""
        fast = len(compress(data, _FAST_LEVEL))
        if fast <= rival_bytes:
            return True
        middle = max(0, len(data) - _PROBE_BYTES) // 2
        sample = memoryview(data)[middle : middle + _PROBE_BYTES]
        gain = len(compress(sample, self._effort.zstd)) / len(compress(sample, _FAST_LEVEL))
        return fast * gain < rival_bytes * 1.1

    def _squeezed(self, data: bytes) -> bytes | None:
        """The data under zstd where that is worth its time."""
        probe = memoryview(data)[:_PROBE_BYTES]
        if len(data) > _PROBE_BYTES and len(compress(probe, _FAST_LEVEL)) > _HOPELESS_SHARE * len(probe):
            return None
        squeezed = compress(data, self._effort.zstd)
        return squeezed if len(squeezed) < len(data) else None
