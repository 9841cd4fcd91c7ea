"""The viewer's process."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from appliance.config import ConfigError
from appliance.logging import log
from central.config import CentralConfig
from central.gateway.tls import server_context
from central.review.process import answer
from central.review.serve import close_site, open_site
from central.viewer import ohif
from central.viewer.app import make_app
from central.viewer.upstream import Upstream


def serve(config: CentralConfig, listener: socket.socket) -> int:
    """Answer on ``listener`` until SIGTERM or Ctrl-C.

    Raises:
        ConfigError: If OHIF is not here, or certificate, password, database or audit trail cannot be used.
    """
    folder, pacs = ohif.folder_of(config), config.viewer_pacs
    if folder is None or pacs is None:
        raise ConfigError("the full viewer is not here: fetch it with 'make viewer', or set viewer.folder")
    tls, upstream = server_context("viewer", config.viewer), Upstream(pacs)
    site = open_site(config, "the viewer")
    try:
        app = make_app(site, folder, upstream)
    except OSError as error:
        raise ConfigError(f"the viewer cannot start: {error}") from error

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        log("viewer", "ready", bind=config.viewer.bind, port=config.viewer.port, tls=tls is not None)
        yield
        await upstream.close()
        close_site(site)
        log("viewer", "stopped")

    app.router.lifespan_context = lifespan
    answer(app, listener, config.gateway.limits, tls)
    return 0
