"""What readers do with a report, each in the caller's writing transaction; units hear of it after the commit.

Nothing here overwrites: a version is added onto the newest one that its writer saw, or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Row

from central.reading.model import (
    IMAGE_COUNT_MAX,
    Author,
    Content,
    Image,
    Paragraph,
    Patient,
    ReportError,
    Statement,
    Status,
    check,
    paragraphs,
    status_after,
)
from central.reading.names import document_uid, report_id_of
from central.reading.signing import chain_sha256, sign
from central.reading.templates import Template, templates
from central.review.deeds import mark_read
from central.review.follow import refresh
from central.store import reports as rows
from central.store.answers import Posted, add_report, units_of_study
from central.store.records import verified_images
from central.store.reports import ReportRow
from central.store.reviewing import add_event, study_row
from sync.wire.answers import ReportStatus

IMPRESSION = {"fr": "Conclusion", "en": "Impression", "ar": "الخلاصة"}
IMAGES = {"fr": "Images", "en": "Images", "ar": "الصور"}
NOT_ALL_HERE = {
    "fr": "Signé alors que {here} image(s) sur {all} étaient arrivées et vérifiées.",
    "en": "Signed when {here} of {all} images had arrived and were verified.",
    "ar": "وُقّع عندما وصلت وتحققت {here} من أصل {all} صور.",
}
"""In the report's own language, which is not always that of the page."""


class IdentityChanged(Exception):
    """The study's patient is not the one that the reader was shown."""


class NotAllHere(Exception):
    """Images are missing or not verified, and the reader did not say that this is known."""


class NoStudy(Exception):
    """There is no such study."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a reader wrote and what it was written on.

    ``base`` is the newest version that the reader saw, 0 for none; ``identity`` the patient as shown (``identity_of``).
    """

    study_instance_uid: str
    base: int
    identity: str
    content: Content
    knows_incomplete: bool = False


def identity_of(study: Row[Any]) -> str:
    """Names whose study this is, as the page shows it; another word of it is another value."""
    shown = (study.patient_name, study.patient_id, study.patient_birth_date, study.patient_sex, study.accession_number)
    return hashlib.sha256("\0".join(shown).encode("utf-8", "surrogatepass")).hexdigest()


def is_all_here(study: Row[Any]) -> bool:
    """Whether every image that the unit named was verified."""
    return bool(study.image_count) and study.verified_count >= max(study.image_count, study.expected_count)


def template_of(content: Content) -> Template:
    """The template that was filled in.

    Raises:
        ReportError: ``unknown-template``.
    """
    found = templates().get(content.template)
    if found is None:
        raise ReportError("unknown-template", content.template[:48])
    return found


def content_of(row: ReportRow) -> Content:
    """What was filled in."""
    return msgspec.json.decode(row.content, type=Content)


def save_draft(connection: Connection, written: Written, author: Author, at: str) -> ReportRow:
    """Keep what was typed so far; the newest version itself when it says the same already.

    Raises:
        Conflict: Somebody else kept a version meanwhile.
        NoStudy, ReportError: It cannot be kept.
    """
    check(written.content, template_of(written.content), Status.DRAFT)
    known = rows.base_of(connection, written.study_instance_uid, written.base, author.account)
    if study_row(connection, written.study_instance_uid) is None:
        raise NoStudy
    text = msgspec.json.encode(written.content).decode()
    if known is not None and known.content == text:
        return known
    draft = ReportRow(
        study_instance_uid=written.study_instance_uid,
        version=known.version + 1 if known else 1,
        status=Status.DRAFT,
        author=author.account,
        author_name=author.name,
        written_at=at,
        content=text,
    )
    rows.add(connection, draft, _replaced(known, written, author))
    return draft


