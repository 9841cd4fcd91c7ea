"""One study: what can be seen of it now, where it is, what happened to it, and this patient's other studies."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from central.gateway.objects import ObjectError
from central.gateway.previews import PreviewRef, preview_bytes, previews_of
from central.review.access import Visitor
from central.review.audit import Event
from central.review.notes_view import PREGNANCY_WORDS, unit_notes
from central.review.pages.listing import STATE_WORDS, subject_of
from central.review.reading_view import reading_digest, reading_values
from central.review.site import Site, not_found, require
from central.store import reviewing as rows
from central.store.notes import notes_of
from central.store.reviewing import Wanted
from central.viewer.ohif import folder_of

PRIOR_COUNT_MAX = 30
PREVIEW_COUNT_MAX = 200
WEBP = "image/webp"
_UID = re.compile(r"[0-9.]{1,64}")
EVENT_WORDS = {
    "announced": "Announced by the unit",
    "preview": "First preview here",
    "first-byte": "First bytes of the images here",
    "whole": "All bytes here",
    "verified": "Read back from the archive and compared",
    "read": "Read",
    "unread": "Reading taken back",
    "raised": "Made urgent at the centre",
    "amended": "Report amended",
    "retake": "Retake asked for",
    "message": "Message to the unit",
}
"""In English; a kind that is not here is shown with its own text."""


def routes(site: Site) -> list[BaseRoute]:
    """These pages around ``site``."""
    pages = _Study(site)
    return [
        Route("/studies/{uid}", require()(pages.page), methods=["GET"]),
        Route("/studies/{uid}/live", require()(pages.live), methods=["GET"]),
        Route("/studies/{uid}/previews/{sop}", require()(pages.preview), methods=["GET"]),
    ]


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of the history."""

    at: str
    kind: str
    who: str = ""
    text: str = ""


def uid_of(request: Request, name: str = "uid") -> str:
    """A UID of the address; it is compared with rows and never part of a path.

    Raises:
        Halt: 404 when it is none.
    """
    uid = str(request.path_params[name])
    if not _UID.fullmatch(uid) or not any(c.isdigit() for c in uid):
        raise not_found()
    return uid


def history_of(connection: Connection, uid: str) -> list[Happened]:
    """What happened when, by the centre's clock."""
    passed = rows.milestones(connection, uid)
    found = [
        Happened(at, kind)
        for kind, at in (
            ("announced", passed.announced_at),
            ("preview", passed.preview_at),
            ("first-byte", passed.first_byte_at),
            ("whole", passed.whole_at),
            ("verified", passed.verified_at),
        )
        if at
    ]
    found += [Happened(row.at, row.kind, row.who, row.text) for row in rows.events(connection, uid)]
    return sorted(found, key=lambda one: one.at)


def seen_of(connection: Connection, uid: str, language: str) -> dict[str, Any]:
    """What can be seen of a study, and what its units say of it; for ``notes.html`` and the previews."""
    previews = previews_of(connection, uid)[:PREVIEW_COUNT_MAX]
    return {
        "previews": previews,
        "notes": unit_notes(notes_of(connection, uid), previews, language),
        "pregnancy_words": PREGNANCY_WORDS,
    }


class _Study:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._viewer_is_here = folder_of(site.config) is not None

    async def page(self, request: Request, visitor: Visitor) -> Response:
        """The whole page."""
        values = await self._load(request)
        seen = [subject_of(values["study"]), *(subject_of(row) for row in values["priors"])]
        await self._site.looked(request, Event.LOOK, seen)
        shown: dict[str, Any] = {
            "digest": self._digest(request, values),
            "reading_digest": reading_digest(self._site, request, values),
        }
        return self._site.page(request, "study.html", **values, **shown)

    async def live(self, request: Request, visitor: Visitor) -> Response:
        """What changes while somebody looks; 204 while it does not."""
        values = await self._load(request)
        digest = self._digest(request, values)
        if digest == request.query_params.get("digest"):
            return Response(status_code=204)
        return self._site.page(request, "study.html#live", **values, digest=digest)

    async def preview(self, request: Request, visitor: Visitor) -> Response:
        """A preview's bytes, when they are what they say; a browser is never left to guess."""
        uid, sop = uid_of(request), uid_of(request, "sop")

        def find(connection: Connection) -> tuple[Row[Any] | None, PreviewRef | None]:
            known = next((one for one in previews_of(connection, uid) if one.sop_instance_uid == sop), None)
            return rows.study_row(connection, uid), known

        study, known = await self._site.database.reading(find)
        if study is None or known is None:
            raise not_found()
        await self._site.looked(request, Event.LOOK, [subject_of(study)])
        try:
            data = await preview_bytes(self._site.database, self._site.objects, known)
        except ObjectError:
            raise not_found() from None
        if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
            raise not_found()
        return Response(data, media_type=WEBP)

    async def _load(self, request: Request) -> dict[str, Any]:
        uid = uid_of(request)

        def read(connection: Connection) -> dict[str, Any] | None:
            study = rows.study_row(connection, uid)
            if study is None:
                return None
            priors: list[Row[Any]] = []
            if study.patient_key:
                same = Wanted(state="all", patient_key=study.patient_key)
                priors = rows.list_page(connection, same, PRIOR_COUNT_MAX + 1)[0]
            return {
                "study": study,
                **seen_of(connection, uid, self._site.language(request).code),
                "problems": rows.problems(connection, uid),
                "history": history_of(connection, uid),
                "priors": [row for row in priors if row.study_instance_uid != uid],
                **reading_values(connection, study),
            }

        found = await self._site.database.reading(read)
        if found is None:
            raise not_found()
        words = {"state_words": STATE_WORDS, "event_words": EVENT_WORDS}
        return {**found, **words, "viewer_is_here": self._viewer_is_here}

    def _digest(self, request: Request, values: dict[str, Any]) -> str:
        text = self._site.render(request, "study.html#live", **values, digest="")
        return hashlib.sha256(text.encode()).hexdigest()[:32]
