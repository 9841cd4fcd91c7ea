"""A modality made of bare bytes, for what no DICOM library would ever send; shares no code with the product."""

from __future__ import annotations

import socket
import struct
import zlib
from collections.abc import Sequence
from types import TracebackType

CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA_TF, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
LAST_DATA, COMMAND = 2, 3
UNDEFINED = 0xFFFFFFFF

Context = tuple[int, str, Sequence[str]]


def pdu(kind: int, body: bytes) -> bytes:
    """A PDU with its right length."""
    return struct.pack(">BxI", kind, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    """An item of an association PDU."""
    return struct.pack(">BxH", kind, len(body)) + body


def associate_rq(
    calling: str = "XRAY1",
    called: str = "QAFILA",
    contexts: Sequence[Context] = ((1, CR_STORAGE, (EXPLICIT,)),),
    *,
    max_length: int | None = 16384,
    version: int = 1,
    application_context: str = APPLICATION_CONTEXT,
    padding: int = 0,
) -> bytes:
    """An A-ASSOCIATE-RQ; ``padding`` bytes of user information make it longer."""
    body = struct.pack(">H2x16s16s32x", version, called.ljust(16).encode(), calling.ljust(16).encode())
    body += item(0x10, application_context.encode())
    for context_id, abstract_syntax, transfer_syntaxes in contexts:
        syntaxes = b"".join(item(0x40, each.encode()) for each in transfer_syntaxes)
        body += item(0x20, struct.pack(">B3x", context_id) + item(0x30, abstract_syntax.encode()) + syntaxes)
    user = b"" if max_length is None else item(0x51, struct.pack(">I", max_length))
    user += item(0x52, b"1.2.3.4") + (item(0x55, bytes(padding)) if padding else b"")
    return pdu(ASSOCIATE_RQ, body + item(0x50, user))


def pdv(context_id: int, control: int, fragment: bytes) -> bytes:
    """One presentation data value with its header."""
    return struct.pack(">IBB", len(fragment) + 2, context_id, control) + fragment


def data_tf(context_id: int, control: int, fragment: bytes) -> bytes:
    """A P-DATA-TF with one PDV."""
    return pdu(DATA_TF, pdv(context_id, control, fragment))


def command_element(element: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def command_set(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return command_element(0, struct.pack("<I", len(body))) + body


def store_rq(sop_instance_uid: str, message_id: int = 1, sop_class_uid: str = CR_STORAGE) -> bytes:
    """The command set of a C-STORE-RQ."""
    return command_set(
        command_element(0x0002, sop_class_uid.encode()),
        command_element(0x0100, struct.pack("<H", 0x0001)),
        command_element(0x0110, struct.pack("<H", message_id)),
        command_element(0x0700, struct.pack("<H", 0)),
        command_element(0x0800, struct.pack("<H", 1)),
        command_element(0x1000, sop_instance_uid.encode()),
    )


def parse_command(data: bytes) -> dict[int, bytes]:
    """Element number to value."""
    values, offset = {}, 0
    while offset < len(data):
        _, element, length = struct.unpack_from("<HHI", data, offset)
        values[element] = data[offset + 8 : offset + 8 + length]
        offset += 8 + length
    return values


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """An explicit VR little endian element of short form."""
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def long_element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """An explicit VR little endian element of long form; ``length`` may lie."""
    return struct.pack("<HH2s2xI", group, number, vr, len(value) if length is None else length) + value


def data_set_item(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value) if length is None else length) + value


ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def image(sop_instance_uid: str, pixel_bytes: int = 10_000, between: bytes = b"") -> bytes:
    """A small sound CR data set in explicit VR little endian; ``between`` goes before the pixels."""
    return b"".join(
        (
            element(0x0008, 0x0016, b"UI", CR_STORAGE.encode()),
            element(0x0008, 0x0018, b"UI", sop_instance_uid.encode()),
            element(0x0008, 0x0060, b"CS", b"CR"),
            element(0x0010, 0x0010, b"PN", b"TEST^GATE"),
            element(0x0010, 0x0020, b"LO", b"G1"),
            element(0x0020, 0x000D, b"UI", b"1.2.826.0.1.3680043.9.1"),
            element(0x0020, 0x000E, b"UI", b"1.2.826.0.1.3680043.9.2"),
            element(0x0028, 0x0010, b"US", struct.pack("<H", 100)),
            element(0x0028, 0x0011, b"US", struct.pack("<H", pixel_bytes // 100)),
            element(0x0028, 0x0100, b"US", struct.pack("<H", 8)),
            between,
            long_element(0x7FE0, 0x0010, b"OB", bytes(pixel_bytes)),
        )
    )


def nested(depth: int, *, defined: bool = False) -> bytes:
    """``depth`` sequences, one in the other, with undefined or defined lengths."""
    inner = b""
    for _ in range(depth):
        if defined:
            inner = long_element(0x0040, 0x0555, b"SQ", data_set_item(inner))
        else:
            opened = long_element(0x0040, 0x0555, b"SQ", b"", UNDEFINED) + data_set_item(b"", UNDEFINED)
            inner = opened + inner + ITEM_END + SEQUENCE_END
    return inner


def deflate(data: bytes) -> bytes:
    """As PS3.5 annex A.5 wants it: a raw deflate stream, padded to an even length."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = stream.compress(data) + stream.flush()
    return packed + b"\0" * (len(packed) % 2)


class RawModality:
    """One TCP connection to a DICOM port."""

    def __init__(self, port: int, *, source: str = "127.0.0.1", timeout_s: float = 20.0) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> RawModality:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes]:
        """Type and body of the next PDU; ``(0, b"")`` at the end of the connection."""
        head = self._exactly(6)
        if len(head) < 6:
            return 0, b""
        kind, length = struct.unpack(">BxI", head)
        return kind, self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            try:
                more = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return b""
            if not more:
                return b""
            data += more
        return data

    def associate(self, request: bytes = b"") -> bytes:
        """Send a request and return the body of its A-ASSOCIATE-AC."""
        self.send(request or associate_rq())
        kind, body = self.receive()
        assert kind == ASSOCIATE_AC, f"answered with a PDU of type {kind}: {body.hex()}"
        return body

    def begin_store(self, sop_instance_uid: str, message_id: int = 1) -> None:
        self.send(data_tf(1, COMMAND, store_rq(sop_instance_uid, message_id)))

    def store(self, sop_instance_uid: str, data_set: bytes, *, message_id: int = 1, fragment: int = 16_000) -> int:
        """C-STORE on context 1; the status."""
        self.begin_store(sop_instance_uid, message_id)
        for start in range(0, max(len(data_set), 1), fragment):
            is_last = start + fragment >= len(data_set)
            self.send(data_tf(1, LAST_DATA if is_last else 0, data_set[start : start + fragment]))
        return self.status()

    def status(self) -> int:
        """The status of the next DIMSE response."""
        kind, body = self.receive()
        assert kind == DATA_TF, f"a PDU of type {kind} instead of a response: {body.hex()}"
        return int.from_bytes(parse_command(body[6:])[0x0900], "little")

    def release(self) -> int:
        """Ask for release; the type of the PDU that answers."""
        self.send(pdu(RELEASE_RQ, bytes(4)))
        return self.receive()[0]
