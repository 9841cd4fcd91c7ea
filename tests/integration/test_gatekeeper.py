"""The gatekeeper as a process, honest and hostile clients before it, a willing stand-in for Orthanc behind it."""

from __future__ import annotations

import json
import socket
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID
from pynetdicom import AE

from appliance.gatekeeper.relay import DISPLACE_AFTER_S
from tests.support import rawdicom
from tests.support.gatekeepers import (
    CLOCK,
    GatekeeperProcess,
    StandIn,
    running_gatekeeper,
    stand_in,
    write_toml,
)
from tests.support.ports import free_port
from tests.support.rawdicom import ABORT, ASSOCIATE_RJ, CR_STORAGE, EXPLICIT, RawModality, associate_rq, deflate, image
from tests.support.world import wait_for

LIMITS: dict[str, object] = {
    "handshake_s_max": 0.6,
    "idle_s_max": 2.0,
    "pdu_grace_s_max": 0.4,
    "drain_s_max": 3.0,
    "object_bytes_max": 3_000_000,
    "spool_memory_bytes_max": 100_000,
    "element_count_max": 5_000,
    "orthanc_answer_s_max": 20.0,
}
"""Short times, so that tests wait for the gatekeeper and not for the clock; long ones where the stand-in is slow."""


PATIENT: dict[str, object] = {"orthanc_answer_s_max": 20.0}
"""The product's limits, but for a stand-in that shares two processors with a test run."""
STORE_1 = rawdicom.data_tf(1, 3, rawdicom.store_rq("1.2.1"))
DAMAGED_AND_MORE = (
    rawdicom.pdv(1, 3, rawdicom.store_rq("1.2.1"))
    + rawdicom.pdv(1, 2, image("1.2.1")[:-1])
    + rawdicom.pdv(1, 3, rawdicom.store_rq("1.2.2", 2))
)
"""One PDU with the end of a damaged object and the beginning of the next."""


@pytest.fixture(scope="module")
def orthanc() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture(scope="module")
def shared(orthanc: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatekeeperProcess]:
    with running_gatekeeper(tmp_path_factory.mktemp("gate"), orthanc.port, LIMITS) as gatekeeper:
        yield gatekeeper


@pytest.fixture
def gate(shared: GatekeeperProcess, orthanc: StandIn) -> GatekeeperProcess:
    """The shared one, with nobody connected and nothing remembered."""
    wait_for(lambda: shared.facts().get("fill", {}).get("connection_count", [1])[0] == 0, "an empty gatekeeper")
    orthanc.stored.clear()
    return shared


# honest devices


