"""What is to be made next, and what came of it: demands before wishes, each file once. No threads, no clock, no disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.failure import Failure
from sync.adapters.base import SendItem


class Kind(StrEnum):
    """What is made of a file."""

    PREVIEW = "preview"
    PARTS = "parts"


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to make."""

    kind: Kind
    item: SendItem
    is_awaited: bool

    @property
    def key(self) -> tuple[Kind, str]:
        return self.kind, self.item.sha256


@dataclass(slots=True)
class Demand:
    """Somebody waits. ``failure`` is set when it could not be made; then the demand stands no more."""

    kind: Kind
    item: SendItem
    number: int
    waiting_count: int = 0
    failure: Failure | None = None


class Board:
    """Not thread-safe: the service holds its lock around every call.

    Args:
        is_made: Whether a file's parts or preview are there.
    """

    def __init__(self, is_made: Callable[[Kind, str], bool]) -> None:
        self._is_made = is_made
        self._numbers = itertools.count()
        self._demands: dict[tuple[Kind, str], Demand] = {}
        self._running: dict[tuple[Kind, str], Job] = {}
        self._passed_over: set[tuple[Kind, str]] = set()
        self.wishes: tuple[SendItem, ...] = ()

    def want(self, items: Sequence[SendItem]) -> None:
        """Make these in this order when nobody waits; what could not be made is tried again once it was not wished."""
        self.wishes = tuple({item.sha256: item for item in reversed(items)}.values())[::-1]
        wished = {item.sha256 for item in items}
        self._passed_over = {key for key in self._passed_over if key[1] in wished}

    def retry_wishes(self) -> None:
        """What was passed over may work now."""
        self._passed_over.clear()

    def demand(self, kind: Kind, item: SendItem) -> Demand:
        """Somebody waits for it from now on, until ``withdraw``."""
        key = (kind, item.sha256)
        demand = self._demands.get(key)
        if demand is None:
            demand = self._demands[key] = Demand(kind, item, next(self._numbers))
        elif item.stat and not demand.item.stat:
            demand.item = item
        demand.waiting_count += 1
        return demand

    def withdraw(self, demand: Demand) -> None:
        """One who waited does so no more."""
        demand.waiting_count -= 1
        key = (demand.kind, demand.item.sha256)
        if not demand.waiting_count and self._demands.get(key) is demand:
            del self._demands[key]

    def awaits(self, key: tuple[Kind, str]) -> bool:
        """Whether somebody waits for this."""
        return key in self._demands

    def take(self, kinds: Sequence[Kind], *, ahead: bool) -> Job | None:
        """The next thing to make, which then is running; ``None`` when there is nothing.

        Args:
            kinds: What the asker makes.
            ahead: Whether it may also do what nobody waits for yet.
        """
        job = self._demanded(kinds) or (self._wished(kinds) if ahead else None)
        if job is not None:
            self._running[job.key] = job
        return job

    def has_work(self, kinds: Sequence[Kind], *, ahead: bool) -> bool:
        """Whether ``take`` would find something."""
        return (self._demanded(kinds) or (self._wished(kinds) if ahead else None)) is not None

    def finish(self, job: Job, failure: Failure | None = None, *, again: bool = False) -> None:
        """A job ended. With a failure, those who wait are told, and nobody tries it ahead; ``again``: it was broken off."""
        self._running.pop(job.key, None)
        if again:
            return
        demand = self._demands.pop(job.key, None)
        if failure is not None:
            self._passed_over.add(job.key)
            if demand is not None:
                demand.failure = failure

    def _demanded(self, kinds: Sequence[Kind]) -> Job | None:
        waiting = [d for key, d in self._demands.items() if d.kind in kinds and key not in self._running]
        if not waiting:
            return None
        first = min(waiting, key=lambda d: (not d.item.stat, d.number))
        return Job(first.kind, first.item, is_awaited=True)

    def _wished(self, kinds: Sequence[Kind]) -> Job | None:
        for item in self.wishes:
            for kind in (Kind.PREVIEW, Kind.PARTS):
                key = (kind, item.sha256)
                if kind not in kinds or key in self._running or key in self._passed_over:
                    continue
                if not self._is_made(kind, item.sha256):
                    return Job(kind, item, is_awaited=False)
        return None
