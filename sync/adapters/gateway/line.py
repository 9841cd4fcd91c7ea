"""What waits for the gateway, of all calls, in the order in which it goes: urgent first, then who came first.

A consignment is a manifest and the parts it names. Within one rank, manifests go before parts: they are small, and
their answers save bytes. Whoever is more urgent goes at the next slice of whatever is under way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from appliance.domain.failure import Failure
from sync.adapters.gateway.parts import Part
from sync.wire.messages import ManifestAnswer


class Rank(IntEnum):
    """The lower, the sooner; as ``TrafficClass``."""

    STAT_PREVIEW = 0
    STAT = 1
    PREVIEW = 2
    FULL = 3


class Told(IntEnum):
    """How far the manifest of a consignment is."""

    NO = 0
    ASKED = 1
    YES = 2


class Owner(Protocol):
    """The call that a consignment belongs to; called by the thread of a connection."""

    def stopped(self) -> bool:
        """The call is over: nothing of it has to go any more."""
        ...

    def moved(self, part: Part) -> None:
        """More of it was handed over, or less than was thought."""
        ...

    def arrived(self, part: Part) -> None:
        """The centre has it whole, or can do without."""
        ...

    def part_failed(self, part: Part, failure: Failure) -> None:
        """It cannot be brought this time."""
        ...


@dataclass(eq=False)
class Consignment:
    """A manifest of one study and its parts, in the order in which they go.

    Attributes:
        manifest: Makes the request's body, packed; each with a revision of its own.
        on_told: The manifest was answered: the answer, and the connection's round trip in seconds. ``Part.told`` was
            called for every part; it may raise ``Failed`` when the answer cannot be used.
        on_failed: Nothing of it can go this time.
        is_new: Nothing of its parts was ever sent.
    """

    rank: Rank
    study_uid: str
    manifest: Callable[[], bytes]
    parts: list[Part]
    owner: Owner
    on_told: Callable[[ManifestAnswer, float], None]
    on_failed: Callable[[Failure], None]
    is_new: bool = False
    told: Told = Told.NO
    tell_count: int = 0
    over: bool = False

    @property
    def is_done(self) -> bool:
        """Nothing more to say, to bring or to wait for."""
        return self.over or self.owner.stopped() or (self.told is Told.YES and all(part.is_done for part in self.parts))


@dataclass
class Line:
    """All consignments that are not done; thread-safe.

    Args:
        is_trusting: There is one connection: new parts follow their manifest without waiting for its answer.
    """

    is_trusting: bool
    on_change: Callable[[], None] = lambda: None
    _condition: threading.Condition = field(default_factory=threading.Condition)
    _waiting: list[Consignment] = field(default_factory=list)
    _closed: bool = False

    @property
    def closed(self) -> bool:
        return self._closed

    def add(self, consignment: Consignment) -> None:
        """One more, behind those of its rank."""
        with self._condition:
            self._waiting.append(consignment)
            self._waiting.sort(key=lambda each: each.rank)
            self._condition.notify_all()
        self.on_change()

    def close(self) -> None:
        """Nobody carries any more."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
        self.on_change()

    def wait_for_work(self) -> bool:
        """Return when something waits; ``False`` when the line was closed."""
        with self._condition:
            while not self._closed and not self._drop_done():
                self._condition.wait()
            return not self._closed

    def has_work(self) -> bool:
        """Whether something is not done, be it on its way."""
        with self._condition:
            return bool(self._drop_done())

    def take(self) -> tuple[Consignment, Part | None] | None:
        """What to write next: a manifest (no part), or a part, which is this connection's from now on."""
        with self._condition:
            for rank in Rank:
                mine = [each for each in self._drop_done() if each.rank is rank]
                for each in mine:
                    if each.told is Told.NO:
                        each.told = Told.ASKED
                        each.tell_count += 1
                        return each, None
                for each in mine:
                    for part in each.parts:
                        if self._may_go(each) and _is_free(part):
                            part.is_carried = True
                            return each, part
            return None

    def has_next(self, before: Rank | None = None) -> bool:
        """Whether ``take`` would give something, of a rank before this one if there is one."""
        with self._condition:
            return any(
                each.told is Told.NO or (self._may_go(each) and any(map(_is_free, each.parts)))
                for each in self._drop_done()
                if before is None or each.rank < before
            )

    def doubt_new(self) -> None:
        """The connection was lost: who knows what reached the centre by another way until there is one again."""
        with self._condition:
            for each in self._waiting:
                each.is_new = False

    def nudge(self) -> None:
        """A call ended: whoever carries something of it looks up."""
        self.on_change()

    def fail_all(self, failure: Failure) -> None:
        """Whoever waits is told that the link does not work."""
        with self._condition:
            lost, self._waiting = self._waiting, []
        for each in lost:
            each.over = True
            each.on_failed(failure)

    def _may_go(self, each: Consignment) -> bool:
        """Behind its first manifest a new part may go at once; of any other the centre may know better."""
        if each.told is Told.ASKED:
            return self.is_trusting and each.is_new and each.tell_count == 1
        return each.told is Told.YES

    def _drop_done(self) -> list[Consignment]:
        self._waiting = [each for each in self._waiting if not each.is_done]
        return self._waiting


def _is_free(part: Part) -> bool:
    return part.wants_append and not part.is_carried
