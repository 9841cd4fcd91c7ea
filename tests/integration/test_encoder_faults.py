"""The encoder when something goes wrong: files, workers, disks; and how it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.domain.failure import FailureKind
from sync.encoder.base import EncodedFile, EncodeError, PreviewFile
from tests.support.encoder_bench import LIMITS, Control, efforts, encoded, never, rebuilt, running
from tests.support.encoder_items import damaged, made_item
from tests.support.world import wait_for

# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.fault(12)
def test_worker_killed_while_it_encodes_costs_effort_and_not_the_delivery(
    tmp_path: Path, control: Control, background: ThreadPoolExecutor
) -> None:
    item = made_item(tmp_path / "in")
    control.order(item, "hold 0")
    with running(tmp_path, command=control.command) as service:
        waiting = background.submit(service.encoded, item, never)
        control.wait_asked(item)
        os.kill(control.pid(item), signal.SIGKILL)
        control.go_on()
        parts = waiting.result()
        assert parts is not None and rebuilt(parts) == item.path.read_bytes()
    assert len(efforts(control, item)) == 2


@pytest.mark.fault(61)
@pytest.mark.parametrize("oddity", ["die", "exit", "babble"])
def test_file_that_kills_every_coder_is_packed_plainly(tmp_path: Path, control: Control, oddity: str) -> None:
    item, other = made_item(tmp_path / "in", 1), made_item(tmp_path / "in", 2)
    control.order(item, f"{oddity} 1")
    with running(tmp_path, command=control.command) as service:
        assert rebuilt(encoded(service, item)) == item.path.read_bytes()
        assert encoded(service, other)
    assert efforts(control, item)[-2:] == ["1", "0"]


@pytest.mark.fault(61)
def test_file_that_costs_too_much_processor_time_is_packed_plainly(tmp_path: Path, control: Control) -> None:
    item = made_item(tmp_path / "in")
    control.order(item, "spin 1")
    limits = replace(LIMITS, encoder_cpu_s_max=0.2)
    with running(tmp_path, limits, control.command) as service:
        service.note_link(1e9, 0)
        assert rebuilt(encoded(service, item)) == item.path.read_bytes()
    assert efforts(control, item) == ["1", "0"]


@pytest.mark.fault(61)
def test_file_that_takes_too_much_memory_is_packed_plainly(tmp_path: Path, control: Control) -> None:
    item = made_item(tmp_path / "in")
    control.order(item, "grow 1")
    with running(tmp_path, replace(LIMITS, encoder_memory_bytes_max=300_000_000), control.command) as service:
        service.note_link(1e9, 0)
        assert rebuilt(encoded(service, item)) == item.path.read_bytes()
    assert efforts(control, item) == ["1", "0"]


def test_film_that_the_coder_has_no_memory_for_is_sent_all_the_same(tmp_path: Path) -> None:
    item = made_item(tmp_path / "in", rows=3000)
    with running(tmp_path, replace(LIMITS, encoder_memory_bytes_max=90_000_000)) as service:
        assert rebuilt(encoded(service, item)) == item.path.read_bytes()


def test_preview_that_kills_workers_is_given_up_and_blocks_nothing(tmp_path: Path, control: Control) -> None:
    item = made_item(tmp_path / "in")
    control.order(item, "die -1")
    with running(tmp_path, command=control.command) as service:
        assert service.preview(item, never) is None
        assert service.preview(made_item(tmp_path / "in", 2), never) is not None
    assert control.asked().count((item.path.stem, "preview")) == 2


@pytest.mark.fault(21)
def test_damaged_file_is_refused_for_good_and_never_kept(tmp_path: Path) -> None:
    item = damaged(made_item(tmp_path / "in"))
    with running(tmp_path) as service:
        with pytest.raises(EncodeError) as caught:
            service.encoded(item, never)
        assert caught.value.failure.code == "blob-damaged"
        assert caught.value.failure.kind is FailureKind.PERMANENT
        assert not service.ready(item)


def test_worker_that_lies_about_what_it_read_is_not_believed(tmp_path: Path, control: Control) -> None:
    item = made_item(tmp_path / "in")
    control.order(item, "boast 0")
    with running(tmp_path, command=control.command) as service, pytest.raises(EncodeError, match="blob-damaged"):
        service.encoded(item, never)


def test_missing_file_is_looked_for_again(tmp_path: Path) -> None:
    item = made_item(tmp_path / "in")
    moved = replace(item, path=tmp_path / "elsewhere")
    with running(tmp_path) as service:
        with pytest.raises(EncodeError) as caught:
            service.encoded(moved, never)
        assert caught.value.failure.code == "blob-moving"
        assert caught.value.failure.kind is FailureKind.TRANSIENT
        assert service.preview(moved, never) is None
        assert encoded(service, item) and service.preview(item, never)


@pytest.mark.fault(17)
def test_unreadable_file_is_refused_for_good(tmp_path: Path) -> None:
    item = made_item(tmp_path / "in")
    unreadable = replace(item, path=tmp_path)  # reading a folder fails as reading a bad sector does: with an errno
    with running(tmp_path) as service:
        with pytest.raises(EncodeError) as caught:
            service.encoded(unreadable, never)
        assert caught.value.failure.code == "blob-unreadable"
        assert caught.value.failure.kind is FailureKind.PERMANENT


def test_wish_that_cannot_be_made_does_not_block_the_next(tmp_path: Path) -> None:
    bad, good = damaged(made_item(tmp_path / "in", 1)), made_item(tmp_path / "in", 2)
    with running(tmp_path) as service:
        service.want([bad, good])
        wait_for(lambda: service.ready(good), "the wish behind")


@pytest.mark.fault(15)
def test_nothing_is_made_ahead_on_a_disk_that_is_nearly_full_but_what_is_awaited_is(
    tmp_path: Path, control: Control
) -> None:
    wish, awaited = made_item(tmp_path / "in", 1), made_item(tmp_path / "in", 2)
    with running(tmp_path, command=control.command, free_bytes=LIMITS.free_bytes_warn) as service:
        service.want([wish])
        assert rebuilt(encoded(service, awaited)) == awaited.path.read_bytes()
        assert not service.ready(wish)
    assert [stem for stem, _ in control.asked()] == ["2"]


@pytest.mark.root
@pytest.mark.fault(15)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_full_disk_fails_what_is_awaited_for_now_and_it_is_made_when_room_returns(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], check=True)
    item, small = made_item(tmp_path / "in", 1, rows=6000), made_item(tmp_path / "in", 2)
    try:
        with running(disk) as service:
            with pytest.raises(EncodeError) as caught:
                service.encoded(item, never)
            assert caught.value.failure.code == "encoder-no-room"
            assert caught.value.failure.kind is FailureKind.TRANSIENT
            assert encoded(service, small), "what fits is made meanwhile"
            subprocess.run(["mount", "-o", "remount,size=16m", str(disk)], check=True)
            assert rebuilt(encoded(service, item)) == item.path.read_bytes()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --- stopping -------------------------------------------------------------------------------------------------------


def test_caller_that_does_not_want_to_wait_any_more_gets_nothing(
    tmp_path: Path, control: Control, background: ThreadPoolExecutor
) -> None:
    item = made_item(tmp_path / "in")
    control.order(item, "hold -1")
    cancelled = threading.Event()
    with running(tmp_path, command=control.command) as service:
        parts: Future[EncodedFile | None] = background.submit(service.encoded, item, cancelled.is_set)
        preview: Future[PreviewFile | None] = background.submit(service.preview, item, cancelled.is_set)
        control.wait_asked(item, preview=True)
        cancelled.set()
        assert parts.result() is None and preview.result() is None
        control.go_on()
        assert encoded(service, item)


def test_closing_ends_workers_and_waiting_calls_at_once(
    tmp_path: Path, control: Control, background: ThreadPoolExecutor
) -> None:
    item = made_item(tmp_path / "in")
    control.order(item, "hold 0")
    with running(tmp_path, command=control.command) as service:
        parts = background.submit(service.encoded, item, never)
        control.wait_asked(item)
        pid = control.pid(item)
        service.close()
        assert parts.result() is None
        assert service.worker_pids() == []
        assert not Path(f"/proc/{pid}").exists()
        assert not list((tmp_path / "spool" / "work").glob("*")), "work in progress is removed"


OWNER = """
import sys, threading
from pathlib import Path
from appliance.clock import Clock, SystemClock
from appliance.domain.limits import LimitSet
from sync.encoder.service import EncoderService
from tests.support.clocks import ManualClock
from tests.support.encoder_items import made_item, odd_worker
folder = Path(sys.argv[1])
service = EncoderService(folder / "spool", LimitSet(), SystemClock(), command=odd_worker(folder / "control"))
service.encoded(made_item(folder / "in"), lambda: False)
"""


@pytest.mark.fault(12)
def test_worker_dies_with_a_process_that_is_killed_and_the_next_one_goes_on(tmp_path: Path, control: Control) -> None:
    item = made_item(tmp_path / "in")
    control.order(item, "hold 0")
    with subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)]) as owner:
        try:
            control.wait_asked(item)
            pid = control.pid(item)
        finally:
            owner.kill()
    wait_for(lambda: not _runs(pid), "the worker's end")
    control.go_on()
    with running(tmp_path, command=control.command) as service:
        assert rebuilt(encoded(service, item)) == item.path.read_bytes()


def _runs(pid: int) -> bool:
    """A worker whose parent is gone is reaped by whoever adopts it, soon or late; a zombie runs no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_worker_stands_back_and_is_bounded(tmp_path: Path, control: Control) -> None:
    item = made_item(tmp_path / "in")
    with running(tmp_path, command=control.command) as service:
        service.want([item])
        wait_for(lambda: service.ready(item), "parts made ahead")
        pid = control.pid(item)
        assert os.sched_getscheduler(pid) == os.SCHED_IDLE
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert str(LIMITS.encoder_memory_bytes_max) in next(
            line for line in limits.splitlines() if line.startswith("Max data size")
        )
        assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) > 0
