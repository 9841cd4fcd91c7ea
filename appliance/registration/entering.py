"""What people type into a registration, made into values or refused with a sentence; pure."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from appliance.domain.registration import Identifier, IdentifierKind, Order, PatientDetails, Pregnancy, Sex
from appliance.domain.wording import Wording, stored, told
from appliance.registration.folding import ascii_digits, clean

AGE_YEARS_MAX = 130
WEIGHT_KG_MIN, WEIGHT_KG_MAX = 0.2, 500.0
LONG_TEXT_CHARS_MAX = 64
"""Of a value of VR LO or one group of a PN (PS3.5 section 6.2)."""
PREGNANCY_YEARS_MIN, PREGNANCY_YEARS_MAX = 10, 55
"""Between these ages, or when the age is not known, the question is asked before X-rays."""
_XRAY_MODALITIES = frozenset({"CR", "DX", "RF", "XA", "MG", "PX", "IO", "CT"})
_CLOCK_PLAUSIBLE_YEAR = 2025
"""A unit without a clock battery may boot in 1970: then nobody's birth date is in the future."""


class EntryRefusedError(ValueError):
    """What was entered cannot be; the text is a sentence, without its end mark, for whoever typed it."""

    def __init__(self, sentence: Wording) -> None:
        super().__init__(sentence)
        self.sentence = sentence


def birth_date(text: str, today: date) -> str:
    """``YYYY-MM-DD`` or ``YYYYMMDD``, in any digits, as ``YYYYMMDD``; empty stays empty.

    Raises:
        EntryRefusedError: It is no date of somebody who may be alive.
    """
    typed = ascii_digits(clean(text))
    if not typed:
        return ""
    found = re.fullmatch(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})", typed) if len(typed) >= 8 else None
    try:
        born = date(*(int(found[group]) for group in (1, 3, 4))) if found else None
    except ValueError:
        born = None
    if born is None:
        raise EntryRefusedError(
            told("The birth date {typed} is no date; write year, month and day: 1984-03-12", typed=repr(typed))
        )
    if today.year >= _CLOCK_PLAUSIBLE_YEAR and not today.year - AGE_YEARS_MAX <= born.year <= today.year + 1:
        raise EntryRefusedError(told("The birth date {date} cannot be, today is {today}", date=born, today=today))
    if today.year >= _CLOCK_PLAUSIBLE_YEAR and born > today + timedelta(days=1):
        raise EntryRefusedError(
            told("The birth date {date} is in the future, today is {today}", date=born, today=today)
        )
    return born.isoformat().replace("-", "")


def age(text: str) -> str:
    """Years (``45``), or days, weeks or months with their letter (``8M``), as a DICOM age (``045Y``).

    Raises:
        EntryRefusedError: It is no age.
    """
    typed = ascii_digits(clean(text)).upper()
    if not typed:
        return ""
    found = re.fullmatch(r"(\d{1,3}) ?([DWMY]?)", typed)
    if not found or (found[2] in ("", "Y") and int(found[1]) > AGE_YEARS_MAX):
        raise EntryRefusedError(
            told(
                "The age {typed} is no age; write years (45), or months, weeks or days: 8M, 3W, 10D", typed=repr(typed)
            )
        )
    return f"{int(found[1]):03}{found[2] or 'Y'}"


def weight_kg(text: str) -> float:
    """Kilograms, in any digits, with a point or a comma; empty is 0, unknown.

    Raises:
        EntryRefusedError: It is no weight of a person.
    """
    typed = ascii_digits(clean(text)).replace(",", ".").replace("٫", ".").removesuffix("kg").strip()
    if not typed:
        return 0.0
    value = float(typed) if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", typed) else 0.0
    if not WEIGHT_KG_MIN <= value <= WEIGHT_KG_MAX:
        raise EntryRefusedError(told("The weight {typed} is none; write kilograms: 72.5", typed=repr(typed)))
    return value


def identifier(issuer: str, value: str, kind: IdentifierKind) -> Identifier:
    """An identifier with its digits in ASCII and its letters in upper case.

    Raises:
        EntryRefusedError: Issuer or value is missing, too long, or holds what a Patient ID cannot.
    """
    one = Identifier(long_text(issuer, "issuer"), long_text(ascii_digits(value), "identifier").upper(), kind)
    if not one.value or not one.issuer:
        raise EntryRefusedError(told("An identifier needs a value and an issuer"))
    if not one.value.isascii() or not one.issuer.isascii():
        raise EntryRefusedError(
            told(
                "An identifier and its issuer are written in plain Latin letters and digits, for every console to read"
            )
        )
    return one


def long_text(text: str, called: str) -> str:
    """A text that goes into one DICOM value of 64 characters.

    Raises:
        EntryRefusedError: It is longer, or holds a backslash, which parts values.
    """
    cleaned = clean(text)
    if "\\" in cleaned:
        raise EntryRefusedError(told("The {field} holds a backslash, which no DICOM text can", field=_called(called)))
    if len(cleaned) > LONG_TEXT_CHARS_MAX:
        raise EntryRefusedError(
            told("The {field} is longer than {count} characters", field=_called(called), count=LONG_TEXT_CHARS_MAX)
        )
    return cleaned


def scheduled(text: str, now: datetime) -> datetime:
    """``HH:MM`` of today, ``YYYY-MM-DD`` or ``YYYY-MM-DD HH:MM`` in the zone of ``now``; empty is ``now``.

    Raises:
        EntryRefusedError: It is no time.
    """
    typed = ascii_digits(clean(text))
    if not typed:
        return now
    full = f"{now.date().isoformat()} {typed}" if re.fullmatch(r"\d{1,2}:\d{2}", typed) else typed
    form = "%Y-%m-%d %H:%M" if ":" in full else "%Y-%m-%d"
    try:
        return datetime.strptime(full.replace("T", " "), form).replace(tzinfo=now.tzinfo)
    except ValueError:
        raise EntryRefusedError(
            told("The time {typed} is none; write 09:30 or 2026-11-22 09:30", typed=repr(typed))
        ) from None


def _called(field: str) -> Wording:
    return {
        "issuer": told("issuer"),
        "identifier": told("identifier"),
        "referrer": told("referrer"),
        "reason": told("reason"),
    }.get(field, stored(field))


def pregnancy_is_open(details: PatientDetails, order: Order, today: date) -> bool:
    """Whether the pregnancy question must be answered before this exam and was not."""
    if order.modality not in _XRAY_MODALITIES or order.pregnancy is not Pregnancy.NOT_ASKED:
        return False
    if details.sex is Sex.MALE:
        return False
    years = age_years(details, today)
    return years is None or PREGNANCY_YEARS_MIN <= years <= PREGNANCY_YEARS_MAX


def age_years(details: PatientDetails, today: date) -> int | None:
    """Age in whole years, as far as it is known."""
    if details.birth_date:
        day = today.strftime("%m%d")
        return today.year - int(details.birth_date[:4]) - (day < details.birth_date[4:])
    if details.age_text:
        count, per_year = int(details.age_text[:3]), {"Y": 1, "M": 12, "W": 52, "D": 365}[details.age_text[3]]
        return count // per_year
    return None
