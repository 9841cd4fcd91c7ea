"""Rows that tell how units and the service are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, func, select, update

from central.store.database import insert_missing
from central.store.review_tables import review_study, service_minute, unit_status
from central.store.tables import alarm, file, unit
from sync.wire.status import StatusReport

DELIVERY_COUNT_MAX = 50_000
"""The newest deliveries that times are computed of: some 5 MB, and months of a fleet of twenty."""


@dataclass(frozen=True, slots=True)
class UnitRow:
    """A unit as its rows have it."""

    unit_id: str
    name: str
    enrolled_at: str
    seen_at: str
    """Of its last session or report, by the centre's clock; empty: never."""
    report_at: str
    report: StatusReport | None
    copied: bool
    """Somebody uses its key with another past."""


def note_status(connection: Connection, unit_id: str, at: str, said: StatusReport) -> None:
    """A unit told how it is."""
    row = {"unit_id": unit_id, "at": at, "report": msgspec.json.encode(said).decode()}
    insert_missing(connection, unit_status, [row])
    connection.execute(update(unit_status).where(unit_status.c.unit_id == unit_id).values(**row))


def unit_rows(connection: Connection) -> list[UnitRow]:
    """Every unit that is enrolled and not revoked, by name."""
    both = select(unit, unit_status.c.at.label("report_at"), unit_status.c.report)
    joined = both.join(unit_status, unit_status.c.unit_id == unit.c.unit_id, isouter=True)
    copied = set(connection.scalars(select(alarm.c.unit_id).where(alarm.c.kind == "lineage").distinct()))
    found = []
    for row in connection.execute(joined.where(unit.c.revoked_at.is_(None)).order_by(unit.c.name)):
        seen = max(row.seen_at or "", row.report_at or "")
        report = _report(row.report)
        found.append(
            UnitRow(row.unit_id, row.name, row.enrolled_at, seen, row.report_at or "", report, row.unit_id in copied)
        )
    return found


def _report(text: str | None) -> StatusReport | None:
    """A report of another release that cannot be read is none."""
    try:
        return msgspec.json.decode(text, type=StatusReport) if text else None
    except msgspec.MsgspecError:
        return None


def deliveries(connection: Connection, since: str) -> list[tuple[str, str, str]]:
    """Unit, when made and when readable at the centre, of studies that arrived since; the newest, at most 50,000."""
    row = review_study.c
    wanted = select(row.unit_id, row.sort_at, row.arrived_at).where(row.arrived_at >= since)
    newest = wanted.order_by(row.arrived_at.desc()).limit(DELIVERY_COUNT_MAX)
    return [(one.unit_id, one.sort_at, one.arrived_at) for one in connection.execute(newest)]


def study_counts(connection: Connection) -> dict[str, int]:
    """Studies of the list by state."""
    row = review_study.c
    return _counted(connection, select(row.state, func.count()).group_by(row.state))


def file_counts(connection: Connection) -> dict[str, int]:
    """Instances by state; what a correction replaced is left out."""
    wanted = select(file.c.state, func.count()).where(file.c.superseded_at.is_(None)).group_by(file.c.state)
    return _counted(connection, wanted)


def _counted(connection: Connection, wanted: Select[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(wanted)}


def note_minute(connection: Connection, minute: int, *, gateway_ok: bool, pacs_ok: bool, keep_minutes: int) -> None:
    """How the service was in this minute; the first to look at it is believed. What is older than wanted goes."""
    insert_missing(connection, service_minute, [{"minute": minute, "gateway_ok": gateway_ok, "pacs_ok": pacs_ok}])
    connection.execute(delete(service_minute).where(service_minute.c.minute < minute - keep_minutes))


def minutes_since(connection: Connection, minute: int) -> tuple[int, int | None]:
    """Minutes in which all was well since ``minute``, and the first that was looked at; ``None``: none."""
    row = service_minute.c
    fine = select(func.count()).where(row.minute >= minute, row.gateway_ok.is_(True), row.pacs_ok.is_(True))
    first = select(func.min(row.minute)).where(row.minute >= minute)
    return connection.scalar(fine) or 0, connection.scalar(first)


def last_minute(connection: Connection) -> tuple[int, bool, bool] | None:
    """The newest look: minute, gateway, PACS."""
    newest = select(service_minute).order_by(service_minute.c.minute.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else (row.minute, row.gateway_ok, row.pacs_ok)
