"""One ICMP echo: where Linux lets us send these without further rights (icmp(7)), else by the program ``ping``."""

from __future__ import annotations

import shutil
import socket
import struct
import subprocess

ANSWER_S_MAX = 2.0
_REQUEST, _REQUEST_V6 = 8, 128
_PAYLOAD = b"qafila"


class CannotPingError(Exception):
    """This machine may not send one, or the name means nothing; the text says which."""


def ping(host: str) -> bool:
    """Whether the host answers within ``ANSWER_S_MAX`` seconds (the kernel's time-out, monotonic).

    Raises:
        CannotPingError: As said.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, None)[0]
        protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
        probe = socket.socket(family, socket.SOCK_DGRAM, protocol)
    except PermissionError:
        return _by_program(str(address[0]))
    except OSError as error:
        raise CannotPingError(error.strerror or str(error)) from error
    with probe:
        probe.settimeout(ANSWER_S_MAX)
        try:
            probe.sendto(_echo(_REQUEST_V6 if family == socket.AF_INET6 else _REQUEST), address)
            # The kernel hands over answers to this socket only.
            probe.recv(256)
        except OSError:
            return False
    return True


def _by_program(address: str) -> bool:
    program = shutil.which("ping")
    if program is None:
        raise CannotPingError("it has neither the right nor the program for it")
    argv = [program, "-n", "-c", "1", "-W", f"{ANSWER_S_MAX:.0f}", address]
    try:
        done = subprocess.run(argv, check=False, capture_output=True, timeout=3 * ANSWER_S_MAX)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotPingError(type(error).__name__) from error
    return done.returncode == 0


def _echo(kind: int) -> bytes:
    """The kernel fills in the identifier, and the checksum that it then has for IPv6."""
    body = struct.pack(">HH", 0, 1) + _PAYLOAD
    words = struct.unpack(f">{(len(body) + 4) // 2}H", struct.pack(">BBH", kind, 0, 0) + body)
    total = sum(words)
    total = (total >> 16) + (total & 0xFFFF)
    return struct.pack(">BBH", kind, 0, ~(total + (total >> 16)) & 0xFFFF) + body
