"""Honest devices at the door, devices that may not come in, and an Orthanc that is not there."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from pynetdicom import AE

from tests.support import rawdicom
from tests.support.gatekeepers import PATIENT, GatekeeperProcess, StandIn, running_gatekeeper
from tests.support.ports import free_port
from tests.support.rawdicom import ABORT, ASSOCIATE_RJ, CR_STORAGE, EXPLICIT, RawModality, associate_rq, image
from tests.support.world import wait_for


def test_data_set_passes_byte_for_byte(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    data = image("1.2.1", 1_500_000)
    with RawModality(gate.port) as modality:
        modality.associate()

        assert modality.store("1.2.1", data, fragment=16_000) == 0
        assert modality.store("1.2.2", data, fragment=99_999, message_id=2) == 0
        assert modality.release() == rawdicom.RELEASE_RP

    assert orthanc.stored == {"1.2.1": data, "1.2.2": data}


def test_library_client_stores_and_echoes_through_it(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    before = gate.facts().get("devices", {}).get("XRAY1", {})
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.PatientName = CR_STORAGE, "1.2.3", "A^B"
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(EXPLICIT)
    client = AE("XRAY1")
    client.add_requested_context(CR_STORAGE, EXPLICIT)
    client.add_requested_context(rawdicom.VERIFICATION)
    association = client.associate("127.0.0.1", gate.port, ae_title="QAFILA", max_pdu=0)

    assert association.is_established
    assert association.send_c_echo().Status == 0
    assert association.send_c_store(made).Status == 0
    association.release()

    assert association.is_released
    assert list(orthanc.stored) == ["1.2.3"]
    assert orthanc.offered_max_length_bytes[-1] == 131072, "0 (no limit) was not clamped"
    assert association.acceptor.maximum_length == 131072, "Orthanc's 0 was not clamped"

    def answered() -> bool:
        heard = gate.facts().get("devices", {}).get("XRAY1", {})
        more = Counter(heard.get("answered", {})) - Counter(before.get("answered", {}))
        return heard.get("peer") == "127.0.0.1" and {"echo", "store"} <= more.keys()

    wait_for(answered, "both answers to be counted")


def test_many_messages_in_one_write_are_relayed(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    data = image("1.2.1")
    with RawModality(gate.port) as modality:
        modality.associate()
        one = rawdicom.pdv(1, 3, rawdicom.store_rq("1.2.1")) + rawdicom.pdv(1, 0, data[:99])
        modality.send(rawdicom.pdu(4, one + rawdicom.pdv(1, 2, data[99:])))

        assert modality.status() == 0

    assert orthanc.stored == {"1.2.1": data}


def test_receiving_is_shown_while_an_object_is_under_way(gate: GatekeeperProcess) -> None:
    with RawModality(gate.port) as modality:
        modality.associate()
        wait_for(lambda: gate.facts()["association_count"] == 1, "the association in live facts")
        assert gate.facts()["receiving_count"] == 0
        modality.begin_store("1.2.1")
        wait_for(lambda: gate.facts()["receiving_count"] == 1, "receiving in live facts")

        modality.send(rawdicom.data_tf(1, 2, image("1.2.1")))
        assert modality.status() == 0

        wait_for(lambda: gate.facts()["receiving_count"] == 0, "the end of receiving in live facts")


def test_association_outlives_the_one_with_orthanc(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    """Orthanc ends an idle association by its own time-out; the modality never notices."""
    with RawModality(gate.port) as modality:
        modality.associate()
        assert modality.store("1.2.1", image("1.2.1")) == 0
        before = orthanc.association_count
        orthanc.end_associations()

        assert modality.store("1.2.2", image("1.2.2"), message_id=2) == 0

    assert orthanc.association_count == before + 1
    assert sorted(orthanc.stored) == ["1.2.1", "1.2.2"]


@pytest.mark.parametrize(
    ("request_pdu", "rejection"),
    [
        (associate_rq(calling="NOBODY"), (1, 1, 3)),
        (associate_rq(calling="xray1"), (1, 1, 3)),
        (associate_rq(called="OTHER"), (1, 1, 7)),
        (associate_rq(application_context="1.2.3"), (1, 1, 2)),
        (associate_rq(version=2), (1, 2, 2)),
    ],
    ids=["calling", "case", "called", "application-context", "version"],
)
@pytest.mark.fault(63)
def test_forged_or_wrong_title_is_rejected_with_the_reason_of_the_standard(
    gate: GatekeeperProcess, request_pdu: bytes, rejection: tuple[int, int, int]
) -> None:
    with RawModality(gate.port) as modality:
        modality.send(request_pdu)

        kind, body = modality.receive()

        assert (kind, tuple(body[1:])) == (ASSOCIATE_RJ, rejection)
        assert modality.receive() == (0, b""), "the connection stays open"


@pytest.mark.fault(63)
def test_unknown_device_becomes_a_finding(gate: GatekeeperProcess) -> None:
    with RawModality(gate.port) as modality:
        modality.send(associate_rq(calling="STRANGER"))
        modality.receive()

    wait_for(lambda: gate.findings("STRANGER"), "the finding")

    ((kind, severity, sentence),) = gate.findings("STRANGER")
    assert (kind, severity) == ("door-unknown-calling-ae-title", "notice")
    assert "STRANGER" in sentence


def test_empty_list_of_modalities_admits_nobody_and_says_so(orthanc: StandIn, tmp_path: Path) -> None:
    with running_gatekeeper(tmp_path, orthanc.port, PATIENT, titles=()) as gatekeeper:
        with RawModality(gatekeeper.port) as modality:
            modality.send(associate_rq())
            assert modality.receive()[0] == ASSOCIATE_RJ

        assert gatekeeper.facts()["modality_count"] == 0
        assert "every association is refused" in gatekeeper.log_text()


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        rawdicom.data_tf(1, 3, rawdicom.store_rq("1.2.3")),
        rawdicom.pdu(1, b"\0\1\0\0"),
        associate_rq(contexts=((1, "../../etc/passwd", (EXPLICIT,)),)),
        associate_rq(padding=65_000, contexts=tuple((n, CR_STORAGE, (EXPLICIT,) * 2) for n in range(1, 99, 2))),
        struct.pack(">BxI", 1, 0xFFFFFFFF),
    ],
    ids=["http", "data first", "short", "uid", "64 KiB", "4 GiB"],
)
@pytest.mark.fault(60)
def test_what_is_no_bounded_request_is_aborted_at_once(gate: GatekeeperProcess, first: bytes) -> None:
    with RawModality(gate.port) as modality:
        modality.send(first)

        assert modality.receive()[0] == ABORT
        assert modality.receive() == (0, b"")


def test_absent_orthanc_is_a_transient_rejection(tmp_path: Path) -> None:
    with running_gatekeeper(tmp_path, free_port()) as gatekeeper, RawModality(gatekeeper.port) as modality:
        modality.send(associate_rq())

        kind, body = modality.receive()

    assert (kind, tuple(body[1:])) == (ASSOCIATE_RJ, (2, 3, 1))


def test_silent_orthanc_is_a_transient_rejection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        limits: dict[str, object] = {"orthanc_answer_s_max": 0.3}
        with running_gatekeeper(tmp_path, port, limits) as gatekeeper, RawModality(gatekeeper.port) as modality:
            modality.send(associate_rq())

            kind, body = modality.receive()

    assert (kind, tuple(body[1:])) == (ASSOCIATE_RJ, (2, 3, 1))


def test_orthanc_gone_in_mid_object_aborts_the_modality(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    orthanc.before_answer.clear()
    orthanc.received.clear()
    try:
        with RawModality(gate.port) as modality:
            modality.associate()
            modality.begin_store("1.2.1")
            modality.send(rawdicom.data_tf(1, 2, image("1.2.1")))
            assert orthanc.received.wait(10)
            orthanc.end_associations()

            assert modality.receive()[0] == ABORT
    finally:
        orthanc.before_answer.set()


def test_rejection_by_orthanc_is_passed_on(tmp_path: Path) -> None:
    strict = AE("QAFILA")
    strict.require_calling_aet = ["OTHER"]
    strict.add_supported_context(CR_STORAGE)
    port = free_port()
    strict.start_server(("127.0.0.1", port), block=False)
    try:
        with running_gatekeeper(tmp_path, port) as gatekeeper, RawModality(gatekeeper.port) as modality:
            modality.send(associate_rq())
            kind, body = modality.receive()
    finally:
        strict.shutdown()

    assert (kind, tuple(body[1:])) == (ASSOCIATE_RJ, (1, 1, 3))
