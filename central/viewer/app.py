"""The viewer's origin: OHIF's files for everybody, and images for who opened their study on the review pages."""

from __future__ import annotations

import asyncio
import traceback
from collections import OrderedDict
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.logging import log
from central.review.app import HEADERS
from central.review.audit import AuditError, Event, Person, Subject
from central.review.site import Site, address_of
from central.viewer import ohif
from central.viewer.asking import Asked, rewritten, understand
from central.viewer.grants import Grants, Viewing
from central.viewer.upstream import Upstream, UpstreamError, pieces, read_all

COOKIE = "qafila_viewer"
AUDITED_TOKEN_COUNT_MAX = 500
PROBLEM = "application/problem+json"
_PASSED = ("Content-Type", "Content-Length", "Content-Range")


def make_app(site: Site, folder: Path, upstream: Upstream) -> Starlette:
    """The application around a fetched OHIF.

    Raises:
        OSError: If the folder does not hold what was fetched.
    """
    viewer = _Viewer(site, upstream, ohif.page(folder))
    files = StaticFiles(directory=folder)
    return Starlette(
        routes=[
            Route("/health", viewer.health, methods=["GET"]),
            Route(ohif.ENTER_PATH, viewer.enter, methods=["GET"]),
            Route("/viewer", viewer.page, methods=["GET"]),
            Route("/app-config.js", viewer.app_config, methods=["GET"]),
            Route(ohif.SIGNED_OUT_PATH, viewer.signed_out, methods=["GET"]),
            Route(ohif.DICOMWEB_PATH + "/{path:path}", viewer.dicomweb, methods=["GET"]),
            Mount("/", files),
        ],
        middleware=[Middleware(_Headers, secure=bool(site.config.viewer.certificate_file))],
    )


class _Viewer:
    def __init__(self, site: Site, upstream: Upstream, page: str) -> None:
        self._site = site
        self._upstream = upstream
        self._page = page
        self._grants = Grants(site.database, site.access, site.limits, site.clock)
        self._audited: OrderedDict[str, set[str]] = OrderedDict()

    async def health(self, request: Request) -> Response:
        """For the supervisor."""
        return Response("ok\n", media_type="text/plain")

    async def page(self, request: Request) -> Response:
        """OHIF; it holds nothing of a patient."""
        return HTMLResponse(self._page)

    async def app_config(self, request: Request) -> Response:
        """Ours in place of OHIF's."""
        return Response(ohif.app_config(), media_type="text/javascript")

    async def signed_out(self, request: Request) -> Response:
        """What OHIF leads to when images are no longer given."""
        request.state.visitor, request.state.csrf = None, ""
        return self._site.page(request, "viewing_over.html")

    async def enter(self, request: Request) -> Response:
        """A ticket of the pages becomes this origin's cookie."""
        found = await self._grants.enter(request.query_params.get("ticket", ""), request.cookies.get(COOKIE, ""))
        if found is None:
            return RedirectResponse(ohif.SIGNED_OUT_PATH, 303)
        token, uid = found
        answer = RedirectResponse(f"/viewer?StudyInstanceUIDs={uid}", 303)
        secure = bool(self._site.config.viewer.certificate_file)
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=secure, path=ohif.DICOMWEB_PATH)
        return answer

    async def dicomweb(self, request: Request) -> Response:
        """What may be read, audited before it is asked for."""
        viewing = await self._grants.viewing(request.cookies.get(COOKIE, ""))
        if viewing is None:
            return _problem(401, "This viewing is over; open the study anew on the review pages.")
        asked = understand(request.path_params["path"], request.query_params.multi_items(), viewing.studies)
        if asked is None:
            return _problem(404, "There is no such study, or nothing of it that can be asked so.")
        try:
            await self._looked(request, viewing, asked)
            if not asked.study_uids:
                return Response(b"[]", media_type="application/dicom+json")
            return await self._answer(request, viewing, asked)
        except AuditError:
            return _problem(503, "The audit trail cannot be written, so nothing is shown. Nothing is lost.")
        except UpstreamError as error:
            log("viewer.app", "pacs", why=type(error.__cause__ or error).__name__)
            return _problem(502, str(error))

    async def _looked(self, request: Request, viewing: Viewing, asked: Asked) -> None:
        """Each study once a viewing: OHIF asks hundreds of times for one look."""
        known = self._audited.setdefault(viewing.token_sha256, set())
        self._audited.move_to_end(viewing.token_sha256)
        while len(self._audited) > AUDITED_TOKEN_COUNT_MAX:
            self._audited.popitem(last=False)
        fresh = [uid for uid in asked.study_uids if uid not in known]
        if not fresh:
            return
        who = Person(viewing.visitor.name, viewing.visitor.role, address_of(request))
        rows = [viewing.studies[uid] for uid in fresh]
        subjects = [Subject(row.study_instance_uid, row.patient_id, row.patient_name) for row in rows]
        await asyncio.to_thread(self._site.audit.note, Event.LOOK, who, subjects)
        known.update(fresh)

    async def _answer(self, request: Request, viewing: Viewing, asked: Asked) -> Response:
        accept = request.headers.get("Accept", "*/*")[:500]
        wanted = {"Accept": "application/dicom+json" if asked.is_json else accept}
        if not asked.is_json and "Range" in request.headers:
            wanted["Range"] = request.headers["Range"][:100]
        answer = await self._upstream.ask(asked, wanted)
        if not asked.is_json:
            headers = {name: answer.headers[name] for name in _PASSED if name in answer.headers}
            done = BackgroundTask(answer.aclose)
            return StreamingResponse(pieces(answer), answer.status_code, headers, background=done)
        body = await read_all(answer)
        if answer.status_code == 204 or not body:
            return Response(b"[]", media_type="application/dicom+json")
        if answer.status_code != 200:
            return _problem(answer.status_code, "The image archive does not have this.")
        root = f"{request.url.scheme}://{request.headers.get('Host', '')}{ohif.DICOMWEB_PATH}"
        text = await asyncio.to_thread(_ours, body, root, viewing)
        return Response(text, media_type="application/dicom+json")


def _ours(body: bytes, root: str, viewing: Viewing) -> bytes:
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise UpstreamError("The image archive's answer cannot be read; an administrator has to look.") from error
    return msgspec.json.encode(rewritten(found, root, viewing.studies))


def _problem(status: int, sentence: str) -> Response:
    body: dict[str, Any] = {"type": "about:blank", "status": status, "title": sentence}
    return Response(msgspec.json.encode(body), status, media_type=PROBLEM)


class _Headers:
    """The policy on every answer; a fault is told by its place and never by its text."""

    def __init__(self, app: ASGIApp, secure: bool) -> None:
        self._app = app
        self._headers = {**HEADERS, "Content-Security-Policy": ohif.POLICY}
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False
        # Bundles carry their digest in their name; everything else is asked for each time.
        fixed = ".bundle." in scope["path"] or scope["path"].endswith((".wasm", ".woff2"))
        is_script = ".bundle." in scope["path"] and scope["path"].endswith(".js")

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                if fixed and message["status"] == 200:
                    headers["Cache-Control"] = "public, max-age=31536000, immutable"
                if is_script:
                    headers["Content-Security-Policy"] = ohif.WORKER_POLICY
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:  # whatever it is: the visitor gets a document and the log gets a place
            last = traceback.extract_tb(error.__traceback__)[-1]
            log("viewer.app", "fault", why=type(error).__name__, place=f"{Path(last.filename).name}:{last.lineno}")
            if begun:
                raise
            await _problem(500, "The viewer has a mistake. Nothing was lost.")(scope, receive, send_with_headers)
