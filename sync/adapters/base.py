"""The one interface that every destination offers, and that one conformance suite checks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from appliance.domain.failure import Failure
from appliance.domain.values import Evidence, StudyHeader

if TYPE_CHECKING:
    from sync.wire.answers import Acknowledgements, AcknowledgementsAnswer
    from sync.wire.messages import Inbox
    from sync.wire.notes import NotesAnswer, NotesRequest
    from sync.wire.status import StatusReport


def _unheard(*_: float) -> None:
    """For callers that do not listen."""


@dataclass(frozen=True, slots=True)
class SendItem:
    """One instance on its way: the item and the stored Part 10 file, already checked against ``sha256``.

    ``stat`` and what follows it are for the centre to show before the pixels are there. ``study`` is what this unit
    believes of the study now, ``None`` when it knows nothing; ``study_received_at`` is when its first instance came, as
    UTC text by the unit's clock, empty when that is not known; ``study_instance_count`` counts its instances known here
    so far, those on their way to the unit not included. ``proved`` says that it has a receipt already: whoever wants it
    verified wants the destination to look again. ``earlier`` is what an earlier proof showed: what is read back is
    compared with that and not with the file, which may be gone (the centre checks what it no longer keeps).
    ``replaces`` are the file digests of what this instance was before it was corrected, oldest first, as far as the
    destination may hold one of them: proof must then tell the contents apart. ``carried``: a stick took it along, so
    the destination may hold it although nothing of it was ever sent.
    """

    item_id: int
    sop_instance_uid: str
    sop_class_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    size_bytes: int
    sha256: str
    path: Path
    stat: bool = False
    study: StudyHeader | None = None
    study_received_at: str = ""
    study_instance_count: int = 0
    proved: bool = False
    earlier: Evidence | None = None
    replaces: tuple[str, ...] = ()
    carried: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """The outcome for one item of ``send`` or ``announce``: accepted, or announced, when ``failure`` is None."""

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
    """``(item_id, bytes_of_item_handed_to_the_link)`` by this attempt alone, as coded; called often, must be cheap."""
    on_coded: Callable[[int, int, int], None] = _unheard
    """``(item_id, coded_bytes, kept_bytes)`` once known: how long the item is on this link, all its parts together, and
    how much of it the destination already kept before this attempt. Without it the stored file is what travels."""
    on_round_trip: Callable[[float], None] = _unheard
    """Seconds that one small exchange over a standing connection took, from the first byte out to the first one in."""


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
        """Have the destination prove, for each item, that it holds the same data set and pixels.

        An item may be one that was proved before, so the destination is asked now: a proof that this unit remembers
        from an earlier epoch does not count.
        """
        ...

    def close(self) -> None:
        """Give up connections and listeners."""
        ...


@runtime_checkable
class Announcing(Destination, Protocol):
    """A gateway: it can be told of an instance, and shown a preview of it, long before its pixels.

    ``announce`` may be called while ``send`` and ``verify`` run in other threads: a STAT study is shown at once, in the
    middle of a long loop too.
    """

    @property
    def epoch(self) -> str:
        """What the centre calls its life since it was last restored from a backup, as heard in the last exchange.

        Empty while unknown. Read after every call: another one than before means that receipts may have been forgotten.
        """
        ...

    def announce(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]
    ) -> Failure | None:
        """Tell manifest and preview of each item, none of its pixels; report and return as ``send`` does.

        Announcing again is harmless. An item of which no preview can be made is announced by its manifest alone: that
        is no failure. ``cancel`` ends it between two items.
        """
        ...


@runtime_checkable
class Conversing(Announcing, Protocol):
    """A gateway through which people at the centre talk to the unit.

    These calls raise ``sync.adapters.failures.Failed``. They may run beside every other one, and do not try twice: who
    calls them has a pause of its own.
    """

    @property
    def inbox_head(self) -> int:
        """Number of the newest entry that any answer told of in this process; a hint."""
        ...

    def unit_id(self) -> str:
        """Who the unit is there; numbers of its inbox mean nothing to another one."""
        ...

    def read_answers(self, after: int, wait_s: float, cancel: threading.Event) -> Inbox:
        """What people said after a number; when there is nothing yet, at most ``wait_s`` seconds later."""
        ...

    def note_answers_seen(self, seq: int) -> None:
        """Everything up to here is kept durably on the unit."""
        ...

    def acknowledge(self, said: Acknowledgements, cancel: threading.Event) -> AcknowledgementsAnswer:
        """Say what became of answers; saying it again is harmless."""
        ...

    def report(self, said: StatusReport, cancel: threading.Event) -> None:
        """Say how the unit is."""
        ...

    def tell_notes(self, said: NotesRequest, cancel: threading.Event) -> NotesAnswer:
        """Say what was asked for and what was found; saying it again is harmless."""
        ...
