"""``/fhir``: signed reports and studies for a shared medical record to read, and orders that it posts.

Not for browsers: whoever asks has the token of ``review.fhir_token_file``. Without that file there is nothing here.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Row
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from appliance.clock import utc_text
from appliance.config import ConfigError
from appliance.logging import log
from appliance.registration.catalogue import load_catalogue
from central.fhir import ordering
from central.fhir.ordering import OrderRefused
from central.fhir.resources import (
    CONTENT_TYPE,
    Image,
    Resource,
    StudyFacts,
    bundle,
    capability,
    diagnostic_report,
    imaging_study,
    outcome,
)
from central.fhir.searching import SearchRefused, asked_of, links
from central.gateway.keys import load_keys
from central.reading.signing import verified
from central.review.audit import AuditError, Event, Person, Subject
from central.review.site import Site, address_of
from central.store import records as rows
from central.store.answers import AnswerRow, add_order, answers_to
from central.store.database import take_turns
from central.store.records import Asked
from central.store.units import unit_named
from sync.wire.answers import AnswerKind, PlacedOrder

TOKEN_CHARS_MIN = 32
BODY_BYTES_MAX = 64 * 1024
PERSON = "fhir"
Handler = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """An answer that is no success; ``code`` is FHIR's issue type."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


def routes(site: Site) -> list[BaseRoute]:
    """The endpoint, where it has a token.

    Raises:
        ConfigError: If the token cannot be read or is too short to keep anybody out.
    """
    token_file = site.config.review.fhir_token_file
    if not token_file:
        return []
    pages = _Fhir(site, read_token(Path(token_file)))
    return [
        Route("/fhir/metadata", pages.answering(pages.metadata), methods=["GET"]),
        Route("/fhir/DiagnosticReport", pages.answering(pages.search_reports), methods=["GET"]),
        Route("/fhir/DiagnosticReport/{uid}", pages.answering(pages.report), methods=["GET"]),
        Route("/fhir/ImagingStudy", pages.answering(pages.search_studies), methods=["GET"]),
        Route("/fhir/ImagingStudy/{uid}", pages.answering(pages.study), methods=["GET"]),
        Route("/fhir/ServiceRequest", pages.answering(pages.order), methods=["POST"]),
        Route("/fhir/ServiceRequest/{order}", pages.answering(pages.ordered), methods=["GET"]),
    ]


