"""What a study's page shows of its report and of what was told to units; read in one transaction."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, Row
from starlette.requests import Request

from central.reading.model import Statement
from central.review.outcomes import Said, sentences_of
from central.review.site import Site
from central.store import reports as rows
from central.store.answers import AnswerRow, answers_to
from central.store.reports import FilingRow, ReportRow
from sync.wire.answers import AnswerKind, Message, PriorityRaise, Report, RetakeRequest

ANSWER_COUNT_MAX = 200
FILING_WORDS = {
    "waiting": "On its way into the archive",
    "filed": "In the archive",
    "refused": "The archive did not take it: call an administrator",
}
"""In English; said in the visitor's language, as those below."""
WAY_WORDS = {"waiting": "Waits for the unit", "delivered": "Delivered to the unit", "seen": "Seen at the unit"}
KIND_WORDS = {
    AnswerKind.REPORT.value: "Report",
    AnswerKind.RETAKE.value: "Retake request",
    AnswerKind.MESSAGE.value: "Message",
    AnswerKind.PRIORITY.value: "Raised priority",
    AnswerKind.ORDER.value: "Order",
}
URGENCY_WORDS = {"now": "Now, while the patient is there", "today": "Today", "routine": "When it suits"}


@dataclass(frozen=True, slots=True)
class Edition:
    """A signed version, as a line on the page."""

    row: ReportRow
    filing: str
    """A key of ``FILING_WORDS``."""
    problem: str


@dataclass(frozen=True, slots=True)
class Told:
    """An answer to a unit, as a line on the page."""

    row: AnswerRow
    text: str
    urgency: str
    is_critical: bool
    edition: int

    @property
    def outcome(self) -> tuple[Said, ...]:
        """What the unit did about it."""
        return sentences_of(self.row.outcome)


@dataclass(frozen=True, slots=True)
class Reading:
    """All of it."""

    editions: tuple[Edition, ...]
    """The newest first."""
    draft: ReportRow | None
    """The newest version, while it is not signed."""
    told: tuple[Told, ...]
    names_another: bool
    """The patient of the newest edition is not the one that the study has now: its unit corrected it since."""


def reading_of(connection: Connection, study: Row[Any]) -> Reading:
    """The report of a study, and what its units were told."""
    uid = study.study_instance_uid
    known, ways = rows.versions(connection, uid), rows.filings(connection, uid)
    signed = tuple(_edition(row, ways.get(row.version)) for row in known if row.edition)
    draft = known[0] if known and not known[0].edition else None
    said = answers_to(connection, study_uid=uid, count_max=ANSWER_COUNT_MAX)
    names_another = bool(signed) and not _is_of(signed[0].row, study)
    return Reading(signed, draft, tuple(told_of(row) for row in said), names_another)


def _is_of(row: ReportRow, study: Row[Any]) -> bool:
    """Whether a signed version is about the patient that the study has now."""
    try:
        patient = msgspec.json.decode(row.statement or b"", type=Statement).patient
    except msgspec.MsgspecError:
        return False
    now = (study.patient_name, study.patient_id, study.patient_birth_date, study.patient_sex)
    return (patient.name, patient.patient_id, patient.birth_date, patient.sex) == now


def reading_values(connection: Connection, study: Row[Any]) -> dict[str, Any]:
    """What ``reading.html`` shows of a study, beside the study; ``once`` makes a form that comes twice known."""
    return {
        "reading": reading_of(connection, study),
        "filing_words": FILING_WORDS,
        "kind_words": KIND_WORDS,
        "way_words": WAY_WORDS,
        "urgency_words": URGENCY_WORDS,
        "once": secrets.token_hex(16),
    }


def reading_digest(site: Site, request: Request, values: dict[str, Any]) -> str:
    """Of what the part of ``reading.html`` that renews itself shows."""
    text = site.render(request, "reading.html#told", **{**values, "reading_digest": ""})
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def told_of(row: AnswerRow) -> Told:
    """A line for an answer; of a kind or a body that this release cannot read, its frame."""
    try:
        said = row.answer
    except ValueError:
        said = None
    if isinstance(said, Report):
        return Told(row, said.title, "", said.is_critical, said.version)
    if isinstance(said, RetakeRequest):
        return Told(row, said.reason, said.urgency.value, False, 0)
    if isinstance(said, Message):
        return Told(row, said.text, said.urgency.value, False, 0)
    if isinstance(said, PriorityRaise):
        return Told(row, said.reason, "", False, 0)
    return Told(row, "", "", False, 0)


def _edition(row: ReportRow, filing: FilingRow | None) -> Edition:
    if filing is not None and filing.filed_at:
        return Edition(row, "filed", "")
    if filing is not None and filing.refused:
        return Edition(row, "refused", filing.problem)
    return Edition(row, "waiting", filing.problem if filing else "")
