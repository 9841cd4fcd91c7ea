"""Cuts a connection that stands still or is too slow, by the monotonic clock and from outside.

Time-outs inside httpx count from byte to byte, and those of pynetdicom follow the wall clock, so a peer that drips, or
a clock that steps, would hold an attempt for hours. The guard shuts the socket down under them; whoever was blocked on
it wakes with an error. Bytes that leave the kernel's send buffer are progress too: on a slow link it holds minutes of
data. What stood still is reset: the kernel must not go on carrying bytes of a conversation that is given up.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import struct
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from appliance.clock import Clock
from appliance.domain.limits import LimitSet

TICK_S = 0.25
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""``struct linger``: closing resets, and drops what was not sent (socket(7))."""

Patience = Callable[[socket.socket | None, int], float]
"""Seconds that the socket may stand still now, with so many bytes of ours not acknowledged."""


class Guard:
    """Watches one socket at a time; use it as a context manager around the conversation.

    ``patience`` replaces ``transfer_stall_s_max`` where more is known of the way.
    """

    def __init__(
        self,
        clock: Clock,
        limits: LimitSet,
        name: str,
        on_cut: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
    ) -> None:
        self._on_cut = on_cut
        self._clock = clock
        self._limits = limits
        self._patience = patience or (lambda connection, unsent_bytes: limits.transfer_stall_s_max)
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._done = threading.Event()
        self._moved_mono_s = clock.mono_s()
        self._deadline_mono_s = self._moved_mono_s + limits.transfer_stall_s_max
        self._unsent_bytes = 0
        self._idle = True
        self._cut = False
        self._busy = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"guard-{name}", daemon=True)
        self.expired = False
        """True when the guard cut the connection of the running, or last, exchange for standing still."""

    def __enter__(self) -> Guard:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._busy.set()
        self._thread.join()
        with self._lock:
            self._release()

    def watch(self, connection: socket.socket) -> None:
        """From now on this is the socket to watch and to cut."""
        with self._lock:
            self._release()
            # A descriptor of our own: wrapping a socket in TLS takes the descriptor away from the object we were given.
            self._socket = socket.socket(fileno=os.dup(connection.fileno()))
            self._moved_mono_s = self._clock.mono_s()

    def begin(self, size_bytes: int) -> None:
        """An exchange of about ``size_bytes`` begins: it may take as long as the slowest allowed rate needs."""
        with self._lock:
            self._idle = False
            self.expired = False
            self._moved_mono_s = self._clock.mono_s()
            allowed_s = size_bytes / self._limits.transfer_rate_bytes_per_s_min
            self._deadline_mono_s = self._moved_mono_s + self._limits.transfer_stall_s_max + allowed_s
        self._busy.set()

    def progress(self) -> None:
        """Bytes moved."""
        with self._lock:
            self._moved_mono_s = self._clock.mono_s()

    def end(self) -> None:
        """No exchange runs: silence is right now."""
        with self._lock:
            self._idle = True
            self._busy.clear()
            if self._cut:
                self._release()

    def cut(self) -> None:
        """Shut the connection down at once; whoever is blocked on it wakes."""
        with self._lock:
            self._shut_down(reset=False)
        self._on_cut()

    def _run(self) -> None:
        while not self._done.wait(TICK_S):
            self._busy.wait()
            with self._lock:
                if self._idle or not self.stands_still():
                    continue
                self.expired = True
                self._idle = True
                self._shut_down(reset=True)
            self._on_cut()

    def stands_still(self) -> bool:
        """Whether it must be cut now; looks at the kernel's send buffer, so each look may count as progress."""
        now = self._clock.mono_s()
        unsent_bytes = unacked_bytes(self._socket) if self._socket else 0
        if unsent_bytes < self._unsent_bytes:
            self._moved_mono_s = now
        self._unsent_bytes = unsent_bytes
        allowed_s = self._patience(self._socket, unsent_bytes)
        return now - self._moved_mono_s > allowed_s or now > self._deadline_mono_s

    def _shut_down(self, reset: bool) -> None:
        if self._socket is None:
            return
        self._cut = True
        if reset:
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        self._cut = False
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def unacked_bytes(connection: socket.socket) -> int:
    """Bytes in the kernel that the peer has not acknowledged (tcp(7), SIOCOUTQ)."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, count)
    except (OSError, ValueError):
        return 0
    return count[0]
