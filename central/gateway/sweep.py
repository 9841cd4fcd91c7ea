"""Keeping the centre's disk: parts whose time is over, objects that nothing names, sessions that ended.

Only what is proved to be in the PACS is ever given up, and the chunks of parts that start anew. When the disk is short,
parts that were kept for corrections go early; if that is not enough, units are told to wait (507).
"""

from __future__ import annotations

import asyncio

from sqlalchemy.exc import SQLAlchemyError

from appliance.clock import Clock, utc_text
from appliance.logging import log
from central.gateway.objects import ObjectError, Objects
from central.limits import GatewayLimits
from central.store import parts as rows
from central.store.database import Database
from central.store.keeping import drop_parts, drop_sessions_and_codes

DAY_S = 86_400.0
PREVIEWS_KEEP_DAYS = 365.0
BATCH_COUNT = 200
ORPHANS_S = DAY_S
ORPHAN_AGE_S = DAY_S
"""An object without a row may be one whose row is being committed."""


class Sweeper:
    """Runs beside the requests, a little at a time."""

    def __init__(
        self, database: Database, objects: Objects, limits: GatewayLimits, clock: Clock, parts_keep_days: float
    ) -> None:
        self._database = database
        self._objects = objects
        self._limits = limits
        self._clock = clock
        self._keep_s = parts_keep_days * DAY_S
        self._orphans_mono_s = float("-inf")

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except (SQLAlchemyError, ObjectError, OSError) as error:
                log("gateway.sweep", "failed", why=type(error).__name__)
            await asyncio.sleep(self._limits.sweep_s)

    async def sweep(self) -> None:
        """Once through everything."""
        await self._collect()
        now_s = self._clock.wall_s()
        await self._database.writing(drop_sessions_and_codes, int(now_s))
        await self._drop(
            utc_text(now_s - self._keep_s), utc_text(now_s - max(self._keep_s, PREVIEWS_KEEP_DAYS * DAY_S))
        )
        while self._is_short():
            now = utc_text(now_s)
            if not await self._database.writing(drop_parts, now, utc_text(now_s - self._keep_s), BATCH_COUNT):
                break
            await self._collect()
        if self._clock.mono_s() - self._orphans_mono_s >= ORPHANS_S:
            self._orphans_mono_s = self._clock.mono_s()
            await self._collect_orphans()

    async def _drop(self, before: str, previews_before: str) -> None:
        count = BATCH_COUNT
        while count == BATCH_COUNT:
            count = await self._database.writing(drop_parts, before, previews_before, BATCH_COUNT)
            if count:
                log("gateway.sweep", "parts given up", count=count)
                await self._collect()

    async def _collect(self) -> None:
        """Objects first, then the rows that name them: a crash in between costs a second look."""
        while keys := await self._database.reading(rows.some_garbage, BATCH_COUNT):
            await asyncio.to_thread(self._objects.delete, keys)
            await self._database.writing(rows.garbage_is_gone, keys)

    async def _collect_orphans(self) -> None:
        """What was written when a process was killed before it could commit."""
        listed = self._objects.older_than(self._clock.wall_s() - ORPHAN_AGE_S)
        while keys := await asyncio.to_thread(next, listed, None):
            known = await self._database.reading(rows.known_objects, keys)
            orphans = [key for key in keys if key not in known]
            await asyncio.to_thread(self._objects.delete, orphans)
            if orphans:
                log("gateway.sweep", "orphans deleted", count=len(orphans))

    def _is_short(self) -> bool:
        free = self._objects.free_bytes()
        return free is not None and free < self._limits.free_bytes_floor
