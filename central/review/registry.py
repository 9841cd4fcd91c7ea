"""Which pages there are. A new family of pages is one line here and one module with ``routes(site)``."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

from central.review.access import Role

if TYPE_CHECKING:
    from central.review.site import Site

PAGE_MODULES: tuple[str, ...] = (
    "central.review.pages.health",
    "central.review.pages.signing",
    "central.review.pages.listing",
    "central.review.pages.study",
    "central.review.pages.reading",
    "central.review.pages.telling",
    "central.review.pages.ordering",
    "central.review.pages.fhir",
    "central.review.pages.viewing",
    "central.review.pages.fleet",
)
"""Each has ``routes(site: Site) -> list[BaseRoute]``."""

TEMPLATE_PACKAGES: tuple[str, ...] = ("central.review",)
"""Packages with a folder ``templates``; a name is looked for in this order."""


WATCHERS = frozenset({Role.COORDINATOR, Role.ADMIN})
"""Who looks after the fleet."""


@dataclass(frozen=True, slots=True)
class NavItem:
    """A line of the menu."""

    path: str
    words: str
    """In English; said in the visitor's language."""
    roles: frozenset[Role] = frozenset(Role)


NAVIGATION: tuple[NavItem, ...] = (
    NavItem("/", "Studies"),
    NavItem("/answers", "Told to units"),
    NavItem("/orders", "Orders", frozenset({Role.READER, Role.COORDINATOR})),
    NavItem("/fleet", "Fleet", WATCHERS),
)


def all_routes(site: Site) -> list[BaseRoute]:
    """The routes of every module, in order."""
    return [route for name in PAGE_MODULES for route in import_module(name).routes(site)]
