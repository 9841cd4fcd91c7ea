"""Signing in and out, the language, and one's own password."""

from __future__ import annotations

import asyncio
import re
import secrets

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from appliance.logging import log
from central.review.access import PasswordError, Refused, Visitor, csrf_of
from central.review.audit import Event, Person
from central.review.language import LANGUAGES
from central.review.site import LANGUAGE_COOKIE, SESSION_COOKIE, VISIT_COOKIE, Site, address_of, read_form, require
from central.store.accounts import set_language

_LOCAL = re.compile(r"/(?![/\\])[A-Za-z0-9/._~=?&%-]{0,300}")
"""Where a form may lead back to: a path of this site."""
YEAR_S = 365 * 24 * 3600


def routes(site: Site) -> list[BaseRoute]:
    """These pages around ``site``."""
    pages = _Pages(site)
    return [
        Route("/sign-in", pages.form, methods=["GET"]),
        Route("/sign-in", pages.sign_in, methods=["POST"]),
        Route("/sign-out", require()(pages.sign_out), methods=["POST"]),
        Route("/language", pages.language, methods=["POST"]),
        Route("/password", require()(pages.password), methods=["GET", "POST"]),
    ]


class _Pages:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._secure = bool(site.config.review.certificate_file)

    def _cookie(self, response: Response, name: str, value: str, max_age_s: int | None = None) -> None:
        response.set_cookie(name, value, max_age=max_age_s, httponly=True, secure=self._secure, samesite="strict")

    async def form(self, request: Request) -> Response:
        """The empty form, with a secret of its own."""
        if request.state.visitor is not None:
            return RedirectResponse("/", 303)
        return self._form(request, back_to(request.query_params.get("next", "")))

    def _form(self, request: Request, target: str, status: int = 200, refused: Refused | None = None) -> Response:
        visit = request.cookies.get(VISIT_COOKIE, "")
        fresh = not re.fullmatch(r"[A-Za-z0-9_-]{43}", visit)
        visit = secrets.token_urlsafe(32) if fresh else visit
        request.state.csrf = csrf_of(visit)
        response = self._site.page(request, "sign_in.html", status, target=target, refused=refused)
        if fresh:
            self._cookie(response, VISIT_COOKIE, visit)
        return response

    async def sign_in(self, request: Request) -> Response:
        """Name and password; every try is audited."""
        fields = await read_form(request, self._site.limits)
        name, target = fields.get("name", ""), back_to(fields.get("next", ""))
        answer = await self._site.access.sign_in(name, fields.get("password", ""), address_of(request))
        known = name.strip().casefold()[:64]
        if isinstance(answer, Refused):
            log("review.signing", "refused", code=answer.reason, wait_s=answer.wait_s)
            await self._audit(Event.LOGIN, Person(known, "", address_of(request)), failed=True)
            headers = {"Retry-After": str(answer.wait_s)} if answer.wait_s else {}
            response = self._form(request, target, 401 if answer.reason == "wrong" else 429, answer)
            response.headers.update(headers)
            return response
        token, visitor = answer
        await self._audit(Event.LOGIN, Person(visitor.name, visitor.role, address_of(request)))
        response = RedirectResponse(target, 303)
        self._cookie(response, SESSION_COOKIE, token)
        response.delete_cookie(VISIT_COOKIE)
        return response

    async def _audit(self, event: Event, person: Person, *, failed: bool = False) -> None:
        await asyncio.to_thread(self._site.audit.note, event, person, (), failed=failed)

    async def sign_out(self, request: Request, visitor: Visitor) -> Response:
        """The session ends here and in the database."""
        await read_form(request, self._site.limits)
        await self._site.access.sign_out(visitor)
        await self._site.looked(request, Event.LOGOUT)
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(SESSION_COOKIE)
        return response

    async def language(self, request: Request) -> Response:
        """Of this browser, and of the account when somebody is signed in."""
        fields = await read_form(request, self._site.limits)
        response = RedirectResponse(back_to(fields.get("next", "")), 303)
        chosen = fields.get("language", "")
        if chosen in LANGUAGES:
            self._cookie(response, LANGUAGE_COOKIE, chosen, YEAR_S)
            visitor: Visitor | None = request.state.visitor
            if visitor is not None:
                await self._site.database.writing(set_language, visitor.account_id, chosen)
        return response

    async def password(self, request: Request, visitor: Visitor) -> Response:
        """One's own; afterwards everybody who used the old one is out."""
        if request.method == "GET":
            return self._site.page(request, "password.html", problem="")
        fields = await read_form(request, self._site.limits)
        try:
            done = await self._site.access.change_password(visitor, fields.get("old", ""), fields.get("new", ""))
            problem = "" if done else "The present password is not right. Nothing was changed."
        except PasswordError as error:
            problem = str(error)
        await self._site.looked(request, Event.PASSWORD, failed=bool(problem))
        if problem:
            return self._site.page(request, "password.html", 400, problem=problem)
        return RedirectResponse("/sign-in", 303)


def back_to(target: str) -> str:
    """``target`` where it is a path of this site, else the list."""
    return target if _LOCAL.fullmatch(target) else "/"
