"""C-STORE of one file to the unit's own door, as a modality would (PS3.7 section 9.1.1, PS3.8 section 9.3).

Small and blocking on purpose: the file goes out piece by piece from the disk, time-outs are the kernel's and thus
monotonic, and the quality process, which watches the folder, carries no DICOM library for it.
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
from appliance.gatekeeper import pdu
from appliance.gatekeeper.command import C_STORE_RQ, Command, CommandError, parse_command
from appliance.gatekeeper.pdu import PduError, PduType
from appliance.imports.problems import ImportProblem

_IMPLEMENTATION_CLASS_UID = b"2.25.305828488182831875890203105390285383139"
_CONTEXT_ID, _MESSAGE_ID = 1, 1
_ANSWER_BYTES_MAX = 256 * 1024
_STORED = frozenset({0x0000, 0x0111, 0xB000, 0xB006, 0xB007})
_CONFLICT = 0xC001
_NOT_ADMITTED = frozenset({3, 7})
"""Reasons of a rejection by the service user: calling, called AE title not recognized."""
_COMMAND_LAST, _DATA, _DATA_LAST = 3, 0, 2
"""Message control headers (PS3.8 annex E.2)."""


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
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.dicom.bind, config.dicom.bind)
    try:
        connection = socket.create_connection((host, config.dicom.port), timeout=config.limits.idle_s_max)
    except OSError as error:
        raise ImportProblem("door-closed", error.strerror or "") from error
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            max_length_bytes = _associate(connection, config, file)
            _send(connection, file, max_length_bytes, on_bytes)
            status = _status(connection)
            connection.sendall(pdu.release_rq())
        except (OSError, PduError, CommandError, struct.error) as error:
            raise ImportProblem("door-lost", type(error).__name__) from error
    if status in _STORED:
        return
    if status == _CONFLICT:
        raise ImportProblem("door-conflict", file.sop_instance_uid)
    raise ImportProblem("door-full" if status >> 8 == 0xA7 else "door-refused", f"{status:04x}")


def _associate(connection: socket.socket, config: UnitConfig, file: StoreFile) -> int:
    """Open an association for this one file; the longest PDU that the door takes."""
    connection.sendall(_associate_rq(config, file))
    kind, answer = _read(connection)
    if kind == PduType.ASSOCIATE_RJ:
        source, reason = answer[8], answer[9]
        is_unknown = source == 1 and reason in _NOT_ADMITTED
        raise ImportProblem("door-not-admitted" if is_unknown else "door-closed", f"rejected {source}/{reason}")
    if kind != PduType.ASSOCIATE_AC:
        raise ImportProblem("door-lost", f"answered with PDU {kind}")
    accepted = pdu.parse_associate_ac(answer)
    if accepted.transfer_syntax_by_context_id.get(_CONTEXT_ID) != file.transfer_syntax_uid:
        connection.sendall(pdu.release_rq())
        raise ImportProblem("door-syntax", f"{file.sop_class_uid} in {file.transfer_syntax_uid}")
    offered = accepted.max_length_bytes or config.limits.pdu_bytes_max
    return max(1024, min(offered, config.limits.pdu_bytes_max))


def _associate_rq(config: UnitConfig, file: StoreFile) -> bytes:
    """PS3.8 section 9.3.2, with one presentation context."""
    context = struct.pack(">BxxxBxH", _CONTEXT_ID, 0x30, len(file.sop_class_uid)) + file.sop_class_uid.encode("ascii")
    context += _item(0x40, file.transfer_syntax_uid.encode("ascii"))
    user = _item(0x51, struct.pack(">I", config.limits.pdu_bytes_max))
    user += _item(0x52, _IMPLEMENTATION_CLASS_UID) + _item(0x55, b"QAFILA_IMPORT")
    called, calling = (title.encode("ascii").ljust(16) for title in (config.dicom.ae_title, config.imports.ae_title))
    body = struct.pack(">HH16s16s32x", 1, 0, called, calling)
    body += _item(0x10, pdu.APPLICATION_CONTEXT.encode("ascii")) + _item(0x20, context) + _item(0x50, user)
    return struct.pack(">BxI", PduType.ASSOCIATE_RQ, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _send(connection: socket.socket, file: StoreFile, max_length_bytes: int, on_bytes: Callable[[int], None]) -> None:
    """Command and data set; every byte after group 0002 goes out as it lies in the file."""
    connection.sendall(pdu.data_tf(_CONTEXT_ID, _COMMAND_LAST, _store_rq(file)))
    step = max_length_bytes - pdu.PDV_HEADER_BYTES
    with file.path.open("rb") as opened:
        size_bytes = os.fstat(opened.fileno()).st_size
        try:
            seek_data_set(opened, size_bytes)
        except TornFile as error:
            raise ImportProblem("dicom-damaged", str(error)) from error
        while piece := opened.read(step):
            control = _DATA_LAST if opened.tell() >= size_bytes else _DATA
            connection.sendall(pdu.data_tf(_CONTEXT_ID, control, piece))
            on_bytes(len(piece))


def _store_rq(file: StoreFile) -> bytes:
    """The command set of a C-STORE-RQ of medium priority (PS3.7 table 9.3-1)."""
    elements = b"".join(
        (
            _element(0x0002, file.sop_class_uid.encode("ascii")),
            _element(0x0100, struct.pack("<H", C_STORE_RQ)),
            _element(0x0110, struct.pack("<H", _MESSAGE_ID)),
            _element(0x0700, struct.pack("<H", 0)),
            _element(0x0800, struct.pack("<H", 0x0001)),
            _element(0x1000, file.sop_instance_uid.encode("ascii")),
        )
    )
    return _element(0x0000, struct.pack("<I", len(elements))) + elements


def _element(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def _status(connection: socket.socket) -> int:
    """The status of the answer to our request."""
    answer = b""
    while len(answer) <= _ANSWER_BYTES_MAX:
        kind, received = _read(connection)
        if kind != PduType.DATA_TF:
            raise ImportProblem("door-lost", f"answered with PDU {kind}")
        for _, control, fragment in pdu.pdvs(memoryview(received)):
            answer += fragment
            if control == _COMMAND_LAST:
                command: Command = parse_command(answer)
                return command.status
    raise ImportProblem("door-lost", "an endless answer")


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
