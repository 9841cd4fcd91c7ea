"""A link that carries so many bytes and then is gone, until somebody lets it come back; counted, never timed."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType


class Link:
    """Relays connections to ``target_port``.

    Attributes:
        port: Where it listens.
        allowance_bytes: How much may still go up; ``None``: any amount. At 0 every connection is cut and none begins.
        up_bytes: What went up so far.
    """

    def __init__(self, target_port: int, allowance_bytes: int | None = None) -> None:
        self._target_port = target_port
        self.allowance_bytes = allowance_bytes
        self.up_bytes = 0
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end(self._server)
        self.cut()

    @property
    def is_gone(self) -> bool:
        return self.allowance_bytes == 0

    def cut(self) -> None:
        """End every connection."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            _end(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self.is_gone:
                _end(client)
                continue
            target = socket.create_connection(("127.0.0.1", self._target_port), timeout=30)
            target.settimeout(None)
            with self._lock:
                self._sockets += [client, target]
            threading.Thread(target=self._up, args=(client, target), daemon=True).start()
            threading.Thread(target=self._down, args=(target, client), daemon=True).start()

    def _up(self, client: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(4096):
                data = self._let_through(data)
                target.sendall(data)
                if self.is_gone:
                    self.cut()
                    return
        _end(client)
        _end(target)

    def _let_through(self, data: bytes) -> bytes:
        with self._lock:
            if self.allowance_bytes is not None:
                data = data[: self.allowance_bytes]
                self.allowance_bytes -= len(data)
            self.up_bytes += len(data)
        return data

    def _down(self, target: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := target.recv(1 << 16):
                client.sendall(data)
        _end(client)
        _end(target)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
