"""Which coding a block gets: what is smallest among the ways worth trying, and decodes to the same bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from sync.wire.block import Context, Kind, Way, decode_block, jpeg_payload, picture_payload
from sync.wire.effort import Effort
from sync.wire.errors import WireError
from sync.wire.jpeg import is_recompressible
from sync.wire.jxl import encode_jpeg
from sync.wire.limits import WireLimits
from sync.wire.plan import Piece
from sync.wire.raster import Order, find_range, samples_of
from sync.wire.squeeze import compress

JPEG_EFFORT_MIN = 3
"""Below it JPEG streams travel as they are: recompression runs at 16 Mbit/s (measured), and saves a fifth."""
_HOPELESS_SHARE = 0.98
_PROBE_BYTES = 256 * 1024
_ZSTD_CHANCE = 1.5
"""zstd at its fastest may be so much larger than the picture's code and still win at the level that is asked for."""


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
        self._order: Order | None = None
        self.used: Counter[str] = Counter()
        """Original bytes by what they were coded with."""

    def block(self, data: bytes, piece: Piece) -> Block:
        """Code one block that is a picture, or is not."""
        payload = self._picture(data, piece) if piece.rasters and self._effort.jxl else None
        return self._settled(data, Kind.PICTURE, payload, "jxl")

    def jpeg(self, data: bytes) -> Block:
        """Code one block that begins as a JPEG stream."""
        payload = None
        if self._effort.jxl >= JPEG_EFFORT_MIN and is_recompressible(data, self._limits.jpeg_pixels_max):
            try:
                payload = jpeg_payload(*encode_jpeg(data), self._context)
            except WireError:
                payload = None
        return self._settled(data, Kind.JPEG, payload, "jxl-jpeg")

    def _settled(self, data: bytes, kind: Kind, payload: bytes | None, name: str) -> Block:
        if payload is not None and not self._zstd_may_win(data, len(payload)) and self._is_exact(kind, data, payload):
            return self._used(Block(kind, len(data), payload), name)
        squeezed = self._squeezed(data)
        ways = [(Kind.ZSTD, squeezed, "zstd"), (Kind.RAW, data, "raw")]
        if payload is not None and len(payload) < min(len(data), len(squeezed or data)):
            ways.insert(0, (kind, payload, name))
        for way, coded, codec in ways:
            if coded is not None and self._is_exact(way, data, coded):
                return self._used(Block(way, len(data), coded), codec)
        raise WireError("bytes cannot be stored as they are")

    def _used(self, block: Block, name: str) -> Block:
        self.used[name] += block.size_bytes
        return block

    def _is_exact(self, kind: Kind, data: bytes, payload: bytes) -> bool:
        """Decode and compare; the context moves on only if they are equal."""
        raster_head, reconstruction = self._context.raster_head, self._context.reconstruction
        try:
            decoded = decode_block(kind, memoryview(payload), len(data), self._context, self._limits)
            if decoded == data:
                return True
        except WireError:
            pass
        else:
            self._context.past.take_back(len(decoded))
        self._context.raster_head, self._context.reconstruction = raster_head, reconstruction
        return False

    # --- pictures --------------------------------------------------------------------------------------------------

    def _picture(self, data: bytes, piece: Piece) -> bytes | None:
        ways = self._ways(data, piece)
        if self._order is not None:
            ways = [way for way in ways if way.raster.order is self._order] or ways[:1]
        best: tuple[bytes, Way] | None = None
        for way in ways:
            found = self._tried(data, way, self._effort.jxl)
            if found is not None and (best is None or len(found) < len(best[0])):
                best = found, way
        if best is None:
            return None
        self._order = best[1].raster.order
        if piece.back:
            return self._predicted(data, replace(best[1], back=piece.back), best[0])
        return best[0]

    def _predicted(self, data: bytes, way: Way, plain: bytes) -> bytes:
        """The block predicted from the frame before where that is smaller, as a fast trial of both tells."""
        effort = 1 if self._effort.jxl <= 3 else 2
        trial = self._tried(data, way, effort)
        rival = plain if effort == self._effort.jxl else self._tried(data, replace(way, back=0), effort)
        if trial is None or rival is None or len(trial) >= len(rival):
            return plain
        found = trial if effort == self._effort.jxl else self._tried(data, way, self._effort.jxl)
        return found if found is not None and len(found) < len(plain) else plain

    def _tried(self, data: bytes, way: Way, effort: int) -> bytes | None:
        try:
            return picture_payload(data, way, self._context, effort, self._effort.zstd)
        except WireError:
            return None

    def _ways(self, data: bytes, piece: Piece) -> list[Way]:
        raster = piece.rasters[0]
        whole = 1 if raster.order is Order.BITS else 8 * raster.word_bytes
        low, bits = 0, whole
        if piece.bits and find_range(samples_of(data, raster), 0, whole).depth > piece.bits:
            low, bits = piece.low, piece.bits
        return [Way(each, low, bits) for each in piece.rasters]

    # --- bytes -----------------------------------------------------------------------------------------------------

    def _zstd_may_win(self, data: bytes, payload_bytes: int) -> bool:
        return payload_bytes >= len(data) or len(compress(data, 1)) < _ZSTD_CHANCE * payload_bytes

    def _squeezed(self, data: bytes) -> bytes | None:
        """The data under zstd where that is worth its time."""
        probe = memoryview(data)[:_PROBE_BYTES]
        if len(data) > _PROBE_BYTES and len(compress(probe, 1)) > _HOPELESS_SHARE * len(probe):
            return None
        squeezed = compress(data, self._effort.zstd)
        return squeezed if len(squeezed) < len(data) else None
