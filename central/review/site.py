"""What every page is given: database, clock, audit, words and templates; and the answers that pages make of them."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from appliance.clock import Clock, local_zone
from appliance.domain.display import safe_text
from central.config import CentralConfig
from central.gateway.objects import Objects
from central.review.access import Access, Role, Visitor
from central.review.audit import Audit, Event, Person, Subject
from central.review.language import LANGUAGES, Language, bdi, load_languages
from central.review.limits import ReviewLimits
from central.review.registry import NAVIGATION, TEMPLATE_PACKAGES
from central.store.database import Database

SESSION_COOKIE = "qafila_session"
VISIT_COOKIE = "qafila_visit"
"""Before signing in: what the sign-in form's secret is made of."""
LANGUAGE_COOKIE = "qafila_language"
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
"""No database, DICOM text or terminal takes them all."""
Handler = Callable[[Request, Visitor], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


class Halt(Exception):
    """A page that is not given; ``words`` (English, said in the visitor's language) say why and what to do."""

    def __init__(self, status: int, words: str, **values: object) -> None:
        super().__init__(words)
        self.status, self.words, self.values = status, words, values


def not_found() -> Halt:
    """404, for what is not there and for what is no name of anything alike."""
    return Halt(404, "There is no such page or study. It may have been taken back; the list shows what there is.")


@dataclass(frozen=True, slots=True)
class Site:
    """The pages' surroundings, made once a process."""

    config: CentralConfig
    database: Database
    objects: Objects
    clock: Clock
    audit: Audit
    access: Access
    limits: ReviewLimits
    languages: Mapping[str, Language]
    templates: Environment

    # --- words and pages --------------------------------------------------------------------------------------------

    def language(self, request: Request) -> Language:
        """What the visitor reads: the account's choice, else this browser's, else the centre's."""
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        chosen = (visitor.language if visitor else "") or request.cookies.get(LANGUAGE_COOKIE, "")
        return self.languages.get(chosen) or self.languages[self.config.review.language]

    def render(self, request: Request, template: str, **values: Any) -> str:
        """The text of a template, or of a block of one (``"name.html#block"``)."""
        name, _, block = template.partition("#")
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        language = self.language(request)
        known = {
            "_": language.say,
            "count": language.count,
            "language": language,
            "languages": LANGUAGES,
            "visitor": visitor,
            "csrf": request.state.csrf,
            "navigation": [item for item in NAVIGATION if visitor is not None and visitor.role in item.roles],
            "here": request.url.path,
            "centre_name": self.config.centre.name,
        }
        found = self.templates.get_template(name)
        if not block:
            return found.render(**known, **values)
        context = found.new_context({**known, **values})
        return "".join(found.blocks[block](context))

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A whole page, or a block of one for htmx."""
        return HTMLResponse(self.render(request, template, **values), status)

    # --- who looked -------------------------------------------------------------------------------------------------

    async def looked(
        self, request: Request, event: Event, subjects: Sequence[Subject] = (), *, query: str = "", failed: bool = False
    ) -> None:
        """Audit, before the answer goes out.

        Raises:
            AuditError: If it is not on the disk; the visitor gets 503 and sees nothing.
        """
        visitor: Visitor | None = getattr(request.state, "visitor", None)
        who = Person(visitor.name if visitor else "", visitor.role if visitor else "", address_of(request))
        await asyncio.to_thread(self.audit.note, event, who, subjects, failed=failed, query=query)


def require(*roles: Role) -> Callable[[Handler], Endpoint]:
    """For those who are signed in with one of ``roles`` (none: with any); others are sent to sign in, or told 403.

    Usage: ``Route("/x", require(Role.READER)(handler))``; ``handler(request, visitor)``.
    """
    allowed = frozenset(roles) or frozenset(Role)

    def decorate(handler: Handler) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            visitor: Visitor | None = request.state.visitor
            if visitor is None:
                return _to_sign_in(request)
            if visitor.role not in allowed:
                raise Halt(403, "Your account may not do this. Ask an administrator of the centre.")
            return await handler(request, visitor)

        return endpoint

    return decorate


def _to_sign_in(request: Request) -> Response:
    """A page asks to sign in and comes back; a part of a page makes the browser load the whole."""
    if request.headers.get("HX-Request"):
        return Response(status_code=401, headers={"HX-Refresh": "true"})
    if request.method != "GET":
        return RedirectResponse("/sign-in", 303)
    target = URL("/sign-in").include_query_params(next=str(request.url.path))
    return RedirectResponse(str(target), 303)


async def read_form(request: Request, limits: ReviewLimits) -> dict[str, str]:
    """The fields of a form, without control characters but line ends; of a field that comes twice, the last.

    Raises:
        Halt: 413 beyond a bound, 415 when it is no form, 403 when it does not bring back the page's secret.
    """
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Halt(415, "This is not how the page is filled in.")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > limits.form_bytes_max:
            raise Halt(413, "This is more text than the page takes. Nothing was saved; shorten it and send it again.")
    try:
        count_max = limits.form_field_count_max
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=count_max)
    except (UnicodeDecodeError, ValueError):
        raise Halt(400, "This is not how the page is filled in.") from None
    fields = {name: _CONTROLS.sub("", value) for name, value in pairs}
    check_csrf(request, fields.get("csrf", ""))
    return fields


def check_csrf(request: Request, given: str) -> None:
    """What a page of ours sends back, and no other can.

    Raises:
        Halt: 403 when it is another.
    """
    expected = request.state.csrf
    if not expected or not hmac.compare_digest(expected.encode(), given.encode()):
        raise Halt(403, "This page was open too long. Nothing was changed; go back, load it again and repeat.")


def address_of(request: Request) -> str:
    """The peer's address; no header is believed."""
    return request.client.host if request.client else ""


def make_templates() -> Environment:
    """Everything is escaped, and a misspelt name is an error."""
    loaders = [PackageLoader(name) for name in TEMPLATE_PACKAGES]
    made = Environment(loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters["bdi"] = lambda text: bdi(safe_text(str(text)))
    made.filters["pn"] = person_name
    made.filters["when"] = when
    made.filters["day"] = iso_day
    return made


def person_name(text: str) -> Markup:
    """A DICOM person name as people write it, each alphabet kept apart: ``Doe^Jane=...`` is Jane Doe."""
    groups = []
    for group in str(text).split("="):
        family, given, middle, prefix, suffix = [*(safe_text(part) for part in group.split("^")), *[""] * 5][:5]
        words = " ".join(word for word in (prefix, given, middle, family, suffix) if word)
        if words and words not in groups:
            groups.append(words)
    return Markup(" · ").join(bdi(words) for words in groups) or Markup("-")


def when(text: str | None) -> Markup:
    """A time of the database, as the centre's clock on the wall shows it."""
    if not text:
        return Markup("-")
    try:
        known = datetime.fromisoformat(text)
    except ValueError:
        return Markup("-")
    known = known if known.tzinfo else known.replace(tzinfo=UTC)
    local = known.astimezone(local_zone(known.timestamp()))
    shown = local.strftime("%Y-%m-%d %H:%M")
    return Markup('<time datetime="{}"><bdi>{}</bdi></time>').format(known.isoformat(), shown)


def iso_day(text: str) -> Markup:
    """A DICOM date as people and machines agree on it; anything else as it came."""
    digits = text.replace("-", "").replace(".", "").strip()
    if len(digits) == 8 and digits.isascii() and digits.isdecimal():
        text = f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"
    return bdi(safe_text(text) or "-")


def make_site(config: CentralConfig, database: Database, clock: Clock, limits: ReviewLimits | None = None) -> Site:
    """Everything the pages need around an open database.

    Raises:
        AuditError: If the audit trail cannot be written.
        PoError: If a catalogue cannot be read.
        OSError, ValueError: If the object store cannot be used.
    """
    limits = limits or ReviewLimits()
    review = config.review
    session_s, idle_s = review.session_hours * 3600, review.session_idle_minutes * 60
    return Site(
        config=config,
        database=database,
        objects=Objects(config.parts_url),
        clock=clock,
        audit=Audit(config.audit_path, clock, config.centre.name, review.audit_syslog),
        access=Access(database, limits, clock, session_s=session_s, idle_s=idle_s),
        limits=limits,
        languages=load_languages(),
        templates=make_templates(),
    )
