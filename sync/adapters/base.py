"""The one interface that every destination offers, and that one conformance suite checks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.domain.failure import Failure
from appliance.domain.values import Evidence


@dataclass(frozen=True, slots=True)
class SendItem:
    """One instance on its way: the item and the stored Part 10 file, already checked against ``sha256``."""

    item_id: int
    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    size_bytes: int
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Sent:
    """The outcome for one item of ``send``: accepted when ``failure`` is None."""

    item_id: int
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome for one item of ``verify``.

    Exactly one of ``evidence`` and ``failure`` is set. ``absent`` says that the destination answered and lacks the
    item, or holds other bytes that may be overwritten by sending again.
    """

    item_id: int
    evidence: Evidence | None = None
    failure: Failure | None = None
    absent: bool = False


@dataclass(slots=True)
class Attempt:
    """What a running call shares with its caller: progress out, the wish to stop in."""

    cancel: threading.Event
    on_progress: Callable[[int, int], None]
    """``(item_id, bytes_of_item_handed_to_the_link)``; called often, must be cheap."""


class Destination(Protocol):
    """A central endpoint that can give receipts. Calls block, raise nothing and honour ``attempt.cancel``."""

    @property
    def name(self) -> str:
        """The name in the configuration."""
        ...

    def probe(self) -> Failure | None:
        """Whether it can be reached and is what it should be; ``None`` when fine. Cheap in bytes."""
        ...

    def send(self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]) -> Failure | None:
        """Send in order, reporting each item as soon as the destination answered for it.

        Items without a report were not accepted. The returned failure is that of the whole attempt (link, refused
        association); ``None`` when every item was reported.
        """
        ...

    def verify(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Checked], None]
    ) -> Failure | None:
        """Have the destination prove, for each item, that it holds the same data set and pixels."""
        ...

    def close(self) -> None:
        """Give up connections and listeners."""
        ...
