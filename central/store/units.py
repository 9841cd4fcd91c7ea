"""Rows of units: enrolment codes, sessions, lineage, alarms and the centre's epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from central.store.database import insert_missing
from central.store.tables import alarm, enrol_code, epoch, session, unit


@dataclass(frozen=True, slots=True)
class UnitRow:
    """One enrolled unit."""

    unit_id: str
    name: str
    public_key: bytes
    revoked: bool
    inbox_head: int
    lineage: str


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session that a token stands for, with its unit."""

    session_id: str
    expires_wall_s: int
    used: bool
    unit: UnitRow


@dataclass(frozen=True, slots=True)
class CodeRow:
    """A one-time code as it stands now."""

    code_id: str
    code: str
    unit_name: str
    expires_wall_s: int
    wrong_count: int
    used_by_key: bytes | None
    unit_id: str | None


# --- codes ---------------------------------------------------------------------------------------------------------


def add_code(connection: Connection, code_id: str, code: str, unit_name: str, at: str, expires_wall_s: int) -> bool:
    """Note a new code; ``False`` when another one has its public part."""
    if connection.scalar(select(enrol_code.c.code_id).where(enrol_code.c.code_id == code_id)) is not None:
        return False
    row = {"code_id": code_id, "code": code, "unit_name": unit_name, "made_at": at, "expires_wall_s": expires_wall_s}
    connection.execute(insert(enrol_code).values(wrong_count=0, **row))
    return True


def code_row(connection: Connection, code_id: str) -> CodeRow | None:
    """The code with this public part."""
    found = connection.execute(select(enrol_code).where(enrol_code.c.code_id == code_id)).one_or_none()
    if found is None:
        return None
    return CodeRow(
        found.code_id,
        found.code,
        found.unit_name,
        found.expires_wall_s,
        found.wrong_count,
        found.used_by_key,
        found.unit_id,
    )


def note_wrong_proof(connection: Connection, code_id: str) -> None:
    """Somebody tried this code without knowing it."""
    tried = enrol_code.c.wrong_count + 1
    connection.execute(update(enrol_code).where(enrol_code.c.code_id == code_id).values(wrong_count=tried))


def use_code(connection: Connection, code_id: str, unit_id: str, public_key: bytes, at: str) -> None:
    """The code is spent; said again with the same key it gets the same answer."""
    spent = {"used_at": at, "used_by_key": public_key, "unit_id": unit_id}
    connection.execute(update(enrol_code).where(enrol_code.c.code_id == code_id).values(**spent))


def drop_old_codes(connection: Connection, now_wall_s: int) -> None:
    """Codes whose time is over leave no secret behind."""
    connection.execute(delete(enrol_code).where(enrol_code.c.expires_wall_s < now_wall_s))


# --- units ---------------------------------------------------------------------------------------------------------


def add_unit(connection: Connection, unit_id: str, name: str, public_key: bytes, at: str) -> None:
    """A unit from now on."""
    row = {"unit_id": unit_id, "name": name, "public_key": public_key, "enrolled_at": at}
    connection.execute(insert(unit).values(software="", lineage="", inbox_head=0, **row))


def unit_row(connection: Connection, unit_id: str) -> UnitRow | None:
    """The unit with this identity."""
    found = connection.execute(select(unit).where(unit.c.unit_id == unit_id)).one_or_none()
    return None if found is None else _unit(found)


def unit_named(connection: Connection, name: str) -> UnitRow | None:
    """The unit that people call ``name``."""
    found = connection.execute(select(unit).where(unit.c.name == name)).one_or_none()
    return None if found is None else _unit(found)


def _unit(row: Row[Any]) -> UnitRow:
    return UnitRow(row.unit_id, row.name, row.public_key, row.revoked_at is not None, row.inbox_head, row.lineage)


def rename_unit(connection: Connection, unit_id: str, name: str) -> None:
    """A unit that is enrolled anew keeps its name; the one before it gets another."""
    connection.execute(update(unit).where(unit.c.unit_id == unit_id).values(name=name))


def revoke_unit(connection: Connection, unit_id: str, at: str) -> None:
    """From now on nothing of it is accepted; its sessions end here."""
    connection.execute(update(unit).where(unit.c.unit_id == unit_id).values(revoked_at=at))
    connection.execute(delete(session).where(session.c.unit_id == unit_id))


def is_revoked(connection: Connection, unit_id: str) -> bool:
    """Whether it is unknown or revoked."""
    known = connection.execute(select(unit.c.revoked_at).where(unit.c.unit_id == unit_id)).one_or_none()
    return known is None or known.revoked_at is not None


