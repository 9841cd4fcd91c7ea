"""Templates are complete, reports are checked before they are kept, and a signature covers every byte."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from central.reading import signing
from central.reading.model import (
    Author,
    Content,
    Finding,
    Paragraph,
    Patient,
    ReportError,
    Statement,
    Status,
    check,
    paragraphs,
    status_after,
)
from central.reading.templates import offered, parse, templates
from sync.wire.messages import RECEIPT_CONTEXT

CHEST = templates()["chest-xray"]
WRITTEN = Content(
    template="chest-xray",
    language="fr",
    findings=(Finding(field="pleura", choice="effusion", text="à droite"), Finding(field="lungs", choice="normal")),
    impression="Épanchement pleural droit.",
)


def statement() -> Statement:
    return Statement(
        study_instance_uid="1.2.3",
        version=1,
        status=Status.FINAL,
        sop_instance_uid="2.25.1",
        patient=Patient(name="عائشة", patient_id="T1"),
        accession_number="",
        author=Author(account="reader", name="Dr Lecteur"),
        signed_at="2026-11-25T20:00:00.000Z",
        title="Radiographie du thorax",
        findings=paragraphs(WRITTEN, CHEST),
        impression=Paragraph(heading="Conclusion", text=WRITTEN.impression),
        content=WRITTEN,
    )


def test_templates_cover_chest_tuberculosis_obstetrics_and_abdomen() -> None:
    wanted = {"chest-xray", "chest-tb-screening", "obstetric-ultrasound", "abdominal-ultrasound"}
    assert wanted <= set(templates())
    assert {one.id for one in offered("US")[:2]} == {"obstetric-ultrasound", "abdominal-ultrasound"}
    assert {one.id for one in offered("DX")[:2]} == {"chest-xray", "chest-tb-screening"}


@pytest.mark.parametrize(
    ("good", "bad"), [('ar = "ت"', ""), ('kind = "text"', 'kind = "choice"'), ('id = "b"', 'id = "a"')]
)
def test_template_is_refused_when_it_is_not_complete(good: str, bad: str) -> None:
    label = 'label = { fr = "F", en = "E", ar = "ع" }'
    text = 'id = "t"\nmodalities = []\n[title]\nfr = "F"\nen = "E"\nar = "ت"\n'
    text += "".join(f'[[field]]\nid = "{name}"\nkind = "text"\n{label}\n' for name in "ab")
    assert parse(text.encode()).id == "t"
    assert good in text
    with pytest.raises(ValueError):
        parse(text.replace(good, bad, 1).encode())


@pytest.mark.parametrize("language", ["fr", "en", "ar"])
def test_findings_are_told_in_the_language_and_order_of_the_template(language: str) -> None:
    told = paragraphs(msgspec.structs.replace(WRITTEN, language=language), CHEST)
    fields = {field.id: field for field in CHEST.fields}
    assert [one.heading for one in told] == [fields[name].label.said(language) for name in ("lungs", "pleura")]
    assert told[1].text.endswith("— à droite")


@dataclass(frozen=True)
class Wrong:
    code: str
    content: Content
    status: Status = Status.DRAFT


@pytest.mark.parametrize(
    "wrong",
    [
        Wrong("language", msgspec.structs.replace(WRITTEN, language="xx")),
        Wrong("unknown-field", msgspec.structs.replace(WRITTEN, findings=(Finding(field="liver"),))),
        Wrong("unknown-choice", msgspec.structs.replace(WRITTEN, findings=(Finding(field="lungs", choice="x"),))),
        Wrong("too-long", msgspec.structs.replace(WRITTEN, impression="x" * 8001)),
        Wrong("no-impression", msgspec.structs.replace(WRITTEN, impression=" \n"), Status.FINAL),
        Wrong("no-reason", WRITTEN, Status.AMENDED),
    ],
    ids=lambda wrong: wrong.code,
)
def test_report_is_refused(wrong: Wrong) -> None:
    check(WRITTEN, CHEST, Status.FINAL)
    with pytest.raises(ReportError) as refused:
        check(wrong.content, CHEST, wrong.status)
    assert refused.value.code == wrong.code


def test_signing_after_a_signed_version_amends_it_and_a_draft_never_does() -> None:
    assert status_after(None, sign=True) is Status.FINAL
    for signed in (Status.FINAL, Status.AMENDED):
        assert status_after(signed, sign=True) is Status.AMENDED
        assert status_after(signed, sign=False) is Status.DRAFT


def test_signature_covers_every_byte_key_and_kind() -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw()
    content, signature = signing.sign(statement(), key)
    assert signing.verified(content, signature, public) == statement()
    for i in range(len(content)):
        changed = content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :]
        assert signing.verified(changed, signature, public) is None
    assert signing.verified(content, signature, Ed25519PrivateKey.generate().public_key().public_bytes_raw()) is None
    assert signing.verified(content, key.sign(RECEIPT_CONTEXT + content), public) is None
