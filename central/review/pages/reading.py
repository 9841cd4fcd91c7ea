"""Reading a study: the form with its drafts, the signature, and each signed edition as a page to print."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, Row
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from appliance.clock import utc_text
from appliance.registration.folding import ascii_digits
from central.gateway.keys import load_keys
from central.reading import desk
from central.reading.desk import IdentityChanged, NoStudy, NotAllHere, Written
from central.reading.model import Author, Content, ReportError, Status
from central.reading.signing import chain_sha256, verified
from central.reading.templates import offered, templates
from central.review.access import Refused, Role, Visitor
from central.review.audit import Event
from central.review.follow import refresh
from central.review.pages.listing import subject_of
from central.review.pages.study import seen_of, uid_of
from central.review.report_form import NOT_A_FORM, REFUSALS, carried_over, content_of_form
from central.review.site import Halt, Site, address_of, not_found, read_form, require
from central.store import reports as rows
from central.store.reports import Conflict, ReportRow
from central.store.reviewing import study_row
from central.viewer.ohif import folder_of

IDENTITY_CHANGED = (
    "Another patient or other patient data stand here now than when you began. Nothing was signed, and what you typed "
    "is here: look whose images these are, then sign again."
)
NOT_ALL_HERE = "Not all images are here and verified. Say that you know it, or wait. Nothing was signed."
CONFLICT = "Somebody kept another version meanwhile. Nothing was signed, and what you typed is here."
WRONG_PASSWORD = "The password is not right. Nothing was signed, and what you typed is here."
TOO_MANY_TRIES = "Too many tries. Nothing was signed, and what you typed is here. Wait, then sign again."
SENTENCES = (IDENTITY_CHANGED, NOT_ALL_HERE, CONFLICT, WRONG_PASSWORD, TOO_MANY_TRIES)
"""In English; said in the visitor's language."""
NOTHING_SAVED: dict[str, Any] = {"conflict": None, "saved": None, "signed_out": False}


def routes(site: Site) -> list[BaseRoute]:
    """These pages around ``site``."""
    pages, reader = _Reading(site), require(Role.READER)
    return [
        Route("/studies/{uid}/report", reader(pages.form), methods=["GET"]),
        Route("/studies/{uid}/report/draft", pages.draft, methods=["POST"]),
        Route("/studies/{uid}/report/sign", reader(pages.sign), methods=["POST"]),
        Route("/studies/{uid}/report/{edition}", require()(pages.edition), methods=["GET"]),
    ]