def raise_alarm(connection: Connection, unit_id: str, kind: str, sentence: str, at: str) -> None:
    """Something about a unit that a person has to see."""
    connection.execute(insert(alarm).values(at=at, unit_id=unit_id, kind=kind, sentence=sentence))


# --- sessions ------------------------------------------------------------------------------------------------------


def acceptable_lineage(connection: Connection, of: UnitRow) -> set[str]:
    """What the unit may name as its last session: the one used last, or one after it whose answer it may have lost."""
    unused = select(session.c.session_id).where(session.c.unit_id == of.unit_id, session.c.used_at.is_(None))
    return {of.lineage, *connection.scalars(unused)}


def add_session(
    connection: Connection, session_id: str, unit_id: str, token_sha256: str, at: str, expires_wall_s: int, keep: int
) -> None:
    """Open a session; of the unit's older ones at most ``keep`` stay."""
    older = select(session.c.session_id).where(session.c.unit_id == unit_id).order_by(session.c.opened_at.desc())
    surplus = list(connection.scalars(older))[keep:]
    if surplus:
        connection.execute(delete(session).where(session.c.session_id.in_(surplus)))
    row = {"session_id": session_id, "unit_id": unit_id, "token_sha256": token_sha256, "opened_at": at}
    connection.execute(insert(session).values(expires_wall_s=expires_wall_s, **row))


def session_of_token(connection: Connection, token_sha256: str) -> SessionRow | None:
    """The session of a token, whether expired or not."""
    both = select(session, unit).join(unit, unit.c.unit_id == session.c.unit_id)
    row = connection.execute(both.where(session.c.token_sha256 == token_sha256)).mappings().one_or_none()
    if row is None:
        return None
    of = UnitRow(
        row[unit.c.unit_id],
        row[unit.c.name],
        row[unit.c.public_key],
        row[unit.c.revoked_at] is not None,
        row[unit.c.inbox_head],
        row[unit.c.lineage],
    )
    return SessionRow(row[session.c.session_id], row[session.c.expires_wall_s], row[session.c.used_at] is not None, of)


def use_session(connection: Connection, row: SessionRow, at: str) -> None:
    """Its first request: the unit got the answer, so its story goes on from here and every other one ends."""
    of_unit = session.c.unit_id == row.unit.unit_id
    connection.execute(update(session).where(session.c.session_id == row.session_id).values(used_at=at))
    connection.execute(delete(session).where(of_unit, session.c.session_id != row.session_id))
    seen = {"lineage": row.session_id, "seen_at": at}
    connection.execute(update(unit).where(unit.c.unit_id == row.unit.unit_id).values(**seen))


def note_opened(connection: Connection, unit_id: str, at: str, software: str) -> None:
    """What a unit says of itself when it comes."""
    connection.execute(update(unit).where(unit.c.unit_id == unit_id).values(seen_at=at, software=software))


# --- epoch ---------------------------------------------------------------------------------------------------------


def current_epoch(connection: Connection) -> str:
    """The newest epoch of ours; empty before the first."""
    ours = select(epoch.c.epoch).where(epoch.c.foreign_life.is_(False))
    return connection.scalar(ours.order_by(epoch.c.since.desc(), epoch.c.epoch.desc()).limit(1)) or ""


def knows_epoch(connection: Connection, name: str) -> bool:
    """Whether it is one of ours, or one that we know to have lost."""
    return connection.scalar(select(epoch.c.epoch).where(epoch.c.epoch == name)) is not None


def add_epoch(connection: Connection, name: str, at: str, reason: str, *, foreign_life: bool = False) -> None:
    """Begin an epoch, or note one of a lost life."""
    insert_missing(connection, epoch, [{"epoch": name, "since": at, "reason": reason, "foreign_life": foreign_life}])


def lift_inbox(connection: Connection, unit_id: str, at_least: int) -> None:
    """Number this unit's next entries above what it remembers."""
    low = and_(unit.c.unit_id == unit_id, unit.c.inbox_head < at_least)
    connection.execute(update(unit).where(low).values(inbox_head=at_least))


def open_alarms(connection: Connection, unit_ids: Sequence[str]) -> list[Row[Any]]:
    """The newest alarm of each kind of these units."""
    newest = select(func.max(alarm.c.alarm_id)).group_by(alarm.c.unit_id, alarm.c.kind)
    wanted = alarm.c.unit_id.in_(unit_ids)
    return list(connection.execute(select(alarm).where(alarm.c.alarm_id.in_(newest), wanted).order_by(alarm.c.at)))