def read_token(path: Path) -> str:
    """The token that a record shows.

    Raises:
        ConfigError: As ``routes``.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the token (review.fhir_token_file) cannot be read: {error}") from error
    if len(token) < TOKEN_CHARS_MIN:
        raise ConfigError(f"{path}: the token (review.fhir_token_file) has fewer than {TOKEN_CHARS_MIN} characters")
    return token


class _Fhir:
    def __init__(self, site: Site, token: str) -> None:
        self._site = site
        self._token_sha256 = hashlib.sha256(token.encode()).digest()
        self._keys = load_keys(site.config.keys_dir)
        self._catalogue = load_catalogue("")

    def answering(self, handler: Handler) -> Handler:
        """Around every request: the token, and no refusal without an OperationOutcome."""

        async def endpoint(request: Request) -> Response:
            try:
                await self._check_token(request)
                return await handler(request)
            except SearchRefused as refused:
                return _json(outcome(refused.code, str(refused)), 400)
            except Refusal as refusal:
                headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
                return _json(outcome(refusal.code, refusal.text), refusal.status, headers)
            except (AuditError, SQLAlchemyError) as error:
                log("review.fhir", "unavailable", why=type(error).__name__)
                return _json(outcome("transient", "The centre cannot answer now. Nothing was changed."), 503)

        return endpoint

    async def _check_token(self, request: Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given, self._token_sha256):
            # Each wrong token is a line in the audit trail, so nobody may fill the disk with them.
            if self._site.access.wait_of_address(address_of(request)) > 0:
                raise Refusal(429, "throttled", "Too many requests without a token that this centre knows.")
            await self._audit(request, Event.LOGIN, (), failed=True)
            raise Refusal(401, "login", "A bearer token that this centre knows is needed.")

    async def _audit(
        self, request: Request, event: Event, subjects: tuple[Subject, ...], *, query: str = "", failed: bool = False
    ) -> None:
        who = Person(PERSON, "service", address_of(request))
        await asyncio.to_thread(self._site.audit.note, event, who, subjects, failed=failed, query=query)

    async def metadata(self, request: Request) -> Response:
        """``CapabilityStatement``."""
        return _json(capability(version("qafila"), utc_text(self._site.clock.wall_s())))

    # --- reports and studies ----------------------------------------------------------------------------------------

    async def report(self, request: Request) -> Response:
        """The report of a study."""
        found, _ = await self._reports(request, Asked(study_instance_uid=_uid(request)), 1)
        if not found:
            raise _unknown()
        return _json(found[0])

    async def search_reports(self, request: Request) -> Response:
        """A page of the reports that fit."""
        asked, count = asked_of(request.query_params)
        found, total = await self._reports(request, asked, count)
        return _json(bundle(found, total, *links(request.url.path, request.query_params, asked, count, total)))

    async def study(self, request: Request) -> Response:
        """One study."""
        found, _ = await self._studies(request, Asked(study_instance_uid=_uid(request)), 1)
        if not found:
            raise _unknown()
        return _json(found[0])

    async def search_studies(self, request: Request) -> Response:
        """A page of the studies that fit."""
        asked, count = asked_of(request.query_params)
        found, total = await self._studies(request, asked, count)
        return _json(bundle(found, total, *links(request.url.path, request.query_params, asked, count, total)))

    async def _reports(self, request: Request, asked: Asked, count: int) -> tuple[list[Resource], int]:
        """Only what its reader signed: a statement that was changed since is left out and logged."""
        found, total = await self._site.database.reading(rows.signed_statements, asked, count)
        shown, subjects = [], []
        for row in found:
            statement = verified(row.statement, row.signature, self._keys.public)
            if statement is None:
                log("review.fhir", "signature broken", study=row.study_instance_uid)
                continue
            shown.append(diagnostic_report(statement))
            patient = statement.patient
            subjects.append(Subject(row.study_instance_uid, patient.patient_id, patient.name))
        await self._audit(request, Event.QUERY, tuple(subjects), query=str(request.url.query)[:500])
        return shown, total

    async def _studies(self, request: Request, asked: Asked, count: int) -> tuple[list[Resource], int]:
        def read(connection: Connection) -> tuple[list[Row[Any]], int, dict[str, list[Row[Any]]]]:
            found, total = rows.studies(connection, asked, count)
            return found, total, rows.verified_images(connection, [row.study_instance_uid for row in found])

        found, total, images = await self._site.database.reading(read)
        subjects = tuple(Subject(row.study_instance_uid, row.patient_id, row.patient_name) for row in found)
        await self._audit(request, Event.QUERY, subjects, query=str(request.url.query)[:500])
        return [imaging_study(_facts(row, images.get(row.study_instance_uid, []))) for row in found], total

    # --- orders -----------------------------------------------------------------------------------------------------

    async def order(self, request: Request) -> Response:
        """To the worklist of the unit that it names; the same order posted twice is one."""
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > BODY_BYTES_MAX:
                raise Refusal(413, "too-long", "This is longer than an order may be. Nothing was ordered.")
        try:
            asked = ordering.read_request(body, self._catalogue)
        except OrderRefused as refused:
            raise Refusal(422, refused.code, f"{refused} Nothing was ordered.") from None
        who = asked.patient
        name = f"{who.family_latin}^{who.given_latin}={who.family_arabic}^{who.given_arabic}"
        await self._audit(request, Event.WRITE, (Subject("", who.identifier or "-", name),))
        try:
            is_new = await self._site.database.writing(place, asked, utc_text(self._site.clock.wall_s()))
        except ValueError as error:
            raise Refusal(422, "value", f"{error}. Nothing was ordered.") from None
        if is_new is None:
            raise Refusal(422, "not-found", "No unit of this name is enrolled (performer). Nothing was ordered.")
        where = {"Location": f"/fhir/ServiceRequest/{asked.order_id}"}
        return _json(await self._order_resource(asked.order_id), 201 if is_new else 200, where)

    async def ordered(self, request: Request) -> Response:
        """An order of this centre, and what the unit did about it."""
        found = await self._order_resource(str(request.path_params["order"])[:64])
        await self._audit(request, Event.QUERY, (), query=str(request.url.path)[:200])
        return _json(found)

    async def _order_resource(self, order_id: str) -> Resource:
        found = await self._site.database.reading(_order_row, order_id)
        if found is None or not isinstance(found.answer, PlacedOrder):
            raise _unknown()
        return ordering.service_request(found, found.answer)


def _facts(row: Row[Any], images: list[Row[Any]]) -> StudyFacts:
    return StudyFacts(
        study_instance_uid=row.study_instance_uid,
        patient_name=row.patient_name,
        patient_id=row.patient_id,
        accession_number=row.accession_number,
        study_date=row.study_date,
        description=row.study_description,
        modality=row.modality,
        is_complete=row.state in ("complete", "read"),
        images=[Image(one.series_instance_uid, one.sop_instance_uid, one.sop_class_uid) for one in images],
    )


def place(connection: Connection, asked: ordering.Request, at: str) -> bool | None:
    """Whether it is new; ``None`` when no such unit is enrolled. An order stays with the unit that it was given to."""
    take_turns(connection, f"order {asked.order_id}")
    if _order_row(connection, asked.order_id) is not None:
        return False
    unit = unit_named(connection, asked.unit)
    if unit is None or unit.revoked:
        return None
    add_order(
        connection,
        unit.unit_id,
        at,
        order_id=asked.order_id,
        author=asked.referrer or PERSON,
        patient=asked.patient,
        exam_code=asked.exam_code,
        laterality=asked.laterality,
        is_stat=asked.is_stat,
        referrer=asked.referrer,
        reason=asked.reason,
        scheduled_at=asked.scheduled_at,
    )
    return True


def _order_row(connection: Connection, order_id: str) -> AnswerRow | None:
    if not order_id:
        return None
    found = answers_to(connection, subject_id=order_id, kind=AnswerKind.ORDER.value, count_max=1)
    return found[0] if found else None


def _uid(request: Request) -> str:
    uid = str(request.path_params["uid"])
    if not re.fullmatch(r"[0-9.]{1,64}", uid):
        raise _unknown()
    return uid


def _unknown() -> Refusal:
    return Refusal(404, "not-found", "There is no such resource here.")


def _json(content: Resource, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type=CONTENT_TYPE)
