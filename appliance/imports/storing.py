"""C-STORE of one file to the unit's own door, as a modality would (PS3.7 section 9.1.1, PS3.8 section 9.3).

The file goes out piece by piece from the disk.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from appliance.config import UnitConfig
from appliance.dicom.structure import TornFile, seek_data_set
from appliance.gatekeeper import caller, pdu
from appliance.gatekeeper.command import C_STORE_RQ, CommandError
from appliance.gatekeeper.pdu import PduError, PduType
from appliance.imports.problems import ImportProblem

_MESSAGE_ID = 1
_STORED = frozenset({0x0000, 0x0111, 0xB000, 0xB006, 0xB007})
_CONFLICT = 0xC001
_NOT_ADMITTED = frozenset({3, 7})
"""Reasons of a rejection by the service user: calling, called AE title not recognized."""


@dataclass(frozen=True, slots=True)
class StoreFile:
    """A Part 10 file and what it is."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str


def store(config: UnitConfig, file: StoreFile, on_bytes: Callable[[int], None] = lambda count: None) -> None:
    """Return when the door answered Success: the object is durable then.

    Raises:
        ImportProblem: With a ``door-`` code, or ``dicom-damaged``; the object may have been stored all the same when
            the door broke off before its answer.
    """
    try:
        connection = caller.connect(config, config.limits.idle_s_max)
    except OSError as error:
        raise ImportProblem("door-closed", error.strerror or "") from error
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            max_length_bytes = _associate(connection, config, file)
            _send(connection, file, max_length_bytes, on_bytes)
            status = caller.answer_status(connection)
            connection.sendall(pdu.release_rq())
        except (OSError, PduError, CommandError, struct.error) as error:
            raise ImportProblem("door-lost", str(error) or type(error).__name__) from error
    if status in _STORED:
        return
    if status == _CONFLICT:
        raise ImportProblem("door-conflict", file.sop_instance_uid)
    raise ImportProblem("door-full" if status >> 8 == 0xA7 else "door-refused", f"{status:04x}")


def _associate(connection: socket.socket, config: UnitConfig, file: StoreFile) -> int:
    """Open an association for this one file; the longest PDU that the door takes."""
    request = caller.associate_rq(config, file.sop_class_uid, file.transfer_syntax_uid, b"QAFILA_IMPORT")
    connection.sendall(request)
    kind, answer = caller.read_pdu(connection)
    if kind == PduType.ASSOCIATE_RJ:
        source, reason = answer[8], answer[9]
        is_unknown = source == 1 and reason in _NOT_ADMITTED
        raise ImportProblem("door-not-admitted" if is_unknown else "door-closed", f"rejected {source}/{reason}")
    if kind != PduType.ASSOCIATE_AC:
        raise ImportProblem("door-lost", f"answered with PDU {kind}")
    accepted = pdu.parse_associate_ac(answer)
    if accepted.transfer_syntax_by_context_id.get(caller.CONTEXT_ID) != file.transfer_syntax_uid:
        connection.sendall(pdu.release_rq())
        raise ImportProblem("door-syntax", f"{file.sop_class_uid} in {file.transfer_syntax_uid}")
    offered = accepted.max_length_bytes or config.limits.pdu_bytes_max
    return max(1024, min(offered, config.limits.pdu_bytes_max))


def _send(connection: socket.socket, file: StoreFile, max_length_bytes: int, on_bytes: Callable[[int], None]) -> None:
    """Command and data set; every byte after group 0002 goes out as it lies in the file."""
    connection.sendall(pdu.data_tf(caller.CONTEXT_ID, caller.COMMAND_LAST, _store_rq(file)))
    step = max_length_bytes - pdu.PDV_HEADER_BYTES
    with file.path.open("rb") as opened:
        size_bytes = os.fstat(opened.fileno()).st_size
        try:
            seek_data_set(opened, size_bytes)
        except TornFile as error:
            raise ImportProblem("dicom-damaged", str(error)) from error
        while piece := opened.read(step):
            control = caller.DATA_LAST if opened.tell() >= size_bytes else caller.DATA
            connection.sendall(pdu.data_tf(caller.CONTEXT_ID, control, piece))
            on_bytes(len(piece))


def _store_rq(file: StoreFile) -> bytes:
    """The command set of a C-STORE-RQ of medium priority (PS3.7 table 9.3-1)."""
    return caller.command_set(
        {
            0x0002: file.sop_class_uid.encode("ascii"),
            0x0100: struct.pack("<H", C_STORE_RQ),
            0x0110: struct.pack("<H", _MESSAGE_ID),
            0x0700: struct.pack("<H", 0),
            0x0800: struct.pack("<H", 0x0001),
            0x1000: file.sop_instance_uid.encode("ascii"),
        }
    )
