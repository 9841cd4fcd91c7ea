"""Rows of reports: versions that are only ever added, each onto the newest one that its writer knew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, insert, select, update

from central.store.database import take_turns
from central.store.report_tables import report_filing, report_version


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One version as it was kept; only what is signed has an ``edition``, a statement and a signature."""

    study_instance_uid: str
    version: int
    status: str
    author: str
    author_name: str
    written_at: str
    content: str
    edition: int = 0
    statement: bytes | None = None
    signature: bytes | None = None
    sop_instance_uid: str = ""


@dataclass(frozen=True, slots=True)
class FilingRow:
    """How far a signed version is on its way into the PACS."""

    study_instance_uid: str
    version: int
    filed_at: str
    attempt_count: int
    refused: bool
    problem: str


class Conflict(Exception):
    """Somebody kept a version meanwhile; ``newest`` is it."""

    def __init__(self, newest: ReportRow) -> None:
        super().__init__("another version was kept meanwhile")
        self.newest = newest


def versions(connection: Connection, uid: str) -> list[ReportRow]:
    """Every version of a study's report, the newest first."""
    mine = select(report_version).where(report_version.c.study_instance_uid == uid)
    return [_row(row) for row in connection.execute(mine.order_by(report_version.c.version.desc()))]


def newest(connection: Connection, uid: str, *, signed: bool = False) -> ReportRow | None:
    """The newest version, or the newest of those that are ``signed``."""
    mine = select(report_version).where(report_version.c.study_instance_uid == uid)
    if signed:
        mine = mine.where(report_version.c.edition > 0)
    found = connection.execute(mine.order_by(report_version.c.version.desc()).limit(1)).one_or_none()
    return None if found is None else _row(found)


def version_of(connection: Connection, uid: str, version: int) -> ReportRow | None:
    """One version."""
    mine = and_(report_version.c.study_instance_uid == uid, report_version.c.version == version)
    found = connection.execute(select(report_version).where(mine)).one_or_none()
    return None if found is None else _row(found)


def base_of(connection: Connection, uid: str, base: int, author: str) -> ReportRow | None:
    """The newest version, when its writer knows it; nobody adds one until this transaction is over.

    Known are ``base`` (0: none) with all before it, and one's own drafts: a page keeps what is typed by itself, and
    may not have heard yet that it did.

    Raises:
        Conflict: If somebody kept another one.
    """
    take_turns(connection, f"report {uid}")
    known = versions(connection, uid)
    if any(row.version > base and (row.edition or row.author != author) for row in known):
        raise Conflict(known[0])
    return known[0] if known else None


def add(connection: Connection, row: ReportRow, replaced: ReportRow | None) -> None:
    """Keep a version, after ``base_of`` in the same transaction.

    Args:
        connection: A writing transaction.
        row: What is kept.
        replaced: A draft that says nothing that ``row`` does not; it goes, so that typing does not fill the disk.
    """
    values = {name: getattr(row, name) for name in ReportRow.__dataclass_fields__}
    connection.execute(insert(report_version).values(**values))
    if row.edition:
        key = {"study_instance_uid": row.study_instance_uid, "version": row.version}
        connection.execute(insert(report_filing).values(**key))
    if replaced is not None:
        mine = and_(
            report_version.c.study_instance_uid == replaced.study_instance_uid,
            report_version.c.version == replaced.version,
            report_version.c.edition == 0,
        )
        connection.execute(delete(report_version).where(mine))


def unfiled(connection: Connection, count_max: int) -> list[ReportRow]:
    """Signed versions that the PACS has not proved to hold and has not refused, the oldest first."""
    open_ = and_(report_filing.c.filed_at.is_(None), report_filing.c.refused.is_(False))
    wanted = select(report_version).join(report_filing, _same()).where(open_)
    return [_row(row) for row in connection.execute(wanted.order_by(report_version.c.written_at).limit(count_max))]


def note_filed(connection: Connection, row: ReportRow, at: str) -> None:
    """The PACS proved that it holds the document."""
    _note(connection, row, filed_at=at, problem="")


def note_not_filed(connection: Connection, row: ReportRow, problem: str, *, refused: bool) -> None:
    """It was tried in vain; when it is ``refused`` for good a person has to look."""
    attempts = report_filing.c.attempt_count + 1
    _note(connection, row, attempt_count=attempts, problem=problem, refused=refused)


def filings(connection: Connection, uid: str) -> dict[int, FilingRow]:
    """The way of each signed version of a study's report, by version."""
    mine = select(report_filing).where(report_filing.c.study_instance_uid == uid)
    return {
        row.version: FilingRow(uid, row.version, row.filed_at or "", row.attempt_count, row.refused, row.problem)
        for row in connection.execute(mine)
    }


def _note(connection: Connection, row: ReportRow, **values: Any) -> None:
    mine = and_(
        report_filing.c.study_instance_uid == row.study_instance_uid,
        report_filing.c.version == row.version,
        report_filing.c.filed_at.is_(None),
    )
    connection.execute(update(report_filing).where(mine).values(**values))


def _same() -> Any:
    return and_(
        report_filing.c.study_instance_uid == report_version.c.study_instance_uid,
        report_filing.c.version == report_version.c.version,
    )


def _row(row: Row[Any]) -> ReportRow:
    return ReportRow(**{name: getattr(row, name) for name in ReportRow.__dataclass_fields__})
