"""A posted ServiceRequest as an order for a unit, and an order as a ServiceRequest; pure.

What is not read here is not refused: a record says more than a worklist can carry.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from appliance.clock import utc_text
from appliance.registration.catalogue import Catalogue, Exam
from central.fhir.resources import Resource
from central.orders import Trouble, trouble_with
from central.store.answers import AnswerRow
from sync.wire.answers import OrderedPatient, PlacedOrder

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:qafila:orders")
EXAMS = "urn:qafila:exams"
SIDES = {"24028007": "R", "7771000": "L", "51440002": "B"}
"""SNOMED CT: right, left, right and left."""
SEXES = {"female": "F", "male": "M", "other": "O"}
URGENT = ("urgent", "asap", "stat")
WORD_CHARS_MAX = 64
TROUBLES = {
    Trouble.NAME: "A name holds a letter of the other script, or one that no console can show.",
    Trouble.LATIN: "Consoles show Latin letters only: add a Latin name; it could be {latin}.",
    Trouble.NUMBER: "A patient's number and its system are written in Latin letters and digits.",
}


class OrderRefused(ValueError):
    """It cannot become an order; ``code`` is FHIR's issue type and the text says what to change."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class _Coding(msgspec.Struct, frozen=True):
    system: str = ""
    code: str = ""


class _Concept(msgspec.Struct, frozen=True):
    coding: tuple[_Coding, ...] = ()
    text: str = ""


class _Identifier(msgspec.Struct, frozen=True):
    system: str = ""
    value: str = ""


class _Reference(msgspec.Struct, frozen=True):
    reference: str = ""
    display: str = ""
    identifier: _Identifier = _Identifier()


class _Name(msgspec.Struct, frozen=True):
    family: str = ""
    given: tuple[str, ...] = ()


class _Contained(msgspec.Struct, frozen=True, rename="camel"):
    resource_type: str
    id: str = ""
    name: tuple[_Name, ...] = ()
    gender: str = ""
    birth_date: str = ""
    identifier: tuple[_Identifier, ...] = ()


class _Asked(msgspec.Struct, frozen=True, rename="camel"):
    resource_type: str
    status: str
    intent: str
    subject: _Reference
    identifier: tuple[_Identifier, ...] = ()
    contained: tuple[_Contained, ...] = ()
    code: _Concept = _Concept()
    body_site: tuple[_Concept, ...] = ()
    priority: str = ""
    requester: _Reference = _Reference()
    performer: tuple[_Reference, ...] = ()
    reason_code: tuple[_Concept, ...] = ()
    occurrence_date_time: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """An order as it was posted; ``unit`` is the name of the unit that is to do it."""

    order_id: str
    unit: str
    exam_code: str
    laterality: str
    is_stat: bool
    patient: OrderedPatient
    referrer: str
    reason: str
    scheduled_at: str


def read_request(body: bytes, catalogue: Catalogue) -> Request:
    """A posted ServiceRequest.

    Raises:
        OrderRefused: If it is none, or a unit could not do it.
    """
    try:
        asked = msgspec.json.decode(body, type=_Asked)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise OrderRefused("structure", f"This is no ServiceRequest: {error}"[:300]) from None
    if asked.resource_type != "ServiceRequest":
        raise OrderRefused("structure", "Only a ServiceRequest can be posted here.")
    if asked.status != "active" or asked.intent not in ("order", "original-order", "filler-order", "instance-order"):
        raise OrderRefused("business-rule", "Only an active order is put on a worklist (status, intent).")
    unit = next((one.identifier.value or one.display for one in asked.performer), "").strip()
    if not unit:
        raise OrderRefused("required", "performer.identifier.value names the unit.")
    exam, side = _exam(asked, catalogue), _side(asked)
    if exam.paired and not side:
        raise OrderRefused(
            "required", "This exam needs a side: bodySite with the SNOMED CT code of right, left or both."
        )
    return Request(
        order_id=_order_id(asked),
        unit=unit,
        exam_code=exam.code,
        laterality=side if exam.paired else "",
        is_stat=asked.priority in URGENT,
        patient=_patient(asked),
        referrer=_word(asked.requester.display),
        reason=_word(next((one.text for one in asked.reason_code), "")),
        scheduled_at=_time(asked.occurrence_date_time),
    )


