"""STOW-RS: the streamed request and what the answer says of each instance (PS3.18 section 10.5).

An instance that the answer does not name as stored is not stored, whatever the HTTP status says: DICOMweb 1.7 answers
200 with an empty Failed SOP Sequence when its disk is full.
"""

from __future__ import annotations

import json
import uuid
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from sync.adapters.base import SendItem
from sync.adapters.failures import Failed, failure

STEP_BYTES = 64 * 1024
_PART_HEAD = b"--%b\r\nContent-Type: application/dicom\r\n\r\n"
_FAILED_SOP_SEQUENCE, _REFERENCED_SOP_SEQUENCE = "00081198", "00081199"
_SOP_INSTANCE_UID, _FAILURE_REASON, _WARNING_REASON = "00081155", "00081197", "00081196"
UNKNOWN_FAILURE = 0x0110
"""For a failed instance without a reason: processing failure."""


class StowBody:
    """A multipart body around stored files; its length is known before it is sent, for old servers take no chunks."""

    def __init__(self, items: Sequence[SendItem], on_bytes: Callable[[SendItem, int], None]) -> None:
        self._items = items
        self._on_bytes = on_bytes
        self._boundary = uuid.uuid4().hex.encode("ascii")
        self.item_bytes = {item.item_id: _size_bytes(item) for item in items}

    @property
    def headers(self) -> dict[str, str]:
        part = len(_PART_HEAD % self._boundary) + 2
        length = sum(self.item_bytes.values()) + part * len(self._items) + len(self._boundary) + 4
        kind = 'multipart/related; type="application/dicom"'
        return {
            "Accept": "application/dicom+json, application/dicom+xml;q=0.5",
            "Content-Type": f"{kind}; boundary={self._boundary.decode('ascii')}",
            "Content-Length": str(length),
        }

    def content(self) -> Iterator[bytes]:
        """The body's bytes.

        Raises:
            Failed: ``file-unreadable`` when a file cannot be read to its end.
        """
        for item in self._items:
            yield _PART_HEAD % self._boundary
            yield from self._file(item)
            yield b"\r\n"
        yield b"--%b--" % self._boundary

    def _file(self, item: SendItem) -> Iterator[bytes]:
        left_bytes = self.item_bytes[item.item_id]
        handed_bytes = 0
        try:
            with item.path.open("rb") as file:
                while left_bytes:
                    step = file.read(min(STEP_BYTES, left_bytes))
                    if not step:
                        raise Failed(failure("file-unreadable"))
                    yield step
                    left_bytes -= len(step)
                    handed_bytes += len(step)
                    self._on_bytes(item, handed_bytes)
        except OSError as error:
            raise Failed(failure("file-unreadable")) from error


@dataclass(frozen=True, slots=True)
class StowAnswer:
    """What the answer says: instances it calls stored, with a warning code or 0, and those it calls failed."""

    stored: dict[str, int]
    failed: dict[str, int]


def parse_answer(media_type: str, body: bytes) -> StowAnswer:
    """Read the Store Instances Response; an empty body says nothing of any instance.

    Raises:
        Failed: ``answer-unusable`` when it is neither DICOM JSON nor native DICOM XML.
    """
    if not body.strip():
        return StowAnswer({}, {})
    try:
        if media_type in ("application/dicom+xml", "application/xml", "text/xml"):
            attributes = _from_xml(body)
        else:
            attributes = json.loads(body)
    except (ValueError, ElementTree.ParseError, RecursionError) as error:
        raise Failed(failure("answer-unusable")) from error
    if not isinstance(attributes, dict):
        raise Failed(failure("answer-unusable"))
    return StowAnswer(
        _by_uid(attributes, _REFERENCED_SOP_SEQUENCE, _WARNING_REASON, 0),
        _by_uid(attributes, _FAILED_SOP_SEQUENCE, _FAILURE_REASON, UNKNOWN_FAILURE),
    )


def first_value(attributes: Any, tag: str) -> Any:
    """The first value of a DICOM JSON attribute; ``None`` when there is none (PS3.18 Annex F)."""
    attribute = attributes.get(tag) if isinstance(attributes, dict) else None
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _by_uid(attributes: dict[str, Any], sequence: str, reason: str, default: int) -> dict[str, int]:
    attribute = attributes.get(sequence)
    items = attribute.get("Value") if isinstance(attribute, dict) else None
    found: dict[str, int] = {}
    for item in items if isinstance(items, list) else []:
        uid, code = first_value(item, _SOP_INSTANCE_UID), first_value(item, reason)
        if isinstance(uid, str):
            found[uid.strip(" \0")] = int(code) if _is_code(code) else default
    return found


def _is_code(value: Any) -> TypeGuard[int | str]:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5
    )


class _NoDoctype(ElementTree.TreeBuilder):
    """Entities are never needed in native DICOM XML, and can be made to explode."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("document type declaration")


def _from_xml(body: bytes) -> dict[str, Any]:
    """Native DICOM XML in the shape of DICOM JSON (PS3.19 Annex A.1)."""
    root = ElementTree.fromstring(body, ElementTree.XMLParser(target=_NoDoctype()))
    return _attributes(root, depth=0)


def _attributes(element: ElementTree.Element, depth: int) -> dict[str, Any]:
    if depth > 8:
        raise ValueError("nested too deeply")
    attributes: dict[str, Any] = {}
    for child in element:
        if _local(child) == "DicomAttribute":
            items = [_attributes(c, depth + 1) for c in child if _local(c) == "Item"]
            values = [c.text or "" for c in child if _local(c) == "Value"]
            attributes[child.get("tag", "")] = {"Value": items or values}
    return attributes


def _local(element: ElementTree.Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def _size_bytes(item: SendItem) -> int:
    try:
        return item.path.stat().st_size
    except OSError as error:
        raise Failed(failure("file-unreadable")) from error
