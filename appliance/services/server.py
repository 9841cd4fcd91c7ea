"""The acceptor: MPPS, Storage Commitment and Verification on loopback, behind the gatekeeper.

pynetdicom's own timers follow the wall clock and its reads have no bound, so each association has a ``Guard`` and a
bounded read here too, although the gatekeeper has checked what comes.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dimse_messages import N_ACTION_RSP, N_EVENT_REPORT_RSP
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import time by pynetdicom
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.limits import KIB
from appliance.logging import log
from appliance.services import commitment, steps
from appliance.services.commitment import BadRequestError
from appliance.services.desk import Asked, Desk
from appliance.services.step_rules import NO_SUCH_SOP_INSTANCE, PROCESSING_FAILURE, Refusal
from appliance.store.connect import Store, open_unit
from appliance.store.errors import StoreError
from sync.adapters.association import read_bounded
from sync.adapters.guard import Guard

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
PDU_BYTES_MAX = 64 * KIB
_ACCEPT_POLL_S = 0.05
_UNREADABLE = Refusal(PROCESSING_FAILURE, "the data set cannot be read")
_REQUEST_COMMITMENT = 1
"""Action Type ID (PS3.4 table J.3-1)."""


class Server:
    """Answers associations from a listening socket that outlives it, until ``close``."""

    def __init__(self, config: UnitConfig, listener: socket.socket, desk: Desk, clock: Clock) -> None:
        """Prepare; ``accept`` begins."""
        self._config = config
        self._limits = config.limits
        self._desk = desk
        self._clock = clock
        self._lock = threading.Lock()
        self._guards: dict[int, Guard] = {}
        self._accepting: threading.Thread | None = None
        self.left_mono_s: float | None = None
        """When the last association ended; ``None`` before the first."""
        ae = AE(config.dicom.ae_title)
        ae.maximum_pdu_size = PDU_BYTES_MAX
        ae.maximum_associations = config.limits.connection_count_max
        ae.require_called_aet = True
        ae.require_calling_aet = [modality.ae_title for modality in config.modality] or ["nobody is listed"]
        ae.network_timeout = ae.acse_timeout = ae.dimse_timeout = None
        ae.add_supported_context(Verification, SYNTAXES)
        ae.add_supported_context(ModalityPerformedProcedureStep, SYNTAXES)
        ae.add_supported_context(StorageCommitmentPushModel, SYNTAXES, scu_role=True, scp_role=True)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_CONN_CLOSE, self._on_close),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_N_CREATE, self._on_create),
            (evt.EVT_N_SET, self._on_set),
            (evt.EVT_N_ACTION, self._on_action),
            (evt.EVT_DIMSE_SENT, self._on_sent),
            (evt.EVT_DIMSE_RECV, self._on_received),
        ]
        self._server = ae.make_server(
            listener.getsockname(), evt_handlers=handlers, server_class=_inheriting(listener), contexts=None
        )
        ae._servers.append(self._server)

    @property
    def association_count(self) -> int:
        """Open connections."""
        with self._lock:
            return len(self._guards)

    def accept(self) -> None:
        """Take connections from now on."""
        self._accepting = threading.Thread(
            target=self._server.serve_forever, args=(_ACCEPT_POLL_S,), name="accept", daemon=True
        )
        self._accepting.start()

    def hold(self) -> None:
        """Leave further connections in the listener's queue; those that are open go on."""
        if self._accepting is not None:
            # The library's own shutdown would close the listener, for everyone who holds it.
            socketserver.BaseServer.shutdown(self._server)
            self._accepting.join()
            self._accepting = None

    def close(self) -> None:
        """End everything; what was recorded and not acknowledged is said again by its device."""
        self.hold()
        with self._lock:
            guards = list(self._guards.values())
        for guard in guards:
            guard.cut()

    # an association

    def _on_open(self, event: Any) -> None:
        wrapper = event.assoc.dul.socket
        event.assoc.dul.artim_timer.timeout = None
        guard = Guard(self._clock, self._limits, "services", patience=lambda _, __: self._limits.idle_s_max)
        guard.__enter__()
        guard.watch(wrapper.socket)
        # As many bytes as make the guard's deadline the longest that an association may last.
        guard.begin(int(self._limits.association_s_max * self._limits.transfer_rate_bytes_per_s_min))
        wrapper.recv = lambda count: read_bounded(wrapper.socket, count, guard.progress)
        with self._lock:
            self._guards[id(event.assoc)] = guard

    def _on_close(self, event: Any) -> None:
        self._desk.ended(event.assoc)
        with self._lock:
            guard = self._guards.pop(id(event.assoc), None)
            self.left_mono_s = self._clock.mono_s()
        if guard:
            guard.__exit__(None, None, None)

    def _on_requested(self, event: Any) -> None:
        """The services may have a title of their own beside the unit's."""
        called = event.assoc.requestor.primitive.called_ae_title
        if called and called == self._config.services.ae_title.strip(" "):
            event.assoc.acceptor.ae_title = called

    # messages; each handler opens a database handle of its own, for after an I/O error one is not used again

    def _recorded(self, record: Callable[[Store], Refusal | None]) -> Refusal | None:
        try:
            with open_unit(self._config.unit_db, clock=self._clock) as db:
                return record(db)
        except StoreError as error:
            log("unit.services", "not recorded", why=error.kind)
            return Refusal(PROCESSING_FAILURE, f"cannot be recorded now ({error.kind}); say it again")

    def _on_create(self, event: Any) -> tuple[Dataset, Dataset | None]:
        step_uid = str(event.request.AffectedSOPInstanceUID or "")
        data_set = _data_set(event, "attribute_list")
        made = Dataset()

        def record(db: Store) -> Refusal | None:
            if data_set is None:
                return _UNREADABLE
            made.AffectedSOPInstanceUID, refusal = steps.create(db, _caller(event), step_uid, data_set)
            return refusal

        status = _answer("N-CREATE", event, self._recorded(record))
        return status, None if step_uid else made

    def _on_set(self, event: Any) -> tuple[Dataset, None]:
        step_uid = str(event.request.RequestedSOPInstanceUID)
        changes = _data_set(event, "modification_list")
        refusal = (
            _UNREADABLE
            if changes is None
            else self._recorded(lambda db: steps.set_(db, _caller(event), step_uid, changes))
        )
        return _answer("N-SET", event, refusal), None

    def _on_action(self, event: Any) -> tuple[Dataset, None]:
        return _answer("N-ACTION", event, self._asked(event)), None

    def _asked(self, event: Any) -> Refusal | None:
        if event.request.RequestedSOPInstanceUID != StorageCommitmentPushModelInstance:
            return Refusal(NO_SUCH_SOP_INSTANCE, "not the well-known instance of Storage Commitment")
        if event.action_type != _REQUEST_COMMITMENT:
            return Refusal(commitment.NO_SUCH_ACTION, "the only action is to request commitment")
        information = _data_set(event, "action_information")
        if information is None:
            return _UNREADABLE
        try:
            transaction_uid, references = commitment.read_request(
                information, self._limits.commitment_reference_count_max
            )
        except BadRequestError as error:
            return error.refusal
        called = str(event.assoc.acceptor.ae_title).strip()

        def record(db: Store) -> Refusal | None:
            request_id, refusal = commitment.ask(db, _caller(event), called, transaction_uid, references)
            if refusal is None:
                self._desk.ask(request_id, Asked(event.assoc, event.context))
            return refusal

        return self._recorded(record)

    def _on_sent(self, event: Any) -> None:
        if isinstance(event.message, N_ACTION_RSP):
            self._desk.acknowledged(event.assoc, self._clock.mono_s())

    def _on_received(self, event: Any) -> None:
        if isinstance(event.message, N_EVENT_REPORT_RSP):
            answer = event.message.command_set
            self._desk.heard(event.assoc, int(answer.MessageIDBeingRespondedTo), int(answer.Status))


