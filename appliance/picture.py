"""The whole picture of a unit for people: both databases, what running processes say, and the disk.

Command line and screen read through this one place, with connections that cannot write; it needs no running process,
no Orthanc and no network.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from appliance.clock import Clock, local_day, local_zone, utc_text
from appliance.config import GatewayDestination, UnitConfig
from appliance.domain.forecast import Forecasts
from appliance.domain.leave import leave_lines, read_leave
from appliance.domain.snapshot import InstanceRow, PowerState, Snapshot, StudyRow
from appliance.live import read_live
from appliance.power.battery import battery_of
from appliance.power.leaving import read_leaving
from appliance.store.connect import Store, data_version, open_door_reader, open_reader, read
from appliance.store.door import unindexed_count
from appliance.store.errors import StoreError
from appliance.store.forecasts import link_rows, read_forecasts
from appliance.store.intake import get_cursor
from appliance.store.snapshot import NO_FORECASTS, LiveFacts, read_snapshot, read_study
from appliance.store.stamp import stamp_of

LEDGER_FEED = "kept"
"""The cursor of intake over the door's ledger."""

FORECAST_S = 5.0
"""With 10,000 waiting images the sums take 0.15 s on one core; nobody sees an estimate change within this."""

_UNKNOWN_POWER = PowerState(safe=False, receiving_count=0, unindexed_count=0, known=False)


@dataclass(frozen=True, slots=True)
class _Forecasts:
    """The last ones, and what they were made of."""

    told: Forecasts = NO_FORECASTS
    basis: object = None
    version: int = -1
    mono_s: float = -math.inf

    def is_behind(self, version: int, now: float) -> bool:
        """The database changed since, and it is time to look."""
        return self.version != version and now - self.mono_s >= FORECAST_S


