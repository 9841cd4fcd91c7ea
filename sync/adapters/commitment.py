"""Proof by Storage Commitment Push (PS3.4 Annex J): the peer's promise, instance by instance; no bytes are compared.

The report may come on our association, on a new one to our listener, late, or never. Nothing is kept on disk: after a
restart, or when a report does not come in time, a new transaction asks again. A late report still counts until then.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom.presentation import PresentationContext

from appliance.clock import Clock
from appliance.domain.failure import Failure
from appliance.domain.values import Evidence
from sync.adapters.association import Context, Conversation
from sync.adapters.base import Attempt, Checked, SendItem
from sync.adapters.failures import Failed, failure
from sync.adapters.guard import TICK_S
from sync.adapters.services import COMMITMENT, COMMITMENT_INSTANCE

TRANSACTION_COUNT_MAX = 256
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
CONTEXTS: tuple[Context, ...] = tuple(
    (COMMITMENT, str(syntax)) for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
)


def listener_contexts() -> list[PresentationContext]:
    """For a peer that opens an association to report: it keeps the SCP role, by role selection (PS3.4 J.3.3)."""
    context = PresentationContext()
    context.abstract_syntax = UID(COMMITMENT)
    context.transfer_syntax = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    context.scu_role = True
    context.scp_role = True
    return [context]


@dataclass(slots=True)
class _Transaction:
    asked: frozenset[str]
    answers: dict[str, int] = field(default_factory=dict)
    """Failure reason by SOP Instance UID; 0 for a promise."""
    reported: bool = False


class Book:
    """Open and answered transactions of this run; bounded, the oldest are forgotten."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._transactions: OrderedDict[str, _Transaction] = OrderedDict()

    def open(self, uids: Sequence[str]) -> str:
        """A new transaction for these instances."""
        transaction_uid = str(generate_uid(prefix=None))
        with self._changed:
            self._transactions[transaction_uid] = _Transaction(frozenset(uids))
            while len(self._transactions) > TRANSACTION_COUNT_MAX:
                self._transactions.popitem(last=False)
        return transaction_uid

    def forget(self, uids: Sequence[str]) -> None:
        """These instances are sent again or have been answered for: what was asked until now says no more of them.

        Nor does a report that comes later. A promise that served twice would let pixels leave this unit on the word of
        a centre that was restored in between.
        """
        with self._changed:
            for transaction in self._transactions.values():
                transaction.asked = transaction.asked.difference(uids)
                for uid in uids:
                    transaction.answers.pop(uid, None)

    def on_report(self, event: Any) -> tuple[int, None]:
        """Handler of N-EVENT-REPORT; the answer's status: 0, or 0x0112 for a transaction that nobody knows."""
        information = event.event_information
        transaction_uid = str(information.get("TransactionUID", ""))
        answers = {
            str(entry.get("ReferencedSOPInstanceUID", "")): int(entry.get("FailureReason", 0x0110))
            for entry in information.get("FailedSOPSequence") or []
        }
        for entry in information.get("ReferencedSOPSequence") or []:
            answers.setdefault(str(entry.get("ReferencedSOPInstanceUID", "")), 0)
        with self._changed:
            transaction = self._transactions.get(transaction_uid)
            if transaction is None:
                return NO_SUCH_INSTANCE, None
            transaction.answers = {uid: reason for uid, reason in answers.items() if uid in transaction.asked}
            transaction.reported = True
            self._changed.notify_all()
        return 0x0000, None

    def wait(self, transaction_uid: str, clock: Clock, seconds: float, cancel: threading.Event) -> None:
        """Until the report is there, the time is over (monotonic), or the attempt is cancelled."""
        deadline_mono_s = clock.mono_s() + seconds
        with self._changed:
            while not self._transactions[transaction_uid].reported and not cancel.is_set():
                if clock.mono_s() >= deadline_mono_s:
                    return
                self._changed.wait(TICK_S)

    def answer(self, uid: str) -> tuple[str, int] | None:
        """The newest transaction that answered for this instance, and its reason; ``None`` when none did."""
        with self._changed:
            for transaction_uid, transaction in reversed(self._transactions.items()):
                if uid in transaction.answers:
                    return transaction_uid, transaction.answers[uid]
        return None

    def checked(self, item: SendItem) -> Checked:
        """What is known of this item now."""
        answer = self.answer(item.sop_instance_uid)
        if answer is None:
            return Checked(item.item_id, failure=failure("commitment-pending"))
        transaction_uid, reason = answer
        if reason == 0:
            detail = (("transaction_uid", transaction_uid), ("compared", "nothing: the destination's promise"))
            return Checked(item.item_id, evidence=Evidence("commitment", item.sha256, detail=detail))
        return Checked(item.item_id, failure=_refusal(reason), absent=reason == NO_SUCH_INSTANCE)


