"""What people at the centre tell a unit, as typed values inside inbox entries; ``docs/reference/gateway-protocol.md``.

An inbox entry of one of these kinds carries the answer as JSON text in ``InboxEntry.body``. A unit keeps every body as
it came, also of kinds and with fields that its release does not know: it shows what it understands, and a later release
understands the rest. Times are RFC 3339 in UTC by the centre's clock, dates ``YYYYMMDD``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec

from sync.wire.messages import Text, Uid

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z._-]+\Z")]
Word = Annotated[str, msgspec.Meta(max_length=64)]
"""One DICOM value (LO)."""
Name = Annotated[str, msgspec.Meta(max_length=128)]
Sentence = Annotated[str, msgspec.Meta(max_length=1024)]
Prose = Annotated[str, msgspec.Meta(max_length=16_384)]
DayText = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{8})?\Z")]

BODY_CHARS_MAX = 65_536
"""Of one answer; two prose fields of 16,384 characters, escaped where JSON must, and everything else."""
ANSWERS_ONLY = "answers"
"""``GET /v1/inbox?about=answers``: without receipts and refusals, so that nobody pays twice for those."""
ACKNOWLEDGEMENT_COUNT_MAX = 100
"""In one request."""


class AnswerKind(StrEnum):
    """Kinds of inbox entries that are for people; beside ``messages.InboxKind``."""

    REPORT = "report"
    RETAKE = "retake-request"
    MESSAGE = "message"
    PRIORITY = "priority"
    ORDER = "order"


class ReportStatus(StrEnum):
    """Only what a reader has signed travels; a draft never does."""

    FINAL = "final"
    AMENDED = "amended"


class Urgency(StrEnum):
    """How soon somebody at the unit must act."""

    NOW = "now"
    """While the patient is still there."""
    TODAY = "today"
    ROUTINE = "routine"


class _Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every answer says; ``answer_id`` is new for each one: a unit keeps it once however often it comes."""

    answer_id: Id
    written_at: Word
    author: Name = ""
    """Who at the centre wrote it, as people call them."""


class Report(_Answer, frozen=True, kw_only=True, omit_defaults=True):
    """A signed reading of one study; ``report_id`` stays, ``version`` grows with each amendment."""

    report_id: Id
    version: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    status: ReportStatus = ReportStatus.FINAL
    is_critical: bool = False
    """Somebody must be told now; the unit shows it first and until it is acknowledged."""
    study_instance_uid: Uid
    title: Name = ""
    findings: Prose = ""
    impression: Prose = ""
    changed: Sentence = ""
    """Of an amendment: what is different and why."""


class RetakeRequest(_Answer, frozen=True, kw_only=True, omit_defaults=True):
    """Please take this again; ``sop_instance_uid`` names one image of it."""

    study_instance_uid: Uid
    sop_instance_uid: str = ""
    reason: Sentence
    urgency: Urgency = Urgency.NOW


class Message(_Answer, frozen=True, kw_only=True, omit_defaults=True):
    """Words to whoever is at the unit; about a study, or about none."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    study_instance_uid: str = ""
    urgency: Urgency = Urgency.ROUTINE


class PriorityRaise(_Answer, frozen=True, kw_only=True, omit_defaults=True):
    """Send this study first: it is STAT from now on."""

    study_instance_uid: Uid
    reason: Sentence = ""


class OrderedPatient(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whom an order is for; names in both scripts, what is empty is not known."""

    family_latin: Word = ""
    given_latin: Word = ""
    family_arabic: Word = ""
    given_arabic: Word = ""
    sex: Annotated[str, msgspec.Meta(pattern=r"^[FMO]?\Z")] = ""
    birth_date: DayText = ""
    identifier: Word = ""
    issuer: Word = ""
    """Who made the identifier; without it the identifier means nothing."""


class PlacedOrder(_Answer, frozen=True, kw_only=True, omit_defaults=True):
    """An exam ordered at the centre; ``order_id`` is the centre's own, so that an order said twice is one."""

    order_id: Id
    patient: OrderedPatient
    exam_code: Word = ""
    """Of the unit's exam catalogue, where the centre knows it; else modality and body part say what is meant."""
    modality: Annotated[str, msgspec.Meta(max_length=16)] = ""
    body_part: Annotated[str, msgspec.Meta(max_length=16)] = ""
    description: Word = ""
    laterality: Annotated[str, msgspec.Meta(pattern=r"^[LRB]?\Z")] = ""
    is_stat: bool = False
    referrer: Word = ""
    reason: Word = ""
    scheduled_at: Word = ""
    """RFC 3339; empty: whenever it suits."""


Answer = Report | RetakeRequest | Message | PriorityRaise | PlacedOrder
A = TypeVar("A", bound=_Answer)

KIND_OF: dict[type, AnswerKind] = {
    Report: AnswerKind.REPORT,
    RetakeRequest: AnswerKind.RETAKE,
    Message: AnswerKind.MESSAGE,
    PriorityRaise: AnswerKind.PRIORITY,
    PlacedOrder: AnswerKind.ORDER,
}
_TYPE_OF: dict[str, type[Answer]] = {
    AnswerKind.REPORT: Report,
    AnswerKind.RETAKE: RetakeRequest,
    AnswerKind.MESSAGE: Message,
    AnswerKind.PRIORITY: PriorityRaise,
    AnswerKind.ORDER: PlacedOrder,
}


def encode_answer(answer: Answer) -> str:
    """The body of its inbox entry.

    Raises:
        ValueError: A field is beyond its bound; the text names it, without its content.
    """
    body = msgspec.json.encode(answer).decode()
    read_answer(KIND_OF[type(answer)], body)
    if len(body) > BODY_CHARS_MAX:
        raise ValueError(f"the answer is longer than {BODY_CHARS_MAX} characters")
    return body


def read_answer(kind: str, body: str) -> Answer | None:
    """What an entry says; ``None`` for a kind that this release does not know.

    Raises:
        ValueError: The body is none of its kind.
    """
    wanted = _TYPE_OF.get(kind)
    if wanted is None:
        return None
    try:
        return msgspec.json.decode(body, type=wanted)
    except RecursionError as error:
        raise ValueError("the answer is nested too deep") from error


class AckState(StrEnum):
    """What a unit says of an answer."""

    DELIVERED = "delivered"
    """It is kept on the unit's disk."""
    SEEN = "seen"
    """Somebody there acknowledged it."""


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One statement of a unit about one answer; ``at`` is by the unit's clock."""

    answer_id: Id
    state: AckState
    at: Word
    by: Name = ""
    """Of ``seen``: the person."""
    outcome: Text = ""
    """Of ``delivered``: what the unit did about it, in a sentence (a registration made, a study marked STAT)."""


class Acknowledgements(msgspec.Struct, frozen=True, kw_only=True):
    """``POST /v1/acknowledgements``: repeated until answered; saying it twice has the effect of once."""

    items: Annotated[tuple[Acknowledgement, ...], msgspec.Meta(max_length=ACKNOWLEDGEMENT_COUNT_MAX)]


class AcknowledgementsAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of them are noted; ``unknown`` names answers that this centre does not know (any more)."""

    epoch: Text
    unknown: tuple[str, ...] = ()
