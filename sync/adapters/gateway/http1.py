"""HTTP/1.1 as the parts' connection speaks it (RFC 9112): requests one behind the other, answers in the same order.

Pure: bytes in, bytes out. No client library of ours sends a request before the last one was answered, and on a link of
650 ms each wait for an answer would cost as much as 160 KB.
"""

from __future__ import annotations

from collections.abc import Mapping

import httptools
import httpx

from sync.adapters.failures import Failed, failure
from sync.adapters.gateway.flow import ANSWER_BYTES_MAX, Answer, unpacked

HEADER_BYTES_MAX = 64 * 1024
LAST_CHUNK = b"0\r\n\r\n"


def request_head(method: str, target: str, host: str, headers: Mapping[str, str], content_bytes: int | None) -> bytes:
    """The head of a request; ``content_bytes`` of its body, ``None`` when that goes in chunks."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Accept-Encoding: zstd"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append("Transfer-Encoding: chunked" if content_bytes is None else f"Content-Length: {content_bytes}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One piece of a body in chunks; never empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class AnswersError(Exception):
    """What comes is no HTTP, or without a bound."""


class Answers:
    """Answers out of a connection's bytes.

    Attributes:
        ended: The peer said that nothing follows the last answer.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._complete: list[Answer] = []
        self._error: Exception | None = None
        self._header_bytes = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = bytearray()
        self.ended = False

    def feed(self, data: bytes) -> list[Answer]:
        """Answers that ``data`` completes, in order.

        Raises:
            AnswersError: When the bytes are no answers.
            Failed: When an answer is too large, or packed in a way that was not asked for.
        """
        try:
            self._parser.feed_data(data)
        except Failed:
            raise
        except Exception as error:
            if isinstance(self._error, Failed):
                raise self._error from error
            raise AnswersError from error
        complete, self._complete = self._complete, []
        return complete

    # --- called by the parser --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers, self._header_bytes = [], 0
        self._body = bytearray()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > HEADER_BYTES_MAX:
            self._fail(Failed(failure("answer-too-large")))
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > ANSWER_BYTES_MAX:
            self._fail(Failed(failure("answer-too-large")))

    def on_message_complete(self) -> None:
        status = int(self._parser.get_status_code())
        if status < 200:
            return
        self.ended = self.ended or not self._parser.should_keep_alive()
        headers = httpx.Headers(self._headers)
        try:
            body = unpacked(bytes(self._body), headers)
        except Failed as failed:
            self._fail(failed)
        self._complete.append(Answer(status, headers, body))

    def _fail(self, error: Exception) -> None:
        self._error = error
        raise error
