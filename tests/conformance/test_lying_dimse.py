"""DICOM peers that refuse, abort, warn, stall or promise what they do not keep."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from appliance.clock import Clock, SystemClock
from appliance.config import DimseDestination
from appliance.domain.limits import LimitSet
from sync.adapters.base import SendItem
from sync.adapters.compare import Verdict, compare
from sync.adapters.dimse import Dimse
from sync.wire.digest import read_meta
from tests.conformance.test_destinations import until_ended
from tests.support.clocks import ManualClock
from tests.support.files import sample_files, small_chest
from tests.support.pacs import OUR_AE_TITLE, Run, codes, item_of
from tests.support.peers_dimse import DicomPeer, report, report_on, report_to
from tests.support.ports import free_port

DX = DigitalXRayImageStorageForPresentation


@pytest.fixture
def items(tmp_path: Path) -> list[SendItem]:
    return [item_of(small_chest(tmp_path / f"{n}.dcm", 1, study_instance_uid="2.25.7", number=n), n) for n in (1, 2, 3)]


def adapter(
    port: int,
    work_dir: Path,
    *,
    clock: Clock | None = None,
    limits: LimitSet | None = None,
    commitment_port: int = 0,
    ca_file: str = "",
    tls: bool = False,
) -> Dimse:
    table = DimseDestination(
        name="centre",
        host="localhost",
        port=port,
        called_ae_title="CENTRE",
        calling_ae_title=OUR_AE_TITLE,
        commitment_port=commitment_port,
        ca_file=ca_file,
        tls=tls,
    )
    return Dimse(table, limits or LimitSet(verify_poll_s_max=10.0), clock or SystemClock(), work_dir)


@pytest.mark.fault(47)
def test_statuses_of_c_store_warning_and_out_of_resources_count_per_instance(
    items: list[SendItem], tmp_path: Path
) -> None:
    statuses = iter([0xB000, 0xA700, 0x0111])
    with DicomPeer([DX], on_store=lambda event: next(statuses)) as peer:
        assert Run(adapter(peer.port, tmp_path)).send(items) == ({1: "", 2: "dimse-a7xx", 3: ""}, "")


@pytest.mark.fault(47)
@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0xB006, ""),
        (0xB007, ""),
        (0x0110, "dimse-0110"),
        (0x0122, "dimse-0122"),
        (0x0124, "dimse-0124"),
        (0xA900, "dimse-a9xx"),
        (0xC123, "dimse-cxxx"),
        (0x9999, "dimse-other"),
    ],
)
def test_every_warning_and_failure_status_has_its_meaning(
    status: int, code: str, items: list[SendItem], tmp_path: Path
) -> None:
    with DicomPeer([DX], on_store=lambda event: status) as peer:
        assert Run(adapter(peer.port, tmp_path)).send(items[:1]) == ({1: code}, "")


@pytest.mark.fault(47)
def test_abort_mid_study_costs_one_instance_and_the_others_go_on(items: list[SendItem], tmp_path: Path) -> None:
    poison = items[1].sop_instance_uid

    def on_store(event: Any) -> int:
        if str(event.request.AffectedSOPInstanceUID) == poison:
            event.assoc.abort()
        return 0x0000

    with DicomPeer([DX], on_store=on_store) as peer:
        assert Run(adapter(peer.port, tmp_path)).send(items) == ({1: "", 2: "association-other", 3: ""}, "")
        assert peer.association_count == 2


@pytest.mark.fault(47)
def test_abort_of_every_instance_ends_the_attempt(items: list[SendItem], tmp_path: Path) -> None:
    def on_store(event: Any) -> int:
        event.assoc.abort()
        return 0x0000

    with DicomPeer([DX], on_store=on_store) as peer:
        outcomes, failure = Run(adapter(peer.port, tmp_path)).send(items)
    assert (outcomes, failure) == ({1: "association-other"}, "association-aborted")


def test_stored_bytes_go_out_as_they_are(items: list[SendItem], tmp_path: Path) -> None:
    with DicomPeer([DX]) as peer:
        assert Run(adapter(peer.port, tmp_path)).send(items[:1]) == ({1: ""}, "")
    with items[0].path.open("rb") as file:
        read_meta(file)
        assert peer.received == [(ExplicitVRLittleEndian, file.read())]


@pytest.mark.parametrize("sample", sample_files(), ids=lambda s: s.name)
def test_a_refused_syntax_is_sent_uncompressed_with_equal_pixels(sample: Any, tmp_path: Path) -> None:
    """Every real file to a peer that takes nothing but Implicit VR Little Endian."""
    item = item_of(sample.path, 1)
    with DicomPeer([item.sop_class_uid], [ImplicitVRLittleEndian]) as peer:
        assert Run(adapter(peer.port, tmp_path)).send([item]) == ({1: ""}, "")
    syntax, encoded = peer.received[0]
    assert syntax == ImplicitVRLittleEndian
    received = tmp_path / "received.dcm"
    header = small_header(item)
    received.write_bytes(header + encoded)
    expected = Verdict.DECODED if dcmread(sample.path).file_meta.TransferSyntaxUID.is_compressed else Verdict.CANONICAL
    if item.transfer_syntax_uid == ImplicitVRLittleEndian:
        expected = Verdict.BYTES
    assert compare(item.path, received).verdict is expected
    assert list(tmp_path.glob("transcoded-*")) == []


def small_header(item: SendItem) -> bytes:
    syntax = str(ImplicitVRLittleEndian).encode()
    syntax += b"\0" * (len(syntax) % 2)
    return bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI" + len(syntax).to_bytes(2, "little") + syntax


def test_a_refused_class_and_a_refused_syntax_are_told_apart(items: list[SendItem], tmp_path: Path) -> None:
    with DicomPeer(["1.2.840.10008.5.1.4.1.1.2"]) as peer:
        assert Run(adapter(peer.port, tmp_path)).send(items[:1]) == ({1: "class-refused"}, "")
    with DicomPeer([DX], [JPEG2000Lossless]) as peer:
        assert Run(adapter(peer.port, tmp_path)).send(items) == (dict.fromkeys((1, 2, 3), "syntax-refused"), "")
        assert peer.association_count == 1


def test_a_wrong_ae_title_is_a_matter_of_settings(items: list[SendItem], tmp_path: Path) -> None:
    with DicomPeer([DX], called_ae_title="SOMEBODY") as peer:
        destination = adapter(peer.port, tmp_path)
        assert Run(destination).send(items) == ({}, "ae-unknown")
        failure = destination.probe()
    assert failure is not None and failure.code == "ae-unknown"


@pytest.mark.fault(44)
def test_peer_that_never_answers_a_c_store_is_given_up_by_the_monotonic_clock(
    items: list[SendItem], tmp_path: Path
) -> None:
    clock, over, reached = ManualClock(), threading.Event(), threading.Event()

    def on_store(event: Any) -> int:
        reached.set()
        over.wait()
        return 0x0000

    answers: list[tuple[object, str]] = []
    with DicomPeer([DX], on_store=on_store) as peer:
        run = Run(adapter(peer.port, tmp_path, clock=clock))
        sending = threading.Thread(target=lambda: answers.append(run.send(items)))
        sending.start()
        assert reached.wait(20)
        until_ended(sending, clock)
        over.set()
    assert answers == [({}, "stalled")]


@pytest.mark.fault(44)
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_peer_that_never_answers_an_association_is_given_up_by_the_monotonic_clock(tls: bool, tmp_path: Path) -> None:
    clock = ManualClock()
    failures: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        destination = adapter(silent.getsockname()[1], tmp_path, clock=clock, tls=tls)
        probing = threading.Thread(target=lambda: failures.append(destination.probe()))
        probing.start()
        until_ended(probing, clock)
    assert failures[0].code == "stalled"


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x02\x00\xff\xff\xff\xff", b""])
def test_somebody_else_at_the_port_is_a_link_failure(garbage: bytes, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        failure = adapter(server.getsockname()[1], tmp_path).probe()
        thread.join(20)
    assert failure is not None and failure.code == "connection-lost"


@pytest.mark.fault(39)
def test_tls_interception_is_not_trusted(items: list[SendItem], tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    (tmp_path / "ca.pem").write_bytes(ours.cert_pem.bytes())
    for authority, expected in ((theirs, ({}, "tls-untrusted")), (ours, ({1: "", 2: "", 3: ""}, ""))):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        with DicomPeer([DX], context=context) as peer:
            destination = adapter(peer.port, tmp_path, tls=True, ca_file=str(tmp_path / "ca.pem"))
            assert Run(destination).send(items) == expected


def uids(items: list[SendItem]) -> list[str]:
    return [item.sop_instance_uid for item in items]


def test_commitment_reported_on_the_same_association_is_proof(items: list[SendItem], tmp_path: Path) -> None:
    threads: list[threading.Thread] = []

    def on_commit(action: Dataset, association: Any) -> int:
        threads.append(report_on(association, report(action.TransactionUID, uids(items), {})))
        return 0x0000

    with DicomPeer([DX], on_commit=on_commit) as peer:
        checked, failure = Run(adapter(peer.port, tmp_path)).verify(items)
        for thread in threads:
            thread.join()
    assert (codes(checked), failure) == ({1: "", 2: "", 3: ""}, "")
    evidence = checked[1].evidence
    assert evidence is not None
    assert (evidence.method, evidence.dataset_sha256) == ("commitment", "")


@pytest.mark.fault(48)
def test_commitment_failure_is_told_per_instance(items: list[SendItem], tmp_path: Path) -> None:
    threads: list[threading.Thread] = []
    first, second, third = uids(items)

    def on_commit(action: Dataset, association: Any) -> int:
        failed = {first: 0x0112, second: 0x0110}
        threads.append(report_on(association, report(action.TransactionUID, [third], failed)))
        return 0x0000

    with DicomPeer([DX], on_commit=on_commit) as peer:
        checked, failure = Run(adapter(peer.port, tmp_path)).verify(items)
        for thread in threads:
            thread.join()
    assert (codes(checked), failure) == ({1: "absent", 2: "commitment-failed", 3: ""}, "")
    assert checked[1].absent and not checked[2].absent


@pytest.mark.fault(48)
def test_commitment_that_names_other_instances_or_another_transaction_proves_nothing(
    items: list[SendItem], tmp_path: Path
) -> None:
    threads: list[threading.Thread] = []

    def on_commit(action: Dataset, association: Any) -> int:
        threads.append(report_on(association, report("2.25.99", uids(items), {})))
        threads[0].join()
        threads.append(report_on(association, report(action.TransactionUID, ["2.25.1", "2.25.2"], {})))
        return 0x0000

    with DicomPeer([DX], on_commit=on_commit) as peer:
        checked, failure = Run(adapter(peer.port, tmp_path)).verify(items)
        for thread in threads:
            thread.join()
    assert (set(codes(checked).values()), failure) == ({"commitment-pending"}, "")


@pytest.mark.fault(48)
def test_commitment_that_never_comes_is_pending_and_asked_again_with_a_new_transaction(
    items: list[SendItem], tmp_path: Path
) -> None:
    transactions: list[str] = []

    def on_commit(action: Dataset, association: Any) -> int:
        transactions.append(str(action.TransactionUID))
        return 0x0000

    with DicomPeer([DX], on_commit=on_commit) as peer:
        run = Run(adapter(peer.port, tmp_path, limits=LimitSet(verify_poll_s_max=0.3)))
        for _ in range(2):
            checked, failure = run.verify(items)
            assert (set(codes(checked).values()), failure) == ({"commitment-pending"}, "")
            assert not any(each.absent for each in checked.values())
    assert len(set(transactions)) == 2


@pytest.mark.fault(48)
def test_commitment_report_that_comes_late_counts_the_next_time_it_is_asked(
    items: list[SendItem], tmp_path: Path
) -> None:
    transactions: list[str] = []
    port = free_port()

    def on_commit(action: Dataset, association: Any) -> int:
        transactions.append(str(action.TransactionUID))
        return 0x0000

    with DicomPeer([DX], on_commit=on_commit) as peer:
        destination = adapter(peer.port, tmp_path, limits=LimitSet(verify_poll_s_max=0.3), commitment_port=port)
        run = Run(destination)
        assert set(codes(run.verify(items)[0]).values()) == {"commitment-pending"}
        assert report_to(port, OUR_AE_TITLE, report(transactions[0], uids(items), {})) == 0x0000
        assert report_to(port, OUR_AE_TITLE, report("2.25.5", uids(items), {})) == 0x0112
        assert codes(run.verify(items)[0]) == {1: "", 2: "", 3: ""}
        assert len(transactions) == 1
        run.send(items)
        assert set(codes(run.verify(items)[0]).values()) == {"commitment-pending"}, "an old promise outlived a new send"
        destination.close()


@pytest.mark.fault(48)
def test_commitment_refused_or_not_offered_is_no_proof(items: list[SendItem], tmp_path: Path) -> None:
    with DicomPeer([DX], on_commit=lambda action, association: 0x0213) as peer:
        checked, failure = Run(adapter(peer.port, tmp_path)).verify(items)
        assert (set(codes(checked).values()), failure) == ({"commitment-refused"}, "")
    with DicomPeer([DX]) as peer:
        assert Run(adapter(peer.port, tmp_path)).verify(items) == ({}, "service-refused")


def test_a_listener_port_in_use_is_a_matter_of_settings(items: list[SendItem], tmp_path: Path) -> None:
    with (
        socket.create_server(("", 0)) as taken,
        DicomPeer([DX], on_commit=lambda action, association: 0x0000) as peer,
    ):
        destination = adapter(peer.port, tmp_path, commitment_port=taken.getsockname()[1])
        assert Run(destination).verify(items) == ({}, "listener")
