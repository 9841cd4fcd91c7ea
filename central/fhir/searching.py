"""What a search asks for: parameters of an address to what is looked for, and the addresses of other pages; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from appliance.clock import utc_text
from central.store.records import Asked

COUNT, COUNT_MAX, PAGE_MAX = 20, 100, 10_000
PARAMETERS = {"_id", "identifier", "patient.identifier", "subject:identifier", "_lastUpdated", "_count", "page"}
"""Another one is refused: a filter that is left out unseen would show other people's studies."""
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")


class SearchRefused(ValueError):
    """It cannot be looked for like this; ``code`` is FHIR's issue type."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def asked_of(given: Mapping[str, str]) -> tuple[Asked, int]:
    """What a search asks for, and how many it wants at once.

    Raises:
        SearchRefused: For what this endpoint does not filter by.
    """
    for name, value in given.items():
        if name not in PARAMETERS:
            raise SearchRefused("not-supported", f"There is no search by {name[:64]!r} here.")
        if not value.isprintable():
            raise SearchRefused("value", f"{name} holds what is no text.")
    uid, accession = given.get("_id", ""), ""
    value = given.get("identifier", "").rpartition("|")[2]
    if value.startswith("urn:oid:"):
        uid = value.removeprefix("urn:oid:")
    else:
        accession = value
    number = (given.get("patient.identifier") or given.get("subject:identifier") or "").rpartition("|")[2]
    count, page = given.get("_count", str(COUNT)), given.get("page", "1")
    if not _NUMBER.fullmatch(count) or not _NUMBER.fullmatch(page):
        raise SearchRefused("value", "_count and page are whole numbers from 1 on.")
    asked = Asked(
        study_instance_uid=uid,
        accession_number=accession,
        patient_id=number,
        since=_since(given.get("_lastUpdated", "")),
        page=min(int(page), PAGE_MAX),
    )
    return asked, min(int(count), COUNT_MAX)


def links(path: str, given: Mapping[str, str], asked: Asked, count: int, total: int) -> tuple[str, str]:
    """The address of this page and of the next one, which is empty after the last."""
    kept = {name: value for name, value in given.items() if name != "page"}
    resource = path.rpartition("/")[2]

    def link(page: int) -> str:
        return f"{resource}?{urlencode({**kept, 'page': page})}"

    return link(asked.page), link(asked.page + 1) if asked.page * count < total else ""


def _since(text: str) -> str:
    """``ge`` and a date, as times are stored."""
    if not text:
        return ""
    try:
        if text[:2] != "ge":
            raise ValueError
        known = datetime.fromisoformat(text[2:])
        return utc_text((known if known.tzinfo else known.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise SearchRefused("value", "_lastUpdated is ge and a date or a time.") from None
