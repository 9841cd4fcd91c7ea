"""A destination that speaks C-STORE, with Storage Commitment, C-MOVE or WADO-RS as its proof (PS3.4, PS3.7)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pynetdicom import evt

from appliance.clock import Clock
from appliance.config import DicomwebDestination, DimseDestination
from appliance.domain.failure import Failure
from appliance.domain.limits import LimitSet
from sync.adapters import commitment, moving
from sync.adapters.association import COMMAND_BYTES, Context, Conversation
from sync.adapters.base import Attempt, Checked, Destination, SendItem, Sent
from sync.adapters.failures import Failed, failure
from sync.adapters.listener import Listener
from sync.adapters.services import VERIFICATION
from sync.adapters.storing import BATCH_COUNT_MAX, FALLBACKS, contexts_for, store_items

_ECHO: Context = (VERIFICATION, FALLBACKS[1])


class Dimse:
    """See ``sync.adapters.base.Destination``; safe to call from several threads, each call has its own association."""

    def __init__(self, table: DimseDestination, limits: LimitSet, clock: Clock, work_dir: Path) -> None:
        self._table = table
        self._limits = limits
        self._clock = clock
        self._work_dir = work_dir
        self._lock = threading.Lock()
        self._talks: set[Conversation] = set()
        self._book = commitment.Book()
        self._listener: Listener | None = None
        self._wado = _wado(table, limits, clock, work_dir) if table.proof == "wado" else None

    @property
    def name(self) -> str:
        return self._table.name

    def probe(self) -> Failure | None:
        """An association and a C-ECHO; a peer without Verification that accepts us is fine too."""
        try:
            with self._converse([_ECHO]) as talk:
                if _ECHO in talk.accepted:
                    talk.echo()
        except Failed as failed:
            return failed.failure
        return None

    def send(self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]) -> Failure | None:
        """As ``Destination.send``; cancelling takes effect between two instances.

        When the peer aborts during an instance, that one has failed and the others go on over a new association; when
        it aborts again before it took one, the attempt is over.
        """
        self._book.forget([item.sop_instance_uid for item in items])
        waiting = list(items)
        accepted_since_abort = True

        def report(sent: Sent) -> None:
            nonlocal accepted_since_abort
            accepted_since_abort = accepted_since_abort or sent.failure is None
            waiting[:] = [item for item in waiting if item.item_id != sent.item_id]
            on_result(sent)

        while waiting and not attempt.cancel.is_set():
            try:
                batch = waiting[:BATCH_COUNT_MAX]
                with self._converse(contexts_for(batch)) as talk:
                    store_items(talk, batch, self._work_dir, attempt, report)
            except Failed as failed:
                if failed.failure.code != "association-aborted" or not accepted_since_abort:
                    return failed.failure
                report(Sent(waiting[0].item_id, failure("association-other")))
                accepted_since_abort = False
        return None

    def verify(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Checked], None]
    ) -> Failure | None:
        """As ``Destination.verify``, by the proof that the table names."""
        if self._wado is not None:
            return self._wado.verify(items, attempt, on_result)
        try:
            if self._table.proof == "move":
                self._verify_by_moving(items, attempt, on_result)
            else:
                self._verify_by_commitment(items, attempt, on_result)
        except Failed as failed:
            return failed.failure
        return None

    def close(self) -> None:
        """Cut what runs and stop listening."""
        with self._lock:
            talks, listener = list(self._talks), self._listener
            self._listener = None
        for talk in talks:
            talk.guard.cut()
        if listener is not None:
            listener.close()
        if self._wado is not None:
            self._wado.close()

    @contextmanager
    def _converse(
        self, contexts: Sequence[Context], handlers: Sequence[tuple[Any, Callable[[Any], Any]]] = ()
    ) -> Iterator[Conversation]:
        talk = Conversation(self._table, self._limits, self._clock, contexts, handlers)
        with self._lock:
            self._talks.add(talk)
        try:
            with talk:
                yield talk
        finally:
            with self._lock:
                self._talks.discard(talk)

    def _verify_by_commitment(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Checked], None]
    ) -> None:
        for item in items:
            if item.replaces:  # a promise names the UID alone, which both contents have
                on_result(Checked(item.item_id, failure=failure("correction-unproved")))
        items = [item for item in items if not item.replaces]
        if not items:
            return
        reports = [(evt.EVT_N_EVENT_REPORT, self._book.on_report)]
        if self._table.commitment_port:
            self._listen(reports)
        commitment.verify_by_commitment(
            self._book,
            lambda: self._converse(commitment.CONTEXTS, reports),
            items,
            attempt,
            on_result,
            clock=self._clock,
            wait_s=self._limits.verify_poll_s_max,
            stay=not self._table.commitment_port,
        )

    def _listen(self, handlers: Sequence[tuple[Any, Callable[[Any], Any]]]) -> None:
        """Open the listener for commitment reports; it stays open, for reports may come hours later."""
        with self._lock:
            if self._listener is None:
                contexts = commitment.listener_contexts()
                self._listener = Listener(
                    self._table, self._limits, self._clock, contexts, handlers, size_bytes=COMMAND_BYTES
                )

    def _verify_by_moving(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Checked], None]
    ) -> None:
        """One at a time: there is one port to be sent back to."""
        if not self._table.commitment_port:
            raise Failed(failure("settings"))
        with moving.receiving_into(self._work_dir):
            returned = moving.Returned(items)
            listener = Listener(
                self._table,
                self._limits,
                self._clock,
                moving.listener_contexts(items),
                moving.handlers(returned),
                size_bytes=moving.listener_bytes(items),
                bytes_max=moving.listener_bytes(items),
            )
            try:
                with self._converse(moving.CONTEXTS) as talk:
                    moving.verify_by_moving(talk, returned, self._table.calling_ae_title, items, attempt, on_result)
            finally:
                listener.close()


def _wado(table: DimseDestination, limits: LimitSet, clock: Clock, work_dir: Path) -> Destination:
    from sync.adapters.dicomweb import Dicomweb

    web = DicomwebDestination(name=table.name, url=table.wado_url, ca_file=table.ca_file)
    return Dicomweb(web, limits, clock, work_dir)
