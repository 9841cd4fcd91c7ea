"""A small HTTP server that answers as a test tells it: peers that lie, stall, redirect or drip."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

DICOM_JSON = "application/dicom+json"


@dataclass(frozen=True, slots=True)
class Request:
    """What came in; the body is read whole."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def instances(self) -> list[bytes]:
        """The parts of a STOW-RS body."""
        found = re.search(r"boundary=(\S+)", self.headers.get("Content-Type", ""))
        assert found
        parts = self.body.split(b"--" + found[1].encode())[1:-1]
        return [part.split(b"\r\n\r\n", 1)[1][:-2] for part in parts]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out. ``pieces`` is sent without a length, and may block or never end."""

    status: int = 200
    content_type: str = DICOM_JSON
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Iterator[bytes] | None = None


def stow_answer(stored: dict[str, int], failed: dict[str, int], status: int = 200) -> Answer:
    """A Store Instances Response; the numbers are warning and failure reasons, 0 for none."""

    def entry(uid: str, tag: str, code: int) -> dict[str, Any]:
        reason = {tag: {"vr": "US", "Value": [code]}} if code else {}
        return {"00081155": {"vr": "UI", "Value": [uid]}, **reason}

    body = {
        "00081198": {"vr": "SQ", "Value": [entry(uid, "00081197", code) for uid, code in failed.items()]},
        "00081199": {"vr": "SQ", "Value": [entry(uid, "00081196", code) for uid, code in stored.items()]},
    }
    return Answer(status, body=json.dumps(body).encode())


def qido_answer(uids: list[str]) -> Answer:
    """A QIDO-RS answer with these instances."""
    return Answer(body=json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}} for uid in uids]).encode())


def wado_answer(part10: bytes) -> Answer:
    """A WADO-RS answer with this file."""
    head, tail = b"--edge\r\nContent-Type: application/dicom\r\n\r\n", b"\r\n--edge--\r\n"
    return Answer(content_type='multipart/related; type="application/dicom"; boundary=edge', body=head + part10 + tail)


class HttpPeer:
    """Listens on loopback; ``answer`` decides about each request. Requests are kept for the test to look at."""

    def __init__(self, answer: Callable[[Request], Answer], context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.closing = threading.Event()
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                request = Request(self.command, self.path, dict(self.headers), self.rfile.read(length))
                peer.requests.append(request)
                self._reply(answer(request))

            do_POST = do_DELETE = do_GET

            def _reply(self, answer: Answer) -> None:
                self.send_response_only(answer.status)  # without a Date of its own
                self.send_header("Content-Type", answer.content_type)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.pieces is None:
                    self.send_header("Content-Length", str(len(answer.body)))
                    self.end_headers()
                    self.wfile.write(answer.body)
                    return
                self.close_connection = True
                self.end_headers()
                for piece in answer.pieces:
                    self.wfile.write(piece)

            def log_message(self, format: str, *args: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                return  # the client went away; that is what many tests are about

        self._server = Server(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        self.url = f"http{'s' if context else ''}://localhost:{self.port}/dicom-web"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> HttpPeer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Never answer: return only when the test is over."""
        self.closing.wait()
