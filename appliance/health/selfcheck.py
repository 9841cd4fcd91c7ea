"""Would a modality be answered now? A C-ECHO through the unit's own door to Orthanc and back (PS3.7 section 9.1.5).

What the watchdog of the appliance is fed by: it goes the way of an image, through gatekeeper and Orthanc, and says
nothing about links or sticks, for which no machine should be started again. Standard library and the gatekeeper's
vocabulary only: it is started every minute.
"""

from __future__ import annotations

import socket
import struct

from appliance.config import UnitConfig
from appliance.gatekeeper import pdu
from appliance.gatekeeper.command import CommandError, parse_command
from appliance.gatekeeper.pdu import PduError, PduType

ANSWER_S_MAX = 20.0
_ANSWER_BYTES_MAX = 256 * 1024
_VERIFICATION = b"1.2.840.10008.1.1"
_IMPLICIT_LITTLE = b"1.2.840.10008.1.2"
_IMPLEMENTATION_CLASS_UID = b"2.25.305828488182831875890203105390285383139"
_CONTEXT_ID, _COMMAND_LAST = 1, 3
_C_ECHO_RQ = 0x0030


class SelfCheckError(Exception):
    """A modality would not be answered; the text says how far it came."""


def echo(config: UnitConfig) -> None:
    """Return when the door's C-ECHO came back with Success.

    Raises:
        SelfCheckError: If it did not, within ``ANSWER_S_MAX`` seconds a step (the kernel's time-outs, monotonic).
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.dicom.bind, config.dicom.bind)
    try:
        with socket.create_connection((host, config.dicom.port), timeout=ANSWER_S_MAX) as connection:
            connection.sendall(_associate_rq(config))
            kind, answer = _read(connection)
            if kind != PduType.ASSOCIATE_AC:
                raise SelfCheckError(f"the door answered an association with PDU {kind}")
            if _CONTEXT_ID not in pdu.parse_associate_ac(answer).transfer_syntax_by_context_id:
                raise SelfCheckError("Orthanc does not accept a C-ECHO")
            connection.sendall(pdu.data_tf(_CONTEXT_ID, _COMMAND_LAST, _echo_rq()))
            status = _status(connection)
            connection.sendall(pdu.release_rq())
    except (OSError, PduError, CommandError, struct.error) as error:
        raise SelfCheckError(f"the door does not answer ({error or type(error).__name__})") from error
    if status != 0:
        raise SelfCheckError(f"the C-ECHO was answered with status {status:04X}")


def _associate_rq(config: UnitConfig) -> bytes:
    """As the unit's own import, which the door admits from this machine only."""
    context = struct.pack(">Bxxx", _CONTEXT_ID) + _item(0x30, _VERIFICATION) + _item(0x40, _IMPLICIT_LITTLE)
    user = _item(0x51, struct.pack(">I", config.limits.pdu_bytes_max))
    user += _item(0x52, _IMPLEMENTATION_CLASS_UID) + _item(0x55, b"QAFILA_SELF")
    called, calling = (title.encode("ascii").ljust(16) for title in (config.dicom.ae_title, config.imports.ae_title))
    body = struct.pack(">HH16s16s32x", 1, 0, called, calling)
    body += _item(0x10, pdu.APPLICATION_CONTEXT.encode("ascii")) + _item(0x20, context) + _item(0x50, user)
    return struct.pack(">BxI", PduType.ASSOCIATE_RQ, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _echo_rq() -> bytes:
    elements = _element(0x0002, _VERIFICATION + b"\0") + _element(0x0100, struct.pack("<H", _C_ECHO_RQ))
    elements += _element(0x0110, struct.pack("<H", 1)) + _element(0x0800, struct.pack("<H", 0x0101))
    return _element(0x0000, struct.pack("<I", len(elements))) + elements


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHI", 0, element, len(value)) + value


def _status(connection: socket.socket) -> int:
    answer = b""
    while len(answer) <= _ANSWER_BYTES_MAX:
        kind, received = _read(connection)
        if kind != PduType.DATA_TF:
            raise SelfCheckError(f"the C-ECHO was answered with PDU {kind}")
        for _, control, fragment in pdu.pdvs(memoryview(received)):
            answer += fragment
            if control == _COMMAND_LAST:
                return parse_command(answer).status
    raise SelfCheckError("the C-ECHO was answered without an end")


def _read(connection: socket.socket) -> tuple[int, bytes]:
    """One whole PDU of a bounded length."""
    head = _exactly(connection, pdu.HEADER_BYTES)
    kind, length = pdu.header(head)
    if length > _ANSWER_BYTES_MAX:
        raise PduError(f"an answer of {length} bytes")
    return kind, head + _exactly(connection, length)


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError("the door closed the connection")
        data += piece
    return data
