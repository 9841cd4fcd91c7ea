"""What a unit tells the centre of itself, taken from its database, its disk and its clock."""

from __future__ import annotations

import os
from importlib.metadata import version

from appliance.clock import Clock, utc_text
from appliance.config import UnitConfig
from appliance.domain.sentences import seconds_of
from appliance.domain.values import LinkKind
from appliance.health.check import Level
from appliance.health.disk import judge_space
from appliance.health.wall_clock import judge
from appliance.store.clock_marks import first_mark_of_boot, last_mark
from appliance.store.connect import Store, read
from appliance.store.unsent import unsent
from sync.wire.status import DiskLevel, StatusReport

_LEVELS = {Level.ALARM: DiskLevel.ALARM, Level.WARNING: DiskLevel.WARNING}
PERIOD_S = 60.0
PERIODS_S = {LinkKind.SIM: 300.0, LinkKind.SATELLITE: 1800.0}
"""A report is some 700 bytes with its answer: 1 MB a day at the first, 0.2 MB and 34 kB at the others."""


def standing(config: UnitConfig, store: Store, clock: Clock, destination: str, link_kind: LinkKind) -> StatusReport:
    """How the unit is at this moment.

    Args:
        config: Of the unit.
        store: ``unit.db``.
        clock: Its wall clock is told, and judged.
        destination: The centre that is told; the rate is that of its link.
        link_kind: Of the unit's link at present.

    Raises:
        StoreError: As the database reports.
        OSError: If the data folder's disk cannot be asked.
    """
    medium = os.statvfs(config.data_dir)
    free_bytes, total_bytes = medium.f_bavail * medium.f_frsize, medium.f_blocks * medium.f_frsize
    with read(store):
        waiting = unsent(store)
        rate = store.value("SELECT coalesce(max(rate_bytes_per_s), 0) FROM link WHERE destination = ?", (destination,))
        finding_count = store.value("SELECT count(*) FROM finding WHERE cleared_at = ''")
        doubt = judge(clock, last_mark(store), first_mark_of_boot(store, clock.boot_id())).facts["doubt"]
    now_s = clock.wall_s()
    oldest_s = seconds_of(waiting.oldest_received_at) if waiting.oldest_received_at else None
    return StatusReport(
        at=utc_text(now_s),
        clock_doubt=str(doubt),
        software=version("qafila"),
        link_kind=link_kind.value,
        rate_bytes_per_s=float(rate or 0),
        disk_free_bytes=free_bytes,
        disk_total_bytes=total_bytes,
        disk_level=_LEVELS.get(judge_space(free_bytes, total_bytes, config.limits).level, DiskLevel.FINE),
        unsent_study_count=waiting.study_count,
        unsent_instance_count=waiting.instance_count,
        unsent_bytes=waiting.size_bytes,
        oldest_unsent_s=max(0.0, round(now_s - oldest_s, 1)) if oldest_s is not None else 0.0,
        finding_count=finding_count,
    )
