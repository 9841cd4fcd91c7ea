"""A TCP proxy that does to a connection what bad links do: cut, hold, corrupt; counted in bytes, not in seconds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType


class Proxy:
    """Listens on loopback and relays to ``target_port``.

    Attributes:
        cut_after_bytes: Cut the connection once so many bytes went upstream; ``None``: never.
        cuts: Each new connection is cut after the next of these numbers of bytes, both directions counted, in the
            middle of whatever travels then; when there is no more, connections last.
        cut_count: Connections cut for that reason so far.
        hold_after_bytes: Then relay nothing more, in either direction, but keep the connection open.
        corrupt_upstream: Byte strings to replace (by others of the same length) on the way to the target.
        corrupt_downstream: The same on the way back.
        connection_count: Accepted so far.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self.cut_after_bytes: int | None = None
        self.cuts: Iterator[int] = iter(())
        self.cut_count = 0
        self.hold_after_bytes: int | None = None
        self.corrupt_upstream: dict[bytes, bytes] = {}
        self.corrupt_downstream: dict[bytes, bytes] = {}
        self.connection_count = 0
        self.holding = threading.Event()
        self._closed = threading.Event()
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        with self._lock:
            sockets = [self._server, *self._sockets]
        for each in sockets:
            _end(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connection_count += 1
            try:
                target = socket.create_connection(("127.0.0.1", self._target_port), timeout=10)
            except OSError:
                _end(client)
                continue
            target.settimeout(None)
            with self._lock:
                self._sockets += [client, target]
            budget = _Budget(next(self.cuts, None))
            threading.Thread(target=self._up, args=(client, target, budget), daemon=True).start()
            threading.Thread(target=self._down, args=(target, client, budget), daemon=True).start()

    def _up(self, client: socket.socket, target: socket.socket, budget: _Budget) -> None:
        passed_bytes = 0
        with suppress(OSError):
            while data := client.recv(4096):
                if self.cut_after_bytes is not None and passed_bytes + len(data) > self.cut_after_bytes:
                    break
                if self.hold_after_bytes is not None and passed_bytes + len(data) > self.hold_after_bytes:
                    self.holding.set()
                    self._closed.wait()
                    break
                passed_bytes += len(data)
                target.sendall(_replaced(data[: budget.spend(len(data))], self.corrupt_upstream))
                if budget.is_over:
                    break
        self._count_cut(budget)
        _end(client)
        _end(target)

    def _down(self, target: socket.socket, client: socket.socket, budget: _Budget) -> None:
        with suppress(OSError):
            while data := target.recv(1 << 16):
                if not self.holding.is_set():
                    client.sendall(_replaced(data[: budget.spend(len(data))], self.corrupt_downstream))
                if budget.is_over:
                    break
        self._count_cut(budget)
        _end(client)
        _end(target)

    def _count_cut(self, budget: _Budget) -> None:
        with self._lock:
            if budget.is_over and not budget.is_counted:
                budget.is_counted = True
                self.cut_count += 1


class _Budget:
    """The bytes that one connection may carry; shared by its two directions."""

    def __init__(self, left_bytes: int | None) -> None:
        self._left_bytes = left_bytes
        self._lock = threading.Lock()
        self.is_over = False
        self.is_counted = False

    def spend(self, wanted_bytes: int) -> int:
        """How many of the wanted bytes may still pass."""
        with self._lock:
            if self._left_bytes is None:
                return wanted_bytes
            passed_bytes = min(wanted_bytes, self._left_bytes)
            self._left_bytes -= passed_bytes
            self.is_over = self.is_over or passed_bytes < wanted_bytes
            return passed_bytes


def _replaced(data: bytes, corrupt: dict[bytes, bytes]) -> bytes:
    for good, bad in corrupt.items():
        data = data.replace(good, bad)
    return data


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
