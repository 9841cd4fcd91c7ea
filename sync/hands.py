"""Carries out the engine's actions in threads and turns what comes back into events; holds no state that matters.

Each action gets one thread; the engine bounds how many run. A thread posts only events, and always the closing one that
``sync.core.effects`` promises, also when an adapter breaks its word and raises.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.clock import Clock
from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import OutboxItem, Receipt
from appliance.logging import log
from sync.adapters.base import Announcing, Attempt, Checked, Destination, SendItem, Sent
from sync.core.effects import CancelTransfer, PrepareItems, ProbeLink, StartTransfer, StartVerification, Step
from sync.core.events import (
    EpochSeen,
    Event,
    ItemAccepted,
    ItemAnnounced,
    ItemFailed,
    ItemUnverified,
    ItemVerified,
    LinkChanged,
    Prepared,
    PrepareFailed,
    RoundTripSeen,
    TransferEnded,
    VerificationEnded,
)
from sync.meter import Meter

_READ_BYTES = 1024 * 1024
MISSING_TRY_COUNT = 3

Work = PrepareItems | StartTransfer | StartVerification | CancelTransfer | ProbeLink


@dataclass(slots=True)
class Hands:
    """The threads of one generation of the engine.

    Args:
        destinations: The adapters by name.
        post: Takes an event into the runner's queue; thread-safe.
        clock: Says how long bytes took.
    """

    destinations: Mapping[str, Destination]
    post: Callable[[Event], None]
    clock: Clock
    _cancel_all: threading.Event = field(default_factory=threading.Event)
    _cancels: dict[int, threading.Event] = field(default_factory=dict)
    _in_flight: dict[int, int] = field(default_factory=dict)
    _epochs: dict[str, str] = field(default_factory=dict)
    _epoch_lock: threading.Lock = field(default_factory=threading.Lock)

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
        """How far each item of the running transfers is, in bytes of its stored file; for people to watch."""
        return dict(self._in_flight)

    def _run(self, action: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=action, args=arguments, name=action.__name__.strip("_"), daemon=True).start()

    def _prepare(self, work: PrepareItems, files: Mapping[int, SendItem]) -> None:
        for item in work.items:
            failure = check_file(files.get(item.item_id), self._cancel_all, item.attempt_count)
            self.post(Prepared(item.item_id) if failure is None else PrepareFailed(item.item_id, failure))

    def _transfer(self, work: StartTransfer, files: Mapping[int, SendItem]) -> None:
        destination = self.destinations[work.destination]
        meter = Meter(work, self.post, self.clock, self._in_flight)

        def on_result(sent: Sent) -> None:
            self._hear_epoch(destination)
            if sent.failure is not None:
                self.post(ItemFailed(work.transfer_id, sent.item_id, sent.failure))
            elif work.step is Step.ANNOUNCE:
                self.post(ItemAnnounced(work.transfer_id, sent.item_id))
            else:
                meter.accepted(sent.item_id)
                self.post(ItemAccepted(work.transfer_id, sent.item_id))

        attempt = Attempt(
            self._cancels[work.transfer_id],
            meter.progress,
            meter.coded,
            lambda seconds: self.post(RoundTripSeen(work.destination, seconds)),
        )
        items = _known(work.items, files)

        def act() -> Failure | None:
            if work.step is Step.FULL:
                return destination.send(items, attempt, on_result)
            assert isinstance(destination, Announcing), "only of such the engine is told that they announce"
            return destination.announce(items, attempt, on_result)

        failure = _guard(act)
        self._cancels.pop(work.transfer_id, None)
        meter.end()
        self._hear_epoch(destination)
        self.post(TransferEnded(work.transfer_id, meter.link_bytes, failure, meter.coded_sizes()))

    def _verify(self, work: StartVerification, files: Mapping[int, SendItem]) -> None:
        destination = self.destinations[work.destination]
        by_id = {item.item_id: item for item in work.items}
        self._hear_epoch(destination)
        epoch = self._epochs.get(work.destination, "")

        def on_result(checked: Checked) -> None:
            self._hear_epoch(destination)
            item, evidence = by_id[checked.item_id], checked.evidence
            if evidence is not None:
                # An adapter that does not say which life of the centre proved it learned of no other one meanwhile.
                evidence = evidence if evidence.epoch else replace(evidence, epoch=epoch)
                receipt = Receipt(work.destination, item.sop_instance_uid, evidence.sha256, evidence)
                self.post(ItemVerified(item.item_id, receipt))
            elif checked.failure is not None:
                self.post(ItemUnverified(item.item_id, checked.failure, checked.absent))

        attempt = Attempt(
            self._cancel_all,
            lambda item_id, item_bytes: None,
            on_round_trip=lambda seconds: self.post(RoundTripSeen(work.destination, seconds)),
        )
        failure = _guard(lambda: destination.verify(_known(work.items, files), attempt, on_result))
        self._hear_epoch(destination)
        self.post(VerificationEnded(work.verification_id, failure))

    def _probe(self, work: ProbeLink) -> None:
        destination = self.destinations[work.destination]
        failure = _guard(destination.probe)
        self._hear_epoch(destination)
        self.post(LinkChanged(work.destination, up=failure is None, failure=failure))

    def _hear_epoch(self, destination: Destination) -> None:
        """Pass on that the centre lives another life, before anything that it said in it."""
        if not isinstance(destination, Announcing):
            return
        with self._epoch_lock:  # else a thread that was slow would bring an older one back
            epoch = destination.epoch
            if epoch and self._epochs.get(destination.name) != epoch:
                self._epochs[destination.name] = epoch
                self.post(EpochSeen(destination.name, epoch))


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
