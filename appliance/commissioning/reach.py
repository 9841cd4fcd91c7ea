"""The way out to a device: ping, port, our association with it, and a C-ECHO over that."""

from __future__ import annotations

import dataclasses
import socket
from dataclasses import dataclass

from pydicom.uid import ImplicitVRLittleEndian

from appliance.clock import Clock
from appliance.commissioning.ping import CannotPingError, ping
from appliance.config import DimseDestination, ModalityTable, UnitConfig
from sync.adapters.association import Conversation
from sync.adapters.failures import Failed
from sync.adapters.services import VERIFICATION

CONNECT_S_MAX = 5.0
STALL_S_MAX = 10.0
"""For a device to answer an association or an echo; one that was just switched on takes its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """What came of one try; ``None``: it was not tried."""

    host: str = ""
    """As configured, else the address from which the device called last."""
    answers_ping: bool | None = None
    ping_fault: str = ""
    """Why it could not be tried here."""
    port: int = 0
    port_fault: str | None = None
    """Empty: it is open."""
    association_code: str | None = None
    """Empty: accepted, else a code of ``sync.adapters.failures``."""
    echo_code: str | None = None
    """Empty: success; ``not-offered``, or a code of ``sync.adapters.failures``."""


def reach(config: UnitConfig, device: ModalityTable, last_peer: str, clock: Clock) -> Reached:
    """Try the way out, as far as the configuration says where the device listens.

    Args:
        config: The unit's.
        device: Its table.
        last_peer: From where it called last; empty: it never did.
        clock: For the guard of the association.
    """
    reached = _pinged(Reached(host=device.host or last_peer, port=device.port))
    if not device.host:
        return reached
    try:
        socket.create_connection((device.host, device.port), timeout=CONNECT_S_MAX).close()
    except OSError as error:
        return dataclasses.replace(reached, port_fault=error.strerror or str(error) or type(error).__name__)
    return _associated(dataclasses.replace(reached, port_fault=""), config, device, clock)


def _pinged(reached: Reached) -> Reached:
    if not reached.host:
        return reached
    try:
        return dataclasses.replace(reached, answers_ping=ping(reached.host))
    except CannotPingError as error:
        return dataclasses.replace(reached, ping_fault=str(error))


def _associated(reached: Reached, config: UnitConfig, device: ModalityTable, clock: Clock) -> Reached:
    table = DimseDestination(
        name="device",
        host=device.host,
        port=device.port,
        called_ae_title=device.ae_title,
        calling_ae_title=config.dicom.ae_title,
    )
    limits = dataclasses.replace(config.limits, transfer_stall_s_max=STALL_S_MAX)
    code: str | None = None
    try:
        with Conversation(table, limits, clock, [(VERIFICATION, str(ImplicitVRLittleEndian))]) as conversation:
            code = ""
            if not conversation.accepted:
                return dataclasses.replace(reached, association_code="", echo_code="not-offered")
            conversation.echo()
            return dataclasses.replace(reached, association_code="", echo_code="")
    except Failed as error:
        if code is None:
            return dataclasses.replace(reached, association_code=error.failure.code)
        return dataclasses.replace(reached, association_code="", echo_code=error.failure.code)
