"""The guard: cuts what stands still, spares what moves, even when it moves only inside the kernel."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from appliance.domain.limits import LimitSet
from sync.adapters.guard import Guard
from tests.support.clocks import ManualClock

TCP_CLOSE = 7
LIMITS = LimitSet(transfer_stall_s_max=30.0, transfer_rate_bytes_per_s_min=100)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A TCP connection over loopback: ours and the peer's end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    with ours, theirs:
        ours.settimeout(20)
        theirs.settimeout(20)
        yield ours, theirs


def test_silence_in_an_exchange_is_cut_and_wakes_the_reader(pair: tuple[socket.socket, socket.socket]) -> None:
    clock, woken = ManualClock(), threading.Event()
    with Guard(clock, LIMITS, "test", woken.set) as guard:
        guard.watch(pair[0])
        guard.begin(1000)
        clock.advance(30.5)
        assert pair[0].recv(1) == b""
        assert woken.wait(20)
        assert guard.expired


def test_silence_outside_an_exchange_is_right(pair: tuple[socket.socket, socket.socket]) -> None:
    clock = ManualClock()
    with Guard(clock, LIMITS, "test") as guard:
        guard.watch(pair[0])
        guard.begin(1000)
        guard.end()
        clock.advance(10_000)
        pair[1].sendall(b"x")
        assert pair[0].recv(1) == b"x"
    assert not guard.expired


def test_steady_progress_is_cut_when_it_is_slower_than_the_floor(pair: tuple[socket.socket, socket.socket]) -> None:
    clock, woken = ManualClock(), threading.Event()
    with Guard(clock, LIMITS, "test", woken.set) as guard:
        guard.watch(pair[0])
        guard.begin(1000)  # 30 s and 10 s more
        for _ in range(2):
            clock.advance(20)
            guard.progress()
        assert not guard.expired
        clock.advance(1)
        guard.progress()
        assert woken.wait(20)
        assert guard.expired


def test_bytes_leaving_the_kernels_buffer_are_progress(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    ours.setblocking(False)
    handed = 0
    try:
        while True:
            handed += ours.send(bytes(1 << 16))
    except BlockingIOError:
        pass
    ours.settimeout(20)
    clock = ManualClock()
    with Guard(clock, LIMITS, "test") as guard:
        guard.watch(ours)
        guard.begin(100 << 20)
        assert not guard.stands_still()
        clock.advance(29)
        drained = 0
        while drained < handed // 2:
            drained += len(theirs.recv(1 << 16))
        assert not guard.stands_still()
        clock.advance(29)
        assert not guard.stands_still(), "29 s after the last byte left, 58 s after the last one was handed over"
        clock.advance(2)
        assert guard.stands_still()


def test_cut_works_after_the_socket_was_wrapped_by_somebody_else(pair: tuple[socket.socket, socket.socket]) -> None:
    with Guard(ManualClock(), LIMITS, "test") as guard:
        guard.watch(pair[0])
        taken = socket.socket(fileno=pair[0].detach())  # what SSLContext.wrap_socket does
        guard.cut()
        taken.settimeout(20)
        assert taken.recv(1) == b""
        taken.close()


def test_what_stood_still_is_reset_when_its_owner_closes_it(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    clock, woken = ManualClock(), threading.Event()
    with Guard(clock, LIMITS, "test", woken.set) as guard:
        guard.watch(ours)
        guard.begin(1000)
        clock.advance(30.5)
        assert woken.wait(20)
        guard.end()
        ours.close()
        state = theirs.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        assert state == TCP_CLOSE, "a FIN alone would leave it in CLOSE_WAIT (8)"


def test_patience_may_follow_what_is_known_of_the_way(pair: tuple[socket.socket, socket.socket]) -> None:
    clock, asked = ManualClock(), []

    def patience(connection: socket.socket | None, unsent_bytes: int) -> float:
        asked.append((connection is not None, unsent_bytes))
        return 3.0

    woken = threading.Event()
    with Guard(clock, LIMITS, "test", woken.set, patience) as guard:
        guard.watch(pair[0])
        guard.begin(1000)
        clock.advance(2)
        assert not guard.stands_still()
        clock.advance(2)
        assert woken.wait(20)
        assert guard.expired
    assert set(asked) == {(True, 0)}


def test_the_next_exchange_is_judged_by_itself(pair: tuple[socket.socket, socket.socket]) -> None:
    clock, woken = ManualClock(), threading.Event()
    with Guard(clock, LIMITS, "test", woken.set) as guard:
        guard.watch(pair[0])
        guard.begin(1000)
        clock.advance(30.5)
        assert woken.wait(20)
        guard.end()
        guard.begin(1000)
        assert not guard.expired
