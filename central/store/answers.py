"""What people at the centre tell units, and what became of it: waiting, delivered, seen.

Each ``add_...`` writes the answer and the entry of the unit's inbox in the caller's transaction. After the commit the
caller wakes whoever waits: ``inboxes.wake(heads([posted, ...]))``; without it a unit hears within ``wait_s_max``.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from central.store.inbox import Entry, add_entry
from central.store.tables import answer, study, unit
from sync.wire.answers import (
    KIND_OF,
    Acknowledgement,
    AckState,
    Answer,
    AnswerKind,
    Message,
    OrderedPatient,
    PlacedOrder,
    PriorityRaise,
    Report,
    ReportStatus,
    RetakeRequest,
    Urgency,
    encode_answer,
    read_answer,
)


class WayState(StrEnum):
    """How far an answer is; it only goes on."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Posted:
    """An answer that waits in a unit's inbox under ``seq``."""

    answer_id: str
    unit_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer as pages show it; ``delivered_at`` and ``seen_at`` are by the unit's clock."""

    answer_id: str
    unit_id: str
    unit_name: str
    kind: str
    study_instance_uid: str
    subject_id: str
    written_at: str
    body: str
    delivered_at: str
    outcome: str
    seen_at: str
    seen_by: str

    @property
    def state(self) -> WayState:
        return WayState.SEEN if self.seen_at else WayState.DELIVERED if self.delivered_at else WayState.WAITING

    @property
    def answer(self) -> Answer | None:
        """What was said; ``None`` when another release wrote a kind that this one does not know."""
        return read_answer(self.kind, self.body)


def units_of_study(connection: Connection, study_uid: str) -> list[str]:
    """The units that announced a study: whom its answers are for."""
    named = select(study.c.unit_id).where(study.c.study_instance_uid == study_uid).order_by(study.c.unit_id)
    return list(connection.scalars(named))


def add_report(
    connection: Connection,
    unit_id: str,
    at: str,
    *,
    report_id: str,
    version: int,
    status: ReportStatus,
    study_instance_uid: str,
    author: str,
    title: str,
    findings: str,
    impression: str,
    is_critical: bool = False,
    changed: str = "",
) -> Posted:
    """A signed report; an amendment has the same ``report_id`` and a higher ``version``. Said twice, it is posted once.

    Raises:
        ValueError: A field is beyond its bound (``sync.wire.answers``); the text names the field.
    """
    report = Report(
        answer_id=new_answer_id(),
        written_at=at,
        author=author,
        report_id=report_id,
        version=version,
        status=status,
        is_critical=is_critical,
        study_instance_uid=study_instance_uid,
        title=title,
        findings=findings,
        impression=impression,
        changed=changed,
    )
    for row in answers_to(connection, unit_id=unit_id, subject_id=report_id):
        said = row.answer
        if isinstance(said, Report) and said.version == version:
            return _posted(connection, row.answer_id)
    return post(connection, unit_id, report, at)


def add_retake(
    connection: Connection,
    unit_id: str,
    at: str,
    *,
    study_instance_uid: str,
    author: str,
    reason: str,
    urgency: Urgency = Urgency.NOW,
    sop_instance_uid: str = "",
) -> Posted:
    """Ask for images to be taken again. Errors as ``add_report``."""
    wanted = RetakeRequest(
        answer_id=new_answer_id(),
        written_at=at,
        author=author,
        study_instance_uid=study_instance_uid,
        sop_instance_uid=sop_instance_uid,
        reason=reason,
        urgency=urgency,
    )
    return post(connection, unit_id, wanted, at)


def add_message(
    connection: Connection,
    unit_id: str,
    at: str,
    *,
    author: str,
    text: str,
    study_instance_uid: str = "",
    urgency: Urgency = Urgency.ROUTINE,
) -> Posted:
    """Words to whoever is at the unit. Errors as ``add_report``."""
    said = Message(
        answer_id=new_answer_id(),
        written_at=at,
        author=author,
        text=text,
        study_instance_uid=study_instance_uid,
        urgency=urgency,
    )
    return post(connection, unit_id, said, at)


