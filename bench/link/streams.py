"""How much programs said over TCP: data by its sequence numbers, so that what TCP repeats counts once. Pure."""

from __future__ import annotations

from bench.link.packet import Segment

_MODULUS = 1 << 32


class StreamBytes:
    """One direction of all flows.

    Attributes:
        total_bytes: Data offered to the link, each byte of each connection once, whether it arrived or not.
    """

    def __init__(self) -> None:
        self._ends: dict[tuple[bytes, bytes], int] = {}
        self.total_bytes = 0

    def note(self, segment: Segment) -> None:
        """A TCP segment of this direction; a first SYN begins its connection anew."""
        key = segment.source, segment.target
        known_end = None if segment.opens else self._ends.get(key)
        begin = segment.data_begin if known_end is None else known_end
        new_bytes = (segment.data_begin + segment.data_bytes - begin) % _MODULUS
        if new_bytes < _MODULUS // 2:  # else it ends before what was seen: a repeat
            self.total_bytes += new_bytes
            self._ends[key] = (begin + new_bytes) % _MODULUS
