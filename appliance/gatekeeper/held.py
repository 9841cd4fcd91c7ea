"""Holds objects under way in memory until they have proved sound, so that a damaged one can be set aside as it came.

All associations share one bound: a few senders have their radiographs held whole, many at once only the beginnings,
which name patient, study and device. A file instead cost a sixth of the throughput at four associations (measured), a
second write on a slow card, and space that Orthanc may need.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from appliance.domain.limits import KIB
from appliance.gatekeeper.stream import pages

BLOCK_BYTES = 256 * KIB
_SPARE_COUNT_MAX = 4
"""Kept for the next object, so that small ones take no fresh pages."""


class HoldBudget:
    """The memory that all objects under way share, in blocks."""

    def __init__(self, bytes_max: int) -> None:
        self._block_count_left = bytes_max // BLOCK_BYTES
        self._spare: list[memoryview] = []

    def take(self) -> memoryview | None:
        """A block, or ``None`` when all are held."""
        if not self._block_count_left:
            return None
        self._block_count_left -= 1
        return self._spare.pop() if self._spare else pages(BLOCK_BYTES)

    def give_back(self, blocks: list[memoryview]) -> None:
        """Blocks whose content is no longer needed; memory goes back to the system but for a few."""
        self._block_count_left += len(blocks)
        self._spare += blocks[: _SPARE_COUNT_MAX - len(self._spare)]


class Held:
    """The beginning of one object, as much as the budget allowed."""

    def __init__(self, budget: HoldBudget) -> None:
        self._budget = budget
        self._blocks: list[memoryview] = []
        self._last_bytes = BLOCK_BYTES
        """Used of the last block."""
        self._is_full = False

    def append(self, fragment: memoryview) -> None:
        """The next bytes of the object; without an effect from the first that found no room."""
        while fragment and not self._is_full:
            if self._last_bytes == BLOCK_BYTES and not self._add_block():
                return
            part = fragment[: BLOCK_BYTES - self._last_bytes]
            self._blocks[-1][self._last_bytes : self._last_bytes + len(part)] = part
            self._last_bytes += len(part)
            fragment = fragment[len(part) :]

    def clear(self) -> None:
        """Forget the object."""
        if self._blocks:
            self._budget.give_back(self._blocks)
            self._blocks = []
        self._last_bytes = BLOCK_BYTES
        self._is_full = False

    async def hand_over(self, keep: Callable[[list[memoryview]], str]) -> str:
        """Run ``keep`` over what is held, in a thread, and forget the object.

        The thread reads on when the caller is cancelled, so the blocks serve another object only after it has ended:
        never may bytes of one patient come into the file of another.

        Returns:
            What ``keep`` returns; it raises what ``keep`` raises.
        """
        blocks, self._blocks = self._blocks, []
        chunks = [*blocks[:-1], blocks[-1][: self._last_bytes]] if blocks else []
        self.clear()

        def ended(kept: asyncio.Future[str]) -> None:
            self._budget.give_back(blocks)
            if not kept.cancelled():
                kept.exception()

        keeping = asyncio.ensure_future(asyncio.to_thread(keep, chunks))
        keeping.add_done_callback(ended)
        return await asyncio.shield(keeping)

    def _add_block(self) -> bool:
        block = self._budget.take()
        if block is None:
            self._is_full = True
            return False
        self._blocks.append(block)
        self._last_bytes = 0
        return True
