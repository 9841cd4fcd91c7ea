"""One non-blocking socket: a slice out when the kernel has room, answers in, and given up when it stands still."""

from __future__ import annotations

import os
import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from appliance.clock import Clock
from sync.adapters.failures import Failed, failure
from sync.adapters.gateway import sockets, timing
from sync.adapters.gateway.flow import Answer
from sync.adapters.gateway.http1 import Answers
from sync.adapters.gateway.pacer import Advice, Pacer
from sync.adapters.guard import RESET_ON_CLOSE

LOOK_S = 0.25
"""How often it is looked at while nothing happens."""
PACE_S = 0.02
_READ_BYTES = 64 * 1024


class Wake:
    """Ends a wait of ``Pipe.turn`` from another thread."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __call__(self) -> None:
        with suppress(OSError):
            os.eventfd_write(self.descriptor, 1)

    def heard(self) -> None:
        """Wait anew from now on."""
        with suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def close(self) -> None:
        """Nobody waits any more."""
        os.close(self.descriptor)


class Pipe:
    """A connected socket, or TLS over one; used by one thread.

    Attributes:
        answers: The parser, which knows whether the peer ends the connection.
        pacer: What helps bbr.
        acked_bytes: So much of what was written is known to have arrived, at the last look.
    """

    def __init__(
        self, connection: socket.socket, clock: Clock, stall_s_max: float, wake: Wake, pacer: Pacer | None = None
    ) -> None:
        """``pacer``: where bbr runs."""
        connection.setblocking(False)
        self._socket = connection
        self._clock = clock
        self._stall_s_max = stall_s_max
        self._wake = wake
        self._out = b""
        self._received_bytes = 0
        self.acked_bytes = 0
        self._moved_mono_s = clock.mono_s()
        self.answers = Answers()
        self.pacer = pacer
        self._paced_mono_s = float("-inf")
        self._poll = select.poll()
        self._poll.register(wake.descriptor, select.POLLIN)

    @property
    def round_trip_s(self) -> float:
        """As the kernel measured it; 0 while unknown."""
        return sockets.round_trip_s(self._socket)

    def begin(self) -> None:
        """After a rest: silence until now was right."""
        self._moved_mono_s = self._clock.mono_s()
        if self.pacer is not None:
            self._follow(self.pacer.begin(self._moved_mono_s))

    def turn(self, produce: Callable[[], bytes], *, has_more: bool, awaits_answer: bool) -> list[Answer]:
        """Wait until something can be done, at most ``LOOK_S``, and do it.

        Args:
            produce: Gives the bytes to write next, when there is room; nothing, when there is nothing after all.
            has_more: Whether it would give something.
            awaits_answer: Whether silence means something.

        Returns:
            Answers that are complete now.

        Raises:
            Failed: ``connection-lost`` or ``stalled``; or what is wrong with an answer.
            AnswersError: What came is no HTTP.
        """
        writes = bool(self._out) or has_more
        self._poll.register(self._socket, select.POLLIN | (select.POLLOUT if writes else 0))
        events = dict(self._poll.poll(LOOK_S * 1000))
        if self._wake.descriptor in events:
            self._wake.heard()
        happened = events.get(self._socket.fileno(), 0)
        answers = self._read() if happened & ~select.POLLOUT else []
        if happened & select.POLLOUT:
            self._write(produce)
        self._check(awaits_answer)
        return answers

    def close(self) -> None:
        """Reset it: nothing that lies in the kernel shall go on occupying the link."""
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        with suppress(OSError):
            self._socket.close()

    def _write(self, produce: Callable[[], bytes]) -> None:
        if not self._out:
            self._out = produce()
        if not self._out:
            return
        try:
            sent = self._socket.send(self._out)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            raise Failed(failure("connection-lost")) from error
        self._out = self._out[sent:]

    def _read(self) -> list[Answer]:
        answers: list[Answer] = []
        while True:
            try:
                data = self._socket.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return answers
            except OSError as error:
                if answers:
                    return answers
                raise Failed(failure("connection-lost")) from error
            if not data:
                if answers:
                    return answers  # its end is seen again at the next look
                raise Failed(failure("connection-lost"))
            answers += self.answers.feed(data)

    def _check(self, awaits_answer: bool) -> None:
        try:
            now = sockets.moved(self._socket)
        except OSError as error:
            raise Failed(failure("connection-lost")) from error
        if (now.acked_bytes, now.received_bytes) != (self.acked_bytes, self._received_bytes):
            self.acked_bytes, self._received_bytes = now.acked_bytes, now.received_bytes
            self._moved_mono_s = self._clock.mono_s()
        self._pace()
        if now.unacked_bytes:
            allowed_s = timing.stall_s(now.round_trip_s, self._stall_s_max)
        elif awaits_answer:
            allowed_s = timing.answer_s(now.round_trip_s, self._stall_s_max)
        else:
            return
        if self._clock.mono_s() - self._moved_mono_s > allowed_s:
            raise Failed(failure("stalled"))

    def _pace(self) -> None:
        now = self._clock.mono_s()
        if self.pacer is None or now - self._paced_mono_s < PACE_S:
            return
        self._paced_mono_s = now
        seen = sockets.seen(self._socket)
        if seen is not None:
            self._follow(self.pacer.look(now, seen))

    def _follow(self, advice: Advice | None) -> None:
        if advice is None:
            return
        with suppress(OSError):
            sockets.follow(self._socket, advice)