def raise_priority(
    connection: Connection, unit_id: str, at: str, *, study_instance_uid: str, author: str, reason: str = ""
) -> Posted:
    """Have a unit send a study first. Errors as ``add_report``."""
    wish = PriorityRaise(
        answer_id=new_answer_id(),
        written_at=at,
        author=author,
        study_instance_uid=study_instance_uid,
        reason=reason,
    )
    return post(connection, unit_id, wish, at)


def add_order(
    connection: Connection,
    unit_id: str,
    at: str,
    *,
    order_id: str,
    author: str,
    patient: OrderedPatient,
    exam_code: str = "",
    modality: str = "",
    body_part: str = "",
    description: str = "",
    laterality: str = "",
    is_stat: bool = False,
    referrer: str = "",
    reason: str = "",
    scheduled_at: str = "",
) -> Posted:
    """An exam for a unit's worklist; an order of the same ``order_id`` is posted once. Errors as ``add_report``."""
    known = answers_to(connection, unit_id=unit_id, subject_id=order_id)
    if known:
        return _posted(connection, known[0].answer_id)
    order = PlacedOrder(
        answer_id=new_answer_id(),
        written_at=at,
        author=author,
        order_id=order_id,
        patient=patient,
        exam_code=exam_code,
        modality=modality,
        body_part=body_part,
        description=description,
        laterality=laterality,
        is_stat=is_stat,
        referrer=referrer,
        reason=reason,
        scheduled_at=scheduled_at,
    )
    return post(connection, unit_id, order, at)


def answers_to(
    connection: Connection,
    *,
    unit_id: str = "",
    study_uid: str = "",
    subject_id: str = "",
    kind: str = "",
    states: frozenset[WayState] = frozenset(WayState),
    count_max: int = 500,
) -> list[AnswerRow]:
    """Answers to a unit, about a study, of one report or order, or of one kind; the newest first."""
    wanted = select(answer, unit.c.name).join(unit, unit.c.unit_id == answer.c.unit_id)
    for column, value in (
        (answer.c.unit_id, unit_id),
        (answer.c.study_instance_uid, study_uid),
        (answer.c.subject_id, subject_id),
        (answer.c.kind, kind),
    ):
        if value:
            wanted = wanted.where(column == value)
    wanted = wanted.where(or_(*(_CONDITIONS[state] for state in sorted(states))))
    newest = wanted.order_by(answer.c.written_at.desc(), answer.c.posted_seq.desc()).limit(count_max)
    return [_row(row) for row in connection.execute(newest)]


def unseen_critical(connection: Connection) -> list[AnswerRow]:
    """Critical reports that nobody at their unit acknowledged, the newest first; a later edition replaces an earlier.

    All of them, however many other reports wait: no bound may hide one.
    """
    named = select(answer, unit.c.name).join(unit, unit.c.unit_id == answer.c.unit_id)
    marked = named.where(answer.c.kind == AnswerKind.REPORT.value, answer.c.seen_at.is_(None))
    # As ``encode_answer`` writes it; inside of a text the quotes would have backslashes.
    marked = marked.where(answer.c.body.contains('"is_critical":true', autoescape=True))
    found = []
    for row in connection.execute(marked.order_by(answer.c.posted_seq.desc())):
        later = select(answer.c.answer_id).where(
            answer.c.unit_id == row.unit_id,
            answer.c.kind == row.kind,
            answer.c.subject_id == row.subject_id,
            answer.c.posted_seq > row.posted_seq,
        )
        if connection.scalar(later.limit(1)) is None:
            found.append(_row(row))
    return sorted(found, key=lambda one: one.written_at, reverse=True)


