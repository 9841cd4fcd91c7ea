"""What the kernel is asked to do for a flow over a bad link, and what it tells of one (tcp(7))."""

from __future__ import annotations

import select
import socket
import struct
from functools import cache

NOTSENT_LOWAT_BYTES = 16 * 1024
"""Handed to the kernel and not sent yet, at most: so much at most lies before something urgent, and beside what is on
its way nothing else has to be sent again after a cut."""
KEEP_IDLE_S, KEEP_INTERVAL_S, KEEP_COUNT = 30, 5, 3
"""A silent connection that the network forgot is found out 45 s after its last byte, at some 100 bytes each half
minute."""
_TCP_NOTSENT_LOWAT = 25
_RTT_OFFSET = 68
"""``tcpi_rtt`` in ``struct tcp_info`` (linux/tcp.h): eight one-byte fields, then 32-bit ones; microseconds."""


@cache
def offers(congestion: str) -> bool:
    """Whether this kernel lets us use this congestion control; loads its module where that is allowed."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode("ascii"))
        except OSError:
            return False
    return True


def congestion_of(setting: str) -> str:
    """The control to ask for; empty: the system's. ``auto`` is bbr: CUBIC takes every lost packet for a full link."""
    if setting == "system":
        return ""
    wanted = "bbr" if setting == "auto" else setting
    return wanted if offers(wanted) else ""


def options(congestion: str) -> list[tuple[int, int, int | bytes]]:
    """For every connection of a gateway destination; ``congestion`` as ``congestion_of`` gave it."""
    tcp = socket.IPPROTO_TCP
    chosen: list[tuple[int, int, int | bytes]] = [
        (tcp, socket.TCP_NODELAY, 1),
        (tcp, _TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (tcp, socket.TCP_KEEPIDLE, KEEP_IDLE_S),
        (tcp, socket.TCP_KEEPINTVL, KEEP_INTERVAL_S),
        (tcp, socket.TCP_KEEPCNT, KEEP_COUNT),
    ]
    if congestion:
        chosen.append((tcp, socket.TCP_CONGESTION, congestion.encode("ascii")))
    return chosen


def round_trip_s(connection: socket.socket) -> float:
    """The kernel's smoothed round trip of a connection; 0 when it does not tell."""
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _RTT_OFFSET + 4)
    except OSError:
        return 0.0
    if len(info) < _RTT_OFFSET + 4:
        return 0.0
    return float(struct.unpack_from("=I", info, _RTT_OFFSET)[0]) / 1e6


def has_news(connection: socket.socket) -> bool:
    """Whether something can be read from it now, its end included."""
    poll = select.poll()
    try:
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True