def finish(
    connection: Connection, written: Written, author: Author, key: Ed25519PrivateKey, at: str, centre: str
) -> tuple[ReportRow, list[Posted]]:
    """Sign: the first time a final report, later an amended one. The study is read, and its units are told.

    Raises:
        Conflict, NoStudy, ReportError: As ``save_draft``; ``ReportError`` also when it is not complete.
        IdentityChanged, NotAllHere: The reader has to look again.
    """
    uid, content = written.study_instance_uid, written.content
    known = rows.base_of(connection, uid, written.base, author.account)
    version = known.version + 1 if known else 1
    refresh(connection, [uid])
    study = study_row(connection, uid)
    if study is None:
        raise NoStudy
    if identity_of(study) != written.identity:
        raise IdentityChanged
    before = rows.newest(connection, uid, signed=True)
    status, template = status_after(Status(before.status) if before else None, sign=True), template_of(content)
    check(content, template, status)
    if not is_all_here(study) and not written.knows_incomplete:
        raise NotAllHere
    edition = before.edition + 1 if before else 1
    statement = Statement(
        study_instance_uid=uid,
        version=edition,
        status=status,
        sop_instance_uid=document_uid(uid, version, at),
        patient=Patient(
            name=study.patient_name,
            patient_id=study.patient_id,
            birth_date=study.patient_birth_date,
            sex=study.patient_sex,
        ),
        accession_number=study.accession_number,
        author=author,
        signed_at=at,
        title=template.title.said(content.language),
        findings=(*paragraphs(content, template), *_images(study, content.language)),
        impression=Paragraph(heading=IMPRESSION[content.language], text=content.impression.strip()),
        content=content,
        follows_sha256=chain_sha256(before.statement) if before and before.statement else "",
        study_date=study.study_date,
        centre=centre,
        images=tuple(
            Image(
                series_instance_uid=one.series_instance_uid,
                sop_class_uid=one.sop_class_uid,
                sop_instance_uid=one.sop_instance_uid,
            )
            for one in verified_images(connection, [uid]).get(uid, [])[:IMAGE_COUNT_MAX]
        ),
    )
    signed_bytes, signature = sign(statement, key)
    row = ReportRow(
        study_instance_uid=uid,
        version=version,
        status=status,
        edition=edition,
        author=author.account,
        author_name=author.name,
        written_at=at,
        content=msgspec.json.encode(content).decode(),
        statement=signed_bytes,
        signature=signature,
        sop_instance_uid=statement.sop_instance_uid,
    )
    rows.add(connection, row, _replaced(known, written, author))
    mark_read(connection, uid, author.name, at)
    if status is Status.AMENDED:
        add_event(connection, uid, at, "amended", author.name, content.reason.strip())
    return row, _tell_units(connection, statement, at)


def _tell_units(connection: Connection, statement: Statement, at: str) -> list[Posted]:
    uid, content = statement.study_instance_uid, statement.content
    try:
        return [
            add_report(
                connection,
                unit_id,
                at,
                report_id=report_id_of(uid),
                version=statement.version,
                status=ReportStatus(statement.status.value),
                study_instance_uid=uid,
                author=statement.author.name,
                title=statement.title,
                findings=as_text(statement.findings),
                impression=statement.impression.text,
                is_critical=content.critical,
                changed=content.reason.strip(),
            )
            for unit_id in units_of_study(connection, uid)
        ]
    except ValueError:
        raise ReportError("too-long") from None


def as_text(paragraphs_: Sequence[Paragraph]) -> str:
    """One line a heading, for where there is no page."""
    return "\n".join(f"{one.heading}: {one.text}" for one in paragraphs_)


def _images(study: Row[Any], language: str) -> tuple[Paragraph, ...]:
    if is_all_here(study):
        return ()
    count = max(study.image_count, study.expected_count)
    text = NOT_ALL_HERE[language].format(here=study.verified_count, all=count)
    return (Paragraph(heading=IMAGES[language], text=text),)


def says_the_same(row: ReportRow, written: Written, author: Author) -> bool:
    """Whether the newest version is what this reader signs: the form came twice."""
    return bool(row.edition) and row.author == author.account and content_of(row) == written.content


def _replaced(known: ReportRow | None, written: Written, author: Author) -> ReportRow | None:
    """One's own draft in the same template and language that this was written on: a later one says all that it said."""
    if known is None or known.version != written.base or known.edition or known.author != author.account:
        return None
    said = content_of(known)
    same = (said.template, said.language) == (written.content.template, written.content.language)
    return known if same else None
