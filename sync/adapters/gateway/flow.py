"""One connection to the gateway that lives from call to call, and what may go wrong on it.

One exchange at a time; whoever holds the flow owns it. The guard gives it up by the kernel's own round trip, and a
flow that was given up is reset and made anew by the next exchange. Nothing here tries twice.
"""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import msgspec
import zstandard

from appliance.clock import Clock
from appliance.config import GatewayDestination
from appliance.domain.limits import LimitSet
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway import sockets, timing
from sync.adapters.guard import Guard
from sync.adapters.tls import tls_context
from sync.adapters.web import retry_after_s, why_no_answer

T = TypeVar("T")
ANSWER_BYTES_MAX = 4 * 1024 * 1024
"""Of a JSON answer, packed or not: 200 receipts have some 200 KB."""
HEADER_ALLOWANCE_BYTES = 4096
_WINDOW_BYTES_MAX = 8 * 1024 * 1024
_PORTAL_TYPES = ("text/html", "application/xhtml+xml")
_BUSY = (429, 502, 503, 504)


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; ``round_trip_s`` is known when the connection stood and the request was small."""

    status: int
    headers: httpx.Headers
    body: bytes
    round_trip_s: float | None = None

    @property
    def media_type(self) -> str:
        """Without parameters, in lower case."""
        return str(self.headers.get("Content-Type", "")).split(";")[0].strip().lower()

    def decode(self, kind: type[T]) -> T:
        """The body as a message.

        Raises:
            Failed: ``answer-unusable`` when it is none.
        """
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise Failed(failure("answer-unusable")) from error


class Way:
    """What all flows of one destination share."""

    def __init__(self, table: GatewayDestination, limits: LimitSet, clock: Clock) -> None:
        self.table = table
        self.limits = limits
        self.clock = clock
        self.base = table.url.rstrip("/")
        self._lock = threading.Lock()
        self._transport_settings: dict[str, Any] | None = None

    def client(self) -> httpx.Client:
        """A client with one connection, not made yet.

        Raises:
            Failed: ``settings`` when the CA file or an address cannot be used.
        """
        with self._lock:
            if self._transport_settings is None:
                self._transport_settings = self._settings()
        try:
            transport = httpx.HTTPTransport(
                trust_env=False,
                limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=timing.IDLE_S_MAX),
                **self._transport_settings,
            )
        except (ValueError, httpx.InvalidURL) as error:
            raise Failed(failure("settings")) from error
        return httpx.Client(transport=transport, trust_env=False, follow_redirects=False)

    def _settings(self) -> dict[str, Any]:
        try:
            # One context for all flows: reading the authorities costs more than a handshake.
            verify = tls_context(self.table.ca_file) if self.base.startswith("https") else False
        except OSError as error:
            raise Failed(failure("settings")) from error
        return {
            "verify": verify,
            "proxy": self.table.proxy or None,
            "socket_options": sockets.options(sockets.congestion_of(self.table.congestion)),
        }


class Flow:
    """One connection; ``close`` ends it for good."""

    def __init__(self, way: Way, name: str) -> None:
        self._way = way
        self._client = way.client()
        self._guard = Guard(way.clock, way.limits, f"gateway-{name}", patience=self._patience)
        self._guard.__enter__()
        self._socket: socket.socket | None = None
        self._is_new = True
        self._connect_failure_count = 0
        self._round_trip_s = 0.0
        self._answer_patience_s = 0.0
        self._cancelled: Callable[[], bool] = _never

    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        content: bytes | None = None,
        size_bytes: int = 0,
        patience_s: float = 0.0,
        cancelled: Callable[[], bool] = _never,
    ) -> Answer:
        """One request and its whole answer.

        Args:
            method: HTTP method.
            path: With query, below the base.
            headers: Beside the usual ones.
            content: The body.
            size_bytes: About what moves; decides how long it may take in all.
            patience_s: What the request takes at the centre.
            cancelled: Cuts the connection when it becomes true.

        Raises:
            Failed: If there is no answer, or one that is not the gateway's (a portal, a redirect, a busy front door).
        """
        self._answer_patience_s, self._cancelled = patience_s, cancelled
        self._is_new = False
        began_mono_s = self._way.clock.mono_s()
        self._guard.begin(size_bytes + HEADER_ALLOWANCE_BYTES)
        try:
            request = self._client.build_request(
                method,
                self._way.base + path,
                headers={"Accept-Encoding": "zstd", **headers},
                content=content,
                timeout=self._timeouts(),
                extensions={"trace": self._trace},
            )
            response = self._client.send(request, stream=True)
            try:
                self._guard.progress()
                heard_mono_s = self._way.clock.mono_s()
                body = self._read(response)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            self._note_failure(error)
            raise Failed(why_no_answer(error, self._guard.expired)) from error
        finally:
            self._guard.end()
            self._cancelled = _never
        self._connect_failure_count = 0
        if self._socket is not None:
            self._round_trip_s = sockets.round_trip_s(self._socket) or self._round_trip_s
        answer = Answer(
            response.status_code,
            response.headers,
            body,
            heard_mono_s - began_mono_s if not self._is_new else None,
        )
        check_way(answer, self._way.limits.backoff_s_max)
        return answer

    def cut(self) -> None:
        """End what runs; whoever waits for it gets a failure. The flow can be used again."""
        self._guard.cut()

    def close(self) -> None:
        """End it for good; nothing may run any more."""
        self._guard.__exit__(None, None, None)
        self._client.close()

    def _read(self, response: httpx.Response) -> bytes:
        raw = bytearray()
        for piece in response.iter_raw():
            self._guard.progress()
            raw += piece
            if len(raw) > ANSWER_BYTES_MAX:
                raise Failed(failure("answer-too-large"))
        if self._guard.expired:
            # A body without a length ends where the connection does, also where the guard cut it.
            raise Failed(failure("stalled"))
        return unpacked(bytes(raw), response.headers)

    def _timeouts(self) -> httpx.Timeout:
        """Only connecting has a time-out of its own; otherwise the guard decides, and this is the second line."""
        connect_s = timing.connect_s(self._round_trip_s, self._connect_failure_count)
        return httpx.Timeout(2 * self._way.limits.transfer_stall_s_max + self._answer_patience_s, connect=connect_s)

    def _patience(self, connection: socket.socket | None, unsent_bytes: int) -> float:
        """See ``Guard``; asked a few times a second while an exchange runs."""
        if self._cancelled():
            return -1.0
        stall_s_max = self._way.limits.transfer_stall_s_max
        round_trip_s = self._round_trip_s if connection is None else sockets.round_trip_s(connection)
        if unsent_bytes:
            return timing.stall_s(round_trip_s, stall_s_max)
        return timing.answer_s(round_trip_s, stall_s_max, self._answer_patience_s)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx tells of new connections only here; the guard must know the socket before the TLS handshake."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            connection = info["return_value"].get_extra_info("socket")
            if isinstance(connection, socket.socket):
                self._guard.watch(connection)
                self._socket, self._is_new = connection, True

    def _note_failure(self, error: BaseException) -> None:
        self._socket = None
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            self._connect_failure_count += 1


def check_way(answer: Answer, backoff_s_max: float) -> None:
    """Raise ``Failed`` for answers that are not the gateway's own, or say that it cannot be spoken to now."""
    status = answer.status
    if 300 <= status < 400:
        raise Failed(failure("redirected"))
    if status in (407, 511) or (status < 300 and answer.media_type in _PORTAL_TYPES):
        raise Failed(failure("portal"))
    if status in _BUSY:
        raise Failed(failure(f"http-{status}", retry_after_s(answer.headers, backoff_s_max)))


def unpacked(raw: bytes, headers: httpx.Headers) -> bytes:
    """A body as it was before it was packed.

    Raises:
        Failed: When it is packed in a way that was not asked for, damaged, or a bomb.
    """
    encoding = headers.get("Content-Encoding", "identity").strip().lower()
    if encoding == "identity":
        return raw
    if encoding != "zstd":
        raise Failed(failure("answer-unusable"))
    try:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
        with decompressor.stream_reader(io.BytesIO(raw)) as reader:
            plain = bytes(reader.read(ANSWER_BYTES_MAX + 1))
    except (zstandard.ZstdError, MemoryError) as error:
        raise Failed(failure("answer-unusable")) from error
    if len(plain) > ANSWER_BYTES_MAX:
        raise Failed(failure("answer-too-large"))
    return plain
