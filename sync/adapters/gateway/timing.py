"""How long to wait for what on a bad link, as arithmetic; all of it on the monotonic clock.

A flow that the network forgot must be given up in seconds, and one that is merely slow must not: so patience follows
the round trip that the kernel measures, which holds queueing, and on 2 kbit/s the time of a whole packet as well.
"""

from __future__ import annotations

STALL_S_MIN = 3.0
"""On a short link: two retransmissions by the kernel (0.2 s, doubled each time) have had no answer by then."""
STALL_ROUND_TRIPS = 4.0
ANSWER_S_MIN = 15.0
"""Everything is acknowledged and only the answer is missing: a busy centre writes to its disk first."""
ANSWER_ROUND_TRIPS = 8.0
CONNECT_S_MIN = 3.0
CONNECT_S_MAX = 10.0
CONNECT_ROUND_TRIPS = 4.0
CONNECT_GROWTH = 1.25
"""Short attempts one after the other: each begins with a SYN, so after an outage the first one is through in about a
second; the kernel alone would double its pauses. They grow for a link whose round trip nobody has measured yet."""
RETRY_PAUSE_S_FIRST = 0.2
RETRY_PAUSE_S_MAX = 1.0
"""After a refusal at once (nobody listens: the gateway restarts)."""
PERSIST_S = 30.0
"""A call goes on trying for so long after the last sign of life before it says that the link is down: the core's
back-off would sleep through the end of a short outage."""
PROBE_PERSIST_S = 6.0
IDLE_S_MAX = 170.0
"""The gateway closes an idle connection after 180 s (``keep_alive_s_max``)."""
YIELD_S_MAX = 5.0
"""For so long a body stands still for something urgent before it sends a slice, as a sign of life."""


def stall_s(round_trip_s: float, s_max: float) -> float:
    """How long unacknowledged bytes may stand still before the flow is dead.

    Args:
        round_trip_s: Smoothed round trip of this connection as the kernel measured it; 0 while unknown.
        s_max: The unit's bound, ``LimitSet.transfer_stall_s_max``.
    """
    return min(max(STALL_S_MIN, STALL_ROUND_TRIPS * round_trip_s), s_max)


def answer_s(round_trip_s: float, s_max: float, patience_s: float = 0.0) -> float:
    """How long an answer may be missing when every byte of the request is acknowledged.

    Args:
        round_trip_s: As above.
        s_max: As above.
        patience_s: What the request is known to take at the centre (a long poll, a second look into the PACS).
    """
    return patience_s + min(max(ANSWER_S_MIN, ANSWER_ROUND_TRIPS * round_trip_s), s_max)


def connect_s(round_trip_s: float, failure_count: int) -> float:
    """Time-out of one attempt to connect, after ``failure_count`` failed ones in a row."""
    base_s = max(CONNECT_S_MIN, CONNECT_ROUND_TRIPS * round_trip_s)
    return min(base_s * CONNECT_GROWTH ** min(failure_count, 32), max(CONNECT_S_MAX, base_s))


def retry_pause_s(failure_count: int) -> float:
    """Pause before the next try of a call that goes on; the first comes at once."""
    if failure_count <= 1:
        return 0.0
    return float(min(RETRY_PAUSE_S_FIRST * 2.0 ** min(failure_count - 2, 16), RETRY_PAUSE_S_MAX))
