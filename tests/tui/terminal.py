"""A program in a pseudo-terminal: what was written since the last wait, and keys as a person presses them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from appliance.clock import SystemClock

DEADLINE_S = 60.0
ANSWERED_S = 0.2
"""Of silence; then the screen has drawn what the key did."""
CTRL_Q = b"\x11"
ENTER, ESCAPE = b"\r", b"\x1b"
UP, DOWN, RIGHT, LEFT = b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D"
F1, F2, F3, F4 = b"\x1bOP", b"\x1bOQ", b"\x1bOR", b"\x1bOS"
F5, F6, F7, F8 = b"\x1b[15~", b"\x1b[17~", b"\x1b[18~", b"\x1b[19~"
F9, F10, F11 = b"\x1b[20~", b"\x1b[21~", b"\x1b[23~"
_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[@-_])")


@dataclass
class Terminal:
    """One program in a pseudo-terminal."""

    pid: int
    fd: int
    seen: bytes = b""

    def wait_for_text(self, words: str) -> None:
        """Read until ``words`` were written since the last wait (colours and cursor moves aside), or fail."""
        self.wait_until(lambda: words in self.text, words)
        self.seen = b""

    @property
    def text(self) -> str:
        """What was written since the last wait, without escapes."""
        return _ESCAPES.sub(b"", self.seen).decode("utf-8", "replace")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Read until ``condition`` holds."""
        clock = SystemClock()
        deadline_mono_s = clock.mono_s() + DEADLINE_S
        while not condition():
            assert clock.mono_s() < deadline_mono_s, f"{what!r} did not come; the end was {self.text[-3000:]!r}"
            self.read(0.1)

    def read(self, wait_s: float) -> int:
        """Take what comes within ``wait_s``; how many bytes."""
        ready, _, _ = select.select([self.fd], [], [], wait_s)
        data = os.read(self.fd, 65536) if ready else b""
        self.seen += data
        return len(data)

    def type(self, keys: bytes) -> None:
        """As a person would."""
        os.write(self.fd, keys)

    def press(self, *keys: bytes) -> None:
        """One key after the other, each when the screen has answered the one before: nobody types blindly ahead."""
        for key in keys:
            self.type(key)
            while self.read(ANSWERED_S):
                pass

    def resize(self, columns: int, rows: int, cell_px: tuple[int, int] = (0, 0)) -> None:
        """As a window manager would; most terminals do not tell the size of their cells."""
        size = struct.pack("HHHH", rows, columns, columns * cell_px[0], rows * cell_px[1])
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, size)

    def exit_code(self) -> int:
        """Read to the end and collect the program."""
        with contextlib.suppress(OSError):  # Linux answers EIO when the program has let go of its terminal
            while data := os.read(self.fd, 65536):
                self.seen += data
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextlib.contextmanager
def terminal(
    config: Path, *options: str, rows: int = 24, columns: int = 80, cell_px: tuple[int, int] = (0, 0)
) -> Iterator[Terminal]:
    """``qafila tui`` of a unit."""
    argv = [sys.executable, "-m", "appliance.cli.main", "tui", "--config", str(config), *options]
    pid, fd = pty.fork()
    if pid == 0:
        # COLUMNS and LINES of the tests' own terminal, which Python's readline or the caller's shell may have written,
        # would count for more than the size of this one.
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        os.execve(sys.executable, argv, {**kept, "TERM": "xterm-256color"})
    screen = Terminal(pid, fd)
    screen.resize(columns, rows, cell_px)
    try:
        yield screen
    finally:
        os.close(fd)
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, 9)
                os.waitpid(pid, 0)
