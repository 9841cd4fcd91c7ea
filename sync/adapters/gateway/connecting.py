"""A TCP or TLS connection to the gateway, through a proxy if there is one; short attempts, addresses remembered.

Asking for a name blocks for many seconds while a link is away, so an address that worked is used for some minutes.
"""

from __future__ import annotations

import socket
import ssl
import threading
from base64 import b64encode
from urllib.parse import SplitResult, unquote, urlsplit

from appliance.clock import Clock
from appliance.config import GatewayDestination
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway import sockets
from sync.adapters.tls import connect_failure, tls_context

ADDRESS_S_MAX = 600.0
ADDRESS_FAILING_S_MAX = 60.0
"""Longer than an outage on the road; after that the destination may have moved."""
PROXY_ANSWER_BYTES_MAX = 16 * 1024
_DEFAULT_PORTS = {"http": 80, "https": 443}
Address = tuple[int, tuple[str, int] | tuple[str, int, int, int]]


class Connector:
    """Makes connections of one destination.

    Attributes:
        host: For the ``Host`` field.
    """

    def __init__(self, table: GatewayDestination, clock: Clock) -> None:
        """Raises ``Failed`` (``settings``) when an address or the CA file cannot be used."""
        try:
            self._url = urlsplit(table.url)
            self._proxy = urlsplit(table.proxy) if table.proxy else None
            secure = self._url.scheme == "https"
            self._context = tls_context(table.ca_file) if secure else None
            self._name, self._port = _host_and_port(self._url)
            self._next = _host_and_port(self._proxy) if self._proxy else (self._name, self._port)
        except (OSError, ValueError) as error:
            raise Failed(failure("settings")) from error
        self._clock = clock
        self._options = sockets.options(sockets.congestion_of(table.congestion))
        self._lock = threading.Lock()
        self._addresses: list[Address] = []
        self._asked_mono_s = float("-inf")
        self._failing_mono_s: float | None = None
        self.host = self._url.netloc.rpartition("@")[2]

    def connect(self, attempt_s: float) -> socket.socket:
        """A connection that blocks; TLS is set up.

        Args:
            attempt_s: Time-out of each step: each address, the proxy's answer, the handshake.

        Raises:
            Failed: What stands in the way.
        """
        try:
            connection = self._reach(attempt_s)
        except TimeoutError as error:
            raise Failed(failure("connect-timeout")) from error
        except OSError as error:
            raise Failed(connect_failure(error) or failure("unreachable")) from error
        try:
            if self._proxy is not None:
                _open_tunnel(connection, self._proxy, f"{_bracketed(self._name)}:{self._port}")
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_hostname=self._name)
            return connection
        except BaseException as error:
            connection.close()
            if isinstance(error, TimeoutError):
                raise Failed(failure("connect-timeout")) from error
            if isinstance(error, OSError | ssl.CertificateError):
                raise Failed(connect_failure(error) or failure("connection-lost")) from error
            raise

    def _reach(self, attempt_s: float) -> socket.socket:
        error: OSError = OSError("no address")
        for family, address in self._known_addresses():
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                for level, option, value in self._options:
                    connection.setsockopt(level, option, value)
                connection.settimeout(attempt_s)
                connection.connect(address)
                self._failing_mono_s = None
                return connection
            except OSError as failed:
                connection.close()
                error = failed
        self._note_failing()
        raise error

    def _note_failing(self) -> None:
        now = self._clock.mono_s()
        if self._failing_mono_s is None:
            self._failing_mono_s = now
        elif now - self._failing_mono_s > ADDRESS_FAILING_S_MAX:
            with self._lock:
                self._addresses = []
            self._failing_mono_s = now

    def _known_addresses(self) -> list[Address]:
        now = self._clock.mono_s()
        with self._lock:
            if self._addresses and now - self._asked_mono_s < ADDRESS_S_MAX:
                return self._addresses
        found = socket.getaddrinfo(*self._next, type=socket.SOCK_STREAM)
        with self._lock:
            self._addresses = [(entry[0], entry[4]) for entry in found]  # type: ignore[misc]  # only IP families
            self._asked_mono_s = now
            return self._addresses


def _host_and_port(url: SplitResult) -> tuple[str, int]:
    port = url.port or _DEFAULT_PORTS.get(url.scheme)
    if not url.hostname or port is None:
        raise ValueError("no host")
    return url.hostname, port


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _open_tunnel(connection: socket.socket, proxy: SplitResult, target: str) -> None:
    """RFC 9110 section 9.3.6."""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.username:
        words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {b64encode(words.encode()).decode('ascii')}")
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = connection.recv(1)
        answer += piece
        if not piece or len(answer) > PROXY_ANSWER_BYTES_MAX:
            raise Failed(failure("connection-lost"))
    status = answer.split(b" ", 2)[1:2]
    if status == [b"407"]:
        raise Failed(failure("portal"))
    if not status or not status[0].startswith(b"2"):
        raise Failed(failure("unreachable"))
