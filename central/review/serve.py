"""The pages' process: what they need is opened, and closed at the end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.applications import Starlette

from appliance.clock import SystemClock
from appliance.config import ConfigError
from appliance.logging import log
from central.config import CentralConfig
from central.gateway.tls import server_context
from central.review.app import make_app
from central.review.audit import AuditError, Event
from central.review.follow import Follower
from central.review.language import PoError
from central.review.process import answer
from central.review.site import Site, make_site
from central.store.opening import open_database


def open_site(config: CentralConfig, what: str) -> Site:
    """The pages' surroundings; the audit trail says that ``what`` has started.

    Raises:
        ConfigError: If database, audit trail or object store cannot be used.
    """
    database = open_database(config)
    try:
        site = make_site(config, database, SystemClock())
        site.audit.note(Event.START)
    except (AuditError, PoError, OSError, ValueError) as error:
        raise ConfigError(f"{what} cannot start: {error}. Nothing was changed") from error
    return site


def close_site(site: Site) -> None:
    """The end of a process, audited."""
    site.audit.note(Event.STOP)
    site.audit.close()
    site.database.close()


def serve(config: CentralConfig, listener: socket.socket) -> int:
    """Answer on ``listener`` until SIGTERM or Ctrl-C.

    Raises:
        ConfigError: If certificate, database, audit trail or object store cannot be used.
    """
    tls = server_context("review", config.review)
    site = open_site(config, "the review pages")
    app = make_app(site)
    app.router.lifespan_context = _lifespan(site)
    answer(app, listener, config.gateway.limits, tls)
    return 0


def _lifespan(site: Site) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        review = site.config.review
        log("review", "ready", bind=review.bind, port=review.port, tls=bool(review.certificate_file))
        following = asyncio.create_task(Follower(site.database, site.limits, site.clock).run())
        yield
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        close_site(site)
        log("review", "stopped")

    return lifespan
