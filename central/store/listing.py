"""What people and benchmarks are shown of units and studies; reads only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, func, select

from central.store.replacements import SUPERSEDED
from central.store.tables import alarm, claim, file, part, session, study, unit
from sync.wire.messages import StudyInfo


@dataclass(frozen=True, slots=True)
class AlarmShown:
    """Something about a unit that a person has to see."""

    at: str
    kind: str
    sentence: str


@dataclass(frozen=True, slots=True)
class UnitShown:
    """One unit."""

    unit_id: str
    name: str
    enrolled_at: str
    revoked_at: str
    seen_at: str
    software: str
    inbox_head: int
    session_count: int
    study_count: int
    alarms: tuple[AlarmShown, ...]


@dataclass(frozen=True, slots=True)
class PartShown:
    """One part of an instance; ``size_bytes`` is -1 while unknown."""

    sha256: str
    kind: str
    size_bytes: int
    offset_bytes: int
    complete: bool
    first_byte_at: str
    completed_at: str


@dataclass(frozen=True, slots=True)
class InstanceShown:
    """One instance as one unit named it. Times are the centre's, empty while it did not happen."""

    sop_instance_uid: str
    sha256: str
    size_bytes: int
    state: str
    announced_at: str
    preview_at: str
    complete_at: str
    rebuilt_at: str
    verified_at: str
    attempt_count: int
    problem_code: str
    problem: str
    parts: tuple[PartShown, ...]


@dataclass(frozen=True, slots=True)
class CentralStudy:
    """One study as one unit announced it.

    ``first_look_at`` is when a reader could first see something of it: its first preview, or its first instance in the
    PACS. ``all_verified_at`` is empty until every expected instance is proved.
    """

    unit_name: str
    study_instance_uid: str
    priority: str
    revision: int
    expected_instance_count: int
    patient_name: str
    patient_id: str
    accession_number: str
    study_date: str
    study_description: str
    modality: str
    announced_at: str
    first_look_at: str
    all_verified_at: str
    verified_count: int
    refused_count: int
    instances: tuple[InstanceShown, ...]


def list_units(connection: Connection) -> list[UnitShown]:
    """Every unit that was ever enrolled, by name."""
    sessions = _counts(connection, session)
    studies = _counts(connection, study)
    alarms: dict[str, list[AlarmShown]] = defaultdict(list)
    newest = select(func.max(alarm.c.alarm_id)).group_by(alarm.c.unit_id, alarm.c.kind)
    for row in connection.execute(select(alarm).where(alarm.c.alarm_id.in_(newest)).order_by(alarm.c.at)):
        alarms[row.unit_id].append(AlarmShown(row.at, row.kind, row.sentence))
    return [
        UnitShown(
            row.unit_id,
            row.name,
            row.enrolled_at,
            row.revoked_at or "",
            row.seen_at or "",
            row.software,
            row.inbox_head,
            sessions.get(row.unit_id, 0),
            studies.get(row.unit_id, 0),
            tuple(alarms[row.unit_id]),
        )
        for row in connection.execute(select(unit).order_by(unit.c.name))
    ]


def _counts(connection: Connection, table: Table) -> dict[str, int]:
    counted = select(table.c.unit_id, func.count()).group_by(table.c.unit_id)
    return {unit_id: int(count) for unit_id, count in connection.execute(counted)}


def list_studies(connection: Connection, study_uid: str = "") -> list[CentralStudy]:
    """Studies as units announced them, the oldest first; one or all."""
    wanted = select(study, unit.c.name).join(unit, unit.c.unit_id == study.c.unit_id)
    if study_uid:
        wanted = wanted.where(study.c.study_instance_uid == study_uid)
    rows = connection.execute(wanted.order_by(study.c.announced_at, study.c.study_instance_uid)).all()
    return [_study(connection, row) for row in rows]


def _study(connection: Connection, row: Row[Any]) -> CentralStudy:
    unit_id, uid = row.unit_id, row.study_instance_uid
    instances = _instances(connection, unit_id, uid)
    info = msgspec.json.decode(row.info, type=StudyInfo)
    expected = row.expected_instance_count
    looks = [time for one in instances for time in (one.preview_at, one.verified_at) if time]
    proved = [one.verified_at for one in instances if one.state == "verified"]
    wanted = [one for one in instances if one.problem_code != SUPERSEDED]
    whole = bool(wanted) and len(proved) == len(wanted) and len(proved) >= expected
    return CentralStudy(
        unit_name=row.name,
        study_instance_uid=uid,
        priority=row.priority,
        revision=row.revision,
        expected_instance_count=expected,
        patient_name=info.patient_name,
        patient_id=info.patient_id,
        accession_number=info.accession_number,
        study_date=info.study_date,
        study_description=info.study_description,
        modality=info.modality,
        announced_at=row.announced_at,
        first_look_at=min(looks, default=""),
        all_verified_at=max(proved) if whole else "",
        verified_count=len(proved),
        refused_count=sum(one.state == "refused" for one in wanted),
        instances=instances,
    )


def _instances(connection: Connection, unit_id: str, study_uid: str) -> tuple[InstanceShown, ...]:
    both = select(claim, file).join(file, file.c.file_id == claim.c.file_id)
    both = both.where(claim.c.unit_id == unit_id, file.c.study_instance_uid == study_uid).order_by(file.c.file_id)
    rows = connection.execute(both).mappings().all()
    names = {row[column] for row in rows for column in (claim.c.header, claim.c.pixels, claim.c.preview)} - {""}
    parts = _parts(connection, sorted(names))
    shown = []
    for row in rows:
        preview = parts.get(row[claim.c.preview])
        named = (row[claim.c.header], row[claim.c.preview], row[claim.c.pixels])
        seen = preview is not None and preview.complete
        shown.append(
            InstanceShown(
                sop_instance_uid=row[file.c.sop_instance_uid],
                sha256=row[file.c.sha256],
                size_bytes=row[file.c.size_bytes],
                state=row[file.c.state],
                announced_at=row[claim.c.announced_at],
                # A preview that another unit brought long ago can be looked at from the announcement on.
                preview_at=max(preview.completed_at, row[claim.c.announced_at]) if seen and preview else "",
                complete_at=row[file.c.complete_at] or "",
                rebuilt_at=row[file.c.rebuilt_at] or "",
                verified_at=row[file.c.verified_at] or "",
                attempt_count=row[file.c.attempt_count],
                problem_code=row[file.c.problem_code],
                problem=row[file.c.problem],
                parts=tuple(parts[name] for name in named if name in parts),
            )
        )
    return tuple(shown)


def _parts(connection: Connection, names: list[str]) -> dict[str, PartShown]:
    found: dict[str, PartShown] = {}
    for i in range(0, len(names), 500):
        for row in connection.execute(select(part).where(part.c.sha256.in_(names[i : i + 500]))):
            found[row.sha256] = PartShown(
                row.sha256,
                row.kind,
                row.size_bytes,
                row.offset_bytes,
                row.complete,
                row.first_byte_at or "",
                row.completed_at or "",
            )
    return found