def answer_row(connection: Connection, answer_id: str) -> AnswerRow | None:
    """One answer."""
    wanted = select(answer, unit.c.name).join(unit, unit.c.unit_id == answer.c.unit_id)
    found = connection.execute(wanted.where(answer.c.answer_id == answer_id)).one_or_none()
    return None if found is None else _row(found)


def acknowledge(connection: Connection, unit_id: str, items: Iterable[Acknowledgement]) -> list[str]:
    """Note what a unit says of its answers; the first statement of each kind stands. The numbers nobody knows."""
    unknown = []
    for item in items:
        mine = and_(answer.c.answer_id == item.answer_id, answer.c.unit_id == unit_id)
        if connection.scalar(select(answer.c.answer_id).where(mine)) is None:
            unknown.append(item.answer_id)
            continue
        if item.state is AckState.DELIVERED:
            told = update(answer).where(mine, answer.c.outcome == "").values(outcome=item.outcome)
            connection.execute(told)
        else:
            seen = {"seen_at": item.at, "seen_by": item.by}
            connection.execute(update(answer).where(mine, answer.c.seen_at.is_(None)).values(**seen))
        # What was seen was delivered, also when that statement comes late.
        connection.execute(update(answer).where(mine, answer.c.delivered_at.is_(None)).values(delivered_at=item.at))
    return unknown


def heads(posted: Sequence[Posted]) -> dict[str, int]:
    """For ``Inboxes.wake``."""
    newest: dict[str, int] = {}
    for one in posted:
        newest[one.unit_id] = max(one.seq, newest.get(one.unit_id, 0))
    return newest


def new_answer_id() -> str:
    """Never used before."""
    return secrets.token_hex(16)


def post(connection: Connection, unit_id: str, said: Answer, at: str) -> Posted:
    """Write an answer and its inbox entry.

    Raises:
        ValueError: A field is beyond its bound; the text names the field.
    """
    kind, body = KIND_OF[type(said)].value, encode_answer(said)
    study_uid = "" if isinstance(said, PlacedOrder) else said.study_instance_uid
    seq = _enter(connection, unit_id, kind, study_uid, body, at)
    row: dict[str, Any] = {"answer_id": said.answer_id, "unit_id": unit_id, "kind": kind, "body": body}
    row |= {"study_instance_uid": study_uid, "subject_id": _subject(said), "written_at": said.written_at}
    connection.execute(insert(answer).values(posted_seq=seq, **row))
    return Posted(said.answer_id, unit_id, seq)


_CONDITIONS = {
    WayState.WAITING: and_(answer.c.delivered_at.is_(None), answer.c.seen_at.is_(None)),
    WayState.DELIVERED: and_(answer.c.delivered_at.is_not(None), answer.c.seen_at.is_(None)),
    WayState.SEEN: answer.c.seen_at.is_not(None),
}


def _enter(connection: Connection, unit_id: str, kind: str, study_uid: str, body: str, at: str) -> int:
    return add_entry(connection, unit_id, Entry(0, kind, study_uid, "", "", body=body), at)


def _subject(said: Answer) -> str:
    if isinstance(said, Report):
        return said.report_id
    return said.order_id if isinstance(said, PlacedOrder) else ""


def _posted(connection: Connection, answer_id: str) -> Posted:
    row = connection.execute(select(answer).where(answer.c.answer_id == answer_id)).one()
    return Posted(row.answer_id, row.unit_id, row.posted_seq)


def _row(row: Row[Any]) -> AnswerRow:
    return AnswerRow(
        answer_id=row.answer_id,
        unit_id=row.unit_id,
        unit_name=row.name,
        kind=row.kind,
        study_instance_uid=row.study_instance_uid,
        subject_id=row.subject_id,
        written_at=row.written_at,
        body=row.body,
        delivered_at=row.delivered_at or "",
        outcome=row.outcome,
        seen_at=row.seen_at or "",
        seen_by=row.seen_by,
    )
