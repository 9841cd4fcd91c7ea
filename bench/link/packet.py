"""What the emulator reads in an IPv4 packet, and the TCP reset that it makes itself (RFC 791, RFC 9293). Pure."""

from __future__ import annotations

import dataclasses
import struct

_TCP, _UDP = 6, 17
_SYN, _RST, _ACK = 0x02, 0x04, 0x10
_FRAGMENT_OFFSET = 0x1FFF

FlowKey = tuple[int, bytes, bytes]
"""Protocol and the two ends (address and port), the lower end first: the same for both directions."""


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """The part of a TCP segment or UDP datagram that a middlebox looks at."""

    source: bytes
    """Address and port, 6 bytes."""
    target: bytes
    protocol: int
    acknowledges: int | None
    """What the sender expects next from the other end; ``None`` for what is no TCP or carries no acknowledgement."""
    data_begin: int
    """Sequence number of its first byte of data, modulo 2^32; 0 for what is no TCP."""
    data_bytes: int
    opens: bool
    """A first SYN."""
    resets: bool

    @property
    def is_tcp(self) -> bool:
        return self.protocol == _TCP

    @property
    def flow(self) -> FlowKey:
        return self.protocol, min(self.source, self.target), max(self.source, self.target)


def is_ipv4(packet: bytes) -> bool:
    """Whether this is an IPv4 packet whose header is there whole."""
    return len(packet) >= 20 and packet[0] >> 4 == 4 and len(packet) >= (packet[0] & 15) * 4 >= 20


def read_segment(packet: bytes) -> Segment | None:
    """The segment in an IPv4 packet; ``None`` for other protocols and for fragments without ports."""
    protocol = packet[9]
    header_bytes = (packet[0] & 15) * 4
    is_late_fragment = int.from_bytes(packet[6:8]) & _FRAGMENT_OFFSET
    if protocol not in (_TCP, _UDP) or is_late_fragment or len(packet) < header_bytes + (20 if protocol == _TCP else 8):
        return None
    source = packet[12:16] + packet[header_bytes : header_bytes + 2]
    target = packet[16:20] + packet[header_bytes + 2 : header_bytes + 4]
    if protocol == _UDP:
        return Segment(source, target, protocol, None, 0, 0, opens=False, resets=False)
    sequence, acknowledges, offset, flags = struct.unpack_from("!IIBB", packet, header_bytes + 4)
    return Segment(
        source,
        target,
        protocol,
        acknowledges if flags & _ACK else None,
        (sequence + bool(flags & _SYN)) & 0xFFFFFFFF,
        max(0, int.from_bytes(packet[2:4]) - header_bytes - (offset >> 4) * 4),
        opens=flags & (_SYN | _ACK) == _SYN,
        resets=bool(flags & _RST),
    )


def make_reset(source: bytes, target: bytes, sequence: int) -> bytes:
    """A TCP reset from one end to the other.

    Args:
        source: Address and port (6 bytes) that it pretends to come from.
        target: Address and port that it goes to.
        sequence: What the target expects next: only that is taken at once (RFC 5961, section 3.2).
    """
    tcp = struct.pack("!2s2sIIBBHHH", source[4:], target[4:], sequence, 0, 5 << 4, _RST, 0, 0, 0)
    pseudo = source[:4] + target[:4] + struct.pack("!BBH", 0, _TCP, len(tcp))
    tcp = tcp[:16] + _checksum(pseudo + tcp) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, _TCP, 0, source[:4], target[:4])
    return ip[:10] + _checksum(ip) + ip[12:] + tcp


def _checksum(data: bytes) -> bytes:
    """Of the Internet protocols (RFC 1071); 0 over data that holds its own right checksum."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
