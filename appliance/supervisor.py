"""Runs processes in the foreground, as systemd does on the appliance: start, restart and stop in order.

Nothing here knows what a process does. A child dies with its supervisor (``PR_SET_PDEATHSIG``), so a killed supervisor
never leaves a second Orthanc on the same index; a child that dies is started again with growing pauses, for ever.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from appliance.clock import Clock
from appliance.logging import log

RESTART_S_FIRST = 0.5
RESTART_S_MAX = 4.0
"""The longest pause keeps "restart in under 10 s" (fault row 12) with room for the start itself."""
STABLE_S = 10.0
"""A child that ran this long is healthy: its next restart begins with the shortest pause again."""
_PR_SET_PDEATHSIG = 1
_STOP_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class SupervisorError(Exception):
    """The processes cannot be started; the text says which, why and what to do."""


class NotYetError(SupervisorError):
    """One process cannot be started now (a full disk, a database in trouble); the others are, and it is tried again."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """How to run one process.

    ``before_start`` runs before every start of the process and ``after_start`` after every start (it may wait until the
    process is ready); both may raise ``SupervisorError`` or ``OSError``, which counts as a failed start.
    """

    name: str
    argv: Sequence[str]
    before_start: Callable[[], None] = lambda: None
    after_start: Callable[[subprocess.Popen[bytes]], None] = lambda process: None
    log_file: Path | None = None
    stop_s_max: float = 10.0
    environment: Mapping[str, str] = field(default_factory=dict)
    is_wanted: Callable[[], bool] | None = None
    """For a process that ends by itself (exit code 0) when it has nothing to do: whether it is to run now."""
    inherited: Sequence[socket.socket] = ()
    """Sockets that it finds under the same descriptors."""


@dataclass(slots=True)
class _Child:
    spec: ChildSpec
    process: subprocess.Popen[bytes] | None = None
    started_mono_s: float = 0.0
    next_start_mono_s: float = 0.0
    pause_s: float = RESTART_S_FIRST
    start_count: int = 0
    is_at_rest: bool = False

    @property
    def is_wanted(self) -> bool:
        return not self.is_at_rest or self.spec.is_wanted is None or self.spec.is_wanted()


class FolderLock:
    """Holds a folder for one supervisor; a second one is refused instead of sharing the databases' processes."""

    def __init__(self, path: Path) -> None:
        self._file = _lock_file(path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise SupervisorError(
                f"{path.parent} is in use by another running Qafila; stop that one first, "
                "or give this one its own data_dir"
            ) from error

    def release(self) -> None:
        """Let the folder go; also happens when the process ends."""
        self._file.close()


def _lock_file(path: Path) -> IO[str]:
    """Also on a disk that became read-only: what is stored there can still be looked at and delivered from."""
    try:
        return path.open("a+", encoding="ascii")
    except OSError as error:
        if error.errno == errno.EROFS and path.exists():
            return path.open(encoding="ascii")
        raise SupervisorError(
            f"{path.parent} cannot be used: {error.strerror}. Nothing was changed; check the disk and its rights"
        ) from error


class Supervisor:
    """Starts children in the given order and stops them in the reverse order."""

    def __init__(self, specs: Sequence[ChildSpec], clock: Clock, stop: threading.Event, area: str = "unit.run") -> None:
        self._area = area
        self._children = [_Child(spec, is_at_rest=spec.is_wanted is not None) for spec in specs]
        self._clock = clock
        self._stop = stop

    def start_all(self) -> None:
        """Start every child in order; one that cannot be started yet is left to ``watch_once``.

        Raises:
            SupervisorError: At the first that fails for good, with all others stopped.
        """
        try:
            for child in self._children:
                if self._stop.is_set():
                    return
                try:
                    if child.is_wanted:
                        self._start(child)
                except NotYetError as error:
                    self._note_failed_start(child, error)
        except BaseException:
            self.stop_all()
            raise

    def watch_once(self) -> None:
        """Restart what has died and whose pause is over; called every fraction of a second."""
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                self._note_death(child, child.process.returncode)
            is_due = self._clock.mono_s() >= child.next_start_mono_s and not self._stop.is_set()
            if child.process is None and is_due and child.is_wanted:
                try:
                    self._start(child)
                except SupervisorError as error:
                    self._note_failed_start(child, error)

    def all_run(self) -> bool:
        """Whether every child was started and has not been seen dead; one that rests is well."""
        return all(child.process is not None or child.is_at_rest for child in self._children)

    def stop_all(self) -> None:
        """Ask every child to end, in reverse order, and end what does not within its time."""
        for child in reversed(self._children):
            if child.process is not None:
                end_process(child.process, child.spec.stop_s_max)
                child.process = None

    def facts(self) -> dict[str, dict[str, object]]:
        """Process id and start count of every child, for the live file."""
        return {
            child.spec.name: {
                "pid": child.process.pid if child.process is not None else None,
                "start_count": child.start_count,
            }
            for child in self._children
        }

    def _start(self, child: _Child) -> None:
        try:
            child.spec.before_start()
            if self._stop.is_set():
                return
            child.process = spawn(child.spec)
            child.is_at_rest = False
            child.started_mono_s = self._clock.mono_s()
            child.start_count += 1
            log(self._area, "started", child=child.spec.name, pid=child.process.pid)
            child.spec.after_start(child.process)
        except (SupervisorError, OSError) as error:
            if child.process is not None:
                end_process(child.process, child.spec.stop_s_max)
                child.process = None
            if isinstance(error, SupervisorError):
                raise
            raise NotYetError(f"{child.spec.name} cannot be started now: {error}. Nothing is lost") from error

    def _note_failed_start(self, child: _Child, error: SupervisorError) -> None:
        log(self._area, "start failed", child=child.spec.name, why=error)
        self._plan_restart(child)

    def _note_death(self, child: _Child, exit_code: int) -> None:
        if exit_code == 0 and child.spec.is_wanted is not None:
            log(self._area, "rests", child=child.spec.name)
            child.process, child.is_at_rest = None, True
            return
        log(self._area, "died", child=child.spec.name, exit_code=exit_code)
        if self._clock.mono_s() - child.started_mono_s >= STABLE_S:
            child.pause_s = RESTART_S_FIRST
        child.process = None
        self._plan_restart(child)

    def _plan_restart(self, child: _Child) -> None:
        child.next_start_mono_s = self._clock.mono_s() + child.pause_s
        child.pause_s = min(child.pause_s * 2, RESTART_S_MAX)


def spawn(spec: ChildSpec) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own (Ctrl-C reaches only the supervisor) that dies with this process.

    Raises:
        SupervisorError: If the program is missing or may not be run.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    parent_pid = os.getpid()
    # Python drops what a signal's handler raises in the hooks of a fork: a Ctrl-C would be lost
    signals_before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)

    def die_with_parent() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, signals_before)
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it died before the line above: no signal will come
            os._exit(1)

    output = None
    try:
        output = _log_output(spec.log_file)
        return subprocess.Popen(
            list(spec.argv),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent,
            env={**os.environ, **spec.environment},
            pass_fds=[each.fileno() for each in spec.inherited],
        )
    except OSError as error:
        raise SupervisorError(
            f"{spec.name} cannot be started: {spec.argv[0]}: {error.strerror}. Nothing is lost; "
            "install it (make setup) or correct its path in the configuration"
        ) from error
    finally:
        if output is not None:
            output.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, signals_before)


def _log_output(log_file: Path | None) -> IO[bytes] | None:
    """A log that cannot be written (a read-only disk) keeps no process from running."""
    if log_file is None:
        return None
    try:
        return log_file.open("ab")
    except OSError as error:
        log("supervisor", "no log file", path=log_file, why=error.strerror)
        return None


def end_process(process: subprocess.Popen[bytes], wait_s_max: float) -> None:
    """SIGTERM, a bounded wait, then SIGKILL for the whole session of the process."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(wait_s_max)
            return
        except subprocess.TimeoutExpired:
            log("supervisor", "did not end when asked, killing", pid=process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check_port(host: str, port: int, key: str) -> None:
    """Say it in words before a process fails over it; the bind itself is repeated by the process that listens.

    Raises:
        SupervisorError: If the port cannot be had; the text names ``key``, where it is configured.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SupervisorError(
                f"port {port} ({key}) on {host} cannot be used: {error.strerror}. Nothing is lost; "
                f"stop what uses it, or set {key} to a free port"
            ) from error
