"""Carries out the engine's actions in threads and turns what comes back into events; holds no state that matters.

Each action gets one thread; the engine bounds how many run. A thread posts only events, and always the closing one that
``sync.core.effects`` promises, also when an adapter breaks its word and raises.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import OutboxItem, Receipt
from appliance.logging import log
from sync.adapters.base import Attempt, Checked, Destination, SendItem, Sent
from sync.core.effects import CancelTransfer, PrepareItems, ProbeLink, StartTransfer, StartVerification
from sync.core.events import (
    Event,
    ItemAccepted,
    ItemFailed,
    ItemUnverified,
    ItemVerified,
    LinkChanged,
    Prepared,
    PrepareFailed,
    TransferEnded,
    VerificationEnded,
)

_READ_BYTES = 1024 * 1024
MISSING_TRY_COUNT = 3

Work = PrepareItems | StartTransfer | StartVerification | CancelTransfer | ProbeLink


@dataclass(slots=True)
class Hands:
    """The threads of one generation of the engine.

    Args:
        destinations: The adapters by name.
        post: Takes an event into the runner's queue; thread-safe.
    """

    destinations: Mapping[str, Destination]
    post: Callable[[Event], None]
    _cancel_all: threading.Event = field(default_factory=threading.Event)
    _cancels: dict[int, threading.Event] = field(default_factory=dict)
    _in_flight: dict[int, int] = field(default_factory=dict)

    def start(self, work: Work, files: Mapping[int, SendItem]) -> None:
        """Begin an action; ``files`` has the stored file of each of its items that the store knows."""
        match work:
            case PrepareItems():
                self._run(self._prepare, work, files)
            case StartTransfer():
                self._cancels[work.transfer_id] = threading.Event()
                self._run(self._transfer, work, files)
            case StartVerification():
                self._run(self._verify, work, files)
            case ProbeLink():
                self._run(self._probe, work)
            case CancelTransfer():
                if cancel := self._cancels.get(work.transfer_id):
                    cancel.set()

    def cancel_all(self) -> None:
        """Tell everything running to stop; its late events are the runner's to drop."""
        self._cancel_all.set()
        for cancel in list(self._cancels.values()):
            cancel.set()

    def in_flight(self) -> dict[int, int]:
        """Bytes of each item handed to its link by the running transfers; for people to watch."""
        return dict(self._in_flight)

    def _run(self, action: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=action, args=arguments, name=action.__name__.strip("_"), daemon=True).start()

    def _prepare(self, work: PrepareItems, files: Mapping[int, SendItem]) -> None:
        for item in work.items:
            failure = check_file(files.get(item.item_id), self._cancel_all, item.attempt_count)
            self.post(Prepared(item.item_id) if failure is None else PrepareFailed(item.item_id, failure))

    def _transfer(self, work: StartTransfer, files: Mapping[int, SendItem]) -> None:
        sizes = {i.item_id: i.size_bytes for i in work.items}
        handed: dict[int, int] = {}

        def on_result(sent: Sent) -> None:
            if sent.failure is None:
                handed[sent.item_id] = sizes.get(sent.item_id, 0)
                self.post(ItemAccepted(work.transfer_id, sent.item_id))
            else:
                self.post(ItemFailed(work.transfer_id, sent.item_id, sent.failure))

        def on_progress(item_id: int, item_bytes: int) -> None:
            handed[item_id] = item_bytes
            self._in_flight[item_id] = item_bytes

        attempt = Attempt(self._cancels[work.transfer_id], on_progress)
        send = self.destinations[work.destination].send
        failure = _guard(lambda: send(_known(work.items, files), attempt, on_result))
        self._cancels.pop(work.transfer_id, None)
        for item in work.items:
            self._in_flight.pop(item.item_id, None)
        self.post(TransferEnded(work.transfer_id, sum(handed.values()), failure))

    def _verify(self, work: StartVerification, files: Mapping[int, SendItem]) -> None:
        by_id = {item.item_id: item for item in work.items}

        def on_result(checked: Checked) -> None:
            item = by_id[checked.item_id]
            if checked.evidence is not None:
                receipt = Receipt(work.destination, item.sop_instance_uid, checked.evidence.sha256, checked.evidence)
                self.post(ItemVerified(item.item_id, receipt))
            elif checked.failure is not None:
                self.post(ItemUnverified(item.item_id, checked.failure, checked.absent))

        attempt = Attempt(self._cancel_all, lambda item_id, item_bytes: None)
        verify = self.destinations[work.destination].verify
        failure = _guard(lambda: verify(_known(work.items, files), attempt, on_result))
        self.post(VerificationEnded(work.verification_id, failure))

    def _probe(self, work: ProbeLink) -> None:
        failure = _guard(self.destinations[work.destination].probe)
        self.post(LinkChanged(work.destination, up=failure is None, failure=failure))


def check_file(stored: SendItem | None, cancel: threading.Event, attempt_count: int) -> Failure | None:
    """Read a stored file back and compare its digest; no damaged byte is ever sent (fault rows 17 and 21).

    Args:
        stored: What the store says of the file.
        cancel: Ends the reading early.
        attempt_count: How often this item was tried before; a missing file is permanent only after some tries, for
            recovery may be posting it to Orthanc anew, which gives it another name a moment later.

    Returns:
        ``None`` when the bytes are those that were kept; otherwise what is wrong with them.
    """
    if stored is None:
        return Failure(FailureKind.PERMANENT, "blob-unknown", "The unit has no file for this picture any more.")
    digest = hashlib.sha256()
    try:
        with stored.path.open("rb", buffering=0) as source:
            while data := source.read(_READ_BYTES):
                digest.update(data)
                if cancel.is_set():
                    return Failure(
                        FailureKind.TRANSIENT, "stopped", "The unit is stopping; it goes on at the next start."
                    )
    except FileNotFoundError:
        if attempt_count < MISSING_TRY_COUNT:
            return Failure(FailureKind.TRANSIENT, "blob-moving", "The stored file of this picture is being looked for.")
        return Failure(
            FailureKind.PERMANENT, "blob-missing", "The stored file of this picture is missing on this unit."
        )
    except OSError as error:
        log("sync.hands", "stored file unreadable", sop=stored.sop_instance_uid, errno=error.errno)
        return Failure(
            FailureKind.PERMANENT,
            "blob-unreadable",
            "The disk of this unit cannot read the stored file of this picture.",
        )
    if digest.hexdigest() != stored.sha256:
        return Failure(
            FailureKind.PERMANENT, "blob-damaged", "The stored file of this picture is damaged; it was not sent."
        )
    return None


def _known(items: Iterable[OutboxItem], files: Mapping[int, SendItem]) -> list[SendItem]:
    return [files[item.item_id] for item in items if item.item_id in files]


def _guard(call: Callable[[], Failure | None]) -> Failure | None:
    """An adapter must not raise; one that does costs its attempt, never the task (fault row 19)."""
    try:
        return call()
    except Exception as error:
        log("sync.hands", "adapter raised", error=type(error).__name__, where=_place(error))
        return Failure(FailureKind.TRANSIENT, "internal", "Something unexpected went wrong; it is tried again.")


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
