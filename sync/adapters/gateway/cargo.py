"""The parts of one call on their way: in order, the next one beginning before the last one's answer is there.

With a congestion control that fills the link by itself one body at a time is enough, and keeps the order: the next one
begins while the last ``OVERLAP_BYTES`` of the one before go out, so that a new connection gets up to speed beside it
and no round trip is spent waiting. Where only CUBIC is to be had, every flow carries a body at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sync.adapters.failures import Failed, failure
from sync.adapters.gateway.source import Source
from sync.wire.messages import PartInfo

OVERLAP_BYTES = 512 * 1024
"""A new connection doubles from 14 KB each round trip: at 2 Mbit/s and 650 ms it needs 3 s, in which 650 KB go out."""


@dataclass(eq=False)
class Part:
    """One part to bring; owned by the flow that took it.

    Attributes:
        item_ids: Whom it is for; progress is told for the first.
        offset: How much of it the centre has; ``None``: nobody asked yet, it is created.
        handed: How much of it was given to the link, from the beginning. Other than ``offset`` while that is in doubt.
        created: It was brought without a manifest that names it.
        not_needed: The centre can do without; whoever carries it may stop.
    """

    info: PartInfo
    source: Source
    item_ids: tuple[int, ...]
    offset: int | None = 0
    handed: int = 0
    began_at: int = 0
    not_needed: bool = False
    complete: bool = False
    created: bool = False
    wrong_digest_count: int = 0
    conflict_count: int = 0

    @property
    def left_bytes(self) -> int:
        """Not given to the link yet."""
        return self.info.size_bytes - max(self.handed, self.offset or 0)


@dataclass
class Cargo:
    """Waiting and travelling parts; thread-safe.

    Args:
        overlap_bytes: As above; infinite where every flow is to be used.
        stopped: Ends every wait.
    """

    overlap_bytes: float
    stopped: Callable[[], bool]
    _condition: threading.Condition = field(default_factory=threading.Condition)
    _waiting: list[Part] = field(default_factory=list)
    _travelling: set[Part] = field(default_factory=set)
    _is_whole: bool = False

    def add(self, parts: Iterable[Part]) -> None:
        """Parts to bring, after those before them."""
        with self._condition:
            self._waiting += parts
            self._condition.notify_all()

    def is_whole(self) -> None:
        """Nothing is added any more."""
        with self._condition:
            self._is_whole = True
            self._condition.notify_all()

    def take(self) -> Part | None:
        """The next part when its time has come; ``None`` when there is none left, or the call is over."""
        with self._condition:
            while not self.stopped():
                if self._waiting and self._has_room():
                    part = self._waiting.pop(0)
                    part.handed = part.began_at = part.offset or 0
                    self._travelling.add(part)
                    return part
                if not self._waiting and self._is_whole:
                    return None
                self._condition.wait()
            return None

    def moved(self, part: Part, handed: int) -> None:
        """A part's bytes before ``handed`` were given to the link."""
        with self._condition:
            part.handed = handed
            if self._waiting and self._has_room():
                self._condition.notify()

    def arrived(self, part: Part) -> None:
        """A part needs no bringing any more."""
        with self._condition:
            part.complete = True
            self._travelling.discard(part)
            self._condition.notify_all()

    def wake(self) -> None:
        """Whoever waits looks again whether the call is over."""
        with self._condition:
            self._condition.notify_all()

    def _has_room(self) -> bool:
        return sum(part.left_bytes for part in self._travelling) <= self.overlap_bytes


def next_offset(part: Part, said_offset: int, said_complete: bool, handed: int) -> None:
    """Follow what the centre says after an append that ended at ``handed``; it may be less than was thought.

    Raises:
        Failed: ``answer-contradicts`` when it claims more than it can have.
    """
    size = part.info.size_bytes
    if said_offset > min(handed, size) or (said_complete and said_offset < size):
        raise Failed(failure("answer-contradicts"))
    part.offset = said_offset
    part.complete = said_complete
