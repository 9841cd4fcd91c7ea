"""Whole PDUs from a socket, as many at a time as have arrived, held to their length and pace; and bytes back.

One buffer an association and direction: what ``read`` gives is a view of it, good until the next ``read``. Nothing is
read ahead of what was passed on, so a slow receiver slows its sender and memory stays bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import socket
import struct
from collections.abc import Container, Iterator

from appliance.domain.limits import KIB, LimitSet
from appliance.gatekeeper.pdu import HEADER_BYTES, PduType
from appliance.gatekeeper.violations import ViolationError

READ_BYTES = 256 * KIB
"""Room for one read beside an unfinished PDU; larger reads gained nothing on loopback."""
_LINGER_S = 1.0
_LINGER_BYTES = 256 * KIB
_KINDS = frozenset(PduType)


def pages(size_bytes: int) -> memoryview:
    """A buffer that takes memory only where it was used, and gives it back to the system when it is dropped."""
    return memoryview(mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


class ConnectionEndedError(Exception):
    """The other side closed or reset the connection."""


class QuietError(Exception):
    """Nothing came within the given time, and no PDU was under way."""


class PduStream:
    """One connected, non-blocking socket."""

    def __init__(self, sock: socket.socket, limits: LimitSet, read_bytes: int = READ_BYTES) -> None:
        self._sock = sock
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._view = pages(HEADER_BYTES + limits.pdu_bytes_max + read_bytes)
        self._end = 0
        self._given = 0
        self._waited_s = 0.0
        """For the PDU under way; only time spent waiting for its sender counts."""
        self.is_torn = False
        """A write was cut off, so nothing more can be said on this connection."""

    async def read(self, quiet_s_max: float | None) -> memoryview:
        """One or more whole PDUs.

        Args:
            quiet_s_max: How long to wait for the first byte; ``None`` for ever.

        Raises:
            QuietError: If no byte came.
            ViolationError: If a PDU is too long, of unknown type or too slow.
            ConnectionEndedError: If the other side is gone.
        """
        self._drop_given()
        while not (whole := self._whole_bytes()):
            await self._receive(quiet_s_max)
        self._given = whole
        return self._view[:whole]

    async def read_one(self, kinds: Container[int], bytes_max: int) -> bytearray:
        """Exactly one PDU of one of ``kinds``, and not a byte beyond it; the caller bounds the time.

        Raises:
            ViolationError: If it is of another type or longer than ``bytes_max``.
            ConnectionEndedError: If the other side is gone.
        """
        head = await self._read_exactly(HEADER_BYTES)
        kind, length = struct.unpack(">BxI", head)
        if kind not in kinds:
            raise ViolationError("pdu-unexpected" if kind in _KINDS else "pdu-malformed", f"type {kind}")
        if length > bytes_max:
            raise ViolationError("pdu-too-long", f"{length} bytes")
        return head + await self._read_exactly(length)

    async def write(self, data: bytes | bytearray | memoryview, stalled: str) -> None:
        """Send all of ``data``.

        Args:
            data: Whole PDUs.
            stalled: Code of the violation when the receiver takes nothing for ``idle_s_max``.

        Raises:
            ViolationError, ConnectionEndedError: As said.
        """
        self.is_torn = True
        try:
            async with asyncio.timeout(self._limits.idle_s_max):
                await self._loop.sock_sendall(self._sock, data)
        except TimeoutError:
            raise ViolationError(stalled, f"took nothing for {self._limits.idle_s_max:.0f} s") from None
        except OSError as error:
            raise ConnectionEndedError(error.strerror) from error
        self.is_torn = False

    def write_last(self, data: bytes) -> None:
        """A few bytes of goodbye, if the socket takes them at once; never after a torn write."""
        if data and not self.is_torn:
            with contextlib.suppress(OSError):
                self._sock.send(data)

    def close(self) -> None:
        """Close at once; the buffer goes now and not when the collector finds the cycles of an ended association."""
        self._sock.close()
        self._view = memoryview(b"")

    async def close_gently(self) -> None:
        """Close so that the last words arrive: unread input would turn the close into a reset (PS3.8, ARTIM)."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(_LINGER_S):
                for _ in range(_LINGER_BYTES // len(self._view) + 1):
                    if not await self._loop.sock_recv_into(self._sock, self._view):
                        break
        except (OSError, TimeoutError):
            pass
        finally:
            self.close()

    async def _read_exactly(self, count: int) -> bytearray:
        data = bytearray(count)
        view = memoryview(data)
        while view:
            try:
                received = await self._loop.sock_recv_into(self._sock, view)
            except OSError as error:
                raise ConnectionEndedError(error.strerror) from error
            if not received:
                raise ConnectionEndedError("closed")
            view = view[received:]
        return data

    def _drop_given(self) -> None:
        rest = self._end - self._given
        if self._given and rest:
            self._view[:rest] = self._view[self._given : self._end]
        if self._given:
            self._waited_s = 0.0
        self._end, self._given = rest, 0

    def _whole_bytes(self) -> int:
        at = 0
        for start, stop in self._bounds():
            if stop > self._end:
                return start
            at = stop
        return at

    def _bounds(self) -> Iterator[tuple[int, int]]:
        """Start and stop of every PDU whose header is here; each header is checked before its body is awaited."""
        at = 0
        while self._end - at >= HEADER_BYTES:
            kind, length = struct.unpack_from(">BxI", self._view, at)
            if kind not in _KINDS:
                raise ViolationError("pdu-malformed", f"type {kind}")
            if length > self._limits.pdu_bytes_max:
                raise ViolationError("pdu-too-long", f"{length} bytes")
            yield at, at + HEADER_BYTES + length
            at += HEADER_BYTES + length

    async def _receive(self, quiet_s_max: float | None) -> None:
        is_begun = self._end > 0
        began_mono_s = self._loop.time()
        # A read that finds data at once never suspends: without this a fast sender would keep the loop to itself.
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._patience_s() if is_begun else quiet_s_max):
                count = await self._loop.sock_recv_into(self._sock, self._view[self._end :])
        except TimeoutError:
            if is_begun:
                raise ViolationError("pdu-too-slow", f"{self._end} bytes of a PDU, then nothing") from None
            raise QuietError from None
        except OSError as error:
            raise ConnectionEndedError(error.strerror) from error
        if count == 0:
            raise ConnectionEndedError("closed")
        # DCMTK's senders wait for the acknowledgement of a command before they send its data set, and the kernel delays
        # that by 40 ms: 40 objects of 0.5 MB take 0.5 s with this, 2.5 s without. It lapses, so it is asked for anew.
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._end += count
        if is_begun:
            self._waited_s += self._loop.time() - began_mono_s

    def _patience_s(self) -> float:
        """How much longer the PDU under way may stand still before it falls below the least rate."""
        earned_s = self._end / self._limits.pdu_rate_bytes_per_s_min
        return min(self._limits.pdu_grace_s_max + earned_s - self._waited_s, self._limits.idle_s_max)
