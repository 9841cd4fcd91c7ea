"""``python -m central.review --config central.toml``: the process that browsers talk to."""

from __future__ import annotations

import socket
import sys

from central.config import CentralConfig
from central.review.process import run


def _serve(config: CentralConfig, listener: socket.socket) -> int:
    """The port is open before the rest is loaded."""
    from central.review.serve import serve

    return serve(config, listener)


if __name__ == "__main__":
    sys.exit(run("review", __doc__, _serve))
