"""A slow link on loopback: a TCP relay with a rate upward that can stand still, be taken away and given back."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType

PIECE_BYTES = 4096


class SlowLink:
    """Relays ``127.0.0.1:port`` to a target; counts what went up.

    Attributes:
        port: Where the unit connects.
        bytes_up: Relayed from the unit so far.
    """

    def __init__(self, target_port: int, rate_bytes_per_s: float) -> None:
        self._target = ("127.0.0.1", target_port)
        self._piece_s = PIECE_BYTES / rate_bytes_per_s
        self._changed = threading.Condition()
        self._stands_at: int | None = None
        self._is_cut = False
        self._open: set[socket.socket] = set()
        self.bytes_up = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> SlowLink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        _end(self._listener)

    def stand_at(self, bytes_up: int | None) -> None:
        """Let nothing more up once so many bytes went, and keep connections open; ``None``: go on."""
        with self._changed:
            self._stands_at = bytes_up
            self._changed.notify_all()

    @property
    def stands(self) -> bool:
        with self._changed:
            return self._stands_at is not None and self.bytes_up >= self._stands_at

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        with self._changed:
            self._is_cut = True
            victims, self._open = self._open, set()
            self._changed.notify_all()
        for victim in victims:
            _end(victim)

    def restore(self) -> None:
        with self._changed:
            self._is_cut = False

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target, timeout=10)
            except OSError:
                _end(near)
                continue
            far.settimeout(None)
            with self._changed:
                is_cut = self._is_cut
                if not is_cut:
                    self._open |= {near, far}
            if is_cut:
                _end(near)
                _end(far)
                continue
            threading.Thread(target=self._up, args=(near, far), daemon=True).start()
            threading.Thread(target=self._down, args=(far, near), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(PIECE_BYTES):
                with self._changed:
                    # The rate is of the link: connections take turns.
                    self._changed.wait_for(lambda: near not in self._open, self._piece_s * len(data) / PIECE_BYTES)
                    self._changed.wait_for(lambda: near not in self._open or not self._has_to_stand())
                    if near not in self._open:
                        break
                    self.bytes_up += len(data)
                far.sendall(data)
        self._close(near, far)

    def _has_to_stand(self) -> bool:
        return self._stands_at is not None and self.bytes_up >= self._stands_at

    def _down(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(1 << 16):
                near.sendall(data)
        self._close(near, far)

    def _close(self, *ends: socket.socket) -> None:
        with self._changed:
            self._open -= set(ends)
            self._changed.notify_all()
        for end in ends:
            _end(end)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
