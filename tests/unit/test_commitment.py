"""Storage commitment: each asking is about now; what was promised before says nothing of a centre restored since."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pydicom.dataset import Dataset

from appliance.clock import SystemClock
from sync.adapters import commitment
from sync.adapters.association import Conversation
from sync.adapters.base import Attempt, Checked, SendItem

ITEM = SendItem(
    1, "1.2.3.9", "1.2.840.10008.5.1.4.1.1.7", "1.2.3", "1.2.3.4", "1.2.840.10008.1.2.1", 10, "a" * 64, Path()
)


@dataclass
class Peer:
    """Promises what it holds at the moment it is asked; ``late`` keeps its reports back."""

    book: commitment.Book = field(default_factory=commitment.Book)
    holds: bool = True
    late: bool = False
    asked: list[Dataset] = field(default_factory=list)

    def report(self, action: Dataset) -> None:
        """N-EVENT-REPORT about one transaction."""
        information = Dataset()
        information.TransactionUID = action.TransactionUID
        if self.holds:
            information.ReferencedSOPSequence = list(action.ReferencedSOPSequence)
        else:
            entries = list(action.ReferencedSOPSequence)
            for entry in entries:
                entry.FailureReason = commitment.NO_SUCH_INSTANCE
            information.FailedSOPSequence = entries
        self.book.on_report(SimpleNamespace(event_information=information))

    @contextlib.contextmanager
    def converse(self) -> Iterator[Conversation]:
        def send_n_action(action: Dataset, *rest: object) -> tuple[Dataset, None]:
            self.asked.append(action)
            if not self.late:
                self.report(action)
            return Dataset(), None

        def call(act: Callable[[Any, int], Any]) -> Any:
            return act(SimpleNamespace(send_n_action=send_n_action), 1)

        talk = SimpleNamespace(accepted=commitment.CONTEXTS, call=call, status_of=lambda answer: 0x0000)
        yield cast("Conversation", talk)

    def verify(self) -> Checked:
        """One verification of the one item."""
        found: list[Checked] = []
        commitment.verify_by_commitment(
            self.book,
            self.converse,
            [ITEM],
            Attempt(threading.Event(), lambda item_id, item_bytes: None),
            found.append,
            clock=SystemClock(),
            wait_s=0.0,
            stay=False,
        )
        return found[0]


def test_second_look_asks_the_peer_again_and_hears_that_it_forgot() -> None:
    peer = Peer()
    assert peer.verify().evidence is not None
    peer.holds = False
    checked = peer.verify()
    assert len(peer.asked) == 2
    assert checked.evidence is None
    assert checked.absent


def test_report_that_comes_after_the_proof_is_no_second_look() -> None:
    peer = Peer(late=True)
    assert peer.verify().evidence is None
    peer.late = False
    assert peer.verify().evidence is not None
    peer.report(peer.asked[0])
    peer.holds = False
    assert peer.verify().evidence is None


def test_report_that_comes_late_counts_when_it_is_looked_for() -> None:
    peer = Peer(late=True)
    assert peer.verify().evidence is None
    peer.report(peer.asked[0])
    assert peer.verify().evidence is not None
    assert len(peer.asked) == 1


def test_report_about_an_earlier_sending_says_nothing_of_the_next() -> None:
    peer = Peer(late=True)
    assert peer.verify().evidence is None
    peer.book.forget([ITEM.sop_instance_uid])
    peer.report(peer.asked[0])
    assert peer.verify().evidence is None