def _data_set(event: Any, name: str) -> Dataset | None:
    """The data set of a request; ``None`` when its bytes are none."""
    try:
        data_set: Dataset = getattr(event, name)
    except Exception:  # pydicom raises whatever strange bytes lead to
        return None
    return data_set


def _caller(event: Any) -> str:
    return str(event.assoc.requestor.ae_title).strip()


def _answer(message: str, event: Any, refusal: Refusal | None) -> Dataset:
    """The status of a response, with a line in the log."""
    status = Dataset()
    status.Status = refusal.status if refusal else 0x0000
    if refusal:
        status.ErrorComment = refusal.comment
        if refusal.error_id:
            status.ErrorID = refusal.error_id
    why = {"why": refusal.comment} if refusal else {}
    log("unit.services", message, device=_caller(event), status=f"{status.Status:04x}", **why)
    return status


def _inheriting(listener: socket.socket) -> type[ThreadedAssociationServer]:
    """A server over a socket that listens already and is not its own to close."""

    class Inheriting(ThreadedAssociationServer):
        def server_bind(self) -> None:
            assert self.socket is not None
            self.socket.close()
            self.socket = listener
            self.server_address = listener.getsockname()

        def server_activate(self) -> None:
            """It listens."""

        def server_close(self) -> None:
            """Whoever made it closes it."""

    return Inheriting
