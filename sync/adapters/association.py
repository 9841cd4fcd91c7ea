"""One DICOM association as requestor, with what pynetdicom lacks on a bad link.

- Connecting, and the TLS handshake, are done here, so that the reason of a failure is known and not only logged.
- pynetdicom's ARTIM and idle timers follow the wall clock; they are switched off, and a ``Guard`` watches instead.
- Its queue towards the network is unbounded, so a file would be read whole into memory; ours holds a few PDUs.
- A peer's PDU of any length would be read; ours has a bound.
"""

from __future__ import annotations

import queue
import socket
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu import A_ABORT_RQ
from pynetdicom.pdu_primitives import P_DATA, MaximumLengthNotification
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from appliance.clock import Clock
from appliance.config import DimseDestination
from appliance.domain.failure import Failure
from appliance.domain.limits import LimitSet
from sync.adapters.failures import Failed, failure
from sync.adapters.guard import TICK_S, Guard
from sync.adapters.tls import connect_failure, tls_context

# Stored bytes go out from the file as they are: nothing is in memory as a whole.
_config.STORE_SEND_CHUNKED_DATASET = True

QUEUED_PDU_COUNT_MAX = 8
PEER_PDU_BYTES_MIN = 128
COMMAND_BYTES = 64 * 1024
"""More than any command with its answer takes, for deadlines."""

Context = tuple[str, str]
"""A SOP class (or service) and one transfer syntax, proposed as one presentation context."""


