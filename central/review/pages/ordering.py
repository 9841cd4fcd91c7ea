"""Exams that the centre orders: for a unit's worklist, where what the unit registered itself stands first."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from appliance.clock import utc_text
from appliance.registration.catalogue import load_catalogue
from central.review.access import Role, Visitor
from central.review.audit import Event, Subject
from central.review.order_form import NO_UNIT, SIDE_WORDS, TOO_LONG, OrderError, Wish, wish_of
from central.review.outcomes import Said, sentences_of
from central.review.reading_view import WAY_WORDS
from central.review.report_form import NOT_A_FORM
from central.review.site import Halt, Site, read_form, require
from central.store.answers import AnswerRow, add_order, answers_to
from central.store.reviewing import unit_names
from central.store.units import unit_row
from sync.wire.answers import AnswerKind, OrderedPatient, PlacedOrder

ORDER_COUNT_MAX = 200
_ONCE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Ordered:
    """An order, as a line on the page."""

    row: AnswerRow
    said: PlacedOrder
    name: str
    exam: str

    @property
    def outcome(self) -> tuple[Said, ...]:
        """What the unit did about it."""
        return sentences_of(self.row.outcome)


def routes(site: Site) -> list[BaseRoute]:
    """These pages around ``site``."""
    pages, people = _Orders(site), require(Role.READER, Role.COORDINATOR)
    return [
        Route("/orders", people(pages.page), methods=["GET"]),
        Route("/orders", people(pages.place), methods=["POST"]),
    ]


class _Orders:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._catalogue = load_catalogue("")

    async def page(self, request: Request, visitor: Visitor) -> Response:
        """What was ordered and what became of it, and an empty form."""
        return await self._page(request, {})

    async def _page(self, request: Request, fields: Mapping[str, str], problem: str = "") -> Response:
        language = self._site.language(request).code

        def read(connection: Connection) -> tuple[list[AnswerRow], list[tuple[str, str]]]:
            orders = answers_to(connection, kind=AnswerKind.ORDER.value, count_max=ORDER_COUNT_MAX)
            return orders, [one for one in unit_names(connection) if _is_enrolled(connection, one[0])]

        found, units = await self._site.database.reading(read)
        orders = [one for row in found if (one := self._ordered(row, language)) is not None]
        subjects = [_subject(one.said.patient) for one in orders]
        await self._site.looked(request, Event.QUERY, subjects, query="orders")
        exams = [(exam.code, str(getattr(exam.name, language)), exam.paired) for exam in self._catalogue.exam]
        return self._site.page(
            request,
            "orders.html",
            400 if problem else 200,
            orders=orders,
            units=units,
            exams=exams,
            fields=fields,
            problem=problem,
            way_words=WAY_WORDS,
            side_words=SIDE_WORDS,
            once=fields.get("once") or secrets.token_hex(16),
        )

    def _ordered(self, row: AnswerRow, language: str) -> Ordered | None:
        try:
            said = row.answer
        except ValueError:
            return None
        if not isinstance(said, PlacedOrder):
            return None
        exam = self._catalogue.by_code.get(said.exam_code)
        name = person_name_of(said.patient)
        return Ordered(
            row, said, name, str(getattr(exam.name, language)) if exam else said.description or said.exam_code
        )

    async def place(self, request: Request, visitor: Visitor) -> Response:
        """To the chosen unit; a form that comes twice is one order."""
        fields = await read_form(request, self._site.limits)
        once = fields.get("once", "")
        if not _ONCE.fullmatch(once):
            raise Halt(400, NOT_A_FORM)
        try:
            wish = wish_of(fields, self._catalogue)
        except OrderError as error:
            return await self._page(request, {**fields, **error.proposed}, str(error))
        await self._site.looked(request, Event.WRITE, [_subject(wish.patient)])
        at = utc_text(self._site.clock.wall_s())
        try:
            placed = await self._site.database.writing(_place, fields.get("unit", ""), once, visitor, wish, at)
        except ValueError:
            return await self._page(request, fields, TOO_LONG)
        if not placed:
            return await self._page(request, fields, NO_UNIT)
        return RedirectResponse("/orders", 303)


def _place(connection: Connection, unit_id: str, once: str, visitor: Visitor, wish: Wish, at: str) -> bool:
    if not _is_enrolled(connection, unit_id):
        return False
    add_order(
        connection,
        unit_id,
        at,
        order_id=once,
        author=visitor.shown_name,
        patient=wish.patient,
        exam_code=wish.exam_code,
        laterality=wish.laterality,
        is_stat=wish.is_stat,
        referrer=wish.referrer,
        reason=wish.reason,
        scheduled_at=wish.scheduled_at,
    )
    return True


def _is_enrolled(connection: Connection, unit_id: str) -> bool:
    known = unit_row(connection, unit_id)
    return known is not None and not known.revoked


def person_name_of(who: OrderedPatient) -> str:
    """As a DICOM person name."""
    latin, arabic = f"{who.family_latin}^{who.given_latin}", f"{who.family_arabic}^{who.given_arabic}"
    return f"{latin}={arabic}".replace("^=", "=").strip("^=") if latin != "^" else f"={arabic}".rstrip("^=")


def _subject(who: OrderedPatient) -> Subject:
    return Subject("", who.identifier or "-", person_name_of(who))
