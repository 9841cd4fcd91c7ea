"""The routes: from HTTP to the gateway's parts and back, and nothing else."""

from __future__ import annotations

import re
import traceback
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from appliance.clock import utc_text
from appliance.logging import log
from central.gateway.admission import Position, Wanted
from central.gateway.auth import Caller, shown
from central.gateway.bodies import answer, content_length, read_json
from central.gateway.problems import Refusal, bad_request, not_found, unavailable
from central.gateway.protocol import EXTENSION, Connection
from central.gateway.service import Service
from central.gateway.studies import has_digit
from central.store.answers import acknowledge
from central.store.fleet import note_status
from sync.wire.answers import ANSWERS_ONLY, Acknowledgements, AcknowledgementsAnswer
from sync.wire.messages import (
    EPOCH_HEADER,
    INBOX_HEADER,
    CheckRequest,
    EnrolRequest,
    Manifest,
    NonceAnswer,
    NonceRequest,
    SessionRequest,
)
from sync.wire.notes import NotesAnswer, NotesRequest
from sync.wire.status import StatusAnswer, StatusReport

INTEROP_HEADER = "Upload-Draft-Interop-Version"
PARTIAL_UPLOAD = "application/partial-upload"
READ_PAST_BYTES_MAX = 64 * 1024
_NUMBER = re.compile(r"[0-9]{1,15}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UID = re.compile(r"[0-9.]{1,64}")
_DIGEST = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]{44}):")
"""Of a digest field of RFC 9530; other algorithms beside it do not matter."""

Handler = Callable[[Request, Caller], Awaitable[Response]]
OpenHandler = Callable[[Request], Awaitable[Response]]


class _Health(msgspec.Struct):
    version: str
    time: str


def make_app(service: Service) -> Starlette:
    """The application around a service; its bodies are read by the handlers alone, within bounds."""
    routes = Routes(service)
    return Starlette(
        routes=[
            Route("/v1/health", routes.open(routes.health), methods=["GET"]),
            Route("/v1/enrol", routes.open(routes.enrol), methods=["POST"]),
            Route("/v1/session/nonce", routes.open(routes.nonce), methods=["POST"]),
            Route("/v1/session", routes.open(routes.session), methods=["POST"]),
            Route("/v1/studies/{study}/manifest", routes.known(routes.manifest), methods=["PUT"]),
            Route("/v1/parts", routes.open(routes.limits), methods=["OPTIONS"]),
            Route("/v1/parts", routes.known(routes.create), methods=["POST"]),
            Route("/v1/parts/{part}", routes.open(routes.limits), methods=["OPTIONS"]),
            Route("/v1/parts/{part}", routes.known(routes.part), methods=["HEAD", "PATCH", "DELETE"]),
            Route("/v1/inbox", routes.known(routes.inbox), methods=["GET"]),
            Route("/v1/acknowledgements", routes.known(routes.acknowledgements), methods=["POST"]),
            Route("/v1/check", routes.known(routes.check), methods=["POST"]),
            Route("/v1/status", routes.known(routes.status), methods=["POST"]),
            Route("/v1/notes", routes.known(routes.notes), methods=["POST"]),
        ],
        exception_handlers={HTTPException: _http_exception},
    )


