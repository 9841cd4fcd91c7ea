"""Looks once a minute whether units could deliver, and logs alarms as they come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from appliance.clock import Clock
from appliance.logging import log
from central.config import FleetTable
from central.fleet.picture import DAY_MINUTES, picture
from central.store import fleet as rows
from central.store.database import Database

LOOK_S = 20.0
"""Three looks a minute; the first one counts, and a slow PACS does not make a minute without one."""
KEEP_SPARE_DAYS = 5


class Watch:
    """Runs for ever beside the metrics.

    Args:
        database: The centre's.
        clock: Its wall clock names minutes.
        bounds: The service level.
        gateway_answers: Whether the gateway does, now; may block.
        pacs_answers: Whether the PACS does; may block.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        bounds: FleetTable,
        gateway_answers: Callable[[], bool],
        pacs_answers: Callable[[], bool],
    ) -> None:
        self._database = database
        self._clock = clock
        self._bounds = bounds
        self._gateway_answers = gateway_answers
        self._pacs_answers = pacs_answers
        self._minute = -1
        self._alarms: set[tuple[str, str]] = set()

    async def run(self) -> None:
        """Look, rest, look."""
        while True:
            try:
                await self.look_once()
            except SQLAlchemyError as error:
                log("fleet.watch", "database", why=type(error).__name__)
            await asyncio.sleep(LOOK_S)

    async def look_once(self) -> None:
        """At the service, when this minute was not looked at yet, and at every unit."""
        now_s = self._clock.wall_s()
        minute = int(now_s // 60)
        if minute != self._minute:
            gateway_ok, pacs_ok = await asyncio.gather(
                asyncio.to_thread(self._gateway_answers), asyncio.to_thread(self._pacs_answers)
            )
            keep = int((self._bounds.window_days + KEEP_SPARE_DAYS) * DAY_MINUTES)
            await self._database.writing(
                rows.note_minute, minute, gateway_ok=gateway_ok, pacs_ok=pacs_ok, keep_minutes=keep
            )
            self._minute = minute
        now = await self._database.reading(picture, now_s, self._bounds)
        found = {(unit.row.name, alarm.value) for unit in now.units for alarm in unit.alarms}
        for name, kind in sorted(found - self._alarms):
            log("fleet.watch", "alarm", unit=name, kind=kind)
        for name, kind in sorted(self._alarms - found):
            log("fleet.watch", "alarm over", unit=name, kind=kind)
        self._alarms = found
