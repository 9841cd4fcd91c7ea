"""``python -m central.gateway --config central.toml``: the process that units talk to.

It listens before it loads what it needs to answer: a unit that comes back in the second of a restart waits for its
answer instead of being refused.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
from pathlib import Path

from appliance.config import ConfigError
from central.config import load_central

BACKLOG = 128


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; the exit codes are in ``docs/reference/gateway.md``."""
    parser = argparse.ArgumentParser(prog="python -m central.gateway", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    # uvicorn raises the signal that ended it once more when it is done; the clean end is ours to tell.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        config = load_central(arguments.config)
        gateway = config.gateway
        try:
            listener = _listener(gateway.bind, gateway.port)
        except OSError as error:
            return _say(
                f"port {gateway.port} (gateway.port) on {gateway.bind} cannot be used: {error.strerror}. Nothing is "
                "lost; stop what uses it, or set gateway.port to a free port",
                3,
            )
        from central.gateway.serve import serve

        return serve(config, listener)
    except ConfigError as error:
        return _say(str(error), 2)


def _say(sentence: str, exit_code: int) -> int:
    print(f"qafila central: {sentence}", file=sys.stderr)  # noqa: T201 - the operator's sentence
    return exit_code


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where it is told that this is TCP; without it the second segment of an answer would
    # wait for the acknowledgement of the first, a whole round trip.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    return listener


if __name__ == "__main__":
    sys.exit(main())