def request_commitment(talk: Conversation, transaction_uid: str, items: Sequence[SendItem]) -> None:
    """N-ACTION that asks for a promise.

    Raises:
        Failed: ``service-refused`` when the peer has no commitment, ``commitment-refused`` when it declines this one,
            or a link failure.
    """
    if not any(context in talk.accepted for context in CONTEXTS):
        raise Failed(failure("service-refused"))
    action = Dataset()
    action.TransactionUID = transaction_uid
    action.ReferencedSOPSequence = [_reference(item) for item in items]

    def act(association: Any, message_id: int) -> Any:
        return association.send_n_action(action, 1, COMMITMENT, COMMITMENT_INSTANCE, message_id)[0]

    if talk.status_of(talk.call(act)) != 0x0000:
        raise Failed(failure("commitment-refused"))


def verify_by_commitment(
    book: Book,
    converse: Callable[[], AbstractContextManager[Conversation]],
    items: Sequence[SendItem],
    attempt: Attempt,
    on_result: Callable[[Checked], None],
    *,
    clock: Clock,
    wait_s: float,
    stay: bool,
) -> None:
    """Ask for every item that no report has answered yet, wait, and report each item.

    Args:
        book: Transactions of this run.
        converse: Opens a conversation with the commitment contexts.
        items: What to prove.
        attempt: Cancelling ends the waiting.
        on_result: Told of each item.
        clock: Monotonic.
        wait_s: How long to wait for the report.
        stay: Keep the association open while waiting, because there is no listener to report to.

    Raises:
        Failed: A link failure; items not reported by then are unanswered.
    """
    unanswered = [item for item in items if book.answer(item.sop_instance_uid) is None]
    refused: Failure | None = None
    if unanswered:
        transaction_uid = book.open([item.sop_instance_uid for item in unanswered])
        try:
            with converse() as talk:
                request_commitment(talk, transaction_uid, unanswered)
                if stay:
                    book.wait(transaction_uid, clock, wait_s, attempt.cancel)
            book.wait(transaction_uid, clock, wait_s if not stay else 0.0, attempt.cancel)
        except Failed as failed:
            if failed.failure.code != "commitment-refused":
                raise
            refused = failed.failure
    for item in items:
        checked = book.checked(item)
        if refused is not None and checked.failure is not None and checked.failure.code == "commitment-pending":
            checked = Checked(item.item_id, failure=refused)
        on_result(checked)
        if book.answer(item.sop_instance_uid) is not None:
            # The next time is asked anew: a refusal of today may be a promise of tomorrow, and the other way round.
            book.forget([item.sop_instance_uid])


def _reference(item: SendItem) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID = item.sop_class_uid
    reference.ReferencedSOPInstanceUID = item.sop_instance_uid
    return reference


def _refusal(reason: int) -> Failure:
    if reason == NO_SUCH_INSTANCE:
        return failure("absent")
    return failure("dimse-0119" if reason == CLASS_INSTANCE_CONFLICT else "commitment-failed")
