"""Network namespaces with names of their own, sockets and processes inside them, and no traces after them.

A name holds the process that made the namespace, so that what a killed run left behind is removed by the next one.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import itertools
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.link.errors import LinkError

_CLONE_NEWNET = 0x40000000
_NAME = re.compile(r"qlink-(\d+)-(\d+)-\d+-[a-z]+")
_SERIAL = itertools.count(1)
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Namespace:
    """One network namespace with ``lo`` up.

    Attributes:
        name: As ``ip netns`` lists it.
        address: IPv4 address of its end of the link.
    """

    name: str
    address: str

    def command(self, *argv: str) -> list[str]:
        """The command line that runs ``argv`` inside; the process keeps its id (``ip netns exec`` replaces itself)."""
        return ["ip", "netns", "exec", self.name, *argv]

    def connect(self, port: int, host: str = "127.0.0.1", timeout_s: float = 30.0) -> socket.socket:
        """A TCP connection that begins inside, for instance to a server on this namespace's own loopback."""
        with self.entered():
            return socket.create_connection((host, port), timeout=timeout_s)

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This thread, and no other, is inside for as long as the block lasts; sockets made there stay there."""
        with Path("/proc/thread-self/ns/net").open("rb") as home, Path("/run/netns", self.name).open("rb") as inside:
            _set_namespace(inside.fileno())
            try:
                yield
            finally:
                _set_namespace(home.fileno())

    def set(self, key: str, value: str) -> None:
        """Write one of the namespace's own kernel settings, named as below ``/proc/sys/net``.

        Raises:
            OSError: If the kernel refuses the value.
        """
        with self.entered():
            Path("/proc/sys/net", key).write_text(value, encoding="ascii")


def make(role: str, address: str) -> Namespace:
    """A new namespace of this process, with ``lo`` up.

    Raises:
        LinkError: If it cannot be made.
    """
    name = f"qlink-{os.getpid()}-{_start_ticks(os.getpid())}-{next(_SERIAL)}-{role}"
    ip("netns", "add", name)
    ip("-n", name, "link", "set", "lo", "up")
    return Namespace(name, address)


def remove(name: str) -> None:
    """End every process inside and remove the namespace; harmless when it is gone."""
    with contextlib.suppress(LinkError):
        for pid in ip("netns", "pids", name).split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        ip("netns", "del", name)


def remove_leftovers() -> list[str]:
    """Remove the namespaces of runs that are dead; their names."""
    dead = []
    for name in _names():
        match = _NAME.fullmatch(name)
        if match and _start_ticks(int(match[1])) != match[2]:
            remove(name)
            dead.append(name)
    return dead


def ip(*arguments: str) -> str:
    """What ``ip`` answers.

    Raises:
        LinkError: With its own words, if it fails or is missing.
    """
    try:
        done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LinkError("the program 'ip' is missing; 'make setup' installs it (Debian package iproute2)") from error
    if done.returncode:
        raise LinkError(f"'ip {' '.join(arguments)}' failed: {done.stderr.strip()}")
    return done.stdout


def run(command: Sequence[str], timeout_s: float) -> str:
    """What a command inside (``Namespace.command``) prints; its exit code is not judged.

    Raises:
        subprocess.TimeoutExpired: If it does not end in time; it is ended.
    """
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=timeout_s)
    return done.stdout + done.stderr


def _names() -> list[str]:
    folder = Path("/run/netns")
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _start_ticks(pid: int) -> str:
    """When a process began, as the kernel counts; empty when it is not there. Ids are used again, this is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _set_namespace(file_descriptor: int) -> None:
    if _LIBC.setns(file_descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
