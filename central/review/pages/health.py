"""Whether the pages are up; for the supervisor, and for nobody else of interest."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from central.review.site import Site


def routes(site: Site) -> list[BaseRoute]:
    """``GET /health``."""

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    return [Route("/health", health, methods=["GET"])]