class Conversation:
    """An open association; a context manager that releases it, or aborts it after a failure."""

    def __init__(
        self,
        table: DimseDestination,
        limits: LimitSet,
        clock: Clock,
        contexts: Sequence[Context],
        handlers: Sequence[tuple[Any, Callable[[Any], Any]]] = (),
        roles: Sequence[Any] = (),
    ) -> None:
        self._table = table
        self._limits = limits
        self._contexts = contexts
        self._handlers = handlers
        self._roles = roles
        """SCP/SCU role selection items of pynetdicom."""
        self._association: Association | None = None
        self._connection: socket.socket | None = None
        self._message_id = 0
        self._on_bytes: Callable[[int], None] = lambda count: None
        self.guard = Guard(clock, limits, "dimse", self._wake)
        self.peer_aborted = False
        self.accepted: frozenset[Context] = frozenset()
        self.refused_classes: frozenset[str] = frozenset()

    def __enter__(self) -> Conversation:
        self.guard.__enter__()
        try:
            self._open()
        except BaseException:
            self._close(politely=False)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(politely=error is None)

    def echo(self) -> None:
        """C-ECHO.

        Raises:
            Failed: If it is not answered with success.
        """
        self.guard.begin(COMMAND_BYTES)
        status = self._answered(self.association.send_c_echo(self._next_message_id()))
        if status != 0x0000:
            raise Failed(failure("service-refused"))

    def store(self, path: Path, on_bytes: Callable[[int], None]) -> int:
        """C-STORE of a file whose transfer syntax was accepted; the bytes after group 0002 go out as they are.

        Args:
            path: A Part 10 file.
            on_bytes: Called with the number of bytes of each PDU handed to the network.

        Returns:
            The status of the answer.

        Raises:
            Failed: If there is no answer (link), or the file cannot be read.
        """
        try:
            self.guard.begin(path.stat().st_size + COMMAND_BYTES)
            self._on_bytes = on_bytes
            return self._answered(self.association.send_c_store(path, self._next_message_id()))
        except (RuntimeError, ConnectionError) as error:
            raise Failed(self.loss()) from error
        except (OSError, ValueError, AttributeError, EOFError) as error:
            raise Failed(failure("file-unreadable")) from error
        finally:
            self._on_bytes = lambda count: None
            self.guard.end()

    def call(self, request: Callable[[Association, int], Any], size_bytes: int = COMMAND_BYTES) -> Any:
        """Any other request, under the guard; gets the association and a message ID, returns what it returns.

        Raises:
            Failed: If the association is gone.
        """
        self.guard.begin(size_bytes)
        try:
            return request(self.association, self._next_message_id())
        except (RuntimeError, ConnectionError) as error:
            raise Failed(self.loss()) from error
        finally:
            self.guard.end()

    def status_of(self, answer: Any) -> int:
        """The status of an answer.

        Raises:
            Failed: If it is empty: the peer broke off, or said nothing in time.
        """
        return self._answered(answer)

    def loss(self) -> Failure:
        """Why the association is gone."""
        if self.guard.expired:
            return failure("stalled")
        return failure("association-aborted" if self.peer_aborted else "connection-lost")

    @property
    def association(self) -> Association:
        """The established association of pynetdicom."""
        if self._association is None:
            raise Failed(failure("connection-lost"))
        return self._association

    def moved_out(self, count: int) -> None:
        """Bytes were handed to the network (called by the socket)."""
        self.guard.progress()
        self._on_bytes(count)

    def _answered(self, answer: Any) -> int:
        self.guard.end()
        if "Status" not in answer:
            raise Failed(self.loss())
        return int(answer.Status)

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % 65535 + 1
        return self._message_id

    def _open(self) -> None:
        connection = self._connection = _connect(self._table, self._limits, self.guard)
        self.guard.watch(connection)
        self.guard.begin(COMMAND_BYTES)
        ae = _Ae(self._table.calling_ae_title, connection, self)
        ae.acse_timeout = ae.dimse_timeout = 2 * self._limits.transfer_stall_s_max
        ae.network_timeout = None
        association = ae.associate(
            "127.0.0.1",  # not used: the connection is open already
            self._table.port,
            contexts=_contexts(self._contexts),
            ae_title=self._table.called_ae_title,
            ext_neg=list(self._roles),
            max_pdu=self._limits.pdu_bytes_max,
            evt_handlers=[(evt.EVT_PDU_RECV, self._on_pdu), *self._handlers],
        )
        self._association = association
        self.guard.end()
        self._check_opened(association)
        self.accepted = frozenset(
            (str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts
        )
        _bound_pdu(association, self._limits.pdu_bytes_max)
        # Answers come after minutes on a slow link; the guard, not this, says when to give up.
        association.dimse_timeout = None

    def _check_opened(self, association: Association) -> None:
        self.refused_classes = frozenset(
            str(c.abstract_syntax) for c in association.rejected_contexts if c.result == 0x03
        )
        if association.is_established:
            return
        answer = association.acceptor.primitive
        if association.is_rejected and answer is not None:
            not_known = answer.result_source == 0x01 and answer.diagnostic in (0x03, 0x07)
            raise Failed(failure("ae-unknown" if not_known else "association-refused"))
        if association.rejected_contexts:
            return
        raise Failed(self.loss())

    def _on_pdu(self, event: Any) -> None:
        if isinstance(event.pdu, A_ABORT_RQ):
            self.peer_aborted = True

    def _wake(self) -> None:
        """Whoever waits for an answer gets an empty one, also if pynetdicom's network thread died."""
        if self._association is not None:
            self._association.dimse.msg_queue.put((None, None))

    def _close(self, *, politely: bool) -> None:
        association = self._association
        if association is not None and association.is_established and politely and not self.guard.expired:
            self.guard.begin(COMMAND_BYTES)
            association.release()
        self.guard.cut()
        if association is not None and association.is_alive():
            association.abort()
        if self._connection is not None:
            self._connection.close()  # pynetdicom leaves it open when the peer was first to go
        self.guard.__exit__(None, None, None)


class _Ae(AE):
    """An application entity for one association over a connection that is open already."""

    def __init__(self, ae_title: str, connection: socket.socket, conversation: Conversation) -> None:
        super().__init__(ae_title)
        self._connection = connection
        self._conversation = conversation

    def _create_socket(self, assoc: Association, address: AddressInformation, tls_args: Any) -> AssociationSocket:
        assoc.dul.artim_timer.timeout = None
        assoc.dul.to_provider_queue = _PacedQueue(assoc.dul)
        return _OpenSocket(assoc, self._connection, self._conversation)


class _PacedQueue(queue.Queue[Any]):
    """Towards the network: data wait for room, everything else goes at once."""

    def __init__(self, dul: DULServiceProvider) -> None:
        super().__init__(QUEUED_PDU_COUNT_MAX)
        self._dul = dul

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if not isinstance(item, P_DATA):
            with self.mutex:
                self._put(item)
                self.unfinished_tasks += 1
                self.not_empty.notify()
            return None
        while self._dul.is_alive() and self._dul.state_machine.current_state == "Sta6":
            try:
                return super().put(item, timeout=TICK_S)
            except queue.Full:
                continue
        raise ConnectionError("the association is gone")


class _OpenSocket(AssociationSocket):
    """A socket that somebody else connected; every byte over it is progress, and no PDU is longer than agreed."""

    def __init__(self, assoc: Association, connection: socket.socket, conversation: Conversation) -> None:
        self._connection = connection
        self._conversation = conversation
        super().__init__(assoc, address=AddressInformation("127.0.0.1", 0))

    def _create_socket(self, address: AddressInformation) -> socket.socket:
        return self._connection

    def connect(self, primitive: T_CONNECT) -> None:
        self._is_connected = True
        primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()

    def recv(self, nr_bytes: int) -> bytearray:
        return read_bounded(self.socket, nr_bytes, self._conversation.guard.progress)

    def send(self, bytestream: bytes) -> None:
        left = memoryview(bytestream)
        try:
            while left and self.socket is not None:
                sent_bytes = self.socket.send(left)
                left = left[sent_bytes:]
                self._conversation.moved_out(sent_bytes)
        except OSError:
            self.event_queue.put("Evt17")


def read_bounded(connection: socket.socket | None, count: int, on_bytes: Callable[[], None]) -> bytearray:
    """Exactly ``count`` bytes, or fewer at the end of the stream.

    Raises:
        OSError: If ``count`` exceeds what any of our peers may send in one PDU, or the socket fails.
    """
    if connection is None or count > LimitSet().pdu_bytes_max + COMMAND_BYTES:
        raise OSError("a PDU longer than agreed")
    data = bytearray()
    while len(data) < count:
        step = connection.recv(min(count - len(data), 1 << 16))
        if not step:
            break
        data += step
        on_bytes()
    return data


def _connect(table: DimseDestination, limits: LimitSet, guard: Guard) -> socket.socket:
    """A TCP or TLS connection; every address of the host is tried in turn."""
    context = None
    if table.tls:
        try:
            context = tls_context(table.ca_file, table.certificate_file, table.key_file)
        except OSError as error:
            raise Failed(failure("settings")) from error
    try:
        connection = socket.create_connection((table.host, table.port), timeout=limits.transfer_stall_s_max)
    except TimeoutError as error:
        raise Failed(failure("connect-timeout")) from error
    except OSError as error:
        raise Failed(connect_failure(error) or failure("unreachable")) from error
    guard.watch(connection)
    guard.begin(COMMAND_BYTES)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            connection = context.wrap_socket(connection, server_hostname=table.host)
        connection.settimeout(None)
    except TimeoutError as error:
        connection.close()
        raise Failed(failure("stalled")) from error
    except (OSError, ssl.CertificateError) as error:
        connection.close()
        cause = failure("stalled") if guard.expired else connect_failure(error)
        raise Failed(cause or failure("connection-lost")) from error
    return connection


def _contexts(pairs: Sequence[Context]) -> list[PresentationContext]:
    contexts = []
    for abstract_syntax, transfer_syntax in pairs:
        context = PresentationContext()
        context.abstract_syntax = UID(abstract_syntax)
        context.add_transfer_syntax(transfer_syntax)
        contexts.append(context)
    return contexts


def _bound_pdu(association: Association, pdu_bytes_max: int) -> None:
    """A peer that takes PDUs of any length (0) would otherwise be sent each file as one, read whole into memory."""
    for item in association.acceptor.user_information:
        if isinstance(item, MaximumLengthNotification):
            theirs = item.maximum_length_received
            if not theirs or theirs > pdu_bytes_max:
                item.maximum_length_received = pdu_bytes_max
            elif theirs < PEER_PDU_BYTES_MIN:
                raise Failed(failure("association-refused"))
