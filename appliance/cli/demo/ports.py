"""Free TCP ports for a demo or a test, so that several run side by side on one machine."""

from __future__ import annotations

import random
import socket

_FIRST, _LAST = 10_240, 32_000
"""Below the kernel's own range (32768 and up), from which any outgoing connection may take a port at any moment."""


def free_port() -> int:
    """A TCP port that nobody listens on now; take it soon, for it is not reserved."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """``count`` different free ports, at random, so that two test runs hardly ever choose the same."""
    ports: set[int] = set()
    while len(ports) < count:
        port = random.randrange(_FIRST, _LAST)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
        ports.add(port)
    return list(ports)
