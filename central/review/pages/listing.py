"""The review list: every study of every unit, urgent ones first, renewing itself."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, Row
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from appliance.registration.folding import ascii_digits, words
from central.review.access import Visitor
from central.review.audit import Event, Subject
from central.review.site import Site, require
from central.review.states import State
from central.store import reviewing as rows
from central.store.reviewing import Wanted

PAGE_MAX = 10_000
WORD_COUNT_MAX = 8
STATES = ("open", "all", *(state.value for state in State))
STATE_WORDS = {
    "open": "Not read",
    "all": "All",
    "announced": "Announced",
    "preview": "Preview",
    "arriving": "Arriving",
    "checking": "All here, being verified",
    "complete": "Complete and verified",
    "problem": "Needs a person",
    "read": "Read",
}
"""In English; said in the visitor's language."""


def routes(site: Site) -> list[BaseRoute]:
    """These pages around ``site``."""
    pages = _List(site)
    return [
        Route("/", require()(pages.page), methods=["GET"]),
        Route("/studies/rows", require()(pages.rows), methods=["GET"]),
    ]


class _List:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._shown: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    async def page(self, request: Request, visitor: Visitor) -> Response:
        """The whole page."""
        values = await self._site.database.reading(self._values, request.query_params)
        asked = str(request.url.query)[:500]
        await self._site.looked(request, Event.QUERY, self._subjects(visitor, values["rows"], anew=True), query=asked)
        values["digest"] = self._digest(request, values)
        return self._site.page(request, "list.html", **values)

    async def rows(self, request: Request, visitor: Visitor) -> Response:
        """The rows again, when anything on them changed since the browser got them; else 204, which changes nothing."""
        version = await self._site.database.reading(rows.newest_version)
        if str(version) == request.query_params.get("version"):
            return Response(status_code=204)
        values = await self._site.database.reading(self._values, request.query_params)
        digest = self._digest(request, values)
        if digest == request.query_params.get("digest"):
            return Response(status_code=204)
        fresh = self._subjects(visitor, values["rows"])
        if fresh:
            await self._site.looked(request, Event.QUERY, fresh, query=str(request.url.query)[:500])
        return self._site.page(request, "list.html#rows", **{**values, "digest": digest})

    def _values(self, connection: Connection, asked: QueryParams) -> dict[str, Any]:
        wanted = wanted_of(asked)
        count_max = self._site.limits.page_row_count
        version = rows.newest_version(connection)
        found, count = rows.list_page(connection, wanted, count_max)
        filters = {name: asked.get(name, "")[:100] for name in ("unit", "modality", "state", "day", "q")}
        filters = {name: value for name, value in filters.items() if value}
        return {
            "rows": found,
            "row_count": count,
            "first": (wanted.page - 1) * count_max + 1,
            "last": (wanted.page - 1) * count_max + len(found),
            "page_number": wanted.page,
            "version": version,
            "filters": filters,
            "query": urlencode(filters),
            "wanted": wanted,
            "units": rows.unit_names(connection),
            "modalities": rows.modalities(connection),
            "state_words": STATE_WORDS,
        }

    def _digest(self, request: Request, values: dict[str, Any]) -> str:
        """Of what the rows show, so that a change elsewhere does not move this page."""
        fixed = {**values, "version": 0, "digest": ""}
        return hashlib.sha256(self._site.render(request, "list.html#rows", **fixed).encode()).hexdigest()[:32]

    def _subjects(self, visitor: Visitor, found: list[Row[Any]], *, anew: bool = False) -> list[Subject]:
        """Those that this session was not shown yet on the list that renews itself; all of a list that it asks for."""
        limits = self._site.limits
        shown = self._shown.setdefault(visitor.session, OrderedDict())
        self._shown.move_to_end(visitor.session)
        fresh = [row for row in found if anew or row.study_instance_uid not in shown]
        for row in found:
            shown[row.study_instance_uid] = None
            shown.move_to_end(row.study_instance_uid)
        while len(shown) > limits.shown_count_max:
            shown.popitem(last=False)
        while len(self._shown) > limits.shown_session_count_max:
            self._shown.popitem(last=False)
        return [subject_of(row) for row in fresh]


def subject_of(row: Row[Any]) -> Subject:
    """A row of the list, for the audit trail."""
    return Subject(row.study_instance_uid, row.patient_id, row.patient_name)


def wanted_of(asked: QueryParams) -> Wanted:
    """What an address asks for; what makes no sense asks for nothing."""
    state = asked.get("state", "open")
    day = ascii_digits(asked.get("day", "")).replace("-", "")
    page = ascii_digits(asked.get("page", "1"))
    return Wanted(
        unit_id=asked.get("unit", "")[:36],
        modality=asked.get("modality", "")[:64],
        state=state if state in STATES else "open",
        day=day if len(day) == 8 and day.isdecimal() else "",
        words=words(asked.get("q", "")[:200])[:WORD_COUNT_MAX],
        page=min(max(int(page), 1), PAGE_MAX) if page.isascii() and page.isdecimal() and len(page) < 7 else 1,
    )
