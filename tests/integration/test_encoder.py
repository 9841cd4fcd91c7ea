"""The encoder with real worker processes, real codecs and a real spool; odd workers where the point is their oddity."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.clock import Clock, SystemClock
from appliance.domain.failure import FailureKind
from appliance.domain.limits import LimitSet
from appliance.live import write_live
from sync.adapters.base import SendItem
from sync.encoder.base import EncodedFile, EncodeError, Encoder, PreviewFile
from sync.encoder.child import WORKER
from sync.encoder.entry import entry_folder
from sync.encoder.lane import receiving_at
from sync.encoder.service import EncoderService
from sync.wire.rebuild import rebuild
from tests.support.clocks import ManualClock
from tests.support.encoder_items import damaged, item_of, made_item, odd_worker
from tests.support.files import sample_files
from tests.support.world import wait_for

LIMITS = LimitSet(encoder_idle_s_max=600.0)
CLOCK = SystemClock()
PLENTY = 1 << 40


def never() -> bool:
    return False


@contextmanager
def running(
    folder: Path,
    limits: LimitSet = LIMITS,
    command: Sequence[str] = WORKER,
    free_bytes: int = PLENTY,
    run_dir: Path | None = None,
    clock: Clock = CLOCK,
) -> Iterator[EncoderService]:
    receiving = receiving_at(run_dir, CLOCK) if run_dir else never
    service = EncoderService(
        folder / "spool",
        limits,
        clock,
        is_receiving=receiving,
        free_bytes=lambda: free_bytes,
        core_count=2,
        command=command,
    )
    try:
        yield service
    finally:
        service.close()


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=4) as executor:
        yield executor


def rebuilt(parts: EncodedFile) -> bytes:
    out = io.BytesIO()
    if parts.pixels is None:
        rebuild(parts.skeleton, None, out)
    else:
        with parts.pixels.open("rb") as file:
            rebuild(parts.skeleton, file, out)
    return out.getvalue()


def encoded(service: EncoderService, item: SendItem) -> EncodedFile:
    parts = service.encoded(item, never)
    assert parts is not None
    return parts


class Control:
    """What the odd workers are told, and what they say they were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "control"
        self.command = odd_worker(self.folder)

    def order(self, item: SendItem, order: str) -> None:
        (self.folder / item.path.stem).write_text(order)

    def go_on(self) -> None:
        (self.folder / "go-on").touch()

    def asked(self) -> list[tuple[str, str]]:
        """File and effort (or ``preview``) of each question."""
        return [(line.split()[0], line.split()[1]) for line in self._lines() if line != "warm"]

    def warmed_count(self) -> int:
        return self._lines().count("warm")

    def pid(self, item: SendItem) -> int:
        """Of the worker that was asked last about this file."""
        return int([line for line in self._lines() if line.split()[0] == item.path.stem][-1].split()[2])

    def wait_asked(self, item: SendItem, *, preview: bool = False) -> None:
        wait_for(
            lambda: any(stem == item.path.stem and (what == "preview") is preview for stem, what in self.asked()),
            f"a question about {item.path.stem}",
        )

    def _lines(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def control(tmp_path: Path) -> Control:
    return Control(tmp_path)


def efforts(control: Control, item: SendItem) -> list[str]:
    return [what for stem, what in control.asked() if stem == item.path.stem and what != "preview"]


# --- what comes out -------------------------------------------------------------------------------------------------


def test_service_is_the_encoder_that_destinations_are_given(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        encoder: Encoder = service
        assert encoder.coded_bytes("0" * 64) is None


def test_parts_rebuild_the_stored_file_and_say_what_they_are(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        for number, sample in enumerate(sample_files(broken=True)):
            item = item_of(sample.path, number)
            parts = encoded(service, item)
            assert hashlib.sha256(rebuilt(parts)).hexdigest() == item.sha256, sample.name
            assert service.ready(item)
            assert service.coded_bytes(item.sha256) == parts.pixels_bytes
            assert parts.no_pixels == (parts.pixels is None)
            if parts.pixels is not None:
                body = parts.pixels.read_bytes()
                assert (len(body), hashlib.sha256(body).hexdigest()) == (parts.pixels_bytes, parts.pixels_sha256)


def test_preview_is_made_and_says_what_it_is(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        preview = service.preview(made_item(tmp_path / "in"), never)
        assert preview is not None
        body = preview.path.read_bytes()
        assert (len(body), hashlib.sha256(body).hexdigest()) == (preview.size_bytes, preview.sha256)
        assert preview.media_type.startswith("image/")


def test_file_without_a_picture_has_no_preview_and_is_asked_about_once(tmp_path: Path, control: Control) -> None:
    path = tmp_path / "junk.dcm"
    path.write_bytes(b"no picture at all")
    item = item_of(path)
    with running(tmp_path, command=control.command) as service:
        assert service.preview(item, never) is None
        assert service.preview(item, never) is None
    with running(tmp_path, command=control.command) as service:
        assert service.preview(item, never) is None
    assert control.asked() == [("junk", "preview")]


# --- ahead ----------------------------------------------------------------------------------------------------------


def test_wishes_are_made_in_order_without_anybody_waiting(tmp_path: Path, control: Control) -> None:
    items = [made_item(tmp_path / "in", number) for number in (1, 2, 3)]
    with running(tmp_path, command=control.command) as service:
        service.want([items[2], items[0], items[1]])
        wait_for(lambda: all(map(service.ready, items)), "all parts")
        stems = [stem for stem, what in control.asked() if what != "preview"]
        assert stems == ["3", "1", "2"]
        asked_count = len(control.asked())
        for item in items:
            assert encoded(service, item) and service.preview(item, never)
        assert len(control.asked()) == asked_count, "nothing is made twice"


def test_preview_overtakes_a_file_that_is_being_encoded(
    tmp_path: Path, control: Control, background: ThreadPoolExecutor
) -> None:
    loop, film = made_item(tmp_path / "in", 1), made_item(tmp_path / "in", 2, stat=True)
    control.order(loop, "hold 0")
    with running(tmp_path, command=control.command) as service:
        waiting: Future[EncodedFile | None] = background.submit(service.encoded, loop, never)
        control.wait_asked(loop)
        assert service.preview(film, never) is not None
        assert not waiting.done()
        control.go_on()
        assert waiting.result() is not None


def test_awaited_file_overtakes_work_ahead(tmp_path: Path, control: Control) -> None:
    ahead, awaited = made_item(tmp_path / "in", 1), made_item(tmp_path / "in", 2)
    control.order(ahead, "hold 0")
    with running(tmp_path, command=control.command) as service:
        service.want([ahead])
        control.wait_asked(ahead)
        assert encoded(service, awaited)
        assert not service.ready(ahead)
        control.go_on()
        wait_for(lambda: service.ready(ahead), "the work ahead")


def test_awaited_file_that_is_stuck_in_work_ahead_is_taken_over(tmp_path: Path, control: Control) -> None:
    item, clock = made_item(tmp_path / "in", 1), ManualClock()
    control.order(item, "hold 0")
    with running(tmp_path, command=control.command, clock=clock) as service:
        service.want([item])
        control.wait_asked(item)
        ahead_pid = control.pid(item)
        clock.advance(100.0)

        def release_the_next_one() -> bool:
            if control.pid(item) != ahead_pid:
                control.go_on()
            return False

        assert service.encoded(item, release_the_next_one) is not None
        assert control.pid(item) != ahead_pid


def test_nothing_is_made_ahead_while_the_door_receives_except_now_and_then(tmp_path: Path, control: Control) -> None:
    ahead, awaited = made_item(tmp_path / "in", 1), made_item(tmp_path / "in", 2)
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    write_live(run_dir, "gatekeeper", {"receiving_count": 1}, CLOCK)
    limits = replace(LIMITS, encoder_pause_s_max=1e9)
    with running(tmp_path, limits, control.command, run_dir=run_dir) as service:
        service.want([ahead])
        assert encoded(service, awaited), "what is awaited is made all the same"
        assert service.preview(awaited, never)
        assert [stem for stem, _ in control.asked()] == ["2", "2"]
        write_live(run_dir, "gatekeeper", {"receiving_count": 0}, CLOCK)
        wait_for(lambda: service.ready(ahead), "work ahead after the reception")
    write_live(run_dir, "gatekeeper", {"receiving_count": 1}, CLOCK)
    late = made_item(tmp_path / "in", 3)
    with running(tmp_path, replace(LIMITS, encoder_pause_s_max=0.1), control.command, run_dir=run_dir) as service:

        def still_receiving() -> bool:
            write_live(run_dir, "gatekeeper", {"receiving_count": 1}, CLOCK)
            return service.ready(late)

        service.want([late])
        wait_for(still_receiving, "a file made ahead although the door never rests")


def test_worker_for_previews_is_warm_before_the_picture_is_there(tmp_path: Path, control: Control) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    with running(tmp_path, command=control.command, run_dir=run_dir) as service:
        assert service.worker_pids() == []
        write_live(run_dir, "gatekeeper", {"receiving_count": 1}, CLOCK)
        wait_for(lambda: control.warmed_count() == 1, "a warm worker")
        [pid] = service.worker_pids()
        item = made_item(tmp_path / "in")
        assert service.preview(item, never)
        assert control.pid(item) == pid


def test_idle_workers_end_and_the_next_question_starts_others(tmp_path: Path) -> None:
    with running(tmp_path, replace(LIMITS, encoder_idle_s_max=0.05)) as service:
        assert encoded(service, made_item(tmp_path / "in", 1))
        wait_for(lambda: not service.worker_pids(), "the worker's end")
        assert encoded(service, made_item(tmp_path / "in", 2))


# --- restarts -------------------------------------------------------------------------------------------------------


def test_everything_is_found_again_after_a_restart_without_a_worker(tmp_path: Path, control: Control) -> None:
    items = [made_item(tmp_path / "in", number) for number in (1, 2)]
    with running(tmp_path, command=control.command) as service:
        before = [(encoded(service, item), service.preview(item, never)) for item in items]
    asked = control.asked()
    with running(tmp_path, command=control.command) as service:
        after = [(encoded(service, item), service.preview(item, never)) for item in items]
        assert service.worker_pids() == []
    assert after == before
    assert control.asked() == asked


@pytest.mark.parametrize("link", [12_500_000.0, None])
def test_lost_parts_that_were_offered_are_made_again_with_the_same_bytes(tmp_path: Path, link: float | None) -> None:
    item = made_item(tmp_path / "in", rows=512)
    with running(tmp_path) as service:
        service.note_link(12_500_000.0, 0)
        before = encoded(service, item)
    (entry_folder(tmp_path / "spool", item.sha256) / "pixels").write_bytes(b"torn")
    with running(tmp_path) as service:
        service.note_link(link, 0)
        service.want([item])
        wait_for(lambda: service.ready(item), "parts made again")
        assert encoded(service, item) == before


def test_delivered_and_unowed_files_leave_the_disk(tmp_path: Path) -> None:
    owed, gone = made_item(tmp_path / "in", 1), made_item(tmp_path / "in", 2)
    with running(tmp_path) as service:
        for item in (owed, gone):
            encoded(service, item)
        service.forget(gone.sha256)
        assert service.purge_unowed(lambda digests: {owed.sha256} & set(digests)) == 1
        assert service.ready(owed)
        assert not entry_folder(tmp_path / "spool", gone.sha256).exists()


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
