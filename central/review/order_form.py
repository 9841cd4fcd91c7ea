"""The form of an order: from fields of a browser to whom it is for and what is to be done; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from appliance.clock import local_zone, utc_text
from appliance.registration.catalogue import Catalogue
from appliance.registration.folding import ascii_digits
from central.orders import Trouble, trouble_with
from sync.wire.answers import OrderedPatient

NO_NAME = "The name is missing. Nothing was ordered."
NO_LATIN = "Consoles show Latin letters only: check the Latin name that is proposed here. Nothing was ordered yet."
BAD_NAME = "A name holds a letter of the other script, or one that no console can show. Nothing was ordered."
BAD_NUMBER = "A number and who made it are written in Latin letters and digits. Nothing was ordered."
NO_EXAM = "Choose an exam. Nothing was ordered."
NO_SIDE = "This exam needs a side. Nothing was ordered."
NO_DATE = "The birth date or the wished time is no date. Nothing was ordered."
NO_ISSUER = "Say who made the number, or leave the number empty. Nothing was ordered."
TOO_LONG = "A field is longer than a worklist can carry. Nothing was ordered; shorten it."
NO_UNIT = "Choose a unit that is enrolled. Nothing was ordered."
SIDE_WORDS = {"R": "Right", "L": "Left", "B": "Both"}
REFUSALS = (NO_NAME, NO_LATIN, BAD_NAME, BAD_NUMBER, NO_EXAM, NO_SIDE, NO_DATE, NO_ISSUER, TOO_LONG, NO_UNIT)
"""In English, as ``SIDE_WORDS``; said in the visitor's language."""


class OrderError(ValueError):
    """What was filled in is no order; the text is one of ``REFUSALS``, ``proposed`` what could be filled in instead."""

    def __init__(self, text: str, proposed: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.proposed = dict(proposed or {})


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done for whom; a UTC time, empty where it does not matter when."""

    patient: OrderedPatient
    exam_code: str
    laterality: str
    is_stat: bool
    referrer: str
    reason: str
    scheduled_at: str


def wish_of(fields: Mapping[str, str], catalogue: Catalogue) -> Wish:
    """What a form says.

    Raises:
        OrderError: If it is no order.
    """
    exam = catalogue.by_code.get(fields.get("exam", ""))
    if exam is None:
        raise OrderError(NO_EXAM)
    side = fields.get("side", "")
    if exam.paired and side not in ("L", "R", "B"):
        raise OrderError(NO_SIDE)
    return Wish(
        patient=_patient(fields),
        exam_code=exam.code,
        laterality=side if exam.paired else "",
        is_stat="stat" in fields,
        referrer=_text(fields, "referrer"),
        reason=_text(fields, "reason"),
        scheduled_at=_time(fields.get("when", "")),
    )


def _patient(fields: Mapping[str, str]) -> OrderedPatient:
    names = {key: _text(fields, key) for key in ("family_latin", "given_latin", "family_arabic", "given_arabic")}
    if not (names["family_latin"] or names["family_arabic"]):
        raise OrderError(NO_NAME)
    number, issuer = ascii_digits(_text(fields, "identifier")), _text(fields, "issuer")
    if number and not issuer:
        raise OrderError(NO_ISSUER)
    sex = fields.get("sex", "")
    who = OrderedPatient(
        **names,
        sex=sex if sex in ("F", "M", "O") else "",
        birth_date=_day(fields.get("birth_date", "")),
        identifier=number,
        issuer=issuer if number else "",
    )
    judged = trouble_with(who)
    if judged is not None and judged.trouble is Trouble.LATIN:
        proposed = {"family_latin": judged.family_latin, "given_latin": judged.given_latin}
        raise OrderError(NO_LATIN, proposed)
    if judged is not None:
        raise OrderError(BAD_NAME if judged.trouble is Trouble.NAME else BAD_NUMBER)
    return who


def _text(fields: Mapping[str, str], name: str) -> str:
    text = " ".join(fields.get(name, "").split())
    if len(text) > 64:
        raise OrderError(TOO_LONG)
    return text


def _day(text: str) -> str:
    try:
        return date.fromisoformat(ascii_digits(text)).strftime("%Y%m%d") if text else ""
    except ValueError:
        raise OrderError(NO_DATE) from None


def _time(text: str) -> str:
    """As the browser's field gives it: by the clock on the centre's wall."""
    try:
        if not text:
            return ""
        wished = datetime.fromisoformat(ascii_digits(text))
        zone = local_zone(wished.replace(tzinfo=UTC).timestamp())
        return utc_text(wished.replace(tzinfo=zone).timestamp())
    except (ValueError, OverflowError, OSError):
        raise OrderError(NO_DATE) from None
