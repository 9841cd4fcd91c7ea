"""uvicorn's settings for every process of the centre that others talk to: our bounds, nothing said of the server."""

from __future__ import annotations

import ssl

import uvicorn
from starlette.applications import Starlette

from central.gateway.protocol import BoundedProtocol
from central.limits import GatewayLimits


class BoundedConfig(uvicorn.Config):
    """uvicorn's, with the bounds that ``BoundedProtocol`` keeps."""

    gateway_limits: GatewayLimits


def bounded(app: Starlette, limits: GatewayLimits, tls: ssl.SSLContext | None, stop_s_max: float) -> BoundedConfig:
    """Loaded settings; requests under way at the end get ``stop_s_max`` seconds to be answered."""
    settings = BoundedConfig(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connection_count_max,
        timeout_keep_alive=int(limits.keep_alive_s_max),
        timeout_graceful_shutdown=int(stop_s_max),
    )
    settings.gateway_limits = limits
    settings.load()
    settings.ssl = tls
    return settings
