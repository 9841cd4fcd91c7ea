"""What a call still owes its caller: one report an item, progress in between, and nothing after its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from appliance.domain.failure import Failure
from sync.adapters.base import Attempt, SendItem, Sent
from sync.adapters.gateway.parts import Part

LOOK_S = 0.1
"""How often the wish to stop is looked at while nothing else happens."""


class Tally:
    """Reports of one call; thread-safe.

    Attributes:
        failure: That of the whole attempt.
    """

    def __init__(self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]) -> None:
        self._attempt = attempt
        self._on_result = on_result
        self._condition = threading.Condition()
        self._open: dict[int, set[str]] = {item.item_id: set() for item in items}
        self._handed: dict[int, dict[str, int]] = {}
        self._closed = False
        self.failure: Failure | None = None

    def stopped(self) -> bool:
        """Whether the call is over or shall be."""
        return self._closed or self.failure is not None or self._attempt.cancel.is_set()

    def is_open(self, item_id: int) -> bool:
        """Whether it was not reported yet."""
        return item_id in self._open

    def await_parts(self, item_id: int, names: Iterable[str]) -> None:
        """What has to be there before this item is reported."""
        with self._condition:
            if item_id in self._open:
                self._open[item_id] |= set(names)

    def arrived(self, name: str, item_id: int | None = None) -> None:
        """One of the awaited things is there, for one item or for all; who waited for nothing else is reported."""
        only = item_id
        with self._condition:
            for item_id, names in list(self._open.items()):
                if name in names and only in (None, item_id):
                    names.discard(name)
                    if not names:
                        self._report(item_id, None)

    def lost(self, name: str, failure: Failure) -> None:
        """One of the awaited things cannot be had; every item that waits for it is reported."""
        with self._condition:
            for item_id in [item_id for item_id, names in self._open.items() if name in names]:
                self._report(item_id, failure)

    def report(self, item_id: int, failure: Failure | None = None) -> None:
        """The outcome of an item, unless it has one."""
        with self._condition:
            if item_id in self._open:
                self._report(item_id, failure)

    def fail(self, failure: Failure) -> None:
        """The whole attempt is over."""
        with self._condition:
            if self.failure is None and not self._closed:
                self.failure = failure
            self._condition.notify_all()

    def moved(self, part: Part) -> None:
        """A part went on; told as its item's bytes."""
        item_id = part.item_id
        with self._condition:
            if self._closed or item_id not in self._open:
                return
            of_item = self._handed.setdefault(item_id, {})
            of_item[part.info.sha256] = part.handed_bytes
            self._attempt.on_progress(item_id, sum(of_item.values()))

    def wait(self) -> None:
        """Until every item is reported, or the call has to end."""
        with self._condition:
            while self._open and not self.stopped():
                self._condition.wait(LOOK_S)

    def close(self) -> None:
        """Nothing is told after this."""
        with self._condition:
            self._closed = True

    def _report(self, item_id: int, failure: Failure | None) -> None:
        del self._open[item_id]
        if not self._closed:
            self._on_result(Sent(item_id, failure))
        self._condition.notify_all()