class _Reading:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._keys = load_keys(site.config.keys_dir)
        self._viewer_is_here = folder_of(site.config) is not None

    # --- the form ---------------------------------------------------------------------------------------------------

    async def form(self, request: Request, visitor: Visitor) -> Response:
        """The newest version to go on with, or an empty form of the template that fits."""
        study, known = await self._known(uid_of(request))
        asked = request.query_params
        language = asked.get("language", "") or self._site.language(request).code
        content = desk.content_of(known) if known else None
        if known is not None and content is not None and known.edition:
            content = msgspec.structs.replace(content, reason="")  # each amendment has its own
        fits = offered(study.modality, study.study_description)
        template = templates().get(asked.get("template", ""))
        if content is None:
            content = Content(template=(template or fits[0]).id, language=language)
        elif template is not None or "language" in asked:
            content = carried_over(content, template or desk.template_of(content), language)
        await self._site.looked(request, Event.LOOK, [subject_of(study)])
        return await self._filled(request, study, content, known)

    async def _known(self, uid: str) -> tuple[Row[Any], ReportRow | None]:
        def read(connection: Connection) -> tuple[Row[Any] | None, ReportRow | None]:
            return study_row(connection, uid), rows.newest(connection, uid)

        study, known = await self._site.database.reading(read)
        if study is None:
            raise not_found()
        return study, known

    async def _filled(
        self,
        request: Request,
        study: Row[Any],
        content: Content,
        known: ReportRow | None,
        status: int = 200,
        **sent: Any,
    ) -> Response:
        """The form with ``content`` in it; ``sent`` is what a refused form brought and does not become new by it."""
        uid, spoken = study.study_instance_uid, self._site.language(request).code

        def read(connection: Connection) -> tuple[dict[str, Any], bool]:
            return seen_of(connection, uid, spoken), rows.newest(connection, uid, signed=True) is None

        seen, is_first = await self._site.database.reading(read)
        template = desk.template_of(content)
        values: dict[str, Any] = {
            "study": study,
            "identity": desk.identity_of(study),
            **seen,
            "sheet": template,
            "offered": offered(study.modality, study.study_description),
            "content": content,
            "said": {one.field: one for one in content.findings},
            "base": known.version if known else 0,
            "known": known,
            "amends": not is_first,
            "all_here": desk.is_all_here(study),
            "viewer_is_here": self._viewer_is_here,
            "problem": "",
            **NOTHING_SAVED,
        }
        return self._site.page(request, "report.html", status, **{**values, **sent})

    # --- drafts -----------------------------------------------------------------------------------------------------

    async def draft(self, request: Request) -> Response:
        """Keep what was typed: by itself (a part of the page comes back), or with a button (the form comes back).

        Whoever is signed out meanwhile is told so in place: loading the sign-in page would throw away what was typed.
        """
        visitor: Visitor | None = request.state.visitor
        by_itself = "HX-Request" in request.headers
        if visitor is None and by_itself:
            return self._saved(request, base="", signed_out=True)
        if visitor is None or visitor.role is not Role.READER:
            raise Halt(403, "Your account may not do this. Ask an administrator of the centre.")
        fields = await read_form(request, self._site.limits)
        written = self._written(uid_of(request), fields)
        try:
            kept = await self._site.database.writing(desk.save_draft, written, _author(visitor), self._now())
        except Conflict as conflict:
            if by_itself:
                return self._saved(request, base=str(written.base), conflict=conflict.newest)
            return await self._again(request, written, CONFLICT, 409)
        except NoStudy:
            raise not_found() from None
        except ReportError as error:
            raise Halt(400, REFUSALS.get(error.code, NOT_A_FORM)) from None
        if by_itself:
            return self._saved(request, base=str(kept.version), saved=kept)
        return RedirectResponse(f"/studies/{written.study_instance_uid}/report", 303)

    def _saved(self, request: Request, **values: Any) -> HTMLResponse:
        return self._site.page(request, "report.html#saved", uid=uid_of(request), **{**NOTHING_SAVED, **values})

    # --- signing ----------------------------------------------------------------------------------------------------

    async def sign(self, request: Request, visitor: Visitor) -> Response:
        """With the account's password once more. Whatever stands in the way, the form comes back with every word."""
        fields = await read_form(request, self._site.limits)
        written = self._written(uid_of(request), fields)
        study, _ = await self._known(written.study_instance_uid)
        refused = await self._site.access.confirm(visitor, fields.get("password", ""), address_of(request))
        if isinstance(refused, Refused):
            await self._site.looked(request, Event.WRITE, [subject_of(study)], failed=True)
            words = WRONG_PASSWORD if refused.reason == "wrong" else TOO_MANY_TRIES
            return await self._again(request, written, words, 403 if refused.reason == "wrong" else 429)
        await self._site.looked(request, Event.WRITE, [subject_of(study)])
        author, centre = _author(visitor), self._site.config.centre.name
        try:
            await self._site.database.writing(desk.finish, written, author, self._keys.signing, self._now(), centre)
        except Conflict as conflict:
            if not desk.says_the_same(conflict.newest, written, author):
                return await self._again(request, written, CONFLICT, 409)
        except IdentityChanged:
            # The transaction that noticed is undone; the page has to show what it noticed.
            await self._site.database.writing(refresh, [written.study_instance_uid])
            return await self._again(request, written, IDENTITY_CHANGED, 409)
        except NotAllHere:
            return await self._again(request, written, NOT_ALL_HERE, 409)
        except NoStudy:
            raise not_found() from None
        except ReportError as error:
            return await self._again(request, written, REFUSALS.get(error.code, NOT_A_FORM), 400)
        return RedirectResponse(f"/studies/{written.study_instance_uid}#reading", 303)

    async def _again(self, request: Request, written: Written, problem: str, status: int) -> Response:
        """The form as it was sent. Only what the reader is told of now counts as known when it is sent once more."""
        study, known = await self._known(written.study_instance_uid)
        base = known.version if known is not None and problem == CONFLICT else written.base
        identity = desk.identity_of(study) if problem == IDENTITY_CHANGED else written.identity
        values = {"base": base, "identity": identity, "problem": problem}
        return await self._filled(request, study, written.content, known, status, **values)

    def _written(self, uid: str, fields: Mapping[str, str]) -> Written:
        """``onto`` is of the button that keeps one's own words as the newest after a conflict."""
        base = ascii_digits(fields.get("onto") or fields.get("base", ""))
        try:
            content = content_of_form(fields)
        except ReportError:
            raise Halt(400, NOT_A_FORM) from None
        if not base.isdecimal() or len(base) > 6:
            raise Halt(400, NOT_A_FORM)
        return Written(uid, int(base), fields.get("identity", ""), content, "incomplete" in fields)

    # --- signed editions --------------------------------------------------------------------------------------------

    async def edition(self, request: Request, visitor: Visitor) -> Response:
        """One signed version, as its reader signed it, to read and to print."""
        uid, number = uid_of(request), str(request.path_params["edition"])
        if not number.isascii() or not number.isdecimal() or len(number) > 6:
            raise not_found()

        def read(connection: Connection) -> tuple[Row[Any] | None, list[ReportRow]]:
            return study_row(connection, uid), [row for row in rows.versions(connection, uid) if row.edition]

        study, signed = await self._site.database.reading(read)
        row = next((one for one in signed if one.edition == int(number)), None)
        if study is None or row is None or row.statement is None or row.signature is None:
            raise not_found()
        await self._site.looked(request, Event.LOOK, [subject_of(study)])
        statement = await asyncio.to_thread(verified, row.statement, row.signature, self._keys.public)
        return self._site.page(
            request,
            "report_edition.html",
            study=study,
            row=row,
            statement=statement,
            newest=signed[0],
            is_amended=Status(row.status) is Status.AMENDED,
            fingerprint=chain_sha256(row.statement),
        )

    def _now(self) -> str:
        return utc_text(self._site.clock.wall_s())


def _author(visitor: Visitor) -> Author:
    return Author(account=visitor.name, name=visitor.shown_name)
