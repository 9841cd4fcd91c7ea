"""One append on its own: what is written when, and what happens when writing fails at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from central.gateway.append import Append, End
from central.limits import GatewayLimits
from tests.gateway.rig import CLOCK

LIMITS = GatewayLimits(flush_bytes_min=100, flush_bytes_max=400, flush_s_max=3600.0, flush_fast_s=1e-9)


class Store:
    """Takes what is written; fails at one write when told to."""

    def __init__(self, fail_at: int = -1) -> None:
        self.written: list[tuple[int, bytes]] = []
        self.fail_at = fail_at
        self.largest = 0

    async def write(self, offset: int, data: bytes) -> None:
        await asyncio.sleep(0)
        self.largest = max(self.largest, len(data))
        if len(self.written) == self.fail_at:
            raise OSError("no room")
        self.written.append((offset, data))

    @property
    def data(self) -> bytes:
        return b"".join(data for _, data in self.written)


def body(*messages: Any) -> Callable[[], Any]:
    """ASGI's receive: bytes are pieces, ``None`` is a cut, ``...`` is silence for ever; the end follows the last."""
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.request", "body": b"", "more_body": False}
        message = waiting.pop(0)
        if message is None:
            return {"type": "http.disconnect"}
        if message is ...:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": message, "more_body": True}

    return receive


def take(store: Store, *messages: Any, room: int = 10_000, unread: bytes = b"", offset: int = 0) -> tuple[End, Append]:
    """Run an append over these messages."""

    async def run() -> tuple[End, Append]:
        append = Append(LIMITS, CLOCK)
        end = await append.run(body(*messages), lambda: unread, store.write, offset, room)
        return end, append

    return asyncio.run(run())


def test_whole_body_is_written_in_order() -> None:
    store = Store()
    end, append = take(store, b"a" * 250, b"b" * 10, b"c" * 700, offset=5)
    assert (end, append.offset_bytes) == (End.WHOLE, 965)
    assert store.data == b"a" * 250 + b"b" * 10 + b"c" * 700
    assert [offset for offset, _ in store.written] == [
        5 + sum(len(data) for _, data in store.written[:i]) for i in range(len(store.written))
    ]


def test_memory_is_bounded_while_writing_is_slow() -> None:
    store = Store()
    take(store, *[b"x" * 90] * 100)
    assert store.largest <= LIMITS.flush_bytes_max + 90
    assert len(store.data) == 9000


def test_cut_keeps_what_had_arrived_and_was_not_read() -> None:
    store = Store()
    end, append = take(store, b"a" * 50, None, unread=b"tail")
    assert (end, append.offset_bytes, store.data) == (End.BROKEN, 54, b"a" * 50 + b"tail")


def test_more_than_there_is_room_for_is_not_kept() -> None:
    store = Store()
    end, append = take(store, b"a" * 50, b"b" * 51, room=100)
    assert (end, append.offset_bytes, store.data) == (End.TOO_LONG, 50, b"a" * 50)


@pytest.mark.parametrize("fail_at", [0, 1, 2])
@pytest.mark.parametrize("ending", [(), (None,), (...,)], ids=["whole", "cut", "silence"])
def test_failed_write_is_never_a_success(fail_at: int, ending: tuple[Any, ...]) -> None:
    store = Store(fail_at)
    end, append = take(store, b"a" * 150, b"b" * 150, b"c" * 150, *ending)
    if len(store.written) == fail_at:
        assert end is End.LOST
        assert isinstance(append.failure, OSError)
    assert append.offset_bytes == len(store.data)


def test_last_write_that_fails_is_no_success_either() -> None:
    store = Store(fail_at=0)
    end, append = take(store, b"a")
    assert (end, append.offset_bytes) == (End.LOST, 0)


def test_stopped_append_writes_what_it_has_first() -> None:
    async def run() -> None:
        store, append = Store(), Append(LIMITS, CLOCK)
        running = asyncio.create_task(append.run(body(b"abc", ...), bytes, store.write, 0, 100))
        while not append._received_bytes:
            await asyncio.sleep(0)
        append.stop()
        assert await running is End.OVERTAKEN
        assert store.data == b"abc"

    asyncio.run(run())


def test_settling_writes_what_came_so_far_and_goes_on() -> None:
    async def run() -> None:
        store, append = Store(), Append(LIMITS, CLOCK)
        running = asyncio.create_task(append.run(body(b"abc", ...), bytes, store.write, 0, 100))
        while not append._received_bytes:
            await asyncio.sleep(0)
        assert store.data == b"", "too little and too young to be written by itself"
        await append.settle()
        assert store.data == b"abc"
        assert not running.done()
        append.stop()
        await running

    asyncio.run(run())


def test_cancelled_append_writes_what_it_has_first() -> None:
    async def run() -> None:
        store, append = Store(), Append(LIMITS, CLOCK)
        running = asyncio.create_task(append.run(body(b"abc", ...), bytes, store.write, 0, 100))
        while not append._received_bytes:
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert store.data == b"abc"

    asyncio.run(run())


def test_oldest_byte_waits_no_longer_than_it_may() -> None:
    async def run() -> None:
        limits = GatewayLimits(flush_bytes_min=1000, flush_bytes_max=2000, flush_s_max=0.01)
        store, append = Store(), Append(limits, CLOCK)
        written = asyncio.Event()

        async def write(offset: int, data: bytes) -> None:
            await store.write(offset, data)
            written.set()

        running = asyncio.create_task(append.run(body(b"abc", ...), bytes, write, 0, 100))
        await asyncio.wait_for(written.wait(), 30)
        assert store.data == b"abc"
        append.stop()
        await running

    asyncio.run(run())