def test_data_set_passes_byte_for_byte(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    data = image("1.2.1", 1_500_000)
    with RawModality(gate.port) as modality:
        modality.associate()

        assert modality.store("1.2.1", data, fragment=16_000) == 0
        assert modality.store("1.2.2", data, fragment=99_999, message_id=2) == 0
        assert modality.release() == rawdicom.RELEASE_RP

    assert orthanc.stored == {"1.2.1": data, "1.2.2": data}


def test_library_client_stores_and_echoes_through_it(gate: GatekeeperProcess, orthanc: StandIn) -> None:
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


# who may associate


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

    wait_for(lambda: _findings(gate, "STRANGER"), "the finding")

    ((kind, severity, sentence),) = _findings(gate, "STRANGER")
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


# Orthanc is not there


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


# damaged objects


@pytest.mark.fault(28)
@pytest.mark.parametrize("size", [1_000, 1_500_000], ids=["in memory", "spooled"])
def test_truncated_object_is_refused_quarantined_and_visible(
    gate: GatekeeperProcess, orthanc: StandIn, size: int
) -> None:
    uid = f"1.2.28.{size}"
    cut_off = image(uid, size)[:-77]
    before, aborted = set(gate.quarantined()), orthanc.abort_count
    with RawModality(gate.port) as modality:
        modality.associate()

        assert modality.store(uid, cut_off) == 0xC000
        assert modality.store("1.2.2", image("1.2.2"), message_id=2) == 0, "the association did not go on"
        assert modality.release() == rawdicom.RELEASE_RP

    assert orthanc.stored == {"1.2.2": image("1.2.2")}
    assert orthanc.abort_count == aborted + 1, "Orthanc was left with half an object"
    (path,) = set(gate.quarantined()) - before
    assert path.read_bytes().endswith(cut_off)
    label = json.loads(path.with_suffix(".json").read_text())
    assert (label["code"], label["calling_ae_title"], label["sop_instance_uid"]) == ("object-truncated", "XRAY1", uid)
    assert label["transfer_syntax_uid"] == EXPLICIT
    kept = dcmread(path, stop_before_pixels=True)
    assert (kept.file_meta.MediaStorageSOPInstanceUID, kept.Modality) == (uid, "CR")
    gate.wait_refused("object-truncated")
    assert any("cut off" in row["sentence"] for row in gate.facts()["recent"])
    wait_for(lambda: _findings(gate, uid), "the finding")
    ((kind, severity, sentence),) = _findings(gate, uid)
    assert (kind, severity) == ("door-object-truncated", "warning")
    assert "XRAY1" in sentence
    assert uid not in sentence


@pytest.mark.fault(28)
def test_damaged_object_sent_before_others_are_answered_aborts(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    """An answer of ours could come between fragments of Orthanc's."""
    orthanc.before_answer.clear()
    try:
        with RawModality(gate.port) as modality:
            modality.associate()
            modality.begin_store("1.2.1", message_id=1)
            modality.send(rawdicom.data_tf(1, 2, image("1.2.1")))
            modality.begin_store("1.2.2", message_id=2)
            modality.send(rawdicom.data_tf(1, 2, image("1.2.2")[:-1]))

            assert modality.receive()[0] == ABORT
    finally:
        orthanc.before_answer.set()


@pytest.mark.fault(28)
def test_same_damaged_object_sent_again_fills_one_file(gate: GatekeeperProcess) -> None:
    with RawModality(gate.port) as modality:
        modality.associate()
        assert modality.store("1.2.29", image("1.2.29")[:-1]) == 0xC000
        count = len(gate.quarantined())

        assert modality.store("1.2.29", image("1.2.29")[:-1], message_id=2) == 0xC000

    assert len(gate.quarantined()) == count


@pytest.mark.fault(62)
def test_uid_that_climbs_out_of_the_folder_names_no_file(gate: GatekeeperProcess) -> None:
    before = set(gate.quarantined())
    with RawModality(gate.port) as modality:
        modality.associate()
        assert modality.store("../../../../tmp/evil", image("1.2.62", 600)[:-1]) == 0xC000

    (path,) = set(gate.quarantined()) - before
    assert json.loads(path.with_suffix(".json").read_text())["sop_instance_uid"] == ""
    assert path.name.removeprefix("gate-").removesuffix(".dcm").isalnum()


@pytest.mark.fault(61)
@pytest.mark.parametrize(
    ("between", "code"),
    [
        (rawdicom.nested(40), "sequence-depth"),
        (rawdicom.nested(20_000), "sequence-depth"),
        (rawdicom.nested(40, defined=True), "sequence-depth"),
        (rawdicom.element(8, 0x100, b"SH", b"") * 6_000, "element-count"),
        (rawdicom.ITEM_END, "object-malformed"),
    ],
    ids=["nested 40", "nested 20000", "nested defined", "elements", "stray delimiter"],
)
def test_bomb_is_refused_and_the_next_object_stored(
    gate: GatekeeperProcess, orthanc: StandIn, between: bytes, code: str
) -> None:
    count = gate.facts()["refused"].get(code, 0)
    with RawModality(gate.port) as modality:
        modality.associate()

        assert modality.store("1.2.61", image("1.2.61", between=between)) == 0xC000
        assert modality.store("1.2.2", image("1.2.2"), message_id=2) == 0

    gate.wait_refused(code, count + 1)
    assert list(orthanc.stored) == ["1.2.2"]


@pytest.mark.fault(61)
def test_deflate_bomb_is_refused_and_the_next_object_stored(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    bomb = deflate(rawdicom.long_element(0x7FE0, 0x0010, b"OB", bytes(40 << 20)))
    with RawModality(gate.port) as modality:
        modality.associate(associate_rq(contexts=((1, CR_STORAGE, (rawdicom.DEFLATED,)),)))

        assert modality.store("1.2.61", bomb) == 0xC000
        assert modality.store("1.2.2", deflate(image("1.2.2")), message_id=2) == 0

    assert list(orthanc.stored) == ["1.2.2"]


def test_object_beyond_its_limit_is_aborted(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    with RawModality(gate.port) as modality:
        modality.associate()
        modality.begin_store("1.2.1")
        endless = rawdicom.data_tf(1, 0, bytes(100_000))
        try:
            for _ in range(40):
                modality.send(endless)
        except OSError:
            return
        assert modality.receive()[0] == ABORT

    gate.wait_refused("object-too-large")
    assert not orthanc.stored


def test_object_without_room_is_refused_as_out_of_resources(orthanc: StandIn, tmp_path: Path) -> None:
    with running_gatekeeper(tmp_path, orthanc.port, {**PATIENT, "object_share_of_free_space_max": 1e-9}) as gatekeeper:
        with RawModality(gatekeeper.port) as modality:
            modality.associate()

            assert modality.store("1.2.70", image("1.2.70")) == 0xA700

        gatekeeper.wait_refused("no-room")
        assert not gatekeeper.quarantined()
    assert "1.2.70" not in orthanc.stored


def test_damaged_object_on_a_full_disk_is_refused_without_a_copy(orthanc: StandIn, tmp_path: Path) -> None:
    limits = {**PATIENT, "free_bytes_floor": 1 << 60, "object_share_of_free_space_max": 1.0}
    with running_gatekeeper(tmp_path, orthanc.port, limits) as gatekeeper, RawModality(gatekeeper.port) as modality:
        modality.associate()

        assert modality.store("1.2.71", image("1.2.71")[:-1]) == 0xC000
        assert modality.store("1.2.72", image("1.2.72"), message_id=2) == 0

        assert not gatekeeper.quarantined()


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([rawdicom.data_tf(1, 2, b"data first")], "pdu-unexpected"),
        ([rawdicom.data_tf(5, 3, rawdicom.store_rq("1.2.1"))], "pdu-unexpected"),
        ([rawdicom.data_tf(1, 3, b"\0" * 10)], "command-malformed"),
        ([rawdicom.data_tf(1, 1, b"\0" * 20_000)], "command-malformed"),
        ([STORE_1, rawdicom.data_tf(1, 3, rawdicom.store_rq("1.2.2", 2))], "pdu-unexpected"),
        ([STORE_1, rawdicom.data_tf(3, 0, b"other context")], "pdu-unexpected"),
        ([rawdicom.pdu(4, DAMAGED_AND_MORE)], "pdu-unexpected"),
        ([associate_rq()], "pdu-unexpected"),
        ([rawdicom.pdu(9, b"")], "pdu-malformed"),
        ([rawdicom.pdu(4, b"")], "pdu-malformed"),
        ([struct.pack(">BxI", 4, 131_073)], "pdu-too-long"),
        ([struct.pack(">BxI", 4, 0xFFFFFFFF)], "pdu-too-long"),
    ],
    ids=[
        "data first",
        "context not accepted",
        "no command",
        "long command",
        "command in data",
        "other context",
        "after a refusal",
        "second request",
        "unknown type",
        "empty",
        "too long",
        "4 GiB",
    ],
)
@pytest.mark.fault(60)
def test_broken_framing_aborts_both_sides(
    gate: GatekeeperProcess, orthanc: StandIn, messages: list[bytes], code: str
) -> None:
    aborted, count = orthanc.abort_count, gate.facts()["refused"].get(code, 0)
    with RawModality(gate.port) as modality:
        modality.associate(associate_rq(contexts=tuple((n, CR_STORAGE, (EXPLICIT,)) for n in (1, 3))))
        for message in messages:
            modality.send(message)

        assert modality.receive()[0] == ABORT
        assert modality.receive() == (0, b"")

    gate.wait_refused(code, count + 1)
    wait_for(lambda: orthanc.abort_count > aborted, "the abort at Orthanc")
    assert not orthanc.stored


# slow and many


@pytest.mark.fault(60)
def test_silent_connection_is_ended_after_the_handshake_time(gate: GatekeeperProcess) -> None:
    with RawModality(gate.port) as modality:
        assert modality.receive()[0] == ABORT
        assert modality.receive() == (0, b"")
    gate.wait_refused("handshake-too-slow")


@pytest.mark.fault(60)
def test_dripping_pdu_is_ended_below_the_least_rate(gate: GatekeeperProcess) -> None:
    with RawModality(gate.port, timeout_s=0.05) as modality:
        modality.socket.settimeout(20)
        modality.associate()
        modality.socket.settimeout(0.05)
        drip = iter(rawdicom.data_tf(1, 3, rawdicom.store_rq("1.2.1")))
        answer = b""
        while not answer:
            modality.send(bytes([next(drip)]))
            try:
                answer = modality.socket.recv(10)
            except TimeoutError:
                continue

    assert answer[0] == ABORT
    gate.wait_refused("pdu-too-slow")


@pytest.mark.fault(60)
def test_idle_association_is_ended(gate: GatekeeperProcess) -> None:
    with RawModality(gate.port) as modality:
        modality.associate()

        assert modality.receive()[0] == ABORT
    gate.wait_refused("idle")


def test_answer_of_orthanc_counts_against_idleness(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    """Longer than the idle time passes between two messages of the modality, but an answer lies between."""

    def let_pass(share: float) -> None:
        began_mono_s = CLOCK.mono_s()
        wait_for(lambda: CLOCK.mono_s() - began_mono_s > share * gate.config.limits.idle_s_max, "some time to pass")

    with RawModality(gate.port) as modality:
        modality.associate()
        orthanc.before_answer.clear()
        modality.begin_store("1.2.1")
        modality.send(rawdicom.data_tf(1, 2, image("1.2.1")))
        let_pass(0.6)
        orthanc.before_answer.set()
        assert modality.status() == 0
        let_pass(0.6)

        assert modality.store("1.2.2", image("1.2.2"), message_id=2) == 0


@pytest.mark.fault(60)
def test_long_association_is_ended(orthanc: StandIn, tmp_path: Path) -> None:
    with (
        running_gatekeeper(tmp_path, orthanc.port, {**PATIENT, "association_s_max": 0.5}) as gatekeeper,
        RawModality(gatekeeper.port) as modality,
    ):
        modality.associate()

        assert modality.receive()[0] == ABORT
        gatekeeper.wait_refused("association-too-long")


@pytest.mark.fault(60)
def test_excess_connections_are_closed_at_once_without_hurting_others(orthanc: StandIn, tmp_path: Path) -> None:
    with running_gatekeeper(tmp_path, orthanc.port, PATIENT) as gatekeeper, ExitStack() as stack:

        def associated(source: str) -> RawModality:
            modality = stack.enter_context(RawModality(gatekeeper.port, source=source))
            modality.associate()
            return modality

        first = [associated("127.0.0.2") for _ in range(8)]
        ninth = stack.enter_context(RawModality(gatekeeper.port, source="127.0.0.2"))
        second = [associated("127.0.0.3") for _ in range(8)]
        seventeenth = stack.enter_context(RawModality(gatekeeper.port, source="127.0.0.4"))

        for excess in (ninth, seventeenth):
            kind, body = excess.receive()
            assert (kind, tuple(body[1:])) == (ASSOCIATE_RJ, (2, 3, 2))
            assert excess.receive() == (0, b"")
        for number, modality in enumerate(first + second):
            assert modality.store(f"1.2.60.{number}", image(f"1.2.60.{number}")) == 0
        wait_for(lambda: gatekeeper.facts()["fill"]["connection_count"] == [16, 16], "live facts that say full")
        assert gatekeeper.facts()["fill"]["connection_count_per_peer"] == [8, 8]


@pytest.mark.fault(60)
def test_honest_modality_is_served_among_a_hundred_hostile_clients(orthanc: StandIn, tmp_path: Path) -> None:
    """Silent, dripping and 4-GiB clients hold every place; whoever has said nothing makes room."""
    with running_gatekeeper(tmp_path, orthanc.port, PATIENT) as gatekeeper, ExitStack() as stack:
        unfinished = [b"", b"\x01", b"\x01\0\0\0\xff\xff", associate_rq()[:80]]
        huge = struct.pack(">BxI", 1, 0xFFFFFFFF)
        for number in range(100):
            hostile = stack.enter_context(RawModality(gatekeeper.port, source=f"127.0.0.{2 + number % 5}"))
            hostile.send(unfinished[number % 4] if number < 90 else huge)
        wait_for(lambda: gatekeeper.facts()["fill"]["connection_count"][0] == 16, "all places to be taken")
        taken_mono_s = CLOCK.mono_s()
        wait_for(lambda: CLOCK.mono_s() > taken_mono_s + DISPLACE_AFTER_S, "the hostile to have been silent")

        with RawModality(gatekeeper.port) as modality:
            modality.associate()
            assert modality.store("1.2.60", image("1.2.60")) == 0
            assert modality.release() == rawdicom.RELEASE_RP

        gatekeeper.wait_refused("displaced")
    assert "1.2.60" in orthanc.stored


@pytest.mark.fault(60)
def test_message_id_in_use_is_aborted(gate: GatekeeperProcess, orthanc: StandIn) -> None:
    """So that nobody can pile up requests beyond the 65,536 the protocol knows."""
    orthanc.before_answer.clear()
    try:
        with RawModality(gate.port) as modality:
            modality.associate()
            for _ in range(2):
                modality.begin_store("1.2.1")
                modality.send(rawdicom.data_tf(1, 2, image("1.2.1")))

            assert modality.receive()[0] == ABORT
    finally:
        orthanc.before_answer.set()


# life and death of the process


def test_object_under_way_is_finished_on_sigterm_and_nobody_new_admitted(orthanc: StandIn, tmp_path: Path) -> None:
    with running_gatekeeper(tmp_path, orthanc.port, LIMITS) as gatekeeper:
        with RawModality(gatekeeper.port) as busy, RawModality(gatekeeper.port) as idle:
            busy.associate()
            idle.associate()
            busy.begin_store("1.2.90")
            wait_for(lambda: gatekeeper.facts()["receiving_count"] == 1, "the object under way")
            gatekeeper.process.terminate()
            assert idle.receive()[0] == ABORT
            with pytest.raises(ConnectionRefusedError):
                RawModality(gatekeeper.port)

            busy.send(rawdicom.data_tf(1, 2, image("1.2.90")))

            assert busy.status() == 0
            assert busy.receive()[0] == ABORT
        assert gatekeeper.stop() == 0
    assert "1.2.90" in orthanc.stored


def test_object_that_never_ends_does_not_hold_up_the_end(orthanc: StandIn, tmp_path: Path) -> None:
    limits = {**LIMITS, "drain_s_max": 0.3, "idle_s_max": 60.0}
    with running_gatekeeper(tmp_path, orthanc.port, limits) as gatekeeper, RawModality(gatekeeper.port) as modality:
        modality.associate()
        modality.begin_store("1.2.91")
        wait_for(lambda: gatekeeper.facts()["receiving_count"] == 1, "the object under way")

        assert gatekeeper.stop() == 0
        assert modality.receive()[0] == ABORT


def _run(toml: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "appliance.gatekeeper", "--config", str(toml)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_port_in_use_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, free_port())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = toml.read_text().splitlines()
        text[5] = f"port = {port}"
        toml.write_text("\n".join(text))

        done = _run(toml)

    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert f"port {port} is in use" in done.stderr
    assert "dicom.port" in done.stderr


def test_address_of_another_machine_is_one_sentence_and_code_3(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, free_port())
    toml.write_text(toml.read_text().replace('bind = "127.0.0.1"', 'bind = "192.0.2.1"'))

    done = _run(toml)

    assert done.returncode == 3
    assert "192.0.2.1" in done.stderr
    assert done.stderr.count("\n") == 1


def test_typo_in_configuration_is_code_2(tmp_path: Path) -> None:
    toml = write_toml(tmp_path, free_port())
    toml.write_text(toml.read_text() + "handshake_s_maxx = 1\n")

    done = _run(toml)

    assert done.returncode == 2
    assert "handshake_s_max" in done.stderr


def _findings(gatekeeper: GatekeeperProcess, subject_id: str) -> list[tuple[str, str, str]]:
    db = sqlite3.connect(gatekeeper.config.unit_db, timeout=30)
    try:
        sql = "SELECT kind, severity, sentence FROM finding WHERE subject_id = ?"
        return db.execute(sql, (subject_id,)).fetchall()
    finally:
        db.close()
