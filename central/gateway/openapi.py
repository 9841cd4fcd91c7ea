"""The gateway's routes as an OpenAPI 3.1 document, made of the same message types that it speaks with.

``python -m central.gateway.openapi`` prints it; ``docs/reference/gateway-openapi.json`` is what it prints.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

import msgspec

from sync.wire import messages as m
from sync.wire.answers import Acknowledgements, AcknowledgementsAnswer
from sync.wire.notes import NotesAnswer, NotesRequest
from sync.wire.status import StatusAnswer, StatusReport

_REF = "#/components/schemas/{name}"
_STUDY, _PART = "/v1/studies/{study}/manifest", "/v1/parts/{part}"
_OCTETS = {"application/partial-upload": {"schema": {"type": "string", "format": "binary"}}}
_WORDS = {"study": r"^[0-9.]{1,64}$", "part": "^[0-9a-f]{64}$"}


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path."""

    path: str
    method: str
    words: str
    asks: type | None = None
    answers: type | None = None
    status: int = 200
    known: bool = True
    """Whether it needs a unit's session."""
    takes_octets: bool = False
    query: tuple[tuple[str, dict[str, Any]], ...] = ()
    headers: tuple[tuple[str, dict[str, Any]], ...] = ()


class Health(msgspec.Struct, frozen=True):
    """As ``GET /v1/health`` answers."""

    version: str
    time: str


_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_APPEND: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Upload-Offset", _COUNT),
    ("Upload-Complete", {"type": "string", "enum": ["?0", "?1"]}),
)
_CREATE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Repr-Digest", {"type": "string"}),
    ("Upload-Length", _COUNT),
    ("Upload-Complete", {"type": "string", "enum": ["?0", "?1"]}),
)
OPERATIONS: tuple[Operation, ...] = (
    Operation("/v1/health", "get", "Version and the centre's time", None, Health, known=False),
    Operation("/v1/enrol", "post", "A new unit, by a one-time code", m.EnrolRequest, m.EnrolAnswer, known=False),
    Operation("/v1/session/nonce", "post", "Something to sign", m.NonceRequest, m.NonceAnswer, known=False),
    Operation("/v1/session", "post", "A session for a signature", m.SessionRequest, m.SessionAnswer, known=False),
    Operation(_STUDY, "put", "Who, what and how urgent; what is here", m.Manifest, m.ManifestAnswer),
    Operation("/v1/parts", "options", "Limits of an upload", status=204, known=False),
    Operation("/v1/parts", "post", "Create an upload", status=201, takes_octets=True, headers=_CREATE),
    Operation(_PART, "options", "Limits of an upload", status=204, known=False),
    Operation(_PART, "head", "Where a part stands", status=204),
    Operation(_PART, "patch", "Append to a part", status=204, takes_octets=True, headers=_APPEND),
    Operation(_PART, "delete", "Cancel an upload", status=204),
    Operation(
        "/v1/inbox",
        "get",
        "What came after a number",
        None,
        m.Inbox,
        query=(("after", _COUNT), ("wait", {**_COUNT, "maximum": 30}), ("about", {"type": "string"})),
    ),
    Operation("/v1/acknowledgements", "post", "What became of answers", Acknowledgements, AcknowledgementsAnswer),
    Operation("/v1/check", "post", "Read back from the PACS now", m.CheckRequest, m.CheckAnswer),
    Operation("/v1/status", "post", "How the unit is", StatusReport, StatusAnswer),
    Operation("/v1/notes", "post", "What was asked for, and what checks found", NotesRequest, NotesAnswer),
)


def document() -> dict[str, Any]:
    """The whole document."""
    types = {t for one in OPERATIONS for t in (one.asks, one.answers) if t is not None} | {m.Problem}
    ordered = sorted(types, key=lambda t: t.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Qafila gateway",
            "version": "1",
            "description": "What a unit and the centre say to each other; rules are in gateway-protocol.md.",
        },
        "paths": paths,
        "components": {
            "schemas": _without_python(schemas),
            "securitySchemes": {"session": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {"summary": one.words, "responses": _responses(one)}
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": pattern}}
        for name, pattern in _WORDS.items()
        if f"{{{name}}}" in one.path
    ]
    parameters += [{"name": name, "in": "query", "schema": schema} for name, schema in one.query]
    parameters += [{"name": name, "in": "header", "schema": schema} for name, schema in one.headers]
    if parameters:
        found["parameters"] = parameters
    if one.asks is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(one.asks)}}}
    elif one.takes_octets:
        found["requestBody"] = {"content": _OCTETS}
    if one.known:
        found["security"] = [{"session": []}]
    return found


def _responses(one: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done"}
    if one.answers is not None:
        good["content"] = {"application/json": {"schema": _ref(one.answers)}}
    refused = {"description": "A refusal", "content": {"application/problem+json": {"schema": _ref(m.Problem)}}}
    return {str(one.status): good, "default": refused}


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}


def _without_python(found: Any) -> Any:
    r"""``\Z`` is Python's; other languages end a text with ``$``."""
    if isinstance(found, dict):
        return {
            key: value.replace(r"\Z", "$") if key == "pattern" and isinstance(value, str) else _without_python(value)
            for key, value in found.items()
        }
    return [_without_python(one) for one in found] if isinstance(found, list) else found


def text() -> str:
    """As it is kept in ``docs/reference``."""
    return json.dumps(document(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
