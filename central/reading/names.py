"""What belongs to a report is named after its study and version: the same name whenever and wherever it is made."""

from __future__ import annotations

import uuid

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:qafila:reading")
"""Never changed, or one document would get two names."""


def report_id_of(uid: str) -> str:
    """What units know the report of a study by, whatever its edition."""
    return uuid.uuid5(NAMESPACE, f"report {uid}").hex


def document_uid(uid: str, version: int) -> str:
    """SOP Instance UID of a version's document in the PACS."""
    return _uid(f"document {uid} {version}")


def series_uid(uid: str, version: int) -> str:
    """Series Instance UID of that document, which is alone in its series."""
    return _uid(f"series {uid} {version}")


def _uid(name: str) -> str:
    return f"2.25.{uuid.uuid5(NAMESPACE, name).int}"
