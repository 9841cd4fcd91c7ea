"""The demo's bad link: a TCP relay on loopback that can be taken away and given back.

Taken away means what a dead modem means to the programs behind it: open connections break, new ones are refused.
"""

from __future__ import annotations

import contextlib
import socket
import threading

_READ_BYTES = 64 * 1024


class CuttableLink:
    """Relays ``127.0.0.1:port`` to a target until ``cut``; counts what went up.

    Attributes:
        port: Where the unit connects.
    """

    def __init__(self, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._bytes_up = 0
        self._cut_at_bytes: int | None = None
        self._is_cut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="demo-link", daemon=True).start()

    @property
    def bytes_up(self) -> int:
        """Bytes relayed from the unit to the centre so far."""
        return self._bytes_up

    @property
    def is_cut(self) -> bool:
        """Whether the link is away at this moment."""
        return self._is_cut.is_set()

    def cut(self) -> None:
        """Break every connection and refuse new ones."""
        with self._lock:
            self._is_cut.set()
            self._cut_at_bytes = None
            victims, self._open = self._open, set()
        for victim in victims:
            _break(victim)

    def cut_after(self, more_bytes: int) -> None:
        """Cut by itself once ``more_bytes`` more have gone up, in the middle of whatever travels then."""
        with self._lock:
            self._cut_at_bytes = self._bytes_up + more_bytes

    def restore(self) -> None:
        """Give the link back."""
        self._is_cut.clear()

    def close(self) -> None:
        """Stop for good."""
        self.cut()
        _break(self._listener)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut.is_set():
                _break(near)
                continue
            try:
                far = socket.create_connection(self._target, timeout=5)
            except OSError:
                _break(near)
                continue
            far.settimeout(None)
            with self._lock:
                self._open |= {near, far}
            for source, sink, counts in ((near, far, True), (far, near, False)):
                threading.Thread(target=self._pump, args=(source, sink, counts), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_READ_BYTES):
                if counts and self._count(len(data)):
                    self.cut()
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
            return
        for end in (source, sink):
            _break(end)
        with self._lock:
            self._open -= {source, sink}

    def _count(self, more_bytes: int) -> bool:
        """Add to the counter; True when the planned cut is due."""
        with self._lock:
            self._bytes_up += more_bytes
            return self._cut_at_bytes is not None and self._bytes_up >= self._cut_at_bytes


def _break(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        end.close()
