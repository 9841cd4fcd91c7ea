"""The application: its door (headers, sessions, what becomes of errors) and the pages of the registry behind it."""

from __future__ import annotations

import traceback
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.logging import log
from central.review.access import csrf_of
from central.review.audit import AuditError
from central.review.registry import all_routes
from central.review.site import SESSION_COOKIE, VISIT_COOKIE, Halt, Site, not_found

STATIC = Path(__file__).parent / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; font-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
"""On every answer that does not say otherwise itself."""


def make_app(site: Site) -> Starlette:
    """The pages around ``site``."""
    return Starlette(
        routes=[*all_routes(site), Mount("/static", StaticFiles(directory=STATIC), name="static")],
        middleware=[Middleware(Door, site=site)],
        exception_handlers={HTTPException: _to_the_door},
    )


async def _to_the_door(request: Request, error: Exception) -> Response:
    """An unknown address gets our page, as every other refusal does."""
    raise error


class Door:
    """Around every page: who comes, which headers go out, and no error without a sentence."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self._app = app
        self._site = site
        self._headers = dict(HEADERS)
        if site.config.review.certificate_file:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._let_in(request)
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # whatever it is: the visitor gets a sentence and the log gets a place
            if begun:
                raise
            await self._refusal(request, error)(scope, receive, send_with_headers)

    async def _let_in(self, request: Request) -> None:
        """``request.state.visitor`` and ``.csrf``, for every page."""
        request.state.visitor, request.state.csrf = None, ""
        if request.url.path.startswith("/static/"):
            return
        token = request.cookies.get(SESSION_COOKIE, "")
        by_itself = request.method == "GET" and "HX-Request" in request.headers
        request.state.visitor = visitor = await self._site.access.visitor(token, by_itself=by_itself)
        visit = request.cookies.get(VISIT_COOKIE, "")
        request.state.csrf = visitor.csrf if visitor else csrf_of(visit) if visit else ""
        if request.method not in ("GET", "HEAD", "OPTIONS") and not _same_origin(request):
            request.state.csrf = ""
            raise Halt(403, "Another site sent this. Nothing was changed.")

    def _refusal(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):
            error = not_found() if error.status_code == 404 else Halt(error.status_code, "This is not how it is asked.")
        if not isinstance(error, Halt):
            _log_fault(error)
            error = _halt_of(error)
        if request.headers.get("HX-Request"):
            # What stands on the page stays there; the next look tries again.
            return Response(status_code=error.status)
        text = self._site.render(request, "error.html", status=error.status, words=error.words, values=error.values)
        return HTMLResponse(text, error.status)


def _same_origin(request: Request) -> bool:
    """Browsers say where a form comes from; what is no browser has no cookie that could be misused."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("Origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("Host", "")


def _halt_of(error: Exception) -> Halt:
    if isinstance(error, AuditError):
        return Halt(
            503, "The audit trail cannot be written, so nothing is shown. Nothing is lost; call an administrator."
        )
    if isinstance(error, SQLAlchemyError):
        return Halt(503, "The centre's database does not answer. Nothing is lost; try again in a minute.")
    return Halt(500, "This page has a mistake. Nothing was lost; tell an administrator what you did.")


def _log_fault(error: Exception) -> None:
    """Told by its place and never by its text, which may quote a patient."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    log("review.app", "fault", why=type(error).__name__, place=f"{Path(last.filename).name}:{last.lineno}")
