"""The demo's link: what goes through arrives, a planned cut comes in the middle, and it can be given back."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from appliance.cli.demo.link import CuttableLink


class Sink:
    """A server that counts what it is sent and says so at the end."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                count = 0
                with contextlib.suppress(OSError):
                    while data := connection.recv(65536):
                        count += len(data)
                    connection.sendall(str(count).encode())


@pytest.fixture
def link() -> Iterator[CuttableLink]:
    sink = Sink()
    link = CuttableLink(sink.port)
    yield link
    link.close()
    sink.listener.close()


def send(port: int, body: bytes) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(body)
        client.shutdown(socket.SHUT_WR)
        return client.recv(64).decode()


def test_bytes_arrive_whole_and_are_counted(link: CuttableLink) -> None:
    assert send(link.port, b"x" * 300_000) == "300000"
    assert link.bytes_up == 300_000


def test_cut_comes_in_the_middle_and_new_connections_are_refused_until_restored(link: CuttableLink) -> None:
    link.cut_after(100_000)
    answer = ""
    with contextlib.suppress(OSError):
        answer = send(link.port, b"x" * 5_000_000)
    assert answer == ""
    assert link.is_cut
    with contextlib.suppress(OSError):
        answer = send(link.port, b"x")
    assert answer == ""
    link.restore()
    assert send(link.port, b"x" * 10) == "10"
