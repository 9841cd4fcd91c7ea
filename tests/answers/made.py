"""Answers as a centre writes them, in the inbox entries that carry them."""

from __future__ import annotations

from sync.wire.answers import (
    KIND_OF,
    Answer,
    Message,
    OrderedPatient,
    PlacedOrder,
    PriorityRaise,
    Report,
    ReportStatus,
    RetakeRequest,
    encode_answer,
)
from sync.wire.messages import InboxEntry

AT = "2026-11-22T09:30:00.000Z"
STUDY = "1.2.3.1"
AICHA = OrderedPatient(
    family_latin="Benali", given_latin="Aicha", sex="F", birth_date="19840312", identifier="N-1", issuer="NATIONAL"
)


def entry(seq: int, said: Answer) -> InboxEntry:
    """As it comes."""
    return InboxEntry(seq=seq, kind=KIND_OF[type(said)].value, body=encode_answer(said))


def report(answer_id: str = "r1", *, version: int = 1, critical: bool = False) -> Report:
    return Report(
        answer_id=answer_id,
        written_at=AT,
        author="Dr Haddad",
        report_id="report-1",
        version=version,
        status=ReportStatus.FINAL if version == 1 else ReportStatus.AMENDED,
        is_critical=critical,
        study_instance_uid=STUDY,
        title="Thorax",
        findings="Pneumothorax.\nLeft.",
        impression="Drain now.",
    )


def retake(answer_id: str = "t1") -> RetakeRequest:
    return RetakeRequest(answer_id=answer_id, written_at=AT, study_instance_uid=STUDY, reason="moved")


def message(answer_id: str = "m1") -> Message:
    return Message(answer_id=answer_id, written_at=AT, text="Thank you.")


def raised(answer_id: str = "p1", study: str = STUDY) -> PriorityRaise:
    return PriorityRaise(answer_id=answer_id, written_at=AT, author="Dr Haddad", study_instance_uid=study)


def order(answer_id: str = "o1", *, patient: OrderedPatient = AICHA, exam: str = "XR-CHEST-PA") -> PlacedOrder:
    return PlacedOrder(
        answer_id=answer_id,
        written_at=AT,
        author="Clinic Sud",
        order_id=f"order-{answer_id}",
        patient=patient,
        exam_code=exam,
    )
