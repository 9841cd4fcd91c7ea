"""What screens and the command line show, read in one transaction from a connection that cannot write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.domain.forecast import Forecasts
from appliance.domain.leave import Leave, leave_lines
from appliance.domain.power import Battery
from appliance.domain.snapshot import (
    FindingRow,
    InstanceRow,
    LinkRow,
    PowerState,
    QueueRow,
    Snapshot,
    StudyRow,
)
from appliance.domain.values import ItemState, LinkState, LocalState, TrafficClass
from appliance.store.answers import new_counts
from appliance.store.connect import Row, Store, data_version, open_door_reader, open_reader, read
from appliance.store.errors import StoreError, StoreFault
from appliance.store.expected import expected_rows
from appliance.store.journal import read_journal
from appliance.store.stamp import Stamp, stamp_of
from appliance.store.study_rows import study_rows
from appliance.store.unsent import unsent
from appliance.store.withheld import IS_WITHHELD

__all__ = [
    "LiveFacts",
    "Stamp",
    "Store",
    "StoreError",
    "StoreFault",
    "data_version",
    "open_door_reader",
    "open_reader",
    "read_journal",
    "read_queue",
    "read_snapshot",
    "read_study",
    "search_studies",
    "stamp_of",
]

NO_FORECASTS = Forecasts()
FINDING_COUNT_MAX = 200


@dataclass(frozen=True, slots=True)
class LiveFacts:
    """What only running processes know; the database is asked for the rest."""

    power: PowerState
    disk_free_bytes: int
    disk_total_bytes: int
    in_flight_bytes_by_item: Mapping[int, int] = field(default_factory=dict)
    """Bytes of each item in flight that were handed to the link so far."""
    leave: Mapping[TrafficClass, Leave] = field(default_factory=dict)
    """What may go over the present link; classes that are left out may go."""
    battery: Battery | None = None


_QUEUE_COLUMNS = """o.item_id, i.study_instance_uid, i.sop_instance_uid, o.destination, o.state, o.stat, o.size_bytes,
    o.attempt_count, o.queued_at, o.changed_at, o.failure_code, o.failure_sentence, coalesce(r.method, '')"""
_QUEUE_TABLES = """outbox AS o CROSS JOIN instance AS i ON i.instance_id = o.instance_id
    LEFT JOIN receipt AS r ON r.item_id = o.item_id AND r.revoked_at = ''"""


def read_snapshot(
    db: Store,
    stamp: Stamp,
    live: LiveFacts,
    *,
    unit_name: str,
    today_iso: str,
    expected_day: str = "",
    forecasts: Forecasts = NO_FORECASTS,
    study_count_max: int = 200,
) -> Snapshot:
    """The whole picture at one moment.

    Args:
        db: The unit's database, from ``open_reader``.
        stamp: Now, for ``taken_at``.
        live: Facts of running processes.
        unit_name: As configured.
        today_iso: Start of today, as UTC text or a date; studies received since are shown though complete.
        expected_day: Today where the unit stands, ``YYYYMMDD``, for what is ordered; empty: nothing of it is read.
        forecasts: When what waits will be at the centre, as read a moment ago.
        study_count_max: At most so many studies; the counts below cover all.

    Raises:
        StoreError: As the database reports.
    """
    with read(db):
        waiting = unsent(db)
        only_here_study_count = db.value(
            f"""SELECT count(DISTINCT study_instance_uid) FROM instance INDEXED BY instance_only_here
                WHERE confirmed_count = 0 AND study_instance_uid NOT IN ({IS_WITHHELD})"""  # noqa: S608 - our own text
        )
        links = _links(db)
        return Snapshot(
            unit_name=unit_name,
            taken_at=stamp.at,
            studies=study_rows(
                db, _shown_uids(db, today_iso, study_count_max), live.in_flight_bytes_by_item, forecasts.by_study
            ),
            study_count=db.value("SELECT count(*) FROM study"),
            unsafe_study_count=waiting.study_count,
            unsafe_instance_count=waiting.instance_count,
            unsafe_bytes=waiting.size_bytes,
            only_here_study_count=only_here_study_count,
            last_sync_at=max((link.last_success_at for link in links), default=""),
            links=links,
            findings=_findings(db),
            power=live.power,
            disk_free_bytes=live.disk_free_bytes,
            disk_total_bytes=live.disk_total_bytes,
            forecast=forecasts.queue,
            expected=expected_rows(db, expected_day, study_count_max) if expected_day else (),
            waits=leave_lines(live.leave),
            news=new_counts(db),
            battery=live.battery,
        )


def read_study(
    db: Store,
    study_instance_uid: str,
    in_flight_bytes_by_item: Mapping[int, int] | None = None,
    forecasts: Forecasts = NO_FORECASTS,
) -> tuple[StudyRow, tuple[InstanceRow, ...]] | None:
    """One study with all its instances and their items, or ``None`` when it is not on this unit."""
    with read(db):
        studies = study_rows(db, [study_instance_uid], in_flight_bytes_by_item or {}, forecasts.by_study)
        if not studies:
            return None
        items = defaultdict(list)
        for row in db.rows(
            f"""SELECT {_QUEUE_COLUMNS} FROM instance AS i CROSS JOIN outbox AS o ON o.instance_id = i.instance_id
                LEFT JOIN receipt AS r ON r.item_id = o.item_id AND r.revoked_at = ''
                WHERE i.study_instance_uid = ? ORDER BY o.item_id""",  # noqa: S608 - our own text
            (study_instance_uid,),
        ):
            queue_row = _queue_row(row)
            items[queue_row.sop_instance_uid].append(queue_row)
        instances = db.rows(
            """SELECT sop_instance_uid, sop_class_uid, transfer_syntax_uid, size_bytes, sha256, received_at,
                calling_ae_title, local_state FROM instance WHERE study_instance_uid = ? ORDER BY instance_id""",
            (study_instance_uid,),
        )
        return studies[0], tuple(
            InstanceRow(
                sop_instance_uid=row[0],
                sop_class_uid=row[1],
                transfer_syntax_uid=row[2],
                size_bytes=row[3],
                sha256=row[4],
                received_at=row[5],
                calling_ae_title=row[6],
                local_state=LocalState(row[7]),
                items=tuple(items[row[0]]),
            )
            for row in instances
        )


def read_queue(
    db: Store, limit: int = 1000, *, with_confirmed: bool = False, destination: str | None = None
) -> tuple[QueueRow, ...]:
    """Outbox items as people see them: STAT first, then the oldest; confirmed ones only when asked for."""
    conditions = "(?1 OR o.state <> 'confirmed') AND (?2 IS NULL OR o.destination = ?2)"
    sql = f"""SELECT {_QUEUE_COLUMNS} FROM {_QUEUE_TABLES} WHERE {conditions}
        ORDER BY o.stat DESC, o.queued_at_s, o.item_id LIMIT ?3"""  # noqa: S608 - our own text
    return tuple(map(_queue_row, db.rows(sql, (int(with_confirmed), destination, limit))))


def search_studies(
    db: Store, text: str = "", *, before_instance_id: int | None = None, limit: int = 100
) -> tuple[tuple[StudyRow, ...], int | None]:
    """The archive, newest arrival first, a page at a time.

    Args:
        db: The unit's database.
        text: Found anywhere in name, patient ID, accession number, study date or description; case of Latin letters is
            ignored. Empty: everything.
        before_instance_id: Where the last page ended, as it was returned.
        limit: Studies on a page.

    Returns:
        The page, and where the next one goes on from; ``None`` when this was the last.
    """
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    with read(db):
        found = db.rows(
            """SELECT study_instance_uid, last_instance_id FROM study
                WHERE last_instance_id < ?1 AND (?2 = '%%' OR study_instance_uid = ?4
                    OR patient_name LIKE ?2 ESCAPE '\\' OR patient_id LIKE ?2 ESCAPE '\\'
                    OR accession_number LIKE ?2 ESCAPE '\\' OR study_date LIKE ?2 ESCAPE '\\'
                    OR study_description LIKE ?2 ESCAPE '\\')
                ORDER BY last_instance_id DESC LIMIT ?3""",
            (before_instance_id if before_instance_id is not None else 2**63 - 1, pattern, limit, text),
        )
        studies = study_rows(db, [row[0] for row in found], {})
    return studies, found[-1][1] if len(found) == limit else None


def _shown_uids(db: Store, today_iso: str, count_max: int) -> list[str]:
    """Today's studies and all that are not complete: STAT first, then the newest arrival."""
    rows = db.rows(
        f"""SELECT study_instance_uid FROM study
            WHERE study_instance_uid IN (
                SELECT study_instance_uid FROM instance INDEXED BY instance_unsafe
                    WHERE (owed_count = 0 OR confirmed_count < owed_count)
                        AND study_instance_uid NOT IN ({IS_WITHHELD})
                UNION SELECT study_instance_uid FROM study WHERE last_received_at >= ?)
            ORDER BY priority = 'stat' DESC, last_instance_id DESC LIMIT ?""",  # noqa: S608 - our own text
        (today_iso, count_max),
    )
    return [row[0] for row in rows]


