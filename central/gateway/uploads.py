"""Parts as they arrive: who may append, where it begins, and whether the whole has its name.

Rules of *Resumable Uploads for HTTP* (draft-ietf-httpbis-resumable-upload-05, interop version 6; clients of 03, version
5, are served the same way) and of ``docs/reference/gateway-protocol.md``. One append at a time a part: a newer one
ends the older one and goes on from where that stopped.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from appliance.clock import Clock, utc_text
from appliance.logging import log
from central.gateway import problems
from central.gateway.admission import Position, Wanted, size_after
from central.gateway.append import Append, End, Receive
from central.gateway.objects import ObjectError, Objects
from central.limits import GatewayLimits
from central.store import parts as rows
from central.store.database import Database
from central.store.files import announced_with_part, start_what_is_whole
from central.store.parts import UNKNOWN_SIZE, Chunk, PartRow
from central.store.units import is_revoked

if TYPE_CHECKING:
    from hashlib import _Hash

HASH_COUNT_MAX = 1024
ROOM_CHECK_S = 1.0


class Uploads:
    """All running appends of this process."""

    def __init__(
        self,
        database: Database,
        objects: Objects,
        limits: GatewayLimits,
        clock: Clock,
        on_complete: Callable[[str], None],
    ) -> None:
        """``on_complete`` is called with a part's name once it is complete and committed."""
        self._database = database
        self._objects = objects
        self._limits = limits
        self._clock = clock
        self._on_complete = on_complete
        self._active: dict[str, Append] = {}
        self._count_of_unit: dict[str, int] = {}
        self._hashes: OrderedDict[str, tuple[int, _Hash]] = OrderedDict()
        self._room_checked_mono_s = float("-inf")
        self._room = True
        self._stopping = False

    async def position(self, unit_id: str, sha256: str) -> Position:
        """For HEAD: ends a running append, for a client that asks has lost it.

        A part whose every byte is here without being complete (a process died in between) is completed now: many
        clients send nothing more once they hear of the last byte.

        Raises:
            Refusal: 404 for a part that this unit has nothing to do with; as ``append`` for one that is completed now.
        """
        row = await self._visible(unit_id, sha256)
        older = self._active.get(sha256)
        if older is not None:
            older.stop()
            await older.gone.wait()
            row = await self._visible(unit_id, sha256)
        if row.offset_bytes == row.size_bytes and not row.complete:
            return await self._finish(unit_id, sha256, row.size_bytes)
        return Position(row.offset_bytes, row.size_bytes, row.complete)

    async def settle(self, sha256s: set[str]) -> None:
        """Return when what was received of these parts so far is written, so that their rows tell it."""
        running = [self._active[sha] for sha in sha256s & self._active.keys()]
        if running:
            await asyncio.gather(*(append.settle() for append in running))

    async def create(self, wanted: Wanted) -> Position:
        """For POST: the part of this name, new or not."""
        size = UNKNOWN_SIZE if wanted.length_bytes is None else wanted.length_bytes
        self._check_size(max(size, 0))
        now = self._now()

        def work(connection: Connection) -> PartRow | None:
            if rows.open_part_count(connection, wanted.unit_id) >= self._limits.open_part_count_per_unit_max:
                return None
            return rows.create_part(connection, wanted.unit_id, wanted.sha256, size, now)

        row = await self._database.writing(work)
        if row is None:
            raise problems.busy("This unit has as many unfinished parts as it may have.", self._limits.retry_after_s)
        return Position(row.offset_bytes, row.size_bytes, row.complete)

    async def cancel(self, unit_id: str, sha256: str) -> None:
        """For DELETE: what is here of an unfinished part goes, unless another unit has named it too."""
        await self._visible(unit_id, sha256)
        older = self._active.get(sha256)
        if older is not None:
            older.stop()
            await older.gone.wait()
        await self._database.writing(rows.cancel_part, unit_id, sha256)

    async def append(self, wanted: Wanted, receive: Receive, unread: Callable[[], bytes]) -> Position:
        """For PATCH: take the body.

        Raises:
            Refusal: As the draft and the protocol have it; what was received stays, up to where the answer says.
        """
        self._admit(wanted)
        mine = Append(self._limits, self._clock)
        while (older := self._active.get(wanted.sha256)) is not None:
            older.stop()
            await older.gone.wait()
        self._active[wanted.sha256] = mine
        self._count_of_unit[wanted.unit_id] = self._count_of_unit.get(wanted.unit_id, 0) + 1
        try:
            if self._stopping:
                mine.stop()
            return await self._run(mine, wanted, receive, unread)
        finally:
            del self._active[wanted.sha256]
            self._leave(wanted.unit_id)
            mine.gone.set()

    async def stop(self) -> None:
        """End all appends, with everything received written."""
        self._stopping = True
        running = list(self._active.values())
        for append in running:
            append.stop()
        for append in running:
            await append.gone.wait()

    async def _run(self, mine: Append, wanted: Wanted, receive: Receive, unread: Callable[[], bytes]) -> Position:
        row = await self._visible(wanted.unit_id, wanted.sha256)
        size = size_after(row, wanted, self._limits.part_bytes_max)
        hashed, hash_ = self._hashes.pop(wanted.sha256, (0, hashlib.sha256()))
        running_hash = hash_ if hashed == row.offset_bytes else None
        hash_before = running_hash.copy() if running_hash is not None else None
        content_hash = hashlib.sha256()

        async def write(offset_bytes: int, data: bytes) -> None:
            if running_hash is not None:
                await asyncio.to_thread(running_hash.update, data)
            if wanted.content_sha256:
                await asyncio.to_thread(content_hash.update, data)
            await self._write(wanted, offset_bytes, data)

        room = self._limits.append_bytes_max if size == UNKNOWN_SIZE else size - row.offset_bytes
        room = min(room, self._limits.append_bytes_max)
        end = await mine.run(receive, unread, write, row.offset_bytes, room)
        offset = mine.offset_bytes
        if end is End.LOST:
            assert mine.failure is not None
            raise await self._as_refusal(wanted, mine.failure)
        if end is End.WHOLE and wanted.content_sha256 not in ("", content_hash.hexdigest()):
            await self._database.writing(rows.rewind_part, wanted.sha256, row.offset_bytes)
            if hash_before is not None:
                self._remember(wanted.sha256, row.offset_bytes, hash_before)
            raise problems.wrong_content(row.offset_bytes)
        if running_hash is not None:
            self._remember(wanted.sha256, offset, running_hash)
        if size == UNKNOWN_SIZE and end is End.WHOLE and wanted.completes:
            size = offset
            await self._database.writing(rows.set_size, wanted.sha256, size)
        if offset == size:
            return await self._finish(wanted.unit_id, wanted.sha256, size)
        return self._unfinished(end, wanted, offset, size)

    def _unfinished(self, end: End, wanted: Wanted, offset: int, size: int) -> Position:
        if end is End.TOO_LONG:
            raise problems.inconsistent_length(f"More than the {size} bytes of the part were sent.", offset)
        if end is End.WHOLE and wanted.completes:
            raise problems.inconsistent_length(f"The part has {size} bytes and ended at {offset}.", offset)
        if end is End.IDLE:
            raise problems.too_slow(offset)
        if end is End.OVERTAKEN and self._stopping:
            raise problems.stopping(offset)
        if end is End.OVERTAKEN:
            raise problems.mismatching_offset(offset, wanted.offset_bytes, size)
        return Position(offset, size, complete=False)

    def _admit(self, wanted: Wanted) -> None:
        """What needs no look at the part."""
        if wanted.content_bytes is not None and wanted.content_bytes > self._limits.append_bytes_max:
            raise problems.too_large("One append", self._limits.append_bytes_max, self.limit_header())
        if self._count_of_unit.get(wanted.unit_id, 0) >= self._limits.append_count_per_unit_max:
            raise problems.busy("This unit has as many appends under way as it may have.", 1)
        self.check_room()

    def check_room(self) -> None:
        """Refuse with 507 when the disk is below its floor; asked of the disk once a second at most."""
        now = self._clock.mono_s()
        if now - self._room_checked_mono_s >= ROOM_CHECK_S:
            free = self._objects.free_bytes()
            self._room = free is None or free >= self._limits.free_bytes_floor
            self._room_checked_mono_s = now
        if not self._room:
            raise problems.no_room(self._limits.retry_after_s)

    def limit_header(self) -> dict[str, str]:
        """``Upload-Limit``."""
        limits = self._limits
        return {"Upload-Limit": f"max-size={limits.part_bytes_max}, max-append-size={limits.append_bytes_max}"}

    def _check_size(self, size_bytes: int) -> None:
        if size_bytes > self._limits.part_bytes_max:
            raise problems.too_large("A part", self._limits.part_bytes_max, self.limit_header())

    async def _write(self, wanted: Wanted, offset_bytes: int, data: bytes) -> None:
        """Object first, then its row: a row never promises bytes that are not there."""
        key = self._objects.new_key(wanted.sha256, offset_bytes)
        await asyncio.to_thread(self._objects.put, key, data)
        counted = await self._database.writing(
            _count_chunk, wanted.unit_id, wanted.sha256, Chunk(offset_bytes, len(data), key), self._now()
        )
        if not counted:
            raise _LostError

    async def _finish(self, unit_id: str, sha256: str, size_bytes: int) -> Position:
        """All bytes are here: they must have the part's name."""
        hashed, hash_ = self._hashes.pop(sha256, (-1, hashlib.sha256()))
        if hashed != size_bytes:
            try:
                hash_ = await asyncio.to_thread(self._read_back, await self._database.reading(rows.chunks_of, sha256))
            except ObjectError as error:
                if not error.missing:
                    raise problems.unavailable(size_bytes) from error
        if hash_.hexdigest() != sha256:
            await self._database.writing(rows.reset_part, sha256, bad=True)
            log("gateway.uploads", "wrong digest", part=sha256, size_bytes=size_bytes, unit=unit_id)
            raise problems.wrong_digest()
        if await self._database.writing(_complete, sha256, size_bytes, self._now()):
            self._on_complete(sha256)
        return Position(size_bytes, size_bytes, complete=True)

    def _read_back(self, pieces: list[Chunk]) -> _Hash:
        hash_ = hashlib.sha256()
        for piece in pieces:
            for data in self._objects.read(piece.object_key):
                hash_.update(data)
        return hash_

    async def _as_refusal(self, wanted: Wanted, failure: Exception) -> problems.Refusal:
        """What the unit is told when writing failed; the part stands where its row says."""
        row = await self._database.reading(rows.part_row, wanted.sha256)
        offset = 0 if row is None else row.offset_bytes
        if isinstance(failure, _LostError):
            if await self._database.reading(is_revoked, wanted.unit_id):
                return problems.revoked()
            return problems.mismatching_offset(
                offset, wanted.offset_bytes, UNKNOWN_SIZE if row is None else row.size_bytes
            )
        log("gateway.uploads", "cannot write", part=wanted.sha256, why=type(failure).__name__)
        return problems.unavailable(offset)

    async def _visible(self, unit_id: str, sha256: str) -> PartRow:
        def work(connection: Connection) -> PartRow | None:
            return rows.part_row(connection, sha256) if rows.may_append(connection, unit_id, sha256) else None

        row = await self._database.reading(work)
        if row is None:
            raise problems.not_found()
        return row

    def _remember(self, sha256: str, offset_bytes: int, hash_: _Hash) -> None:
        """So that a part that comes in many appends is not read again for its digest."""
        self._hashes[sha256] = (offset_bytes, hash_)
        while len(self._hashes) > HASH_COUNT_MAX:
            self._hashes.popitem(last=False)

    def _leave(self, unit_id: str) -> None:
        left = self._count_of_unit[unit_id] - 1
        if left:
            self._count_of_unit[unit_id] = left
        else:
            del self._count_of_unit[unit_id]

    def _now(self) -> str:
        return utc_text(self._clock.wall_s())


class _LostError(Exception):
    """The part moved on without this append, or its unit was revoked."""


def _count_chunk(connection: Connection, unit_id: str, sha256: str, piece: Chunk, at: str) -> bool:
    if not is_revoked(connection, unit_id) and rows.append_chunk(connection, sha256, piece, at):
        return True
    rows.throw_away(connection, [piece.object_key])
    return False


def _complete(connection: Connection, sha256: str, size_bytes: int, at: str) -> bool:
    """Complete, with what follows from it, in one transaction: a crash in between would leave whole files waiting."""
    done = rows.complete_part(connection, sha256, size_bytes, at)
    if done:
        start_what_is_whole(connection, announced_with_part(connection, sha256), at)
    return done
