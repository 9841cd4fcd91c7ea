"""What the kernel is asked to do for a flow over a bad link, and what it tells of one (tcp(7))."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from functools import cache

from sync.adapters.gateway.pacer import Advice, Seen
from sync.adapters.guard import unacked_bytes

NOTSENT_LOWAT_BYTES = 16 * 1024
"""Handed to the kernel and not sent yet, at most: so much at most lies before something urgent, and beside what is on
its way nothing else has to be sent again after a cut."""
KEEP_IDLE_S, KEEP_INTERVAL_S, KEEP_COUNT = 30, 5, 3
"""A silent connection that the network forgot is found out 45 s after its last byte, at some 100 bytes each half
minute."""
_TCP_NOTSENT_LOWAT = 25
_RTT_OFFSET = 68
"""``tcpi_rtt`` in ``struct tcp_info`` (linux/tcp.h): eight one-byte fields, then 32-bit ones; microseconds."""
_MIN_RTT_OFFSET = 148
_TCP_CC_INFO, _SO_MAX_PACING_RATE = 26, 47
_BBR_INFO = struct.Struct("=5I")
"""``struct tcp_bbr_info`` (linux/inet_diag.h): rate in two halves, shortest round trip, two gains in 1/256."""
_STARTING_GAIN = 2 * 256
"""bbr's gains at its start are 2.89, afterwards 1.25 at most."""
BBR = "bbr"
_BYTES_ACKED_OFFSET, _BYTES_RECEIVED_OFFSET = 120, 128
"""``tcpi_bytes_acked`` and ``tcpi_bytes_received``, 64-bit; in every kernel since 4.1."""


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
    wanted = BBR if setting == "auto" else setting
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


@dataclass(frozen=True, slots=True)
class Moved:
    """What a connection has done so far, as the kernel counts."""

    acked_bytes: int
    received_bytes: int
    unacked_bytes: int
    """Given to the kernel and not acknowledged; what was not sent yet is in it."""
    round_trip_s: float


def moved(connection: socket.socket) -> Moved:
    """Of a connected socket; raises ``OSError`` when it is gone."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED_OFFSET + 8)
    acked, received = struct.unpack_from("=QQ", info, _BYTES_ACKED_OFFSET)
    (round_trip_us,) = struct.unpack_from("=I", info, _RTT_OFFSET)
    return Moved(acked, received, unacked_bytes(connection), round_trip_us / 1e6)


def seen(connection: socket.socket) -> Seen | None:
    """What bbr knows of a connection; ``None`` when it runs under another control."""
    try:
        raw = connection.getsockopt(socket.IPPROTO_TCP, _TCP_CC_INFO, _BBR_INFO.size)
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MIN_RTT_OFFSET + 4)
    except OSError:
        return None
    if len(raw) < _BBR_INFO.size or len(info) < _MIN_RTT_OFFSET + 4:
        return None
    low, high, shortest_us, pacing_gain, _ = _BBR_INFO.unpack(raw)
    (round_trip_us,) = struct.unpack_from("=I", info, _RTT_OFFSET)
    return Seen(
        rate_bytes_per_s=float(high << 32 | low),
        shortest_s=shortest_us / 1e6,
        round_trip_s=round_trip_us / 1e6,
        is_starting=pacing_gain >= _STARTING_GAIN,
        is_busy=unacked_bytes(connection) > 0,
    )


def follow(connection: socket.socket, advice: Advice) -> None:
    """Set the pace's bound, and begin bbr anew if that is advised; raises ``OSError`` when the socket is gone."""
    bound = int(advice.cap_bytes_per_s)
    connection.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, min(bound, 0x7FFFFFFF) if bound else -1)
    if advice.renew:
        # Asking for the one in use changes nothing, so another one has it for a moment.
        for name in ("reno", BBR):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode("ascii"))
