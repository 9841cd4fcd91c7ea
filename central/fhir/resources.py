"""Signed reports and studies as FHIR R4B resources (JSON as dictionaries); pure.

``id`` of a report and of a study is the Study Instance UID: a study has one report, in editions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import escape

from central.reading.model import Statement, Status

CONTENT_TYPE = "application/fhir+json"
IDENTIFIER_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
SECTIONS = "http://terminology.hl7.org/CodeSystem/v2-0074"
LOINC = "http://loinc.org"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
URI = "urn:ietf:rfc:3986"
DICOM_UID = "urn:dicom:uid"
TAGS = "urn:qafila:tags"
Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Image:
    """One image that was verified."""

    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """A study of the review list, as far as a record needs it."""

    study_instance_uid: str
    patient_name: str
    patient_id: str
    accession_number: str
    study_date: str
    description: str
    modality: str
    is_complete: bool
    images: Sequence[Image] = ()


def diagnostic_report(statement: Statement) -> Resource:
    """The edition that stands."""
    uid, said = statement.study_instance_uid, statement
    findings = "".join(f"<p><b>{escape(one.heading)}</b>: {escape(one.text)}</p>" for one in said.findings)
    impression = f"<p><b>{escape(said.impression.heading)}</b>: {escape(said.impression.text)}</p>"
    tags = [{"system": TAGS, "code": "critical"}] if said.content.critical else []
    found: Resource = {
        "resourceType": "DiagnosticReport",
        "id": uid,
        "meta": {"versionId": str(said.version), "lastUpdated": said.signed_at, **({"tag": tags} if tags else {})},
        "language": said.content.language,
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{findings}{impression}</div>',
        },
        "identifier": _identifiers(uid, said.accession_number),
        "status": "amended" if said.status is Status.AMENDED else "final",
        "category": [_coded(SECTIONS, "RAD", "Radiology")],
        "code": {**_coded(LOINC, "18748-4", "Diagnostic imaging study"), "text": said.title},
        "subject": _patient(said.patient.name, said.patient.patient_id),
        "issued": said.signed_at,
        "resultsInterpreter": [{"type": "Practitioner", "display": said.author.name}],
        "imagingStudy": [{"reference": f"ImagingStudy/{uid}"}],
        "conclusion": said.impression.text,
    }
    if day := _day(said.study_date):
        found["effectiveDateTime"] = day
    return found


def imaging_study(facts: StudyFacts) -> Resource:
    """The study with the images that the archive proved to hold."""
    series: dict[str, list[Image]] = {}
    for image in facts.images:
        series.setdefault(image.series_instance_uid, []).append(image)
    modality = {"system": DCM, "code": facts.modality.partition("\\")[0].strip() or "OT"}
    found: Resource = {
        "resourceType": "ImagingStudy",
        "id": facts.study_instance_uid,
        "identifier": _identifiers(facts.study_instance_uid, facts.accession_number),
        "status": "available" if facts.is_complete else "registered",
        "modality": [modality],
        "subject": _patient(facts.patient_name, facts.patient_id),
        "numberOfSeries": len(series),
        "numberOfInstances": len(facts.images),
    }
    if facts.description:
        found["description"] = facts.description
    if day := _day(facts.study_date):
        found["started"] = day
    if series:
        found["series"] = [_series(uid, modality, images) for uid, images in series.items()]
    return found


def bundle(found: Sequence[Resource], total: int, own_url: str, next_url: str) -> Resource:
    """The answer to a search; its addresses are relative, as the server does not know what it is called outside."""
    links = [{"relation": "self", "url": own_url}]
    if next_url:
        links.append({"relation": "next", "url": next_url})
    entries = [
        {"fullUrl": f"urn:oid:{one['id']}", "resource": one, "search": {"mode": "match"}}
        if one["resourceType"] == "ImagingStudy"
        else {"resource": one, "search": {"mode": "match"}}
        for one in found
    ]
    return {"resourceType": "Bundle", "type": "searchset", "total": total, "link": links, "entry": entries}


def outcome(code: str, text: str) -> Resource:
    """Why something was refused."""
    return {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": code, "diagnostics": text}],
    }


def capability(software: str, at: str) -> Resource:
    """What this endpoint does."""
    search = [{"name": name, "type": "token"} for name in ("_id", "identifier", "patient.identifier")]
    reads = [{"code": "read"}, {"code": "search-type"}]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": at,
        "kind": "instance",
        "software": {"name": "Qafila", "version": software},
        "implementation": {"description": "Reports and studies of connected mobile medical units"},
        "fhirVersion": "4.3.0",
        "format": [CONTENT_TYPE],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {"type": "DiagnosticReport", "interaction": reads, "searchParam": search},
                    {"type": "ImagingStudy", "interaction": reads, "searchParam": search},
                    {"type": "ServiceRequest", "interaction": [{"code": "create"}, {"code": "read"}]},
                ],
            }
        ],
    }


def _series(uid: str, modality: dict[str, str], images: Sequence[Image]) -> Resource:
    return {
        "uid": uid,
        "modality": modality,
        "numberOfInstances": len(images),
        "instance": [
            {"uid": one.sop_instance_uid, "sopClass": {"system": URI, "code": f"urn:oid:{one.sop_class_uid}"}}
            for one in images
        ],
    }


def _identifiers(uid: str, accession_number: str) -> list[Resource]:
    found: list[Resource] = [{"system": DICOM_UID, "value": f"urn:oid:{uid}"}]
    if accession_number:
        found.append({"type": _coded(IDENTIFIER_TYPES, "ACSN", "Accession ID"), "value": accession_number})
    return found


def _patient(name: str, patient_id: str) -> Resource:
    """By number and name: the record knows its own patients, and units number theirs each for themselves."""
    words = [" ".join(part for part in group.replace("^", " ").split() if part) for group in name.split("=")]
    found: Resource = {"type": "Patient", "display": " / ".join(one for one in words if one) or "-"}
    if patient_id:
        found["identifier"] = {"value": patient_id}
    return found


def _coded(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _day(text: str) -> str:
    """``YYYYMMDD`` as FHIR writes it; empty for what is no date."""
    digits = text.replace("-", "")[:8]
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:]}" if len(digits) == 8 and digits.isdecimal() else ""
