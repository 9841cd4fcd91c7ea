"""Free TCP ports on loopback, so that tests of several sessions run side by side."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now; take it soon, for it is not reserved."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """``count`` different free ports; all are held open until the last is found, so none is given twice."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()
