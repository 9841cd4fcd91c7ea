"""What a report is and how it may change: pure values, no clock and no database.

A version is never changed once it is written. What is signed carries the words as the reader saw them, so that it can
be read and checked without the template it was written with.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from central.reading.templates import Template

TEXT_CHARS_MAX = 8000
"""Of one remark or impression: three printed pages."""
REASON_CHARS_MAX = 500
IMAGE_COUNT_MAX = 2000
"""That a report names: 400 KB of statement. Of a study with more it names the first by UID."""
LANGUAGES = ("fr", "en", "ar")


class ReportError(ValueError):
    """The report cannot be kept like this; ``code`` says why, ``field`` where."""

    def __init__(self, code: str, field: str = "") -> None:
        super().__init__(f"{code}: {field}" if field else code)
        self.code = code
        self.field = field


class Status(StrEnum):
    """What one version is; only drafts are without a signature."""

    DRAFT = "draft"
    FINAL = "final"
    AMENDED = "amended"


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    """Frozen, with its fields in the order of declaration: that order is what is signed."""


class Finding(_Value, frozen=True, kw_only=True):
    """The answer to one field of a template: a choice's name, words, or both."""

    field: str
    choice: str = ""
    text: str = ""


class Content(_Value, frozen=True, kw_only=True):
    """What a reader filled in."""

    template: str
    language: str
    findings: tuple[Finding, ...] = ()
    impression: str = ""
    critical: bool = False
    """The unit must know at once and say that it does."""
    reason: str = ""
    """Why a signed report is amended."""


class Patient(_Value, frozen=True, kw_only=True):
    """Whose report the reader believed to write, as shown on the page; dates ISO 8601, empty where unknown."""

    name: str
    patient_id: str
    birth_date: str = ""
    sex: str = ""


class Author(_Value, frozen=True, kw_only=True):
    """The account that signs, and the name that people read."""

    account: str
    name: str


class Paragraph(_Value, frozen=True, kw_only=True):
    """One heading with its words, in the report's language."""

    heading: str
    text: str


class Image(_Value, frozen=True, kw_only=True):
    """An image that the report is about."""

    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str


class Statement(_Value, frozen=True, kw_only=True):
    """What is signed of one version; times by the centre's clock.

    ``follows_sha256`` is of the statement that it amends, so that no version can be taken out unseen.
    """

    format: int = 1
    study_instance_uid: str
    version: int
    status: Status
    sop_instance_uid: str
    """Of the document in the PACS that says the same."""
    patient: Patient
    accession_number: str
    author: Author
    signed_at: str
    title: str
    findings: tuple[Paragraph, ...]
    impression: Paragraph
    content: Content
    follows_sha256: str = ""
    study_date: str = ""
    centre: str = ""
    """Where it was signed."""
    images: tuple[Image, ...] = ()
    """What the PACS held of the study when it was signed, at most ``IMAGE_COUNT_MAX``; none in reports of old."""


def status_after(signed: Status | None, *, sign: bool) -> Status:
    """What the next version is, when ``signed`` is the newest version with a signature.

    A draft beside a signed version changes nothing of it; signing that draft amends it.
    """
    if not sign:
        return Status.DRAFT
    return Status.FINAL if signed is None else Status.AMENDED


def check(content: Content, template: Template, status: Status) -> None:
    """Whether a version may be kept.

    Raises:
        ReportError: ``language``, ``unknown-field``, ``unknown-choice`` or ``too-long``; for what is signed also
            ``no-impression`` and ``no-reason``.
    """
    if content.language not in LANGUAGES or content.template != template.id:
        raise ReportError("language")
    fields = {field.id: field for field in template.fields}
    for finding in content.findings:
        field = fields.get(finding.field)
        if field is None:
            raise ReportError("unknown-field", finding.field)
        if finding.choice and finding.choice not in {choice.id for choice in field.choices}:
            raise ReportError("unknown-choice", finding.field)
    for text in (content.impression, *(finding.text for finding in content.findings)):
        if len(text) > TEXT_CHARS_MAX:
            raise ReportError("too-long")
    if len(content.reason) > REASON_CHARS_MAX:
        raise ReportError("too-long", "reason")
    if status is Status.DRAFT:
        return
    if not content.impression.strip():
        raise ReportError("no-impression")
    if status is Status.AMENDED and not content.reason.strip():
        raise ReportError("no-reason")


def paragraphs(content: Content, template: Template) -> tuple[Paragraph, ...]:
    """The findings in words, in the template's order; what was not answered is left out."""
    said = {finding.field: finding for finding in content.findings}
    shown = []
    for field in template.fields:
        finding = said.get(field.id)
        if finding is None:
            continue
        labels = {choice.id: choice.label.said(content.language) for choice in field.choices}
        words = [labels.get(finding.choice, ""), finding.text.strip()]
        text = " — ".join(word for word in words if word)
        if text:
            shown.append(Paragraph(heading=field.label.said(content.language), text=text))
    return tuple(shown)
