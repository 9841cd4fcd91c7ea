"""What this unit's own small callers of the door say: one context, one command, one answer (PS3.8 section 9.3).

Blocking sockets and the standard library: the self-check is started every minute, and the quality process, which
watches the import folder, carries no DICOM library. Time-outs are the kernel's and thus monotonic.
"""

from __future__ import annotations

import socket
import struct

from appliance.config import UnitConfig
from appliance.gatekeeper import pdu
from appliance.gatekeeper.command import parse_command
from appliance.gatekeeper.pdu import PduError, PduType

CONTEXT_ID = 1
COMMAND_LAST, DATA, DATA_LAST = 3, 0, 2
"""Message control headers (PS3.8 annex E.2)."""
_IMPLEMENTATION_CLASS_UID = b"2.25.305828488182831875890203105390285383139"
_ANSWER_BYTES_MAX = 256 * 1024


def connect(config: UnitConfig, answer_s_max: float) -> socket.socket:
    """A connection to the door; from every address of this machine the door binds, the loopback one will do.

    Raises:
        OSError: If there is none.
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.dicom.bind, config.dicom.bind)
    return socket.create_connection((host, config.dicom.port), timeout=answer_s_max)


def associate_rq(config: UnitConfig, sop_class_uid: str, transfer_syntax_uid: str, version_name: bytes) -> bytes:
    """A-ASSOCIATE-RQ as the unit's own import, which the door admits from this machine only."""
    context = struct.pack(">Bxxx", CONTEXT_ID) + _item(0x30, sop_class_uid.encode("ascii"))
    context += _item(0x40, transfer_syntax_uid.encode("ascii"))
    user = _item(0x51, struct.pack(">I", config.limits.pdu_bytes_max))
    user += _item(0x52, _IMPLEMENTATION_CLASS_UID) + _item(0x55, version_name)
    called, calling = (title.encode("ascii").ljust(16) for title in (config.dicom.ae_title, config.imports.ae_title))
    body = struct.pack(">HH16s16s32x", 1, 0, called, calling)
    body += _item(0x10, pdu.APPLICATION_CONTEXT.encode("ascii")) + _item(0x20, context) + _item(0x50, user)
    return struct.pack(">BxI", PduType.ASSOCIATE_RQ, len(body)) + body


def command_set(values: dict[int, bytes]) -> bytes:
    """The elements of group 0000 (PS3.7 section 6.3.1), in the order given, with their length before them."""
    elements = b"".join(_element(element, value) for element, value in values.items())
    return _element(0x0000, struct.pack("<I", len(elements))) + elements


def read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    """One whole PDU of a bounded length, and its type.

    Raises:
        PduError: If it is longer.
        OSError: If the door says nothing, or closes.
    """
    head = _exactly(connection, pdu.HEADER_BYTES)
    kind, length = pdu.header(head)
    if length > _ANSWER_BYTES_MAX:
        raise PduError(f"an answer of {length} bytes")
    return kind, head + _exactly(connection, length)


def answer_status(connection: socket.socket) -> int:
    """The status of the answer to the one command.

    Raises:
        PduError, CommandError, struct.error: If it is none.
        OSError: As ``read_pdu``.
    """
    answer = b""
    while len(answer) <= _ANSWER_BYTES_MAX:
        kind, received = read_pdu(connection)
        if kind != PduType.DATA_TF:
            raise PduError(f"answered with PDU {kind}")
        for _, control, fragment in pdu.pdvs(memoryview(received)):
            answer += fragment
            if control == COMMAND_LAST:
                return parse_command(answer).status
    raise PduError("an endless answer")


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _element(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise ConnectionError("the door closed the connection")
        data += piece
    return data