class Routes:
    """One method a route."""

    def __init__(self, service: Service) -> None:
        self._service = service

    # --- around every route ----------------------------------------------------------------------------------------

    def open(self, handler: OpenHandler) -> OpenHandler:
        """For anybody; a refusal becomes its document."""

        async def endpoint(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as refusal:
                return _refused(request, refusal, "")
            except Exception as error:  # of ours: the client is told so, and the log does not quote it
                return _refused(request, _fault(error), "")

        return endpoint

    def known(self, handler: Handler) -> OpenHandler:
        """For a unit with a session; every answer tells the newest inbox entry and the epoch."""

        async def endpoint(request: Request) -> Response:
            try:
                caller = await self._service.doorkeeper.caller(request.headers.get("Authorization", ""))
            except Refusal as refusal:
                return _refused(request, refusal, "")
            except Exception as error:  # as above
                return _refused(request, _fault(error), "")
            try:
                response = await handler(request, caller)
            except Refusal as refusal:
                response = _refused(request, refusal, caller.unit.name)
            except Exception as error:  # as above
                response = _refused(request, _fault(error), caller.unit.name)
            unit = caller.unit
            response.headers[INBOX_HEADER] = str(self._service.inboxes.head(unit.unit_id, unit.inbox_head))
            response.headers[EPOCH_HEADER] = caller.epoch
            return response

        return endpoint

    # --- who -------------------------------------------------------------------------------------------------------

    async def health(self, request: Request) -> Response:
        """Version and the centre's time."""
        return answer(request, _Health(version("qafila"), utc_text(self._service.clock.wall_s())))

    async def enrol(self, request: Request) -> Response:
        """A new unit."""
        asked = await read_json(request, EnrolRequest, self._service.limits)
        return answer(request, await self._service.enrolment.enrol(asked))

    async def nonce(self, request: Request) -> Response:
        """For one signature."""
        asked = await read_json(request, NonceRequest, self._service.limits)
        return answer(request, NonceAnswer(nonce=shown(self._service.doorkeeper.nonce(asked.unit_id))))

    async def session(self, request: Request) -> Response:
        """A session for a signature."""
        asked = await read_json(request, SessionRequest, self._service.limits)
        return answer(request, await self._service.doorkeeper.open_session(asked))

    # --- studies ---------------------------------------------------------------------------------------------------

    async def manifest(self, request: Request, caller: Caller) -> Response:
        """Who, what, how urgent; and what is here."""
        study = request.path_params["study"]
        if not _UID.fullmatch(study) or not has_digit(study):
            raise not_found("study")
        manifest = await read_json(request, Manifest, self._service.limits)
        return answer(request, await self._service.studies.take(caller.unit.unit_id, study, manifest))

    async def inbox(self, request: Request, caller: Caller) -> Response:
        """Entries after a cursor."""
        after = _number(request.query_params.get("after", "0"), "after")
        wait_s = _number(request.query_params.get("wait", "0"), "wait")
        about = request.query_params.get("about", "") == ANSWERS_ONLY
        read = self._service.inboxes.read(caller.unit.unit_id, caller.epoch, after, wait_s, answers_only=about)
        return answer(request, await read)

    async def acknowledgements(self, request: Request, caller: Caller) -> Response:
        """What became of answers at the unit."""
        asked = await read_json(request, Acknowledgements, self._service.limits)
        unknown = await self._service.database.writing(acknowledge, caller.unit.unit_id, asked.items)
        if unknown:
            log("gateway.app", "unknown answers", unit=caller.unit.name, count=len(unknown))
        return answer(request, AcknowledgementsAnswer(epoch=caller.epoch, unknown=tuple(unknown)))

    async def check(self, request: Request, caller: Caller) -> Response:
        """Read back from the PACS once more."""
        asked = await read_json(request, CheckRequest, self._service.limits)
        return answer(request, await self._service.checks.check(caller.unit.unit_id, caller.epoch, asked))

    async def status(self, request: Request, caller: Caller) -> Response:
        """How a unit is."""
        said = await read_json(request, StatusReport, self._service.limits)
        at = utc_text(self._service.clock.wall_s())
        await self._service.database.writing(note_status, caller.unit.unit_id, at, said)
        return answer(request, StatusAnswer(epoch=caller.epoch))

    async def notes(self, request: Request, caller: Caller) -> Response:
        """What was asked for of studies, and what the unit's checks found."""
        said = await read_json(request, NotesRequest, self._service.limits)
        await self._service.studies.take_notes(caller.unit.unit_id, said.items)
        return answer(request, NotesAnswer(epoch=caller.epoch))

    # --- parts -----------------------------------------------------------------------------------------------------

    async def limits(self, request: Request) -> Response:
        """What an upload may be, for clients that ask before they create one."""
        return Response(
            status_code=204, headers={"Accept-Patch": PARTIAL_UPLOAD, **self._service.uploads.limit_header()}
        )

    async def create(self, request: Request, caller: Caller) -> Response:
        """An upload as the draft has it; its name is the digest that ``Repr-Digest`` gives."""
        sha256 = _digest(request.headers.get("Repr-Digest", ""))
        if not sha256:
            raise bad_request("A part is named by its digest: send Repr-Digest: sha-256=:<Base64>:.")
        wanted = _wanted(request, caller, sha256, offset=0)
        self._service.uploads.check_room()
        position = await self._service.uploads.create(wanted)
        where = {"Location": f"/v1/parts/{sha256}", **self._service.uploads.limit_header()}
        has_body = wanted.content_bytes is None or wanted.content_bytes > 0
        if position.complete or position.offset_bytes > 0 or not (has_body or wanted.completes):
            # What is here already is not taken twice: the client goes on from the offset that it is told.
            headers = {**where, **_position_headers(position)}
            ending = {"Connection": "close"} if _body_is_coming(request) else {}
            return Response(status_code=201, headers=headers | ending)
        connection = _connection(request)
        if request.headers.get(INTEROP_HEADER):
            version_header = {INTEROP_HEADER: request.headers[INTEROP_HEADER]}
            connection.interim("104 Upload Resumption Supported", where | version_header)
        position = await self._service.uploads.append(wanted, request.receive, connection.unread)
        return Response(status_code=201, headers=where | _position_headers(position))

    async def part(self, request: Request, caller: Caller) -> Response:
        """Offset, append, cancel."""
        sha256 = request.path_params["part"]
        if not _SHA256.fullmatch(sha256):
            raise not_found()
        uploads = self._service.uploads
        if request.method == "HEAD":
            position = await uploads.position(caller.unit.unit_id, sha256)
            return Response(status_code=204, headers=_position_headers(position) | uploads.limit_header())
        if request.method == "DELETE":
            await uploads.cancel(caller.unit.unit_id, sha256)
            return Response(status_code=204)
        offset = _number(request.headers.get("Upload-Offset", ""), "Upload-Offset")
        wanted = _wanted(request, caller, sha256, offset=offset)
        position = await uploads.append(wanted, request.receive, _connection(request).unread)
        return Response(status_code=204, headers=_position_headers(position))


def _wanted(request: Request, caller: Caller, sha256: str, *, offset: int) -> Wanted:
    length = request.headers.get("Upload-Length")
    complete = request.headers.get("Upload-Complete", "?0").strip()
    if complete not in ("?0", "?1"):
        raise bad_request("Upload-Complete is ?0 or ?1.")
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise bad_request("Parts are sent as they are, without Content-Encoding.")
    declared = content_length(request)
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    return Wanted(
        unit_id=caller.unit.unit_id,
        sha256=sha256,
        offset_bytes=offset,
        completes=complete == "?1",
        content_bytes=None if chunked else declared or 0,
        length_bytes=None if length is None else _number(length, "Upload-Length"),
        content_sha256=_digest(request.headers.get("Content-Digest", "")),
    )


def _position_headers(position: Position) -> dict[str, str]:
    headers = {
        "Upload-Offset": str(position.offset_bytes),
        "Upload-Complete": "?1" if position.complete else "?0",
        "Cache-Control": "no-store",
    }
    if position.size_bytes >= 0:
        headers["Upload-Length"] = str(position.size_bytes)
    return headers


def _number(text: str, name: str) -> int:
    if not _NUMBER.fullmatch(text.strip()):
        raise bad_request(f"{name} is a whole number.")
    return int(text)


def _digest(header: str) -> str:
    """The SHA-256 of a ``Repr-Digest`` or ``Content-Digest`` field (RFC 9530); empty when it has none."""
    found = _DIGEST.search(header)
    try:
        digest = b64decode(found[1], validate=True) if found else b""
    except (Base64Error, ValueError):
        digest = b""
    return digest.hex() if len(digest) == 32 else ""


def _connection(request: Request) -> Connection:
    connection: Connection = request.scope["extensions"][EXTENSION]
    return connection


def _refused(request: Request, refusal: Refusal, unit: str) -> Response:
    log("gateway.app", "refused", code=refusal.code, status=refusal.status, method=request.method, unit=unit or "-")
    return refusal.response(close=_body_is_coming(request))


def _body_is_coming(request: Request) -> bool:
    """Whether much of a body is still to come: reading past it would keep a bad link busy for nothing."""
    declared = content_length(request)
    return _connection(request).in_body and (declared is None or declared > READ_PAST_BYTES_MAX)


def _fault(error: Exception) -> Refusal:
    """A database in trouble passes; anything else is a mistake of ours, told by its place and never by its text."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    log("gateway.app", "fault", why=type(error).__name__, place=f"{Path(last.filename).name}:{last.lineno}")
    if isinstance(error, SQLAlchemyError):
        return unavailable()
    detail = "This is a mistake in the gateway. What it has confirmed is safe; trying again later is safe too."
    return Refusal(500, "fault", "A fault of the gateway", detail, headers={"Retry-After": "30"})


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = error.status_code
    detail = "There is nothing here." if status == 404 else "This is not how it is asked."
    refusal = Refusal(status, "about:blank", error.detail, f"{detail} Nothing was changed.")
    return refusal.response(close=_body_is_coming(request))
