"""What is to be made next, and what came of it: demands before wishes, each file once. No threads, clock or disk."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from appliance.domain.failure import Failure, FailureKind
from sync.adapters.base import SendItem


class Kind(StrEnum):
    """What is made of a file."""

    PREVIEW = "preview"
    PARTS = "parts"


Key = tuple[Kind, str]
"""What is made, and the digest of the file."""
GIVEN_UP = "encoder-failed"
"""Code of the failure that says that every way was tried; trying them all again costs minutes."""
NO_ROOM = "encoder-no-room"
"""Code of the failure that says that the disk or the spool is full."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to make."""

    kind: Kind
    item: SendItem
    is_awaited: bool

    @property
    def key(self) -> Key:
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
        self._demands: dict[Key, Demand] = {}
        self._running: dict[Key, Job] = {}
        self._passed_over: dict[Key, Failure] = {}
        self._is_full = False
        self.wishes: tuple[SendItem, ...] = ()

    def want(self, items: Sequence[SendItem]) -> None:
        """Make these in this order when nobody waits.

        What could not be made is left alone until it was not wished for once; but where only room was lacking, or the
        file was on its way elsewhere, it is tried again.
        """
        first: dict[str, SendItem] = {}
        for item in items:
            first.setdefault(item.sha256, item)
        self.wishes = tuple(first.values())
        self._is_full = False
        self._passed_over = {
            key: failure
            for key, failure in self._passed_over.items()
            if key[1] in first and (failure.kind is FailureKind.PERMANENT or failure.code == GIVEN_UP)
        }

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

    def take(self, kind: Kind | None) -> Job | None:
        """The next thing to make, which then is running; ``None`` when there is nothing.

        Args:
            kind: Of what somebody waits for; ``None``: of what nobody waits for yet.
        """
        job = self._wished() if kind is None else self._demanded(kind)
        if job is not None:
            self._running[job.key] = job
        return job

    def has_wishes(self) -> bool:
        """Whether there is anything to make ahead."""
        return self._wished() is not None

    def finish(self, job: Job, failure: Failure | None = None) -> None:
        """A job ended, or was broken off. With a failure, those who wait are told, and nobody tries it ahead.

        Where a wish found no room, those behind it would find none either: they wait for new wishes.
        """
        self._running.pop(job.key, None)
        if failure is not None and failure.code == NO_ROOM and not job.is_awaited:
            self._is_full = True
        if failure is not None:
            self._passed_over[job.key] = failure
            demand = self._demands.pop(job.key, None)
            if demand is not None:
                demand.failure = failure

    def _demanded(self, kind: Kind) -> Job | None:
        waiting = [
            demand
            for key, demand in self._demands.items()
            if demand.kind is kind and key not in self._running and not self._is_made(*key)
        ]
        if not waiting:
            return None
        first = min(waiting, key=lambda demand: (not demand.item.stat, demand.number))
        return Job(first.kind, first.item, is_awaited=True)

    def _wished(self) -> Job | None:
        if self._is_full:
            return None
        for item in self.wishes:
            for kind in (Kind.PREVIEW, Kind.PARTS):
                key = (kind, item.sha256)
                is_taken = key in self._running or key in self._demands or key in self._passed_over
                if not is_taken and not self._is_made(*key):
                    return Job(kind, item, is_awaited=False)
        return None
