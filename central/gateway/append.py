"""One append: bytes from a connection into the object store, as they arrive.

Receiving and writing overlap, so that a fast link is used; what is buffered is bounded, and nothing waits in memory for
longer than ``flush_s_max``. When the connection breaks, when a newer append takes over, and at the end, everything that
was received is written first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from enum import Enum
from typing import Any

from appliance.clock import Clock
from central.limits import GatewayLimits

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class End(Enum):
    """Why an append is over."""

    WHOLE = "whole"
    """Its body came to an end."""
    BROKEN = "broken"
    """The connection did."""
    OVERTAKEN = "overtaken"
    """A newer append, or the end of the process."""
    IDLE = "idle"
    TOO_LONG = "too-long"
    """More bytes than the part has, or than one append may have; those are not kept."""
    LOST = "lost"
    """A write found that it may not go on; ``Append.failure`` says why."""


class Append:
    """One running append.

    Attributes:
        offset_bytes: Where the next byte that is written goes.
        failure: What ``write`` raised.
        gone: Set when nothing of it is left, not even a write.
    """

    def __init__(self, limits: GatewayLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._buffer = bytearray()
        self._oldest_mono_s = 0.0
        self._received_bytes = 0
        self._room_bytes = 0
        self._began_mono_s = clock.mono_s()
        self._stop = asyncio.Event()
        self._wake = asyncio.Event()
        self._written = asyncio.Event()
        self._hurry = False
        self._closing = False
        self._write: Callable[[int, bytes], Awaitable[None]]
        self.offset_bytes = 0
        self.failure: Exception | None = None
        self.gone = asyncio.Event()

    async def run(
        self,
        receive: Receive,
        unread: Callable[[], bytes],
        write: Callable[[int, bytes], Awaitable[None]],
        offset_bytes: int,
        room_bytes: int,
    ) -> End:
        """Take bytes until an end.

        Args:
            receive: ASGI's.
            unread: What had arrived when the connection broke.
            write: ``write(offset, data)`` makes a piece durable; what it raises ends the append.
            offset_bytes: Where the first byte goes.
            room_bytes: How many bytes it may take.
        """
        self.offset_bytes, self._room_bytes, self._write = offset_bytes, room_bytes, write
        writer = asyncio.create_task(self._write_on())
        try:
            end = await self._take(receive, unread)
        finally:
            self._closing = True
            self._wake.set()
            # Also when this task is cancelled: a write that began must be counted or not, but never half.
            await asyncio.shield(writer)
        return end if self.failure is None else End.LOST

    def stop(self) -> None:
        """End it; ``gone`` tells when everything received is written."""
        self._stop.set()
        self._wake.set()

    async def settle(self) -> None:
        """Return when everything received so far is written, or it is over."""
        goal = self.offset_bytes + len(self._buffer)
        self._hurry = True
        self._wake.set()
        while self.offset_bytes < goal and not self.gone.is_set() and self.failure is None:
            self._written.clear()
            ended = asyncio.create_task(self.gone.wait())
            moved = asyncio.create_task(self._written.wait())
            await asyncio.wait({ended, moved}, return_when=asyncio.FIRST_COMPLETED)
            ended.cancel()
            moved.cancel()

    async def _take(self, receive: Receive, unread: Callable[[], bytes]) -> End:
        stopped = asyncio.create_task(self._stop.wait())
        try:
            while True:
                while len(self._buffer) >= self._limits.flush_bytes_max and not self._over:
                    self._written.clear()
                    await self._written.wait()
                if self._over:
                    return End.OVERTAKEN
                message = await self._next(receive, stopped)
                if message is None:
                    return End.OVERTAKEN if self._stop.is_set() else End.IDLE
                broken = message["type"] == "http.disconnect"
                data = unread() if broken else message.get("body", b"")
                if not self._keep(data):
                    return End.TOO_LONG
                if broken:
                    return End.BROKEN
                if not message.get("more_body", False):
                    return End.WHOLE
        finally:
            stopped.cancel()

    async def _next(self, receive: Receive, stopped: asyncio.Task[Any]) -> MutableMapping[str, Any] | None:
        """The next message; ``None`` when the append was stopped or nothing came for too long."""
        coming = asyncio.ensure_future(receive())
        try:
            await asyncio.wait(
                {coming, stopped}, timeout=self._limits.append_idle_s_max, return_when=asyncio.FIRST_COMPLETED
            )
            return coming.result() if coming.done() else None
        finally:
            coming.cancel()

    def _keep(self, data: bytes) -> bool:
        self._received_bytes += len(data)
        if self._received_bytes > self._room_bytes:
            return False
        if data:
            if not self._buffer:
                self._oldest_mono_s = self._clock.mono_s()
            self._buffer += data
            self._wake.set()
        return True

    @property
    def _over(self) -> bool:
        return self._stop.is_set() or self.failure is not None

    async def _write_on(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._buffer and not await self._ripe():
                continue
            if self._buffer:
                data = bytes(self._buffer)
                self._buffer.clear()
                self._hurry = False
                try:
                    await self._write(self.offset_bytes, data)
                    self.offset_bytes += len(data)
                except Exception as error:  # reported as the append's failure
                    self.failure = error
                    self._stop.set()
                self._written.set()
                if self._buffer or self._closing:
                    self._wake.set()
            if self.failure is not None or (self._closing and not self._buffer):
                self._buffer.clear()
                self._written.set()
                return

    async def _ripe(self) -> bool:
        """Whether what is buffered should be written now; waits for more as long as it may."""
        waited_s = self._clock.mono_s() - self._oldest_mono_s
        enough = len(self._buffer) >= self._flush_bytes()
        if enough or self._closing or self._hurry or self._stop.is_set() or waited_s >= self._limits.flush_s_max:
            return True
        try:
            await asyncio.wait_for(self._wake.wait(), self._limits.flush_s_max - waited_s)
        except TimeoutError:
            return True
        return False

    def _flush_bytes(self) -> int:
        """What comes in half a second at the rate so far, within bounds."""
        passed_s = max(self._clock.mono_s() - self._began_mono_s, 0.001)
        expected = int(self._received_bytes / passed_s * self._limits.flush_fast_s)
        return min(max(expected, self._limits.flush_bytes_min), self._limits.flush_bytes_max)
