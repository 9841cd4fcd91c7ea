"""A DICOM listener of our own, for commitment reports and for instances sent back by C-MOVE; bounded in all ways."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import ThreadedAssociationServer

from appliance.clock import Clock
from appliance.config import DimseDestination
from appliance.domain.limits import LimitSet
from sync.adapters.association import read_bounded
from sync.adapters.failures import Failed, failure
from sync.adapters.guard import Guard
from sync.adapters.tls import listener_context


class Listener:
    """Accepts associations that call us by our AE title, each under a guard of its own; open until ``close``."""

    def __init__(
        self,
        table: DimseDestination,
        limits: LimitSet,
        clock: Clock,
        contexts: Sequence[PresentationContext],
        handlers: Sequence[tuple[Any, Callable[[Any], Any]]],
        size_bytes: int,
        bytes_max: int | None = None,
    ) -> None:
        """Listen from now on.

        Args:
            table: Our AE title, port and certificate.
            limits: Ours.
            clock: Monotonic.
            contexts: What is accepted.
            handlers: Of pynetdicom's events.
            size_bytes: About what an association brings; decides how long it may take.
            bytes_max: Beyond it an association is cut: whoever reaches this port must not fill the disk.

        Raises:
            Failed: ``listener`` when the port cannot be opened.
        """
        self._bytes_max = bytes_max
        self._limits = limits
        self._clock = clock
        self._size_bytes = size_bytes
        self._guards: dict[int, Guard] = {}
        self._lock = threading.Lock()
        ae = AE(table.calling_ae_title)
        ae.maximum_pdu_size = limits.pdu_bytes_max
        ae.maximum_associations = limits.connection_count_per_peer_max
        ae.require_called_aet = True
        ae.acse_timeout = limits.handshake_s_max
        ae.network_timeout = None
        ae.dimse_timeout = None
        try:
            context = None
            if table.tls:
                context = listener_context(table.ca_file, table.certificate_file, table.key_file)
            self._server = ae.make_server(
                ("", table.commitment_port),
                contexts=list(contexts),
                ssl_context=context,
                evt_handlers=[(evt.EVT_CONN_OPEN, self._on_open), (evt.EVT_CONN_CLOSE, self._on_close), *handlers],
                server_class=_Server,
            )
        except OSError as error:
            raise Failed(failure("listener")) from error
        ae._servers.append(self._server)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and cut what is open."""
        self._server.shutdown()
        self._thread.join()
        with self._lock:
            guards = list(self._guards.values())
        for guard in guards:
            guard.cut()

    def _on_open(self, event: Any) -> None:
        """Put a guard on a new connection, and a bound on the length of its PDUs."""
        wrapper = event.assoc.dul.socket
        event.assoc.dul.artim_timer.timeout = None
        guard = Guard(self._clock, self._limits, "listener")
        guard.__enter__()
        guard.watch(wrapper.socket)
        guard.begin(self._size_bytes)
        left_bytes = self._bytes_max

        def receive(count: int) -> bytearray:
            nonlocal left_bytes
            if left_bytes is not None:
                left_bytes -= count
                if left_bytes < 0:
                    raise OSError("more than was asked for")
            return read_bounded(wrapper.socket, count, guard.progress)

        wrapper.recv = receive
        with self._lock:
            self._guards[id(event.assoc)] = guard

    def _on_close(self, event: Any) -> None:
        with self._lock:
            guard = self._guards.pop(id(event.assoc), None)
        if guard:
            guard.__exit__(None, None, None)


class _Server(ThreadedAssociationServer):
    """With a time limit on the TLS handshake, which pynetdicom does in the thread that accepts."""

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        assert self.socket is not None
        connection, address = self.socket.accept()
        if self.ssl_context is None:
            return connection, address
        connection.settimeout(LimitSet().handshake_s_max)
        try:
            wrapped = self.ssl_context.wrap_socket(connection, server_side=True)
        except (OSError, ssl.SSLError):
            connection.close()
            raise
        wrapped.settimeout(None)
        return wrapped, address
