"""HTTP/1.1 on one connection: uvicorn's own protocol with the bounds it lacks, and a way to what it would throw away.

- A request's header has a bound on bytes and on time, so silent and dripping clients cost one connection for seconds.
- What had arrived when a connection broke can still be read: uvicorn drops it, and on a bad link it was expensive.
- A refusal in the middle of a body is not reset away: the connection is read on for a moment after the answer.
- ``Date`` is that of the answer; uvicorn's is of the request's first bytes, a minute before on a slow link.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "qafila.connection"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-type: application/problem+json\r\n"
    b'content-length: 64\r\n\r\n{"type":"about:blank","title":"Header too large","status":431  }'
)


class Connection:
    """What an application may ask of the connection of its request (``scope["extensions"][EXTENSION]``)."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self._protocol = protocol

    def unread(self) -> bytes:
        """Bytes of the body that had arrived, and were not received, when the connection broke."""
        cycle = self._protocol.cycle
        return b"" if cycle is None else bytes(cycle.body)

    @property
    def in_body(self) -> bool:
        """Whether the request's body has not come to its end."""
        return self._protocol.in_message

    def interim(self, status_line: str, headers: Mapping[str, str]) -> None:
        """An informational answer, before the final one."""
        lines = [f"HTTP/1.1 {status_line}", *(f"{name}: {value}" for name, value in headers.items())]
        if not self._protocol.transport.is_closing():
            self._protocol.transport.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))


class _AnswerTransport:
    """The transport as an answer sees it.

    What is written in one go leaves in one go: head and body of a small answer are one packet on a link where each may
    be lost. Closing in the middle of a request's body waits for the peer a little.
    """

    def __init__(self, protocol: BoundedProtocol) -> None:
        self._protocol = protocol
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._held:
            self._protocol.loop.call_soon(self.flush)
        self._held.append(data)

    def flush(self) -> None:
        if self._held:
            held, self._held = b"".join(self._held), []
            self._protocol.transport.write(held)

    def close(self) -> None:
        self.flush()
        self._protocol.close_after_answer()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol.transport, name)


class _FieldsNow:
    """The fields of every answer as the server has them when it begins to answer; uvicorn only adds to them."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self._protocol = protocol

    def __add__(self, fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return self._protocol.server_state.default_headers + fields


class BoundedProtocol(HttpToolsProtocol):
    """One connection; bounds come from ``Config`` attributes set by ``central.gateway.__main__``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limits = self.config.gateway_limits  # type: ignore[attr-defined]  # our own subclass of uvicorn's Config
        self._header_bytes_max: int = limits.header_bytes_max
        self._header_s_max: float = limits.header_s_max
        self._linger_s_max: float = limits.linger_s_max
        self._header_bytes = 0
        self._unparsed_bytes = 0
        self._in_header = True
        self._header_count = 0
        self._header_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None
        self.in_message = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._watch_header()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._header_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._linger_timer is not None:
            return
        headers_before = self._header_count if self._in_header else -1
        super().data_received(data)
        if headers_before == self._header_count:
            # The parser holds a field back until it is whole, however long it is.
            self._count_unparsed(len(data))
        if self.cycle is not None and self.cycle.response_complete and not self.in_message and not self.pipeline:
            self._wait_for_next()

    def send_400_response(self, msg: str) -> None:
        if self._header_bytes > self._header_bytes_max:
            self._refuse_header()
        else:
            super().send_400_response(msg)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        self.in_message = True
        self._watch_header()
        self.scope["extensions"] = {EXTENSION: Connection(self)}  # type: ignore[dict-item]  # our own extension

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None
        self._in_header, self._unparsed_bytes = False, 0
        self._header_count += 1
        super().on_headers_complete()
        if self.cycle is not None:
            self.cycle.transport = _AnswerTransport(self)  # type: ignore[assignment]  # stands in for it
            self.cycle.default_headers = _FieldsNow(self)  # type: ignore[assignment]  # likewise

    def on_message_complete(self) -> None:
        self.in_message = False
        self._in_header = True
        super().on_message_complete()

    def close_after_answer(self) -> None:
        """Close; when a body is still coming, say so first and read past it for a moment, or the answer may be lost."""
        if not self.in_message or self.transport.is_closing():
            self.transport.close()
            return
        if self._linger_timer is None:
            self._linger_timer = self.loop.call_later(self._linger_s_max, self.transport.close)
            self.flow.resume_reading()
            if self.transport.can_write_eof():
                self.transport.write_eof()

    def eof_received(self) -> None:
        if self._linger_timer is not None:
            self.transport.close()

    def _wait_for_next(self) -> None:
        """A request whose body came after its answer is over now: the time between two requests runs."""
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _watch_header(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self._header_s_max, self._header_is_late)

    def _header_is_late(self) -> None:
        self._header_timer = None
        self.transport.close()

    def _count(self, byte_count: int) -> None:
        self._header_bytes += byte_count
        if self._header_bytes > self._header_bytes_max:
            raise _HeaderTooLarge

    def _count_unparsed(self, byte_count: int) -> None:
        self._unparsed_bytes += byte_count
        if self._unparsed_bytes > self._header_bytes_max and not self.transport.is_closing():
            self._refuse_header()

    def _refuse_header(self) -> None:
        self.transport.write(_TOO_LARGE)
        self.transport.close()


class _HeaderTooLarge(httptools.HttpParserError):
    """Ends parsing."""
