"""One HTTP/1.1 conversation with a DICOMweb service: what may go wrong on the way is decided here.

No redirect is followed, no proxy or password is taken from the environment, no body is decompressed and none is read
without a bound. Only ``ca_file`` is trusted when there is one, so a captive portal cannot pass for the destination.
"""

from __future__ import annotations

import email.utils
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from appliance.clock import Clock
from appliance.domain.failure import Failure
from appliance.domain.limits import LimitSet
from sync.adapters.failures import Failed, failure
from sync.adapters.guard import Guard
from sync.adapters.tls import connect_failure, tls_context

ANSWER_BYTES_MAX = 4 * 1024 * 1024
"""A STOW or QIDO answer about at most ``transfer_item_count_max`` instances; real ones have some kilobytes."""
HEADER_ALLOWANCE_BYTES = 4096

_LINK_STATUSES = {401, 403, 429, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class WebAddress:
    """Where and as whom."""

    url: str
    username: str = ""
    password_file: str = ""
    ca_file: str = ""


class WebSession:
    """A client with one connection, watched by a guard; a context manager for one call of an adapter."""

    def __init__(self, address: WebAddress, limits: LimitSet, clock: Clock) -> None:
        self._limits = limits
        self._base = address.url.rstrip("/")
        self._client = _client(address, limits)
        self.guard = Guard(clock, limits, "web")

    def __enter__(self) -> WebSession:
        self.guard.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.guard.__exit__(kind, error, trace)
        self._client.close()

    @contextmanager
    def exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str] | None = None,
        content: Iterator[bytes] | None = None,
        size_bytes: int = 0,
    ) -> Iterator[httpx.Response]:
        """One request; the response's body is not read yet.

        Args:
            method: HTTP method.
            path: Below the base, with a leading slash.
            headers: Beside the usual ones; must hold ``Content-Length`` when there is ``content``.
            params: Query parameters.
            content: The body, streamed.
            size_bytes: About what moves in both directions; decides how long it may take.

        Raises:
            Failed: If there is no answer, or one that concerns the whole link (401, 503, a redirect, a portal's page).
        """
        self.guard.begin(size_bytes + HEADER_ALLOWANCE_BYTES)
        try:
            request = self._client.build_request(
                method,
                self._base + path,
                params=dict(params) if params else None,
                headers={"Accept-Encoding": "identity", **headers},
                content=content,
                extensions={"trace": self._trace},
            )
            response = self._client.send(request, stream=True)
            try:
                _check_link(response, self._limits.backoff_s_max)
                yield response
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise Failed(why_no_answer(error, self.guard.expired)) from error
        finally:
            self.guard.end()

    def read(self, response: httpx.Response) -> Iterator[bytes]:
        """The body's bytes as they come; each piece counts as progress.

        Raises:
            Failed: If the body is encoded though identity was asked for.
            httpx.HTTPError: If the connection breaks; ``exchange`` turns it into ``Failed``.
        """
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Failed(failure("answer-unusable"))
        for piece in response.iter_raw():
            self.guard.progress()
            yield piece
        if self.guard.expired:
            # A body without a length ends where the connection does, also where the guard cut it.
            raise Failed(failure("stalled"))

    def read_all(self, response: httpx.Response) -> bytes:
        """A small body.

        Raises:
            Failed: ``answer-too-large`` when it exceeds ``ANSWER_BYTES_MAX``.
        """
        body = bytearray()
        for piece in self.read(response):
            body += piece
            if len(body) > ANSWER_BYTES_MAX:
                raise Failed(failure("answer-too-large"))
        return bytes(body)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx tells of new connections only here; the guard must know the socket before the TLS handshake."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            connection = info["return_value"].get_extra_info("socket")
            if isinstance(connection, socket.socket):
                self.guard.watch(connection)


def why_no_answer(error: Exception, stalled: bool) -> Failure:
    """What an error of httpx says about the way.

    Args:
        error: Raised while asking or reading.
        stalled: The guard had cut the connection.
    """
    if stalled or isinstance(error, httpx.ReadTimeout | httpx.WriteTimeout):
        return failure("stalled")
    if isinstance(error, httpx.ConnectTimeout):
        return failure("connect-timeout")
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return failure("settings")
    if isinstance(error, httpx.LocalProtocolError):
        # Content-Length was taken from the file a moment ago, so the file changed under us.
        return failure("file-unreadable")
    return connect_failure(error) or failure(
        "unreachable" if isinstance(error, httpx.ConnectError) else "connection-lost"
    )


def media_type(response: httpx.Response) -> str:
    """The content type without parameters, in lower case."""
    return str(response.headers.get("Content-Type", "")).split(";")[0].strip().lower()


def retry_after_s(headers: Mapping[str, str], s_max: float) -> float | None:
    """Seconds that ``Retry-After`` asks for, at most ``s_max`` (RFC 9110 section 10.2.3).

    A date is compared with the answer's own ``Date``, for the clock of this unit may be wrong.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), s_max)
    until, now = (_http_date_s(text) for text in (value, headers.get("Date", "")))
    if until is None or now is None:
        return None
    return min(max(0.0, until - now), s_max)


def _http_date_s(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None


def _client(address: WebAddress, limits: LimitSet) -> httpx.Client:
    try:
        password = Path(address.password_file).read_text(encoding="utf-8") if address.password_file else ""
        verify: ssl.SSLContext | bool = tls_context(address.ca_file) if address.url.startswith("https") else False
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(failure("settings")) from error
    return httpx.Client(
        auth=httpx.BasicAuth(address.username, password.strip("\r\n")) if address.username else None,
        verify=verify,
        trust_env=False,
        follow_redirects=False,
        http2=False,
        limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
        # The guard decides; httpx's own time-outs are the second line, for a guard thread that died.
        timeout=httpx.Timeout(2 * limits.transfer_stall_s_max, connect=limits.transfer_stall_s_max),
    )


def _check_link(response: httpx.Response, backoff_s_max: float) -> None:
    """Raise ``Failed`` for answers that say nothing of the item but of the way to the destination."""
    status = response.status_code
    if 300 <= status < 400:
        raise Failed(failure("redirected"))
    if status in (407, 511):
        raise Failed(failure("portal"))
    if status in _LINK_STATUSES:
        raise Failed(failure(f"http-{status}", retry_after_s(response.headers, backoff_s_max)))
    if status < 300 and media_type(response) in ("text/html", "application/xhtml+xml"):
        raise Failed(failure("portal"))
