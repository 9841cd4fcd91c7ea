"""How a block of native pixels becomes a picture: order of its colours, bits that count, prediction from its neighbour.

Everything is decided by really coding, with a fast effort where the effort that is asked for would take long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sync.wire.block import Context, Way, picture_payload
from sync.wire.effort import Effort
from sync.wire.errors import WireError
from sync.wire.plan import Piece
from sync.wire.raster import Order, find_range, samples_of, split

_COLOURS_TRIED_EFFORT_MAX = 4
"""Beyond it libjxl itself tries colours without a transformation."""
_TRIAL_EFFORT = 2
"""Ranks a frame and its difference from its neighbour as effort 7 does (on three loops; effort 1 errs now and then)."""


class PictureChooser:
    """Codes pictures of one pixel part in their order; what was best for the first one is kept for the others."""

    def __init__(self, effort: Effort, context: Context) -> None:
        self._effort = effort
        self._context = context
        self._order: Order | None = None

    def payload(self, data: bytes, piece: Piece) -> bytes | None:
        """The smallest payload found; None where libjxl takes none of them."""
        try:
            ways = self._ways(data, piece)
        except WireError:
            return None
        if self._effort.jxl > _COLOURS_TRIED_EFFORT_MAX:
            ways = ways[:1]
        elif self._order is not None:
            ways = [way for way in ways if way.raster.order is self._order][:1] or ways[:1]
        if piece.back:
            return self._of_neighbours(
                data, [way for first in ways[:1] for way in (first, replace(first, back=piece.back))]
            )
        chosen = self._smallest(data, ways, self._effort.jxl)
        if chosen is None:
            return None
        self._order = chosen[0].raster.order
        return chosen[1]

    def _of_neighbours(self, data: bytes, ways: Sequence[Way]) -> bytes | None:
        effort = min(self._effort.jxl, _TRIAL_EFFORT)
        chosen = self._smallest(data, ways, effort)
        if chosen is None or effort == self._effort.jxl:
            return None if chosen is None else chosen[1]
        return self._tried(data, chosen[0], self._effort.jxl) or chosen[1]

    def _smallest(self, data: bytes, ways: Sequence[Way], effort: int) -> tuple[Way, bytes] | None:
        found = [(way, payload) for way in ways if (payload := self._tried(data, way, effort)) is not None]
        return min(found, key=lambda pair: len(pair[1]), default=None)

    def _tried(self, data: bytes, way: Way, effort: int) -> bytes | None:
        try:
            return picture_payload(data, way, self._context, effort, self._effort.zstd)
        except WireError:
            return None

    def _ways(self, data: bytes, piece: Piece) -> list[Way]:
        raster = piece.rasters[0]
        raster.check()
        whole = 1 if raster.order is Order.BITS else 8 * raster.word_bytes
        low, bits = 0, whole
        if piece.bits:
            samples = samples_of(data, raster)
            field = split(samples, piece.low, piece.bits)[0]
            if find_range(field, piece.low, piece.bits).depth < find_range(samples, 0, whole).depth:
                low, bits = piece.low, piece.bits
        return [Way(each, low, bits) for each in piece.rasters]