def _queue_row(row: Row) -> QueueRow:
    return QueueRow(
        item_id=row[0],
        study_instance_uid=row[1],
        sop_instance_uid=row[2],
        destination=row[3],
        state=ItemState(row[4]),
        stat=bool(row[5]),
        size_bytes=row[6],
        attempt_count=row[7],
        queued_at=row[8],
        changed_at=row[9],
        failure_code=row[10],
        failure_sentence=row[11],
        proof=row[12],
    )


def _links(db: Store) -> tuple[LinkRow, ...]:
    """Every link known, with its goodput."""
    rows = db.rows(
        """SELECT destination, state, failure_sentence, next_try_at, last_success_at, rate_bytes_per_s
            FROM link ORDER BY destination"""
    )
    return tuple(
        LinkRow(
            destination=row[0],
            state=LinkState(row[1]),
            failure_sentence=row[2],
            next_try_at=row[3],
            last_success_at=row[4],
            rate_bytes_per_s=row[5],
        )
        for row in rows
    )


def _findings(db: Store) -> tuple[FindingRow, ...]:
    """What is open, the gravest and newest first, bounded."""
    rows = db.rows(
        """SELECT finding_id, kind, subject_id, sentence, severity, found_at FROM finding WHERE cleared_at = ''
            ORDER BY CASE severity WHEN 'alarm' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, finding_id DESC LIMIT ?""",
        (FINDING_COUNT_MAX,),
    )
    return tuple(FindingRow(*row) for row in rows)
