"""The real ``qafila tui`` in a pseudo-terminal over a real store: 10,000 studies, no Orthanc, nothing running."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import sys
import termios
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.store.commands import open_commands
from appliance.store.connect import open_unit, write
from tests.support.unit_store import made_unit, unit_toml

DEADLINE_S = 60.0
CTRL_Q = b"\x11"
F3 = b"\x1bOR"


@dataclass
class Terminal:
    """One program in a pseudo-terminal."""

    pid: int
    fd: int
    seen: bytes = b""

    def wait_for(self, words: bytes) -> None:
        """Read until ``words`` were written since the last wait, or fail at the deadline."""
        self.wait_until(lambda: words in self.seen, words.decode())
        self.seen = b""

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Read until ``condition`` holds."""
        clock = SystemClock()
        deadline_mono_s = clock.mono_s() + DEADLINE_S
        while not condition():
            assert clock.mono_s() < deadline_mono_s, f"{what!r} did not come; the end was {self.seen[-2000:]!r}"
            ready, _, _ = select.select([self.fd], [], [], 0.1)
            if ready:
                self.seen += os.read(self.fd, 65536)

    def type(self, keys: bytes) -> None:
        """As a person would."""
        os.write(self.fd, keys)

    def exit_code(self) -> int:
        """Read to the end and collect the program."""
        with contextlib.suppress(OSError):  # Linux answers EIO when the program has let go of its terminal
            while data := os.read(self.fd, 65536):
                self.seen += data
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextlib.contextmanager
def terminal(config: Path, rows: int = 24, columns: int = 80) -> Iterator[Terminal]:
    argv = [sys.executable, "-m", "appliance.cli.main", "tui", "--config", str(config)]
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, argv)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    try:
        yield Terminal(pid, fd)
    finally:
        os.close(fd)
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                os.kill(pid, 9)
                os.waitpid(pid, 0)


@pytest.fixture(scope="module")
def big_unit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("big")
    made_unit(folder, 10_000, now_s=SystemClock().wall_s(), confirmed_count=500)
    return folder / "unit.toml"


@pytest.mark.fault(71)
def test_screen_paints_10000_studies_and_takes_a_command_with_nothing_else_running(big_unit: Path) -> None:
    with terminal(big_unit) as screen:
        screen.wait_for(b"PATIENT, Number9999")
        screen.type(F3)
        screen.wait_for(b"Held")
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0
    with open_unit(big_unit.parent / "data" / "unit.db") as db:
        assert [command.kind for command in open_commands(db)] == ["hold"]


def test_screen_paints_and_answers_while_another_program_holds_the_write_lock(big_unit: Path) -> None:
    with open_unit(big_unit.parent / "data" / "unit.db") as db, write(db), terminal(big_unit) as screen:
        screen.wait_for(b"PATIENT, Number9999")
        screen.type(F3)
        screen.wait_for(b"locked by another program")
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0


def test_screen_says_in_words_that_there_is_no_database(tmp_path: Path) -> None:
    with terminal(unit_toml(tmp_path)) as screen:
        screen.wait_for(b"no records here yet")
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0


@pytest.mark.parametrize("damage", ["junk", "newer"])
def test_screen_says_in_words_that_the_database_cannot_be_used(tmp_path: Path, damage: str) -> None:
    config = made_unit(tmp_path, 1, now_s=SystemClock().wall_s())
    if damage == "junk":
        config.unit_db.write_bytes(b"this is no database" * 1000)
        words = b"are damaged"
    else:
        with open_unit(config.unit_db) as db:
            db.rows("PRAGMA user_version = 1000")
        words = b"another release"
    with terminal(tmp_path / "unit.toml") as screen:
        screen.wait_for(words)
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0
