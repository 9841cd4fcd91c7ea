"""What belongs to a report is named after its study, version and signature: the same name whenever it is made."""

from __future__ import annotations

import uuid

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:qafila:reading")
"""Never changed, or one document would get two names."""


def report_id_of(uid: str) -> str:
    """What units know the report of a study by, whatever its edition."""
    return uuid.uuid5(NAMESPACE, f"report {uid}").hex


def document_uid(uid: str, version: int, signed_at: str) -> str:
    """SOP Instance UID of a version's document in the PACS.

    A centre that was restored counts versions anew: the moment keeps other words from getting the same number.
    """
    return _uid(f"document {uid} {version} {signed_at}")


def series_uid(uid: str, version: int) -> str:
    """Series Instance UID of that document, which is alone in its series."""
    return _uid(f"series {uid} {version}")


def _uid(name: str) -> str:
    return f"2.25.{uuid.uuid5(NAMESPACE, name).int}"
