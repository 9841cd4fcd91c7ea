"""Who and what was ordered against who and what the picture says it shows.

Names are compared as words without accents and letter forms, in any order: a wrong patient shares none or few of them.
What identifies people stays out of the findings: they name attributes.
"""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.quality.view import HeaderView, Order, View
from appliance.registration.folding import words as folded_words

_SAME_MODALITY = (frozenset({"CR", "DX", "RG"}),)
"""A detector's console may call its pictures by either name."""
LETTERS_MIN = 2
"""Of a word of a name: an initial is shared by too many people."""


def check(view: View) -> Iterator[Finding]:
    """Identity first, then what was to be shown."""
    if view.order is None:
        yield Finding(CheckCode.ORDER_UNKNOWN, Severity.NOTICE)
        return
    header, order = view.header, view.order
    differing = _identity_differs(header, order)
    if differing:
        # A birth date alone is often mistyped; a name or an ID of somebody else is another person.
        is_other = "PatientID" in differing or "PatientName" in differing
        severity = Severity.ALARM if is_other else Severity.WARNING
        yield Finding(CheckCode.IDENTITY_DIFFERS, severity, {"attributes": differing})
    modality = header.text("Modality")
    if order.modality and modality and not _is_same_modality(order.modality, modality):
        values = {"ordered": order.modality, "found": modality[:16]}
        yield Finding(CheckCode.MODALITY_DIFFERS, Severity.WARNING, values)
    if not view.frames.is_there:
        return
    body_part = header.text("BodyPartExamined").upper()
    if order.body_part and body_part and not _is_same_part(order.body_part.upper(), body_part):
        values = {"ordered": order.body_part, "found": body_part[:16]}
        yield Finding(CheckCode.BODY_PART_DIFFERS, Severity.WARNING, values)
    yield from _laterality(header, order)
    yield from _views(header, order)


def _identity_differs(header: HeaderView, order: Order) -> tuple[str, ...]:
    """Keywords in which both sides say something, and not the same."""
    differing = []
    patient_id = header.text("PatientID")
    if patient_id and order.patient_ids and patient_id not in order.patient_ids:
        differing.append("PatientID")
    words = {word for word in folded_words(header.text("PatientName")) if len(word) >= LETTERS_MIN}
    if words and order.names and not words & set(order.names):
        differing.append("PatientName")
    for keyword, ordered in (("PatientBirthDate", order.birth_date), ("PatientSex", order.sex)):
        found = header.text(keyword)
        if ordered and found and found != ordered:
            differing.append(keyword)
    return tuple(differing)


def _is_same_modality(ordered: str, found: str) -> bool:
    return ordered == found or any({ordered, found} <= group for group in _SAME_MODALITY)


def _is_same_part(ordered: str, found: str) -> bool:
    """One may name a part of the other: ``LSPINE`` and ``SPINE``."""
    ordered, found = ordered.replace(" ", ""), found.replace(" ", "")
    return ordered in found or found in ordered


def _laterality(header: HeaderView, order: Order) -> Iterator[Finding]:
    if order.laterality not in ("L", "R"):
        return
    found = header.text("ImageLaterality") or header.text("Laterality")
    values = {"ordered": order.laterality, "found": found[:16]}
    if found in ("L", "R") and found != order.laterality:
        yield Finding(CheckCode.LATERALITY_DIFFERS, Severity.ALARM, values)
    elif found not in ("L", "R"):
        yield Finding(CheckCode.LATERALITY_MISSING, Severity.NOTICE, values)


def _views(header: HeaderView, order: Order) -> Iterator[Finding]:
    expected = {view for group in order.views.upper().split() for view in group.split("/")}
    if not expected or not header.is_projection:
        return
    found = header.text("ViewPosition").upper()
    values = {"ordered": order.views, "found": found[:16]}
    if not found:
        if not header.has("ViewCodeSequence"):
            yield Finding(CheckCode.VIEW_MISSING, Severity.NOTICE, values)
    elif found not in expected:
        yield Finding(CheckCode.VIEW_DIFFERS, Severity.WARNING, values)
