"""TUN devices: packets of a namespace as reads and writes of a file descriptor."""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from bench.link.errors import LinkError
from bench.link.namespaces import Namespace, ip

DEVICE = "wan0"
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_REFUSALS = {
    errno.ENOENT: "this kernel has no TUN device (/dev/net/tun); load the module 'tun'",
    errno.EPERM: "the link emulator needs root (TUN devices, network namespaces); run it as root",
    errno.EACCES: "the link emulator needs root (TUN devices, network namespaces); run it as root",
}


def open_tun(namespace: Namespace, peer_address: str, mtu_bytes: int) -> int:
    """A point-to-point device ``wan0`` in a namespace, up and with its address; it goes when the descriptor is closed.

    Raises:
        LinkError: If this machine or user cannot have one.
    """
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise LinkError(_REFUSALS.get(error.errno or 0, f"/dev/net/tun: {error.strerror}")) from error
    try:
        # The kernel replaces %d by a free number; the device takes its real name where it is going.
        answer = fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", b"qlink%d", _IFF_TUN | _IFF_NO_PI))
        made = answer[:16].rstrip(b"\0").decode()
        ip("link", "set", "dev", made, "netns", namespace.name, "name", DEVICE)
        # Else the kernel's own router solicitations would be traffic on the link.
        namespace.set(f"ipv6/conf/{DEVICE}/disable_ipv6", "1")
        inside = ("-n", namespace.name)
        ip(*inside, "address", "add", namespace.address, "peer", peer_address, "dev", DEVICE)
        ip(*inside, "link", "set", "dev", DEVICE, "mtu", str(mtu_bytes), "up")
    except OSError as error:
        os.close(descriptor)
        raise LinkError(_REFUSALS.get(error.errno or 0, f"no TUN device: {error.strerror}")) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
