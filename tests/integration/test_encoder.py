"""The encoder with real worker processes, real codecs and a real spool; odd workers where the point is their oddity."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.live import write_live
from sync.encoder.base import EncodedFile, Encoder
from sync.encoder.entry import entry_folder
from tests.support.clocks import ManualClock
from tests.support.encoder_bench import CLOCK, LIMITS, Control, encoded, never, rebuilt, running
from tests.support.encoder_items import item_of, made_item
from tests.support.files import sample_files
from tests.support.world import wait_for

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
