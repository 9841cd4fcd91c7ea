"""Broken framing, and clients that are silent, slow or many."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.gatekeeper.relay import DISPLACE_AFTER_S
from tests.support import rawdicom
from tests.support.gatekeepers import CLOCK, PATIENT, GatekeeperProcess, StandIn, running_gatekeeper
from tests.support.rawdicom import ABORT, ASSOCIATE_RJ, CR_STORAGE, EXPLICIT, RawModality, associate_rq, image
from tests.support.world import wait_for

STORE_1 = rawdicom.data_tf(1, 3, rawdicom.store_rq("1.2.1"))
DAMAGED_AND_MORE = (
    rawdicom.pdv(1, 3, rawdicom.store_rq("1.2.1"))
    + rawdicom.pdv(1, 2, image("1.2.1")[:-1])
    + rawdicom.pdv(1, 3, rawdicom.store_rq("1.2.2", 2))
)
"""One PDU with the end of a damaged object and the beginning of the next."""


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