class UnitReader:
    """Reads one unit's state; each instance belongs to one thread.

    A database that recovery replaced is opened again, and so is one that failed: every call starts from what is there.
    """

    def __init__(self, config: UnitConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._stores: dict[str, tuple[Store, int]] = {}
        self._last_seen: object = None
        self._forecasts = _Forecasts()

    def __enter__(self) -> UnitReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of both databases."""
        for store, _ in self._stores.values():
            store.close()
        self._stores.clear()
        self._last_seen = None

    @property
    def unit_db(self) -> Store:
        """The truth about delivery, read-only.

        Raises:
            StoreError: As ``open_reader``.
        """
        return self._open("unit", self._config.unit_db, open_reader)

    @property
    def door_db(self) -> Store:
        """The ledger of the door, read-only; raises as ``unit_db``."""
        return self._open("door", self._config.door_db, open_door_reader)

    def _open(self, name: str, path: Path, opener: Callable[..., Store]) -> Store:
        """The open database while its file still is the one at ``path``."""
        inode = _inode(path)
        known = self._stores.get(name)
        if known is not None and known[1] == inode:
            return known[0]
        if known is not None:
            known[0].close()
            del self._stores[name]
        store = opener(path, clock=self._clock)
        self._stores[name] = (store, inode)
        self._last_seen = None
        return store

    def snapshot(self) -> Snapshot:
        """The picture now.

        Raises:
            StoreError: If the unit's database cannot be read; the door's only makes the power line unknown.
        """
        try:
            return self._snapshot(self.live_facts())
        except StoreError:
            self.close()
            raise

    def poll(self) -> Snapshot | None:
        """The picture now, or ``None`` when nothing has changed since the last call; cheap enough for four a second.

        Raises:
            StoreError: As ``snapshot``.
        """
        try:
            live = self.live_facts()
            version = data_version(self.unit_db)
            seen = (version, self._today_at(), _coarse(live))
            if seen == self._last_seen and not self._forecasts.is_behind(version, self._clock.mono_s()):
                return None
            snapshot = self._snapshot(live)
        except StoreError:
            self.close()
            raise
        self._last_seen = seen
        return snapshot

    def live_facts(self) -> LiveFacts:
        """What running processes and the disk say this moment.

        Raises:
            StoreError: If the unit's database cannot be read.
        """
        sync = read_live(self._config.run_dir, "sync", self._clock) or {}
        free_bytes, total_bytes = _disk(self._config.data_dir)
        return LiveFacts(
            power=self._power(),
            disk_free_bytes=free_bytes,
            disk_total_bytes=total_bytes,
            in_flight_bytes_by_item=_bytes_by_item(sync.get("in_flight")),
            leave=read_leave(sync.get("leave")),
            battery=battery_of(self._config.run_dir, self._clock),
        )

    def forecasts(self, live: LiveFacts) -> Forecasts:
        """When what waits will be at the centre; a few seconds old, unless a link or its rules changed meanwhile.

        Raises:
            StoreError: If the unit's database cannot be read.
        """
        db, kept, now = self.unit_db, self._forecasts, self._clock.mono_s()
        stops = {each: leave.stop for each, leave in live.leave.items()}
        with read(db):
            basis = (link_rows(db), stops)
            if basis != kept.basis or now - kept.mono_s >= FORECAST_S:
                version = data_version(db)
                announces = {table.name: isinstance(table, GatewayDestination) for table in self._config.destination}
                told = read_forecasts(db, announces, live.leave, live.in_flight_bytes_by_item)
                self._forecasts = kept = _Forecasts(told, basis, version, now)
        return kept.told

    def study(self, study_instance_uid: str) -> tuple[StudyRow, tuple[InstanceRow, ...]] | None:
        """One study with its images, or ``None`` when it is not on this unit.

        Raises:
            StoreError: If the unit's database cannot be read.
        """
        live = self.live_facts()
        return read_study(self.unit_db, study_instance_uid, live.in_flight_bytes_by_item, self.forecasts(live))

    def _power(self) -> PowerState:
        """From associations at the gatekeeper and from ledger lines that intake has not filed yet."""
        gatekeeper = read_live(self._config.run_dir, "gatekeeper", self._clock)
        intake = read_live(self._config.run_dir, "intake", self._clock)
        if gatekeeper is None or intake is None or "receiving_count" not in gatekeeper:
            return _UNKNOWN_POWER
        leaving = read_leaving(self._config.run_dir, self._clock)
        filed_kept_id = get_cursor(self.unit_db, LEDGER_FEED).seq
        try:
            waiting = unindexed_count(self.door_db, filed_kept_id)
        except StoreError:
            return _UNKNOWN_POWER
        receiving = int(gatekeeper.get("open_count", 1) if leaving else gatekeeper["receiving_count"])
        is_open = bool(leaving) and not gatekeeper.get("is_leaving")
        return PowerState(
            safe=receiving == 0 and waiting == 0 and not is_open,
            receiving_count=receiving,
            unindexed_count=waiting,
            leaving=leaving,
        )

    def _snapshot(self, live: LiveFacts) -> Snapshot:
        return read_snapshot(
            self.unit_db,
            stamp_of(self._clock),
            live,
            unit_name=self._config.unit.name,
            today_iso=self._today_at(),
            expected_day=local_day(self._clock.wall_s())[0].replace("-", ""),
            forecasts=self.forecasts(live),
        )

    def _today_at(self) -> str:
        """Last midnight where the unit stands."""
        now_s = self._clock.wall_s()
        midnight = datetime.fromtimestamp(now_s, local_zone(now_s)).replace(hour=0, minute=0, second=0, microsecond=0)
        return utc_text(midnight.astimezone(UTC).timestamp())


def _inode(path: Path) -> int:
    """Which file lies there; 0 when none does."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def _coarse(live: LiveFacts) -> object:
    """What of the live facts is worth a new picture; a few megabytes of disk, and seconds that pass, are not."""
    in_flight = tuple(sorted(live.in_flight_bytes_by_item.items()))
    return (live.power, in_flight, live.disk_free_bytes >> 24, leave_lines(live.leave), live.battery)


def _disk(folder: Path) -> tuple[int, int]:
    """Free (for us, without root's reserve) and total bytes; zeros when the folder is not there."""
    try:
        medium = os.statvfs(folder)
    except OSError:
        return 0, 0
    return medium.f_bavail * medium.f_frsize, medium.f_blocks * medium.f_frsize


def _bytes_by_item(facts: Any) -> dict[int, int]:
    """JSON has text keys; anything odd counts as nothing in flight, for these facts are only hints."""
    if not isinstance(facts, dict):
        return {}
    return {int(key): int(value) for key, value in facts.items() if str(key).isdigit() and isinstance(value, int)}
