"""What every destination must do, whatever it speaks; against real Orthancs."""

from __future__ import annotations

import io
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.dicom.revise import revise
from appliance.dicom.wanted import Change
from appliance.domain.failure import FailureKind
from appliance.domain.limits import LimitSet
from sync.adapters.base import SendItem
from sync.wire.digest import digests
from tests.conformance.conftest import Bench
from tests.support.clocks import ManualClock
from tests.support.files import sample_files, small_chest
from tests.support.pacs import Run, codes, item_of, stored_file
from tests.support.ports import free_port
from tests.support.proxy import Proxy

pytestmark = pytest.mark.orthanc


def chests(folder: Path, count: int, rows: int = 96) -> list[SendItem]:
    """Instances of one study."""
    study = "2.25.4711"
    return [
        item_of(small_chest(folder / f"{n}.dcm", 1, study_instance_uid=study, number=n, rows=rows), n)
        for n in range(1, count + 1)
    ]


def until_ended(thread: threading.Thread, clock: ManualClock) -> None:
    """Let time pass until the thread has ended; what is still in kernel buffers may count as progress a few times."""
    for _ in range(100):
        thread.join(0.3)
        if not thread.is_alive():
            return
        clock.advance(LimitSet().transfer_stall_s_max + 1)
    raise AssertionError("it never gave up")


def test_probe_finds_a_destination_that_runs(bench: Bench) -> None:
    assert bench.destination().probe() is None


def test_probe_names_the_link_when_nobody_listens(bench: Bench) -> None:
    failure = bench.behind(free_port()).probe()
    assert failure is not None
    assert (failure.kind, failure.code) == (FailureKind.LINK, "unreachable")


def test_sent_instances_are_proved_and_really_there(bench: Bench, tmp_path: Path) -> None:
    items = chests(tmp_path, 3)
    run = Run(bench.destination())
    assert run.send(items) == ({1: "", 2: "", 3: ""}, "")
    checked, failure = run.verify(items)
    assert (codes(checked), failure) == ({1: "", 2: "", 3: ""}, "")
    for item in items:
        evidence = checked[item.item_id].evidence
        assert evidence is not None
        assert evidence.sha256 == item.sha256
        stored = stored_file(bench.centre.orthanc, item.sop_instance_uid)
        assert stored is not None
        ours = digests(io.BytesIO(item.path.read_bytes()))
        assert digests(io.BytesIO(stored)) == ours
        if bench.kind != "commitment":
            assert (evidence.dataset_sha256, evidence.pixel_sha256) == (ours.dataset_sha256, ours.pixel_sha256)
    assert {item_id for item_id, _ in run.progress} == {1, 2, 3}


def test_an_instance_that_was_never_sent_is_absent(bench: Bench, tmp_path: Path) -> None:
    items = chests(tmp_path, 2)
    run = Run(bench.destination())
    assert run.send(items[:1]) == ({1: ""}, "")
    checked, failure = run.verify(items)
    assert (codes(checked), failure) == ({1: "", 2: "absent"}, "")
    assert checked[2].absent


def test_sending_again_is_harmless(bench: Bench, tmp_path: Path) -> None:
    items = chests(tmp_path, 2)
    run = Run(bench.destination())
    for _ in range(2):
        assert run.send(items) == ({1: "", 2: ""}, "")
    checked, _ = run.verify(items)
    assert codes(checked) == {1: "", 2: ""}
    assert len(bench.centre.orthanc.json("/instances")) == 2


@pytest.mark.fault(45)
def test_lying_destination_with_other_bytes_is_found_out_by_every_proof_that_compares(
    bench: Bench, tmp_path: Path
) -> None:
    item = chests(tmp_path, 1)[0]
    raw = bytearray(item.path.read_bytes())
    raw[-1] ^= 0xFF
    bench.centre.orthanc.request("POST", "/instances", bytes(raw))
    run = Run(bench.destination())
    assert run.send([item]) == ({1: ""}, "")
    checked, failure = run.verify([item])
    expected = "" if bench.kind == "commitment" else "digest-mismatch"
    assert (codes(checked), failure) == ({1: expected}, "")
    assert not checked[1].absent


def corrected(item: SendItem, folder: Path) -> SendItem:
    """The item with another study description; what it replaces is named."""
    path = folder / "corrected.dcm"
    change = Change(
        values={"StudyDescription": "Corrected"}, new_uids={}, at="20261125120000+0000", system="van", source="XRAY"
    )
    with item.path.open("rb") as source, path.open("w+b") as target:
        revise(source, target, change)
    return replace(item_of(path, item.item_id), replaces=(item.sha256,))


