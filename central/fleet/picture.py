"""The whole picture at one moment, read in one transaction: for the page, the metrics and the watch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from appliance.clock import utc_text
from central.config import FleetTable
from central.fleet.judging import Delivery, Standing, availability, delivery, standing
from central.store import fleet as rows

DAY_MINUTES = 24 * 60
STALE_MINUTES = 3
"""A last look that is older is none: nobody is watching."""


@dataclass(frozen=True, slots=True)
class Service:
    """Whether units can deliver, now and over the days that count."""

    gateway_ok: bool | None
    pacs_ok: bool | None
    """``None``: nobody looks."""
    available_share: float | None


@dataclass(frozen=True, slots=True)
class Picture:
    """Units by name, with what they delivered lately, and the service."""

    units: tuple[Standing, ...]
    deliveries: Mapping[str, Delivery]
    """By unit id; a unit that delivered nothing is left out."""
    all_deliveries: Delivery
    service: Service


def picture(connection: Connection, now_s: float, bounds: FleetTable) -> Picture:
    """As everything is now."""
    since = utc_text(now_s - bounds.window_days * 86_400)
    by_unit = defaultdict(list)
    for unit_id, made_at, arrived_at in rows.deliveries(connection, since):
        by_unit[unit_id].append((made_at, arrived_at))
    in_time_s = bounds.delivery_minutes * 60
    units = tuple(standing(row, now_s, bounds) for row in rows.unit_rows(connection))
    return Picture(
        units=units,
        deliveries={unit_id: delivery(times, in_time_s) for unit_id, times in by_unit.items()},
        all_deliveries=delivery([one for times in by_unit.values() for one in times], in_time_s),
        service=_service(connection, int(now_s // 60), bounds),
    )


def _service(connection: Connection, minute: int, bounds: FleetTable) -> Service:
    fine_count, first = rows.minutes_since(connection, minute - int(bounds.window_days * DAY_MINUTES))
    last = rows.last_minute(connection)
    share = availability(fine_count, first, minute)
    if last is None or minute - last[0] > STALE_MINUTES:
        return Service(None, None, share)
    return Service(last[1], last[2], share)
