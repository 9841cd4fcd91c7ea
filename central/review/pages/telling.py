"""What people at the centre tell a unit: retakes, messages, raised priority; and all of it with its state."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from appliance.clock import utc_text
from central.review.access import Role, Visitor
from central.review.audit import Event
from central.review.deeds import raise_to_stat
from central.review.pages.listing import subject_of
from central.review.pages.study import uid_of
from central.review.reading_view import (
    KIND_WORDS,
    URGENCY_WORDS,
    WAY_WORDS,
    reading_digest,
    reading_values,
    told_of,
)
from central.review.report_form import NOT_A_FORM
from central.review.site import Halt, Site, not_found, read_form, require
from central.store.answers import WayState, answer_row, answers_to, post, units_of_study, unseen_critical
from central.store.reviewing import add_event, study_row, unit_names
from sync.wire.answers import Answer, Message, PriorityRaise, RetakeRequest, Urgency

TOLD_COUNT_MAX = 300
_ONCE = re.compile(r"[0-9a-f]{32}")
Say = Callable[[str, str, str, dict[str, str]], Answer]
"""Answer id, time, author and fields of the form to what is said."""


def routes(site: Site) -> list[BaseRoute]:
    """These pages around ``site``."""
    pages, people = _Telling(site), require(Role.READER, Role.COORDINATOR)
    return [
        Route("/studies/{uid}/reading", require()(pages.told), methods=["GET"]),
        Route("/studies/{uid}/retake", people(pages.retake), methods=["POST"]),
        Route("/studies/{uid}/message", people(pages.message), methods=["POST"]),
        Route("/studies/{uid}/priority", people(pages.priority), methods=["POST"]),
        Route("/answers/critical", require()(pages.critical), methods=["GET"]),
        Route("/answers", require()(pages.all), methods=["GET"]),
    ]


class _Telling:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def told(self, request: Request, visitor: Visitor) -> Response:
        """The part of a study's page that changes when a unit says something; 204 while it does not."""
        uid = uid_of(request)

        def read(connection: Connection) -> dict[str, Any] | None:
            study = study_row(connection, uid)
            return None if study is None else {"study": study, **reading_values(connection, study)}

        values = await self._site.database.reading(read)
        if values is None:
            raise not_found()
        digest = reading_digest(self._site, request, values)
        if digest == request.query_params.get("digest"):
            return Response(status_code=204)
        return self._site.page(request, "reading.html#told", **values, reading_digest=digest)

    async def retake(self, request: Request, visitor: Visitor) -> Response:
        """Images are to be taken again."""
        uid = uid_of(request)

        def say(answer_id: str, at: str, author: str, fields: dict[str, str]) -> Answer:
            reason = _needed(fields, "reason")
            return RetakeRequest(
                answer_id=answer_id,
                written_at=at,
                author=author,
                study_instance_uid=uid,
                sop_instance_uid=_image(fields),
                reason=reason,
                urgency=_urgency(fields),
            )

        return await self._tell(request, visitor, uid, "retake", say)

    async def message(self, request: Request, visitor: Visitor) -> Response:
        """Words about a study."""
        uid = uid_of(request)

        def say(answer_id: str, at: str, author: str, fields: dict[str, str]) -> Answer:
            text = _needed(fields, "text")
            return Message(
                answer_id=answer_id,
                written_at=at,
                author=author,
                text=text,
                study_instance_uid=uid,
                urgency=_urgency(fields),
            )

        return await self._tell(request, visitor, uid, "message", say)

    async def priority(self, request: Request, visitor: Visitor) -> Response:
        """The unit sends it first, and it goes to the top of the list here at once."""
        uid = uid_of(request)

        def say(answer_id: str, at: str, author: str, fields: dict[str, str]) -> Answer:
            reason = fields.get("reason", "").strip()
            return PriorityRaise(
                answer_id=answer_id, written_at=at, author=author, study_instance_uid=uid, reason=reason
            )

        return await self._tell(request, visitor, uid, "priority", say)

    async def _tell(self, request: Request, visitor: Visitor, uid: str, kind: str, say: Say) -> Response:
        """Said to every unit that announced the study; a form that comes twice is said once."""
        fields = await read_form(request, self._site.limits)
        once = fields.get("once", "")
        if not _ONCE.fullmatch(once):
            raise Halt(400, NOT_A_FORM)
        study: Row[Any] | None = await self._site.database.reading(study_row, uid)
        if study is None:
            raise not_found()
        await self._site.looked(request, Event.WRITE, [subject_of(study)])
        at, author = utc_text(self._site.clock.wall_s()), visitor.shown_name

        def work(connection: Connection) -> None:
            for number, unit_id in enumerate(units_of_study(connection, uid)):
                said = say(f"{once}.{kind}.{number}", at, author, fields)
                if answer_row(connection, said.answer_id) is not None:
                    return
                post(connection, unit_id, said, at)
            if kind == "priority":
                raise_to_stat(connection, uid, author, at)
            else:
                add_event(connection, uid, at, kind, author)

        try:
            await self._site.database.writing(work)
        except ValueError:
            raise Halt(400, "This is longer than a unit can show. Nothing was sent; shorten it.") from None
        return RedirectResponse(f"/studies/{uid}#reading", 303)

    async def critical(self, request: Request, visitor: Visitor) -> Response:
        """A part of the list: critical reports that no unit acknowledged."""
        found = await self._site.database.reading(unseen_critical)
        return self._site.page(request, "answers.html#critical", critical=found)

    async def all(self, request: Request, visitor: Visitor) -> Response:
        """Everything that units were told, the newest first."""
        asked = request.query_params
        unit_id, state = asked.get("unit", "")[:36], asked.get("state", "")
        states = frozenset({WayState(state)}) if state in WAY_WORDS else frozenset(WayState)

        def read(connection: Connection) -> dict[str, Any]:
            found = answers_to(connection, unit_id=unit_id, states=states, count_max=TOLD_COUNT_MAX)
            told = [told_of(row) for row in found]
            return {"told": told, "units": unit_names(connection), "critical": unseen_critical(connection)}

        values = await self._site.database.reading(read)
        await self._site.looked(request, Event.QUERY, query=str(request.url.query)[:500])
        words: dict[str, Any] = {"kind_words": KIND_WORDS, "way_words": WAY_WORDS, "urgency_words": URGENCY_WORDS}
        return self._site.page(request, "answers.html", **values, **words, unit_id=unit_id, state=state)


def _needed(fields: dict[str, str], name: str) -> str:
    text = fields.get(name, "").strip()
    if not text:
        raise Halt(400, "Nothing was written, so nothing was sent.")
    return text


def _image(fields: dict[str, str]) -> str:
    """The UID of the image that is meant, or nothing."""
    uid = fields.get("image", "")
    if uid and not re.fullmatch(r"[0-9.]{1,64}", uid):
        raise Halt(400, NOT_A_FORM)
    return uid


def _urgency(fields: dict[str, str]) -> Urgency:
    try:
        return Urgency(fields.get("urgency", ""))
    except ValueError:
        raise Halt(400, NOT_A_FORM) from None
