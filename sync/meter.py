"""Counts what one transfer hands to its link, and says so every few seconds: for the rate, the budgets and people."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field

from appliance.clock import Clock
from sync.core.effects import StartTransfer, Step
from sync.core.events import BytesMoved, Event

SAMPLE_S = 2.0
"""Seldom enough that a day's budget costs the disk little, often enough that an append is noticed as it ends."""


@dataclass(slots=True)
class Meter:
    """One transfer's. All calls but ``end`` may come often, from any of the adapter's threads, and are cheap.

    Args:
        work: The transfer.
        post: Takes ``BytesMoved``.
        clock: Its monotonic seconds.
        shown: How far each item is, in bytes of its stored file; its entries are gone after ``end``.
    """

    work: StartTransfer
    post: Callable[[Event], None]
    clock: Clock
    shown: MutableMapping[int, int]
    _handed: dict[int, int] = field(default_factory=dict)
    _coded: dict[int, tuple[int, int]] = field(default_factory=dict)
    _sizes: dict[int, int] = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _told_bytes: int = 0
    _told_mono_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._sizes = {item.item_id: item.size_bytes for item in self.work.items}
        self._told_mono_s = self.clock.mono_s()

    @property
    def link_bytes(self) -> int:
        """Handed to the link so far."""
        return sum(self._handed.copy().values())

    def progress(self, item_id: int, item_bytes: int) -> None:
        """As ``Attempt.on_progress``."""
        self._handed[item_id] = item_bytes
        self._show(item_id)
        if self.clock.mono_s() - self._told_mono_s >= SAMPLE_S:
            self._tell()

    def coded(self, item_id: int, coded_bytes: int, kept_bytes: int) -> None:
        """As ``Attempt.on_coded``."""
        self._coded[item_id] = (coded_bytes, kept_bytes)
        self._show(item_id)

    def accepted(self, item_id: int) -> None:
        """It went whole, also where the adapter did not say how far it was."""
        if item_id not in self._coded:
            self._handed[item_id] = self._sizes.get(item_id, 0)
        if self.clock.mono_s() - self._told_mono_s >= SAMPLE_S:
            self._tell()

    def coded_sizes(self) -> tuple[tuple[int, int], ...]:
        """``(item_id, coded_bytes)`` of the items of which it became known."""
        return tuple((item_id, coded_bytes) for item_id, (coded_bytes, _) in self._coded.items())

    def end(self) -> None:
        """Tell the rest."""
        self._tell()
        for item_id in self._sizes:
            self.shown.pop(item_id, None)

    def _tell(self) -> None:
        with self._lock:
            now, link_bytes = self.clock.mono_s(), self.link_bytes
            moved, took_s = link_bytes - self._told_bytes, now - self._told_mono_s
            self._told_bytes, self._told_mono_s = link_bytes, now
            if moved > 0:
                self.post(BytesMoved(self.work.destination, self.work.transfer_id, moved, took_s))

    def _show(self, item_id: int) -> None:
        if self.work.step is not Step.FULL:
            return
        size_bytes, handed = self._sizes.get(item_id, 0), self._handed.get(item_id, 0)
        coded_bytes, kept_bytes = self._coded.get(item_id, (size_bytes, 0))
        share = (handed + kept_bytes) / coded_bytes if coded_bytes > 0 else 0.0
        self.shown[item_id] = min(size_bytes, int(size_bytes * share))
