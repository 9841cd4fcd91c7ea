"""Would a modality be answered now? A C-ECHO through the unit's own door to Orthanc and back (PS3.7 section 9.1.5).

What the watchdog of the appliance is fed by: it goes the way of an image, through gatekeeper and Orthanc, and says
nothing about links or sticks, for which no machine should be started again. Standard library and the gatekeeper's
vocabulary only: it is started every minute.
"""

from __future__ import annotations

import struct

from appliance.config import UnitConfig
from appliance.gatekeeper import caller, pdu
from appliance.gatekeeper.command import CommandError
from appliance.gatekeeper.pdu import PduError, PduType

ANSWER_S_MAX = 20.0
_VERIFICATION = "1.2.840.10008.1.1"
_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_C_ECHO_RQ = 0x0030


class SelfCheckError(Exception):
    """A modality would not be answered; the text says how far it came."""


def echo(config: UnitConfig) -> None:
    """Return when the door's C-ECHO came back with Success.

    Raises:
        SelfCheckError: If it did not, within ``ANSWER_S_MAX`` seconds a step (the kernel's time-outs, monotonic).
    """
    try:
        with caller.connect(config, ANSWER_S_MAX) as connection:
            connection.sendall(caller.associate_rq(config, _VERIFICATION, _IMPLICIT_LITTLE, b"QAFILA_SELF"))
            kind, answer = caller.read_pdu(connection)
            if kind != PduType.ASSOCIATE_AC:
                raise SelfCheckError(f"the door answered an association with PDU {kind}")
            if caller.CONTEXT_ID not in pdu.parse_associate_ac(answer).transfer_syntax_by_context_id:
                raise SelfCheckError("Orthanc does not accept a C-ECHO")
            connection.sendall(pdu.data_tf(caller.CONTEXT_ID, caller.COMMAND_LAST, _echo_rq()))
            status = caller.answer_status(connection)
            connection.sendall(pdu.release_rq())
    except (OSError, PduError, CommandError, struct.error) as error:
        raise SelfCheckError(f"the door does not answer ({error or type(error).__name__})") from error
    if status != 0:
        raise SelfCheckError(f"the C-ECHO was answered with status {status:04X}")


def _echo_rq() -> bytes:
    return caller.command_set(
        {
            0x0002: _VERIFICATION.encode("ascii"),
            0x0100: struct.pack("<H", _C_ECHO_RQ),
            0x0110: struct.pack("<H", 1),
            0x0800: struct.pack("<H", 0x0101),
        }
    )
