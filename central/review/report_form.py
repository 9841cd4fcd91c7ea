"""The report's form: from fields of a browser to what a reader wrote, and back; pure."""

from __future__ import annotations

from collections.abc import Mapping

from central.reading.model import LANGUAGES, Content, Finding, ReportError
from central.reading.templates import Template, templates

CHOICE, TEXT = "c.", "t."
"""Before the name of a template's field: which answer was chosen, and the words beside it."""
REFUSALS = {
    "no-impression": "The impression is empty. Nothing was signed, and what you typed is here.",
    "no-reason": "Say why the report is amended. Nothing was signed, and what you typed is here.",
    "too-long": "This is longer than a report may be. Nothing was signed; shorten it and sign again.",
}
"""By the code of a ``ReportError``; in English, said in the visitor's language."""
NOT_A_FORM = "This is not how the page is filled in."


def content_of_form(fields: Mapping[str, str]) -> Content:
    """What was filled in; what was left empty is left out.

    Raises:
        ReportError: ``unknown-template``.
    """
    template = templates().get(fields.get("template", ""))
    if template is None:
        raise ReportError("unknown-template")
    findings = []
    for field in template.fields:
        choice, text = fields.get(CHOICE + field.id, ""), fields.get(TEXT + field.id, "").strip()
        if "usual" in fields and not choice:
            choice = next((one.id for one in field.choices if one.usual), "")
        if choice or text:
            findings.append(Finding(field=field.id, choice=choice, text=text))
    return Content(
        template=template.id,
        language=fields.get("language", ""),
        findings=tuple(findings),
        impression=fields.get("impression", "").strip(),
        critical="critical" in fields,
        reason=fields.get("reason", "").strip(),
    )


def carried_over(content: Content, template: Template, language: str) -> Content:
    """The same words in another template or language: answers that it also asks for, and the impression."""
    fields = {field.id: {choice.id for choice in field.choices} for field in template.fields}
    findings = []
    for one in content.findings:
        if one.field in fields:
            choice = one.choice if one.choice in fields[one.field] else ""
            findings.append(Finding(field=one.field, choice=choice, text=one.text))
    return Content(
        template=template.id,
        language=language if language in LANGUAGES else content.language,
        findings=tuple(findings),
        impression=content.impression,
        critical=content.critical,
        reason=content.reason,
    )
