"""A link as an object: two namespaces, their devices and the process between; all of it is gone after ``close``."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from bench.link import namespaces
from bench.link.errors import LinkError
from bench.link.namespaces import Namespace
from bench.link.report import MESSAGE_BYTES_MAX, Report
from bench.link.schedule import Schedule
from bench.link.spec import MTU_BYTES, LinkSpec
from bench.link.tun import DEVICE, open_tun

UNIT_ADDRESS, CENTRE_ADDRESS = "10.77.0.1", "10.77.0.2"
"""The same on every link: each has namespaces of its own."""
_ANSWER_S_MAX = 30.0
_TOP = Path(__file__).resolve().parents[2]


class Link:
    """An emulated link between ``unit`` and ``centre``, running until ``close``. A context manager.

    Args:
        spec: What it is like.
        seed: Losses and jitter follow from it.
        congestion: TCP's congestion control at both ends, as a machine's default would be; ``None``: the kernel's.
            One that the kernel keeps from namespaces (it is not in ``tcp_allowed_congestion_control``) is tied to the
            route instead, and then a program's own socket option has no effect.

    Raises:
        LinkError: If it cannot be made; the text says why.
    """

    def __init__(self, spec: LinkSpec, seed: int = 0, *, congestion: str | None = None) -> None:
        if os.geteuid() != 0:
            raise LinkError("the link emulator needs root (TUN devices, network namespaces); run it as root")
        namespaces.remove_leftovers()
        self.spec = spec
        with contextlib.ExitStack() as stack:
            self.unit = _namespace(stack, "unit", UNIT_ADDRESS)
            self.centre = _namespace(stack, "centre", CENTRE_ADDRESS)
            devices = [
                open_tun(self.unit, CENTRE_ADDRESS, MTU_BYTES),
                open_tun(self.centre, UNIT_ADDRESS, MTU_BYTES),
            ]
            try:
                if congestion is not None:
                    _set_congestion(self.unit, CENTRE_ADDRESS, congestion)
                    _set_congestion(self.centre, UNIT_ADDRESS, congestion)
                self._control = _start_loop(stack, devices, spec, seed)
            finally:
                for descriptor in devices:
                    os.close(descriptor)
            self._start_mono_s = self.report().start_mono_s
            self._stack = stack.pop_all()

    def report(self) -> Report:
        """What was counted until now.

        Raises:
            LinkError: If the emulator's process is not there any more.
        """
        return self._ask(b"report")

    def restart(self) -> Report:
        """Begin anew, as on the first second: outages, losses (the same seed), counters. What is under way is lost."""
        report = self._ask(b"restart")
        self._start_mono_s = report.start_mono_s
        return report

    @property
    def start_mono_s(self) -> float:
        """When the link was started, on this machine's monotonic clock."""
        return self._start_mono_s

    def outages(self, duration_s: float) -> list[tuple[float, float]]:
        """Begin and end (monotonic seconds) of the outages in the first ``duration_s`` seconds."""
        plan = Schedule(self.spec.outage).until(duration_s)
        return [(self._start_mono_s + begin, self._start_mono_s + end) for begin, end in plan]

    def close(self) -> None:
        """End what still runs in the namespaces and remove everything; harmless when done before."""
        self._stack.close()

    def _ask(self, question: bytes) -> Report:
        try:
            self._control.sendall(question)
            answer = self._control.recv(MESSAGE_BYTES_MAX)
        except OSError as error:
            raise LinkError(f"the emulator's process does not answer ({error}); the link is gone") from error
        if not answer:
            raise LinkError("the emulator's process has ended; the link is gone")
        return Report.decode(answer)

    def __enter__(self) -> Link:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _namespace(stack: contextlib.ExitStack, role: str, address: str) -> Namespace:
    namespace = namespaces.make(role, address)
    stack.callback(namespaces.remove, namespace.name)
    return namespace


def _set_congestion(namespace: Namespace, peer_address: str, name: str) -> None:
    try:
        namespace.set("ipv4/tcp_congestion_control", name)
    except PermissionError:
        local = ("src", namespace.address, "congctl", name)
        namespaces.ip("-n", namespace.name, "route", "replace", peer_address, "dev", DEVICE, "scope", "link", *local)
    except OSError as error:
        raise LinkError(f"this kernel has no TCP congestion control {name!r}: {error.strerror}") from error


def _start_loop(stack: contextlib.ExitStack, devices: list[int], spec: LinkSpec, seed: int) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(_ANSWER_S_MAX)
    with theirs:
        handed = [*devices, theirs.fileno()]
        argv = [sys.executable, "-m", "bench.link.loop", *map(str, handed), json.dumps(spec.to_json()), str(seed)]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=handed, cwd=_TOP)
    stack.callback(_end_loop, process, ours)
    return ours


def _end_loop(process: subprocess.Popen[bytes], control: socket.socket) -> None:
    control.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
