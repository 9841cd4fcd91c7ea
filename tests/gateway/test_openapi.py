"""The OpenAPI document says what the routes are, and its schemas are those of the messages."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

from starlette.routing import Route

from central.gateway.app import make_app
from central.gateway.openapi import OPERATIONS, document, text

KEPT = Path(__file__).parents[2] / "docs" / "reference" / "gateway-openapi.json"


def test_document_has_every_route_and_no_other() -> None:
    routes = make_app(Mock()).routes
    served = {
        (route.path, method.lower()) for route in routes if isinstance(route, Route) for method in route.methods or ()
    }
    # Starlette adds HEAD to GET by itself.
    served -= {(path, "head") for path, method in served if method == "get"}
    assert {(one.path, one.method) for one in OPERATIONS} == served


def test_kept_document_is_what_the_types_make() -> None:
    assert KEPT.read_text(encoding="utf-8") == text(), (
        "python -m central.gateway.openapi > docs/reference/gateway-openapi.json"
    )


def test_every_reference_leads_somewhere() -> None:
    found = document()
    schemas = found["components"]["schemas"]
    names = {part.partition('"')[0] for part in text().split('"#/components/schemas/')[1:]}
    assert names and names <= schemas.keys()
    assert "\\\\Z" not in text()
