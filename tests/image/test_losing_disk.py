"""The disk of the image's power cuts loses what was not flushed, and nothing else."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from tests.image.losing_disk import FLUSH, FUA, MAGIC, SECTOR_BYTES, LosingDisk, Loss
from tests.image.machine import missing, tool


def entry(sector: int, flags: int, data: bytes) -> bytes:
    head = b"".join(value.to_bytes(8, "little") for value in (sector, len(data) // SECTOR_BYTES, flags, 0))
    return head.ljust(SECTOR_BYTES, b"\0") + data


def disk_with(folder: Path, *entries: bytes) -> LosingDisk:
    """A disk of old sectors (``.``) and a log as QEMU leaves it when it is killed."""
    disk = LosingDisk(folder)
    disk.disk.write_bytes(b"." * SECTOR_BYTES * 64)
    head = b"".join(value.to_bytes(8, "little") for value in (MAGIC, 1, len(entries))) + (512).to_bytes(4, "little")
    disk.log.write_bytes(head.ljust(SECTOR_BYTES, b"\0") + b"".join(entries) + bytes(4096))
    return disk


def sectors(disk: LosingDisk) -> str:
    data = disk.disk.read_bytes()
    return "".join(chr(data[at]) for at in range(0, len(data), SECTOR_BYTES)).rstrip(".")


def test_what_was_flushed_stays_and_what_was_not_is_lost(tmp_path: Path) -> None:
    a, b, c = (letter * SECTOR_BYTES for letter in (b"a", b"b", b"c"))
    disk = disk_with(tmp_path, entry(0, 0, a), entry(0, FLUSH, b""), entry(1, 0, b), entry(2, FUA, c))
    cut = disk.settle(random.Random(1), Loss.ALL)
    assert sectors(disk) == "a.c"
    assert (cut.flush_count, cut.unflushed_count, cut.lost_bytes) == (1, 1, SECTOR_BYTES)


def test_later_write_to_the_same_place_wins(tmp_path: Path) -> None:
    old, new = b"o" * SECTOR_BYTES, b"n" * SECTOR_BYTES
    disk = disk_with(tmp_path, entry(0, 0, old), entry(0, 0, new), entry(0, FLUSH, b""))
    disk.settle(random.Random(1), Loss.ALL)
    assert sectors(disk) == "n"


def test_only_the_first_of_the_unflushed_stay_when_the_tail_is_lost(tmp_path: Path) -> None:
    writes = [entry(at, 0, bytes([ord("a") + at]) * SECTOR_BYTES) for at in range(16)]
    seen = set()
    for seed in range(20):
        disk = disk_with(tmp_path, *writes)
        disk.settle(random.Random(seed), Loss.TAIL)
        assert "abcdefghijklmnop".startswith(sectors(disk))
        seen.add(sectors(disk))
    assert len(seen) > 5


def test_any_of_the_unflushed_may_stay_also_in_part(tmp_path: Path) -> None:
    disk = disk_with(tmp_path, entry(0, 0, b"a" * SECTOR_BYTES * 32))
    torn = set()
    for seed in range(20):
        disk = disk_with(tmp_path, entry(0, 0, b"a" * SECTOR_BYTES * 32))
        disk.settle(random.Random(seed), Loss.ANY)
        torn.add(sectors(disk))
    assert {"", "a" * 32} < torn
    assert any(".a" in each for each in torn)


def test_run_can_be_cut_at_every_entry_of_its_record(tmp_path: Path) -> None:
    a, b, c = (letter * SECTOR_BYTES for letter in (b"a", b"b", b"c"))
    disk = disk_with(
        tmp_path, entry(0, 0, a), entry(0, FLUSH, b""), entry(1, 0, b), entry(0, FLUSH, b""), entry(2, 0, c)
    )
    assert (disk.entry_count(), disk.flushes()) == (5, [1, 3])
    found = []
    for count in range(6):
        (tmp_path / f"{count}").mkdir()
        disk.branch(tmp_path / f"{count}", random.Random(1), Loss.ALL, count)
        found.append(sectors(LosingDisk(tmp_path / f"{count}")))
    assert found == ["", "", "a", "a", "ab", "ab"]
    assert sectors(disk) == ""


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(bool(missing()), reason=missing() or "-")
def test_qemu_writes_down_what_its_guest_flushed(tmp_path: Path) -> None:
    disk = LosingDisk(tmp_path)
    disk.disk.write_bytes(b"." * 1024**2)
    disk.prepare(tool(tmp_path, "qemu-img"))
    commands = ("write -P 97 0 4k", "flush", "write -P 98 4k 4k", "write -P 99 8k 4k", "abort")
    subprocess.run(
        [
            *tool(tmp_path, "qemu-io", "-t", "writeback"),
            *(part for command in commands for part in ("-c", command)),
            f"json:{disk.blockdev('disk')}",
        ],
        check=False,
    )
    cut = disk.settle(random.Random(1), Loss.ALL)
    assert sectors(disk) == "a" * 8
    assert (cut.flush_count, cut.unflushed_count, cut.lost_bytes) == (1, 2, 8192)
