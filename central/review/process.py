"""What every process that browsers talk to does alike: its command line, its port, and uvicorn with our bounds."""

from __future__ import annotations

import argparse
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from appliance.config import ConfigError
from central.config import CentralConfig, load_central
from central.gateway.bounded import bounded
from central.limits import GatewayLimits

BACKLOG = 128
STOP_S_MAX = 3


def run(name: str, what: str | None, serve: Callable[[CentralConfig, socket.socket], int]) -> int:
    """Serve until SIGTERM or Ctrl-C; the exit codes are those of the gateway.

    Args:
        name: Of the process and of its table in ``central.toml``: ``review``.
        what: For ``--help``.
        serve: Answers on an open port.
    """
    parser = argparse.ArgumentParser(prog=f"python -m central.{name}", description=what)
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    # uvicorn raises the signal that ended it once more when it is done; the clean end is ours to tell.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        config = load_central(arguments.config)
        door = getattr(config, name)
        try:
            family = socket.AF_INET6 if ":" in door.bind else socket.AF_INET
            listener = socket.create_server((door.bind, door.port), family=family, backlog=BACKLOG)
        except OSError as error:
            return _say(
                f"port {door.port} ({name}.port) on {door.bind} cannot be used: {error.strerror}. Nothing is "
                f"lost; stop what uses it, or set {name}.port to a free port",
                3,
            )
        return serve(config, listener)
    except ConfigError as error:
        return _say(str(error), 2)


def _say(sentence: str, exit_code: int) -> int:
    print(f"qafila central: {sentence}", file=sys.stderr)  # noqa: T201 - the operator's sentence
    return exit_code


def answer(app: Starlette, listener: socket.socket, limits: GatewayLimits, tls: ssl.SSLContext | None) -> None:
    """Until a signal comes; with the gateway's bounds on what a peer may do to a connection."""
    uvicorn.Server(bounded(app, limits, tls, STOP_S_MAX)).run(sockets=[listener])
