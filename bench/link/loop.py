"""The emulator's process: moves packets between two TUN devices as the model says, and answers its owner's questions.

``python -m bench.link.loop UNIT_FD CENTRE_FD CONTROL_FD SPEC_JSON SEED``; it ends when the other end of the control
socket is closed, so it never outlives its owner, however that ends.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import socket
import sys

from appliance.clock import SystemClock
from bench.link.model import End, LinkModel
from bench.link.report import MESSAGE_BYTES_MAX, Report
from bench.link.spec import LinkSpec

_BATCH_COUNT = 32
"""Packets read from one device before due ones are looked for again; keeps lateness under a millisecond."""
_PACKET_BYTES_MAX = 65_536
_NICE = -15
"""The emulator stands for hardware: what it emulates should not depend on how busy the machine is."""


class Loop:
    """One link at work."""

    def __init__(self, devices: dict[End, int], control: socket.socket, spec: LinkSpec, seed: int) -> None:
        self._devices = devices
        self._ends = {descriptor: end for end, descriptor in devices.items()}
        self._control = control
        self._spec = spec
        self._seed = seed
        self._clock = SystemClock()
        self._begin()

    def run(self) -> None:
        """Until the owner closes its end."""
        watched: list[int | socket.socket] = [*self._ends, self._control]
        while True:
            self._deliver()
            wait_s = max(0.0, self._model.next_event_s() - self._clock.mono_s())
            # select and not epoll: its time-out has microseconds, theirs milliseconds.
            ready, _, _ = select.select(watched, [], [], min(wait_s, 3600.0))
            for each in ready:
                if isinstance(each, int):
                    self._read(each)
                elif not self._answer():
                    return

    def _begin(self) -> None:
        self._model = LinkModel(self._spec, self._seed, self._clock.mono_s())
        self._late_s_max = 0.0

    def _read(self, device: int) -> None:
        end = self._ends[device]
        for _ in range(_BATCH_COUNT):
            try:
                packet = os.read(device, _PACKET_BYTES_MAX)
            except BlockingIOError:
                return
            self._model.offer(self._clock.mono_s(), end, packet)

    def _deliver(self) -> None:
        now_s = self._clock.mono_s()
        due_s = self._model.next_event_s()
        if due_s > now_s:
            return
        self._late_s_max = max(self._late_s_max, now_s - due_s)
        for end, packet in self._model.advance(now_s):
            # A device that is down or full loses the packet, as a network card would.
            with contextlib.suppress(OSError):
                os.write(self._devices[end], packet)

    def _answer(self) -> bool:
        question = self._control.recv(MESSAGE_BYTES_MAX)
        if not question:
            return False
        if question == b"restart":
            self._begin()
        model = self._model
        report = Report(
            model.start_s,
            self._clock.mono_s(),
            self._late_s_max,
            model.resets_sent,
            model.up,
            model.down,
            model.stream_bytes(End.UNIT),
            model.stream_bytes(End.CENTRE),
        )
        self._control.sendall(report.encode())
        return True


def main() -> int:
    """Run with what the command line says."""
    unit, centre, control_descriptor = (int(word) for word in sys.argv[1:4])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's to act on
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    gc.freeze()
    control = socket.socket(fileno=control_descriptor)
    with contextlib.suppress(ConnectionError):
        spec = LinkSpec.from_json(json.loads(sys.argv[4]))
        Loop({End.UNIT: unit, End.CENTRE: centre}, control, spec, int(sys.argv[5])).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
