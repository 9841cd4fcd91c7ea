"""Command sets against pynetdicom's own encoder and decoder."""

from __future__ import annotations

import io
import struct

import pytest
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_STORE_RSP as StoreResponseMessage
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode

from appliance.gatekeeper.command import CommandError, parse_command, store_response
from tests.support.rawdicom import CR_STORAGE, command_element, command_set, store_rq


def _response(status: int, field: int = 0x8001) -> bytes:
    return command_set(
        command_element(0x0100, struct.pack("<H", field)),
        command_element(0x0120, struct.pack("<H", 7)),
        command_element(0x0800, struct.pack("<H", 0x0101)),
        command_element(0x0900, struct.pack("<H", status)),
    )


def test_store_request_is_understood() -> None:
    command = parse_command(store_rq("1.2.3", message_id=9))

    assert (command.field, command.message_id, command.has_data_set) == (1, 9, True)
    assert (command.sop_class_uid, command.sop_instance_uid) == (CR_STORAGE, "1.2.3")
    assert command.is_request
    assert not command.is_final_response


@pytest.mark.parametrize(("status", "is_final"), [(0x0000, True), (0xC000, True), (0xFF00, False), (0xFF01, False)])
def test_pending_response_is_not_final(status: int, is_final: bool) -> None:
    command = parse_command(_response(status))

    assert command.is_final_response == is_final
    assert command.message_id == 7
    assert not command.is_request


@pytest.mark.fault(62)
@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.3/4", "1" * 65, "1.2\n3", ""])
def test_uid_that_could_leave_a_folder_is_taken_for_absent(uid: str) -> None:
    assert parse_command(store_rq(uid)).sop_instance_uid == ""


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        store_rq("1.2.3")[:-1],
        store_rq("1.2.3") + b"\0\0\0",
        store_rq("1.2.3") + struct.pack("<HHI", 0, 0x1000, 0xFFFFFFFF),
        store_rq("1.2.3") + struct.pack("<HHI", 8, 0x1000, 0),
        command_set(command_element(0x0100, b"\x01\x00")),
        command_set(command_element(0x0100, b"\x01\x00\x00\x00")),
    ],
)
def test_malformed_command_is_a_command_error(broken: bytes) -> None:
    with pytest.raises(CommandError):
        parse_command(broken)


def test_our_response_is_what_pynetdicom_reads() -> None:
    request = parse_command(store_rq("1.2.3.4", message_id=300))

    data = store_response(request, 0xC000, "object-truncated: " + "x" * 100)

    decoded = decode(io.BytesIO(data), True, True)
    message = StoreResponseMessage()
    message.command_set.update(decoded)
    primitive = message.message_to_primitive()
    assert isinstance(primitive, C_STORE)
    assert primitive.Status == 0xC000
    assert primitive.MessageIDBeingRespondedTo == 300
    assert primitive.AffectedSOPInstanceUID == UID("1.2.3.4")
    assert primitive.AffectedSOPClassUID == UID(CR_STORAGE)
    assert decoded.CommandGroupLength == len(data) - 12
    assert decoded.ErrorComment == ("object-truncated: " + "x" * 100)[:64]
