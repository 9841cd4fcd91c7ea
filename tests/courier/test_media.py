"""Real file systems on real block devices: full, write-protected, pulled out, and smaller than they say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.courier.errors import StickError, StickFault
from sync.courier.export import Ending, Outcome, export
from sync.courier.mounts import MountError, find_mount, mount_of, remount
from sync.courier.sentences import REMOVE, UNTOUCHED, ending, trouble
from sync.courier.unit_folder import UnitFolder
from tests.courier.making import LIMITS, Bench, made_bench
from tests.courier.media import MIB, Medium, made_medium, missing_for_media

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(missing_for_media()), reason=missing_for_media())]


@pytest.fixture
def medium(tmp_path: Path) -> Iterator[Medium]:
    with made_medium(tmp_path, 8 * MIB) as medium:
        yield medium


@pytest.fixture
def bench(tmp_path: Path, medium: Medium) -> Bench:
    return made_bench(tmp_path, medium.at, study_count=2, image_count=3)


def reopened(medium: Medium, bench: Bench, folder: UnitFolder) -> UnitFolder:
    folder.close()
    remount(mount_of(medium.at))
    return UnitFolder(medium.at, bench.keys, LIMITS, create=False)


def test_stick_is_read_back_after_it_was_mounted_anew(bench: Bench, medium: Medium) -> None:
    outcome = export(bench.order(), bench.tools(reopen=lambda folder: reopened(medium, bench, folder)))
    assert outcome.ending is Ending.DONE
    assert ending(outcome).startswith(REMOVE)
    medium.unplug()
    medium.plug_in()
    assert bench.arrived() == (bench.expected(), [])


def test_full_stick_holds_what_it_says_and_another_takes_the_rest(tmp_path: Path, bench: Bench, medium: Medium) -> None:
    room = len(bench.items) * 4_000
    with (medium.at / "holiday.mp4").open("wb") as file:
        free_bytes = UnitFolder(medium.at, bench.keys, LIMITS, create=True).folder.free_bytes()
        file.write(bytes(free_bytes - LIMITS.reserve_bytes - room))
    outcome = export(bench.order(), bench.tools())
    assert outcome.ending is Ending.FULL
    assert outcome.carried
    assert outcome.left_out
    assert outcome.carried + outcome.left_out == list(bench.items)
    assert "found no room" in ending(outcome)
    assert bench.arrived()[0] == {item.sop_instance_uid: item.path.read_bytes() for item in outcome.carried}
    (tmp_path / "second").mkdir()
    rest = bench.order(path=tmp_path / "second", items=tuple(outcome.left_out), new_stick_id="f" * 16)
    assert export(rest, bench.tools()).carried == outcome.left_out


def test_stick_without_any_room_says_so(bench: Bench, medium: Medium) -> None:
    (medium.at / "holiday.mp4").write_bytes(b"")
    with pytest.raises(OSError, match="No space"), (medium.at / "holiday.mp4").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(MIB))
            file.write(bytes(1024))
    with pytest.raises(StickError) as full:
        export(bench.order(), bench.tools())
    assert full.value.fault is StickFault.FULL
    assert UNTOUCHED in trouble(full.value)


def test_write_protected_stick_is_named(bench: Bench, medium: Medium) -> None:
    medium.unplug()
    medium.plug_in("ro")
    with pytest.raises(StickError) as refused:
        export(bench.order(), bench.tools())
    assert refused.value.fault is StickFault.READ_ONLY


@pytest.mark.fault(57)
@pytest.mark.parametrize("after", [1, 3, 6])
def test_pulled_stick_is_not_done_and_the_next_export_makes_it_good(bench: Bench, medium: Medium, after: int) -> None:
    def pull() -> None:
        if bench.encoder.encoded_count == after:
            medium.pull()

    bench.encoder.after_each = pull
    with pytest.raises(StickError) as pulled:
        export(bench.order(), bench.tools())
    assert pulled.value.fault in (StickFault.GONE, StickFault.READ_ONLY)
    assert UNTOUCHED in trouble(pulled.value)
    medium.unplug("-f")
    assert list(medium.at.iterdir()) == []
    medium.plug_in_again()
    bench.encoder.after_each = lambda: None
    outcome = export(bench.order(), bench.tools())
    assert (outcome.ending, outcome.carried) == (Ending.DONE, list(bench.items))
    assert bench.arrived() == (bench.expected(), [])
    assert bench.expected() == {item.sop_instance_uid: item.path.read_bytes() for item in bench.items}


@pytest.mark.fault(57)
def test_stick_that_left_the_file_tree_gets_nothing_written_to_the_disk_below(bench: Bench, medium: Medium) -> None:
    def leave() -> None:
        if bench.encoder.encoded_count == 2:
            medium.pull()
            medium.unplug("-l")

    bench.encoder.after_each = leave
    with pytest.raises(StickError):
        export(bench.order(), bench.tools())
    assert not medium.is_plugged_in
    assert list(medium.at.iterdir()) == []


@pytest.mark.fault(58)
@pytest.mark.parametrize("anew", [False, True])
def test_stick_that_is_smaller_than_it_says_is_found_out(
    tmp_path: Path, medium: Medium, monkeypatch: pytest.MonkeyPatch, anew: bool
) -> None:
    bench = made_bench(tmp_path, medium.at, study_count=1, image_count=12, rows=1200)
    settle = UnitFolder.settle

    def settle_on_half_a_stick(folder: UnitFolder) -> None:
        settle(folder)
        medium.forget_beyond(1 * MIB)

    monkeypatch.setattr(UnitFolder, "settle", settle_on_half_a_stick)
    reopen = (lambda folder: reopened(medium, bench, folder)) if anew else None
    assert _told(bench, reopen) != REMOVE


def _told(bench: Bench, reopen: object) -> str:
    """What a person reads first."""
    try:
        outcome: Outcome = export(bench.order(), bench.tools(reopen=reopen))
    except (StickError, MountError):
        return ""
    return ending(outcome)[: len(REMOVE)]


def test_mount_is_found_by_its_point_and_not_by_what_lies_below() -> None:
    lines = [
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
        "40 22 8:17 / /media/My\\040stick rw,nosuid shared:1 - vfat /dev/sdb1 rw\n",
    ]
    found = find_mount(Path("/media/My stick"), lines)
    assert found is not None
    assert (found.source, found.kind) == ("/dev/sdb1", "vfat")
    assert find_mount(Path("/media/My stick/folder"), lines) is None


def test_folder_that_is_no_mount_is_not_taken_out(tmp_path: Path) -> None:
    with pytest.raises(MountError, match="not where a stick is mounted"):
        mount_of(tmp_path)
