"""How a block of native pixels becomes a picture: order of its colours, bits that count, prediction from its neighbour.

Everything is decided by really coding, with a fast effort where the effort that is asked for would take long.
"""

from __future__ import annotations

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
_RIVAL_EFFORTS = {3: 2, 4: 3, 5: 3}
"""libjxl's efforts are not in the order of their sizes: pictures of few colours come out smaller at 2 than at 3, noisy
films smaller at 3 than at 4 or 5 (measured). The rival takes a fraction of the time."""


class PictureChooser:
    """Codes pictures of one pixel part in their order; what was best for the first one is kept for the others."""

    def __init__(self, effort: Effort, context: Context) -> None:
        self._zstd_level = effort.zstd
        self._context = context
        self._order: Order | None = None
        self._efforts = [effort.jxl]
        if effort.jxl in _RIVAL_EFFORTS:
            self._efforts.append(_RIVAL_EFFORTS[effort.jxl])

    def payload(self, data: bytes, piece: Piece) -> bytes | None:
        """The smallest payload found; None where libjxl takes none of them."""
        try:
            ways = self._ways(data, piece)
        except WireError:
            return None
        if self._order is not None:
            ways = [way for way in ways if way.raster.order is self._order] or ways
        elif self._efforts[0] > _COLOURS_TRIED_EFFORT_MAX:
            ways = ways[:1]
        if piece.back:
            ways = self._ranked(data, ways[0], piece.back)
        found = [
            (len(payload), way.raster.order, effort, payload)
            for way in ways
            for effort in self._efforts
            if (payload := self._tried(data, way, effort)) is not None
        ]
        if not found:
            return None
        _, self._order, effort, payload = min(found, key=lambda each: each[0])
        self._efforts = [effort]
        return payload

    def _ranked(self, data: bytes, way: Way, back: int) -> list[Way]:
        """The frame as it is or its difference from the frame before, whichever a fast trial found smaller."""
        predicted = replace(way, back=back)
        effort = min(*self._efforts, _TRIAL_EFFORT)
        plain_payload, payload = self._tried(data, way, effort), self._tried(data, predicted, effort)
        is_smaller = payload is not None and (plain_payload is None or len(payload) < len(plain_payload))
        return [predicted if is_smaller else way]

    def _tried(self, data: bytes, way: Way, effort: int) -> bytes | None:
        try:
            return picture_payload(data, way, self._context, effort, self._zstd_level)
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
