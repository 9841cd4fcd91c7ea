"""The way from a study to the full viewer, on whose own origin OHIF runs."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from central.config import CentralConfig
from central.review.access import Visitor
from central.review.pages.study import uid_of
from central.review.site import Halt, Site, not_found, require
from central.review.states import State
from central.store import reviewing as rows
from central.viewer.grants import Grants
from central.viewer.ohif import ENTER_PATH, folder_of


def routes(site: Site) -> list[BaseRoute]:
    """``GET /studies/{uid}/viewer``; no form, because the policy of the pages lets none lead to another origin."""
    grants, is_here = Grants(site.database, site.access, site.limits, site.clock), folder_of(site.config) is not None

    async def open_viewer(request: Request, visitor: Visitor) -> Response:
        uid = uid_of(request)
        study = await site.database.reading(rows.study_row, uid)
        if study is None:
            raise not_found()
        if study.state not in (State.COMPLETE, State.READ):
            raise Halt(
                409, "This study is not complete yet. The full viewer shows it when it is; the previews are here."
            )
        if not is_here:
            raise Halt(404, "The full viewer is not installed here. An administrator fetches it with 'make viewer'.")
        ticket = await grants.ticket(visitor, uid)
        return RedirectResponse(f"{viewer_url(site.config, request)}{ENTER_PATH}?{urlencode({'ticket': ticket})}", 303)

    return [Route("/studies/{uid}/viewer", require()(open_viewer), methods=["GET"])]


def viewer_url(config: CentralConfig, request: Request) -> str:
    """What this browser reaches the viewer's origin by."""
    if config.viewer.url:
        return config.viewer.url.rstrip("/")
    host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    return f"{'https' if config.viewer.certificate_file else 'http'}://{host}:{config.viewer.port}"
