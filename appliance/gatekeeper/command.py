"""DIMSE command sets (PS3.7 section 6.3.1: implicit VR little endian): what was asked, and our own refusal."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

C_STORE_RQ = 0x0001
C_STORE_RSP = 0x8001
C_FIND_RQ = 0x0020
C_CANCEL_RQ = 0x0FFF
RESPONSE_BIT = 0x8000
NO_DATA_SET = 0x0101

_PENDING = frozenset((0xFF00, 0xFF01))
_AFFECTED_SOP_CLASS_UID = 0x0002
_COMMAND_FIELD = 0x0100
_MESSAGE_ID = 0x0110
_MESSAGE_ID_RESPONDED_TO = 0x0120
_DATA_SET_TYPE = 0x0800
_STATUS = 0x0900
_ERROR_COMMENT = 0x0902
_AFFECTED_SOP_INSTANCE_UID = 0x1000
_ERROR_COMMENT_BYTES_MAX = 64
_UID = re.compile(rb"[0-9.]{1,64}")


class CommandError(ValueError):
    """The bytes are no command set."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a command set says, as far as the gatekeeper decides by it."""

    field: int
    message_id: int
    """Of a request; of a response, the message it answers."""
    has_data_set: bool
    status: int
    """Of a response; 0 in a request."""
    sop_class_uid: str
    """Checked; empty when absent or malformed."""
    sop_instance_uid: str
    """Checked; empty when absent or malformed."""

    @property
    def is_request(self) -> bool:
        """Whether an answer is due; C-CANCEL has none of its own."""
        return not self.field & RESPONSE_BIT and self.field != C_CANCEL_RQ

    @property
    def is_response(self) -> bool:
        return bool(self.field & RESPONSE_BIT)

    @property
    def is_final_response(self) -> bool:
        return self.is_response and self.status not in _PENDING


def parse_command(data: bytes | bytearray) -> Command:
    """Read a whole command set.

    Raises:
        CommandError: If an element runs past the end or is not of group 0000, or a needed one is missing.
    """
    values: dict[int, bytes] = {}
    offset = 0
    while offset < len(data):
        if len(data) - offset < 8:
            raise CommandError("an element header is cut off")
        group, element, length = struct.unpack_from("<HHI", data, offset)
        offset += 8
        if group != 0 or length > len(data) - offset:
            raise CommandError("an element is not of group 0000 or runs past the end")
        values[element] = bytes(data[offset : offset + length])
        offset += length
    field = _number(values, _COMMAND_FIELD)
    message_id = _MESSAGE_ID_RESPONDED_TO if field & RESPONSE_BIT or field == C_CANCEL_RQ else _MESSAGE_ID
    return Command(
        field=field,
        message_id=_number(values, message_id),
        has_data_set=_number(values, _DATA_SET_TYPE) != NO_DATA_SET,
        status=_number(values, _STATUS) if field & RESPONSE_BIT else 0,
        sop_class_uid=_uid(values, _AFFECTED_SOP_CLASS_UID),
        sop_instance_uid=_uid(values, _AFFECTED_SOP_INSTANCE_UID),
    )


def store_response(request: Command, status: int, comment: str) -> bytes:
    """The command set of a C-STORE-RSP (PS3.7 section 9.3.1.2).

    Args:
        request: What is answered.
        status: A failure.
        comment: Error Comment (0000,0902), cut to 64 characters.
    """
    elements = b"".join(
        (
            _element(_AFFECTED_SOP_CLASS_UID, request.sop_class_uid.encode("ascii"), b"\0"),
            _element(_COMMAND_FIELD, struct.pack("<H", C_STORE_RSP)),
            _element(_MESSAGE_ID_RESPONDED_TO, struct.pack("<H", request.message_id)),
            _element(_DATA_SET_TYPE, struct.pack("<H", NO_DATA_SET)),
            _element(_STATUS, struct.pack("<H", status)),
            _element(_ERROR_COMMENT, comment.encode("ascii", "replace")[:_ERROR_COMMENT_BYTES_MAX], b" "),
            _element(_AFFECTED_SOP_INSTANCE_UID, request.sop_instance_uid.encode("ascii"), b"\0"),
        )
    )
    return _element(0x0000, struct.pack("<I", len(elements))) + elements


def _element(element: int, value: bytes, pad: bytes = b"\0") -> bytes:
    value += pad * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def _number(values: dict[int, bytes], element: int) -> int:
    value = values.get(element, b"")
    if len(value) != 2:
        raise CommandError(f"(0000,{element:04x}) is missing or has not two bytes")
    return int.from_bytes(value, "little")


def _uid(values: dict[int, bytes], element: int) -> str:
    value = values.get(element, b"").rstrip(b"\0 ")
    return value.decode("ascii") if _UID.fullmatch(value) else ""
