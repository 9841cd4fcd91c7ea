"""uvicorn around the service: TLS, bounds on connections, and an end in which every request is answered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette

from appliance.clock import SystemClock
from appliance.logging import log
from central.config import CentralConfig
from central.gateway.app import make_app
from central.gateway.bounded import bounded
from central.gateway.service import Service
from central.gateway.tls import server_context


class _Server(uvicorn.Server):
    """Tells the service of the end before it waits for the requests under way."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self.faulty = False
        service.on_fault = self._end_faulty
        self._hushing: asyncio.Task[None] | None = None

    def _end_faulty(self) -> None:
        self.faulty = self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        self._hushing = asyncio.create_task(self._service.hush())
        await super().shutdown(sockets)
        await self._hushing


def serve(config: CentralConfig, listener: socket.socket) -> int:
    """Answer on ``listener`` until SIGTERM or Ctrl-C; 1 when it had to end by itself, for a fault of ours.

    Raises:
        ConfigError: If certificate, database, keys or object store cannot be used.
    """
    tls = server_context("gateway", config.gateway)
    service = Service(config, SystemClock())
    app = make_app(service)
    app.router.lifespan_context = _lifespan(service)
    limits = config.gateway.limits
    server = _Server(bounded(app, limits, tls, limits.stop_s_max), service)
    server.run(sockets=[listener])
    return 1 if server.faulty else 0


def _lifespan(service: Service) -> Any:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await service.start()
        gateway = service.config.gateway
        log("gateway", "ready", bind=gateway.bind, port=gateway.port, tls=bool(gateway.certificate_file))
        yield
        await service.stop()
        log("gateway", "stopped")

    return lifespan