@pytest.mark.fault(35)
def test_correction_that_the_destination_does_not_show_is_for_a_person_and_never_confirmed(
    bench: Bench, tmp_path: Path
) -> None:
    item = chests(tmp_path, 1)[0]
    run = Run(bench.destination())
    assert run.send([item]) == ({1: ""}, "")
    assert codes(run.verify([item])[0]) == {1: ""}
    right = corrected(item, tmp_path)
    assert run.send([right]) == ({1: ""}, "")
    checked, failure = run.verify([right])
    expected = "correction-unproved" if bench.kind == "commitment" else "kept-earlier"
    assert (codes(checked), failure) == ({1: expected}, "")
    assert checked[1].failure is not None
    assert checked[1].failure.kind is FailureKind.PERMANENT
    stored = stored_file(bench.centre.orthanc, item.sop_instance_uid)
    assert digests(io.BytesIO(stored or b"")) == digests(io.BytesIO(item.path.read_bytes()))


def test_correction_before_anything_was_sent_is_proved_like_any_other(bench: Bench, tmp_path: Path) -> None:
    right = replace(corrected(chests(tmp_path, 1)[0], tmp_path), replaces=())
    run = Run(bench.destination())
    assert run.send([right]) == ({1: ""}, "")
    assert codes(run.verify([right])[0]) == {1: ""}


def test_a_cancelled_attempt_stops_between_two_instances(bench: Bench, tmp_path: Path) -> None:
    items = [
        item_of(small_chest(tmp_path / f"{n}.dcm", n), n) for n in range(1, 5)
    ]  # four studies: no two share a request
    cancel = threading.Event()
    run = Run(bench.destination(), cancel, on_sent=lambda sent: cancel.set())
    assert run.send(items) == ({1: ""}, "")
    assert len(bench.centre.orthanc.json("/instances")) == 1


@pytest.mark.fault(41)
def test_link_dropped_in_mid_transfer_keeps_what_was_accepted_and_goes_on(bench: Bench, tmp_path: Path) -> None:
    items = chests(tmp_path, 4, rows=3000)  # 480 KB each: two share a request
    with Proxy(bench.sending_port) as proxy:
        proxy.cut_after_bytes = 1_600_000
        run = Run(bench.behind(proxy.port))
        outcomes, failure = run.send(items)
        assert failure == "connection-lost"
        assert 2 <= len(outcomes) < 4
        assert set(outcomes.values()) == {""}
        left = [item for item in items if item.item_id not in outcomes]
        assert run.send(left) == ({item.item_id: "" for item in left}, "")
        checked, _ = Run(bench.destination()).verify(items)
    assert codes(checked) == {1: "", 2: "", 3: "", 4: ""}


@pytest.mark.fault(44)
def test_a_destination_that_falls_silent_is_given_up_by_the_monotonic_clock(bench: Bench, tmp_path: Path) -> None:
    items = chests(tmp_path, 1, rows=3000)
    clock = ManualClock()
    with Proxy(bench.sending_port) as proxy:
        proxy.hold_after_bytes = 100_000
        run = Run(bench.behind(proxy.port, clock=clock))
        answer: list[tuple[dict[int, str], str]] = []
        sending = threading.Thread(target=lambda: answer.append(run.send(items)))
        sending.start()
        assert proxy.holding.wait(20)
        until_ended(sending, clock)
    assert answer == [({}, "stalled")]


@pytest.mark.fault(45)
def test_instance_corrupted_on_its_way_is_not_confirmed(bench: Bench, tmp_path: Path) -> None:
    item = chests(tmp_path, 1)[0]
    with Proxy(bench.sending_port) as proxy:
        proxy.corrupt_upstream = {b"PHANTOM^CHEST": b"PHANTOM^CHESS"}
        assert Run(bench.behind(proxy.port)).send([item]) == ({1: ""}, "")
    checked, failure = Run(bench.destination()).verify([item])
    expected = "" if bench.kind == "commitment" else "digest-mismatch"
    assert (codes(checked), failure) == ({1: expected}, "")


def test_real_files_of_every_transfer_syntax_arrive_with_equal_data_set_and_pixels(bench: Bench) -> None:
    items, seen = [], set()
    for number, sample in enumerate(sample_files(), 1):
        item = item_of(sample.path, number)
        if item.sop_instance_uid not in seen:
            items.append(item)
        seen.add(item.sop_instance_uid)
    run = Run(bench.destination())
    outcomes, failure = run.send(items)
    assert (set(outcomes.values()), failure) == ({""}, "")
    checked, failure = run.verify(items)
    assert (set(codes(checked).values()), failure) == ({""}, "")
    for item in items:
        stored = stored_file(bench.centre.orthanc, item.sop_instance_uid)
        assert stored is not None
        theirs, ours = digests(io.BytesIO(stored)), digests(io.BytesIO(item.path.read_bytes()))
        assert (theirs.dataset_sha256, theirs.pixel_sha256) == (ours.dataset_sha256, ours.pixel_sha256), item.path.name