def service_request(row: AnswerRow, said: PlacedOrder) -> Resource:
    """An order that this centre knows, with what became of it."""
    who = said.patient
    names = [
        {"family": family, "given": [given] if given else []}
        for family, given in ((who.family_latin, who.given_latin), (who.family_arabic, who.given_arabic))
        if family or given
    ]
    patient: Resource = {"resourceType": "Patient", "id": "patient"}
    patient["name"] = [{key: value for key, value in name.items() if value} for name in names]
    if gender := {sex: word for word, sex in SEXES.items()}.get(who.sex):
        patient["gender"] = gender
    if who.birth_date:
        patient["birthDate"] = f"{who.birth_date[:4]}-{who.birth_date[4:6]}-{who.birth_date[6:]}"
    if who.identifier:
        patient["identifier"] = [{"system": _system(who.issuer), "value": who.identifier}]
    found: Resource = {
        "resourceType": "ServiceRequest",
        "id": said.order_id,
        "contained": [patient],
        "status": "active",
        "intent": "order",
        "priority": "stat" if said.is_stat else "routine",
        "code": {"coding": [{"system": EXAMS, "code": said.exam_code}]},
        "subject": {"reference": "#patient"},
        "authoredOn": said.written_at,
        "performer": [{"identifier": {"value": row.unit_name}}],
    }
    if said.scheduled_at:
        found["occurrenceDateTime"] = said.scheduled_at
    if said.reason:
        found["reasonCode"] = [{"text": said.reason}]
    if row.outcome:
        found["note"] = [{"time": row.delivered_at, "text": row.outcome}]
    return found


def _order_id(asked: _Asked) -> str:
    """The same for the same business identifier: an order that is posted twice is one."""
    named = next((one for one in asked.identifier if one.value), None)
    if named is None:
        return uuid.uuid4().hex
    return uuid.uuid5(NAMESPACE, f"{named.system}|{named.value}").hex


def _exam(asked: _Asked, catalogue: Catalogue) -> Exam:
    for coding in asked.code.coding:
        if coding.code in catalogue.by_code:
            return catalogue.by_code[coding.code]
    near = ", ".join(catalogue.nearest(asked.code.coding[0].code)) if asked.code.coding else ""
    hint = f" Perhaps {near}." if near else ""
    raise OrderRefused("code-invalid", f"code.coding has no exam of the catalogue ({EXAMS}).{hint}")


def _side(asked: _Asked) -> str:
    codes = (coding.code for site in asked.body_site for coding in site.coding)
    return next((SIDES[code] for code in codes if code in SIDES), "")


def _patient(asked: _Asked) -> OrderedPatient:
    wanted = asked.subject.reference.removeprefix("#")
    found = next((one for one in asked.contained if one.resource_type == "Patient" and one.id == wanted), None)
    if found is None or not wanted:
        raise OrderRefused("required", "subject refers to a contained Patient: a unit offline can ask nobody.")
    names: dict[str, str] = {}
    for name in found.name:
        words = (_word(name.family), _word(" ".join(name.given)))
        alphabet = "arabic" if any("\u0600" <= char <= "\u06ff" for char in "".join(words)) else "latin"
        names.setdefault(f"family_{alphabet}", words[0])
        names.setdefault(f"given_{alphabet}", words[1])
    if not (names.get("family_latin") or names.get("family_arabic")):
        raise OrderRefused("required", "The patient has no family name.")
    number = next((one for one in found.identifier if one.value and one.system), None)
    who = OrderedPatient(
        **names,
        sex=SEXES.get(found.gender, ""),
        birth_date=_day(found.birth_date),
        identifier=_word(number.value) if number else "",
        issuer=_word(number.system) if number else "",
    )
    judged = trouble_with(who)
    if judged is not None:
        latin = f"{judged.family_latin}, {judged.given_latin}"
        raise OrderRefused("value", TROUBLES[judged.trouble].format(latin=latin))
    return who


def _system(issuer: str) -> str:
    """An issuer as a URI, as FHIR wants a system to be."""
    return issuer if ":" in issuer else f"urn:qafila:issuer:{issuer}"


def _word(text: str) -> str:
    words = " ".join(text.split())
    if len(words) > WORD_CHARS_MAX:
        raise OrderRefused("too-long", f"A name, number or reason is longer than {WORD_CHARS_MAX} characters.")
    return words.removeprefix("urn:qafila:issuer:")


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).strftime("%Y%m%d") if text else ""
    except ValueError:
        raise OrderRefused("value", "birthDate is no whole date.") from None


def _time(text: str) -> str:
    """FHIR's instants have a zone; a day alone says no time of day and is left open."""
    try:
        wished = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise OrderRefused("value", "occurrenceDateTime is no date.") from None
    return utc_text(wished.timestamp()) if wished is not None and wished.tzinfo is not None else ""
