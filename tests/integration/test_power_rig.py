"""The power-cut rig itself: what was not synced may be gone, what was synced must be there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.power import Disk, missing_for_power_cuts, mounted_disk, new_disk, power_pool

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(missing_for_power_cuts()), reason=missing_for_power_cuts())]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with power_pool(tmp_path) as pool, new_disk(pool, "disk.img", tmp_path / "disk") as disk:
        yield disk


def test_file_written_without_sync_is_gone_after_a_cut(disk: Disk, tmp_path: Path) -> None:
    (disk.folder / "unsynced").write_bytes(b"x" * 100_000)
    with mounted_disk(disk.cut("cut.img"), tmp_path / "after") as after:
        survivor = after.folder / "unsynced"
        assert not survivor.exists() or survivor.stat().st_size == 0


def test_file_synced_with_its_folder_is_there_after_a_cut(disk: Disk, tmp_path: Path) -> None:
    body = os.urandom(100_000)
    with (disk.folder / "synced").open("wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(disk.folder, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    with mounted_disk(disk.cut("cut.img"), tmp_path / "after") as after:
        assert (after.folder / "synced").read_bytes() == body


def test_cut_leaves_the_disk_itself_running(disk: Disk, tmp_path: Path) -> None:
    disk.cut("cut.img")
    (disk.folder / "later").write_text("still here")
    with mounted_disk(disk.image.with_name("cut.img"), tmp_path / "after") as after:
        assert not (after.folder / "later").exists()
    assert (disk.folder / "later").read_text() == "still here"
