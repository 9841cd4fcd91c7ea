"""Rows that a shared record asks for: studies and their newest signed reports, by number, accession number or UID."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, func, select

from central.store.report_tables import report_version
from central.store.review_tables import review_study
from central.store.tables import file
from sync.wire.messages import InstanceState


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is looked for; empty fields filter nothing. ``since``: changed at this time or later (UTC text)."""

    study_instance_uid: str = ""
    accession_number: str = ""
    patient_id: str = ""
    since: str = ""
    page: int = 1


def signed_statements(connection: Connection, asked: Asked, count: int) -> tuple[list[Row[Any]], int]:
    """Of each study that fits the statement that stands, newest first, and how many there are in all.

    The number and the accession number are those that were signed with the images, as the list has them now.
    """
    newest = (
        select(report_version.c.study_instance_uid, func.max(report_version.c.edition).label("edition"))
        .where(report_version.c.edition > 0)
        .group_by(report_version.c.study_instance_uid)
        .subquery()
    )
    rows = (
        select(report_version)
        .join(
            newest,
            and_(
                newest.c.study_instance_uid == report_version.c.study_instance_uid,
                newest.c.edition == report_version.c.edition,
            ),
        )
        .join(review_study, review_study.c.study_instance_uid == report_version.c.study_instance_uid)
        .where(*_fits(asked))
    )
    if asked.since:
        rows = rows.where(report_version.c.written_at >= asked.since)
    order = (report_version.c.written_at.desc(), report_version.c.study_instance_uid)
    return _page(connection, rows, order, asked, count)


def studies(connection: Connection, asked: Asked, count: int) -> tuple[list[Row[Any]], int]:
    """Studies that fit, the newest first, and how many there are in all."""
    rows = select(review_study).where(*_fits(asked))
    if asked.since:
        rows = rows.where(func.coalesce(review_study.c.arrived_at, review_study.c.announced_at) >= asked.since)
    order = (review_study.c.sort_at.desc(), review_study.c.study_instance_uid)
    return _page(connection, rows, order, asked, count)


def verified_images(connection: Connection, uids: Sequence[str]) -> dict[str, list[Row[Any]]]:
    """Images that the archive proved to hold, by study."""
    wanted = select(file).where(
        file.c.study_instance_uid.in_(uids),
        file.c.superseded_at.is_(None),
        file.c.state == InstanceState.VERIFIED.value,
    )
    found: dict[str, list[Row[Any]]] = {}
    for row in connection.execute(wanted.order_by(file.c.series_instance_uid, file.c.sop_instance_uid)):
        found.setdefault(row.study_instance_uid, []).append(row)
    return found


def _fits(asked: Asked) -> list[Any]:
    columns = review_study.c
    return [
        column == value
        for column, value in (
            (columns.study_instance_uid, asked.study_instance_uid),
            (columns.accession_number, asked.accession_number),
            (columns.patient_id, asked.patient_id),
        )
        if value
    ]


def _page(
    connection: Connection, rows: Select[Any], order: tuple[Any, ...], asked: Asked, count: int
) -> tuple[list[Row[Any]], int]:
    total = connection.scalar(select(func.count()).select_from(rows.subquery())) or 0
    shown = rows.order_by(*order).limit(count).offset((asked.page - 1) * count)
    return list(connection.execute(shown)), total
