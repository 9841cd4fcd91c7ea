"""multipart/related bodies: written around files on disk, read as a stream (RFC 2046, PS3.18 section 8.6.1.2)."""

from __future__ import annotations

import re
from typing import Protocol

PART_HEADERS_BYTES_MAX = 16 * 1024


class MultipartError(Exception):
    """The body is no whole multipart/related body with one part."""


class Sink(Protocol):
    """Where content goes; may raise what the caller of ``OnePart.feed`` understands."""

    def write(self, data: bytes, /) -> int: ...


def boundary_of(content_type: str) -> bytes | None:
    """The boundary parameter of a multipart content type; ``None`` when it is something else."""
    if not content_type.lower().startswith("multipart/related"):
        return None
    found = re.search(r';\s*boundary=("(?P<quoted>[^"]{1,70})"|(?P<bare>[^\s;"]{1,70}))', content_type, re.IGNORECASE)
    return (found["quoted"] or found["bare"]).encode("latin-1", "replace") if found else None


class OnePart:
    """Takes a multipart body in pieces and writes the content of its only part to ``sink``."""

    def __init__(self, boundary: bytes, sink: Sink) -> None:
        self._first = b"--" + boundary
        self._between = b"\r\n--" + boundary
        self._sink = sink
        self._buffer = b""
        self._step = self._preamble
        self.complete = False
        """True once the closing boundary was seen; until then the content may be cut."""

    def feed(self, data: bytes) -> None:
        """The next piece, of any size.

        Raises:
            MultipartError: If it cannot be, has a second part, or does not end after its last boundary.
            OSError: From the sink.
        """
        self._buffer += data
        while self._step():
            pass

    def _preamble(self) -> bool:
        start = self._buffer.find(self._first)
        if start < 0:
            if len(self._buffer) > PART_HEADERS_BYTES_MAX:
                raise MultipartError("no boundary")
            return False
        self._buffer = self._buffer[start + len(self._first) :]
        self._step = self._headers
        return True

    def _headers(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > PART_HEADERS_BYTES_MAX or self._buffer.startswith(b"--"):
                raise MultipartError("no part, or headers without end")
            return False
        self._buffer = self._buffer[end + 4 :]
        self._step = self._content
        return True

    def _content(self) -> bool:
        end = self._buffer.find(self._between)
        if end >= 0:
            self._sink.write(self._buffer[:end])
            self._buffer = self._buffer[end + len(self._between) :]
            self._step = self._closing
            return True
        safe = len(self._buffer) - len(self._between) + 1
        if safe > 0:
            self._sink.write(self._buffer[:safe])
            self._buffer = self._buffer[safe:]
        return False

    def _closing(self) -> bool:
        if len(self._buffer) > PART_HEADERS_BYTES_MAX:
            raise MultipartError("an epilogue without end")
        if self.complete or len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"--":
            raise MultipartError("more than one part")
        self.complete = True
        return False
