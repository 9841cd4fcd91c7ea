"""The first PDU: a whole, bounded A-ASSOCIATE-RQ in time, from a device that may send, to us."""

from __future__ import annotations

import asyncio
import ipaddress

from appliance.config import UnitConfig
from appliance.gatekeeper import pdu
from appliance.gatekeeper.pdu import (
    REJECT_APPLICATION_CONTEXT,
    REJECT_CALLED_AE_TITLE,
    REJECT_CALLING_AE_TITLE,
    REJECT_CONGESTION,
    REJECT_LOCAL_LIMIT,
    REJECT_PROTOCOL_VERSION,
    AssociateRequest,
    PduError,
    PduType,
)
from appliance.gatekeeper.route import is_called_rightly
from appliance.gatekeeper.stream import PduStream
from appliance.gatekeeper.violations import ViolationError

REJECTIONS = {
    "unknown-calling-ae-title": REJECT_CALLING_AE_TITLE,
    "wrong-called-ae-title": REJECT_CALLED_AE_TITLE,
    "wrong-application-context": REJECT_APPLICATION_CONTEXT,
    "wrong-protocol-version": REJECT_PROTOCOL_VERSION,
    "too-many-connections": REJECT_LOCAL_LIMIT,
    "orthanc-unavailable": REJECT_CONGESTION,
    "services-unavailable": REJECT_CONGESTION,
}
"""What each violation of the handshake is answered with."""

_REQUEST = frozenset((PduType.ASSOCIATE_RQ,))


async def receive_request(stream: PduStream, config: UnitConfig) -> tuple[bytearray, AssociateRequest]:
    """Wait for the association request.

    Returns:
        The PDU, its maximum length clamped to ours, and what it says.

    Raises:
        ViolationError: If it is no request, too long, malformed or not here in ``handshake_s_max``.
        ConnectionEndedError: If the other side goes away.
    """
    limits = config.limits
    try:
        async with asyncio.timeout(limits.handshake_s_max):
            request = await stream.read_one(_REQUEST, limits.associate_rq_bytes_max)
        parsed = pdu.parse_associate_rq(request)
    except TimeoutError:
        raise ViolationError("handshake-too-slow", f"no request within {limits.handshake_s_max:.0f} s") from None
    except PduError as error:
        raise ViolationError("pdu-malformed", str(error)) from error
    pdu.clamp_max_length(request, parsed, limits.pdu_bytes_max)
    return request, parsed


def check_request(request: AssociateRequest, config: UnitConfig, *, is_local: bool) -> None:
    """Whether this device may associate with this unit; an empty list of modalities admits nobody but our own import.

    Raises:
        ViolationError: With a key of ``REJECTIONS``.
    """
    if not request.is_version_1:
        raise ViolationError("wrong-protocol-version")
    if request.application_context != pdu.APPLICATION_CONTEXT:
        raise ViolationError("wrong-application-context")
    if not is_called_rightly(request, config):
        raise ViolationError("wrong-called-ae-title", f"called {request.called_ae_title!r}")
    admitted = {modality.ae_title.strip(" ") for modality in config.modality}
    if is_local:
        admitted.add(config.imports.ae_title.strip(" "))
    if request.calling_ae_title not in admitted:
        raise ViolationError("unknown-calling-ae-title")


def is_this_machine(peer: str, own: str) -> bool:
    """Whether a connection comes from the machine it goes to, by both its addresses; no other machine can say so.

    A packet from outside with a loopback address, or with the receiver's own as its source, is dropped by the kernel.
    """
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return peer == own or (mapped or address).is_loopback
