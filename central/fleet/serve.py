"""The fleet's process: the watch, and ``GET /metrics`` on an address of its own."""

from __future__ import annotations

import asyncio
import hmac
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from appliance.clock import Clock, SystemClock
from appliance.config import ConfigError
from appliance.domain.limits import LimitSet
from appliance.logging import log
from central.config import CentralConfig
from central.fleet.metrics import CONTENT_TYPE, exposition
from central.fleet.picture import picture
from central.fleet.watch import Watch
from central.gateway.tls import server_context
from central.review.process import answer
from central.run_checks import answers
from central.store import fleet as rows
from central.store.database import Database
from central.store.opening import open_database
from sync.adapters.build import build

PROBE_LIMITS = LimitSet()


def serve(config: CentralConfig, listener: socket.socket) -> int:
    """Answer on ``listener`` until SIGTERM or Ctrl-C.

    Raises:
        ConfigError: If certificate, token file or database cannot be used.
    """
    tls, token = server_context("fleet", config.fleet), token_of(config)
    database, clock = open_database(config), SystemClock()
    work_dir = config.data_dir / "fleet"
    work_dir.mkdir(mode=0o700, exist_ok=True)
    pacs = build(config.destination, PROBE_LIMITS, clock, work_dir)
    app = make_app(config, database, clock, token)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        log("fleet", "ready", bind=config.fleet.bind, port=config.fleet.port, tls=tls is not None)
        watch = Watch(
            database, clock, config.fleet, lambda: answers(config.gateway, "/v1/health"), lambda: pacs.probe() is None
        )
        watching = asyncio.create_task(watch.run())
        yield
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        pacs.close()
        database.close()
        shutil.rmtree(work_dir, ignore_errors=True)
        log("fleet", "stopped")

    app.router.lifespan_context = lifespan
    answer(app, listener, config.gateway.limits, tls)
    return 0


def token_of(config: CentralConfig) -> str:
    """What a scraper must bring; empty: nothing, for only this machine reaches the port.

    Raises:
        ConfigError: If its file cannot be read or holds less than 16 characters.
    """
    path = config.fleet.token_file
    if not path:
        return ""
    try:
        token = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: the token (fleet.token_file) cannot be read: {error}") from error
    if len(token) < 16:
        raise ConfigError(f"{path}: the token (fleet.token_file) has less than 16 characters")
    return token


def make_app(config: CentralConfig, database: Database, clock: Clock, token: str) -> Starlette:
    """``/health`` for the supervisor and ``/metrics`` for whoever brings the token."""

    def read(connection: Connection) -> str:
        now = picture(connection, clock.wall_s(), config.fleet)
        return exposition(now, rows.study_counts(connection), rows.file_counts(connection), version("qafila"))

    async def metrics(request: Request) -> Response:
        brought = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and not hmac.compare_digest(brought.encode(), token.encode()):
            return PlainTextResponse("The token of fleet.token_file is needed.\n", 401, {"WWW-Authenticate": "Bearer"})
        try:
            return Response(await database.reading(read), media_type=CONTENT_TYPE)
        except SQLAlchemyError as error:
            log("fleet", "database", why=type(error).__name__)
            return PlainTextResponse("The centre's database does not answer.\n", 503)

    async def health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    routes: list[tuple[str, Callable[[Request], object]]] = [("/metrics", metrics), ("/health", health)]
    return Starlette(routes=[Route(path, handler, methods=["GET"]) for path, handler in routes])
