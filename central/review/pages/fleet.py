"""The fleet: what each unit last told, who has to be looked at, and whether the service level is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from central.fleet.judging import Alarm, Delivery, Standing
from central.fleet.picture import Picture, picture
from central.review.access import Visitor
from central.review.registry import WATCHERS
from central.review.site import Site, require

ALARM_WORDS = {
    Alarm.UNHEARD: "Not heard of",
    Alarm.UNSENT: "An old study is not sent",
    Alarm.DISK: "The disk is filling up",
    Alarm.CLOCK: "The clock is wrong",
    Alarm.COPIED: "Its key is used twice",
}
LINK_WORDS = {
    "": "Not known",
    "unknown": "Not known",
    "wired": "Cable",
    "wifi": "Wi-Fi",
    "sim": "Mobile network",
    "satellite": "Satellite",
}
"""In English; said in the visitor's language."""
Say = Callable[..., Markup]


@dataclass(frozen=True, slots=True)
class Shown:
    """A unit with what it delivered lately."""

    unit: Standing
    took: Delivery | None


def routes(site: Site) -> list[BaseRoute]:
    """``GET /fleet``; ``/fleet/live`` is what renews itself."""

    async def page(request: Request, visitor: Visitor) -> Response:
        values = await _values(site, request)
        return site.page(request, "fleet.html", **values, digest=_digest(site, request, values))

    async def live(request: Request, visitor: Visitor) -> Response:
        values = await _values(site, request)
        digest = _digest(site, request, values)
        if digest == request.query_params.get("digest"):
            return Response(status_code=204)
        return site.page(request, "fleet.html#live", **values, digest=digest)

    return [
        Route("/fleet", require(*WATCHERS)(page), methods=["GET"]),
        Route("/fleet/live", require(*WATCHERS)(live), methods=["GET"]),
    ]


async def _values(site: Site, request: Request) -> dict[str, Any]:
    now: Picture = await site.database.reading(picture, site.clock.wall_s(), site.config.fleet)
    shown = [Shown(unit, now.deliveries.get(unit.row.unit_id)) for unit in now.units]
    shown.sort(key=lambda one: not one.unit.alarms)
    language = site.language(request)
    return {
        "shown": shown,
        "alarmed_count": sum(bool(unit.alarms) for unit in now.units),
        "service": now.service,
        "all_took": now.all_deliveries,
        "bounds": site.config.fleet,
        "alarm_words": ALARM_WORDS,
        "link_words": LINK_WORDS,
        "span": lambda seconds: span(seconds, language.say),
        "size": size,
        "percent": percent,
    }


def _digest(site: Site, request: Request, values: dict[str, Any]) -> str:
    text = site.render(request, "fleet.html#live", **values, digest="")
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def span(seconds: float | None, say: Say) -> Markup:
    """A time span in the largest unit that says enough: ``3 min``, ``26 h``, ``4 d``."""
    if seconds is None:
        return Markup("-")
    if seconds < 90:
        return say("%(n)s s", n=int(seconds))
    if seconds < 90 * 60:
        return say("%(n)s min", n=round(seconds / 60))
    if seconds < 48 * 3600:
        return say("%(n)s h", n=round(seconds / 3600))
    return say("%(n)s d", n=round(seconds / 86_400))


def size(size_bytes: float) -> str:
    """Megabytes below one gigabyte, else gigabytes."""
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"


def percent(share: float | None) -> str:
    """Never rounded up to what was not reached."""
    return "-" if share is None else f"{int(share * 1000) / 10:g} %"
