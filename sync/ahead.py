"""Tells the encoder what will be sent next, in the order of sending, while the link is down as well, and how fast.

It only reads: a wish that comes too late or twice costs time, never a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Protocol

from appliance.clock import Clock
from appliance.domain.values import ItemState, OutboxItem, Priority
from appliance.store import instances, links, outbox
from appliance.store.connect import Store
from sync.adapters.base import SendItem
from sync.encoder.choice import RATE_AWAITED_BYTES_PER_S

LOOK_S = 0.25
PURGE_S = 60.0
_DIGEST_PAGE_COUNT = 512
_ON_THEIR_WAY = (ItemState.ENCODING, ItemState.SENDING)
"""Of a transfer, the engine takes several at once; those at its end may not be coded yet."""


class WorksAhead(Protocol):
    """What is needed of ``sync.encoder.service.EncoderService``."""

    def want(self, items: Sequence[SendItem]) -> None:
        """Make these ahead, in this order."""
        ...

    def note_link(self, rate_bytes_per_s: float | None, backlog_bytes: int) -> None:
        """What the link does, for the choice of effort."""
        ...

    def purge_unowed(self, find_owed: Callable[[Sequence[str]], set[str]]) -> int:
        """Remove what is kept of files that are not owed any more."""
        ...


class ReadAhead:
    """One for each open store.

    Args:
        store: The unit's database.
        clock: The only clock.
        encoder: Told.
        destinations: Names of those that take encoded parts.
        count: Items looked at for each of them.
        files_of: The stored files of items, by item id; those unknown are left out.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        encoder: WorksAhead,
        destinations: Sequence[str],
        count: int,
        files_of: Callable[[Sequence[OutboxItem]], Mapping[int, SendItem]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._encoder = encoder
        self._destinations = destinations
        self._count = count
        self._files_of = files_of
        self._has_wishes = False
        self._look_mono_s = self._purge_mono_s = float("-inf")

    def turn(self) -> None:
        """At most four looks a second; raises ``StoreError`` as the store does."""
        now_mono_s = self._clock.mono_s()
        if now_mono_s < self._look_mono_s:
            return
        self._look_mono_s = now_mono_s + LOOK_S
        self._tell_link()
        self._look()
        if now_mono_s >= self._purge_mono_s:
            self._purge_mono_s = now_mono_s + PURGE_S
            self._encoder.purge_unowed(self._owed)

    def _look(self) -> None:
        busy = [item for item in outbox.unfinished(self._store) if item.state in _ON_THEIR_WAY]
        queues = []
        for name in self._destinations:
            waiting = outbox.candidates(self._store, name, self._count)
            queues.append([*(item for item in busy if item.destination == name), *waiting][: self._count])
        items = in_sending_order(queues)
        if items or self._has_wishes:
            files = self._files_of(items)
            self._encoder.want([files[item.item_id] for item in items if item.item_id in files])
        self._has_wishes = bool(items)

    def _tell_link(self) -> None:
        """Everything has to go over each link, so the slowest one says when all is there."""
        measured = links.rates(self._store) | dict.fromkeys(links.unmeasured(self._store), RATE_AWAITED_BYTES_PER_S)
        rates = [measured[name] for name in self._destinations if name in measured]
        backlogs = [links.backlog_bytes(self._store, name) for name in self._destinations]
        self._encoder.note_link(min(rates, default=None), max(backlogs, default=0))

    def _owed(self, digests: Sequence[str]) -> set[str]:
        pages = (digests[start : start + _DIGEST_PAGE_COUNT] for start in range(0, len(digests), _DIGEST_PAGE_COUNT))
        return set(chain.from_iterable(instances.owed_digests(self._store, page) for page in pages))


def in_sending_order(queues: Iterable[Sequence[OutboxItem]]) -> list[OutboxItem]:
    """The heads of all queues, then the seconds, and so on; what is urgent anywhere before the rest."""
    turns = [item for turn in zip_longest(*queues) for item in turn if item is not None]
    return sorted(turns, key=lambda item: item.priority is not Priority.STAT)
