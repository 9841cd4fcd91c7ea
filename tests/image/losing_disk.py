"""A disk that loses what was not flushed: what a power cut leaves behind, from QEMU's own record of writes and flushes.

While a guest runs, its writes go into an overlay and, in order and with its flushes, into a log (QEMU's
``blklogwrites``, the format of dm-log-writes). After the cut the overlay is thrown away. Onto the disk go all writes
before the last flush that was answered, and of the writes after it none, the first ones, or any of them, sector by
sector: the three things that real disks with a volatile cache do.

A guest need not be killed for it: its record up to any moment makes the disk that a cut then would have left
(``branch``).
"""

from __future__ import annotations

import itertools
import json
import os
import random
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import BinaryIO

MAGIC = 0x6A736677736872
SECTOR_BYTES = 512
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_LOG_BYTES_MAX = 64 * 1024**3
"""Of a sparse file: a log that ends does so because the guest was cut, never because it was full."""


class Loss(Enum):
    """What becomes of writes after the last flush."""

    ALL = "all"
    TAIL = "tail"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Write:
    """One write of the guest; ``at`` is where its bytes stand in the log, -1 for a discard."""

    offset: int
    size_bytes: int
    at: int


@dataclass(frozen=True, slots=True)
class Cut:
    """What a cut did to the disk."""

    loss: Loss
    flush_count: int
    kept_count: int
    unflushed_count: int
    lost_bytes: int


class LosingDisk:
    """The disk of one guest: ``disk.raw`` in a folder, changed only by ``settle``."""

    def __init__(self, folder: Path) -> None:
        self.disk, self.overlay, self.log = folder / "disk.raw", folder / "overlay.qcow2", folder / "writes.log"

    def prepare(self, qemu_img: list[str]) -> None:
        """Before each start: an empty overlay and an empty log.

        Args:
            qemu_img: How to call it.
        """
        self.overlay.unlink(missing_ok=True)
        base = ["-b", str(self.disk), "-F", "raw"]
        subprocess.run(
            [*qemu_img, "create", "-q", "-f", "qcow2", *base, str(self.overlay)], check=True, stdin=subprocess.DEVNULL
        )
        self.log.unlink(missing_ok=True)
        with self.log.open("wb") as made:
            made.truncate(_LOG_BYTES_MAX)

    def blockdev(self, name: str) -> str:
        """QEMU's ``-blockdev``; this machine's own cache is not flushed, for QEMU is killed, not this machine."""
        fast = {"no-flush": True}
        overlay = {"driver": "file", "filename": str(self.overlay), "cache": fast}
        base = {"driver": "raw", "read-only": True, "file": {"driver": "file", "filename": str(self.disk)}}
        return json.dumps(
            {
                "driver": "blklogwrites",
                "node-name": name,
                "file": {"driver": "qcow2", "file": overlay, "backing": base},
                "log": {"driver": "file", "filename": str(self.log), "cache": fast},
            }
        )

    def settle(self, chance: random.Random, loss: Loss) -> Cut:
        """After the guest was killed: bring the disk to what the cut left of it."""
        return self._settle(self.disk, chance, loss, None)

    def entry_count(self) -> int:
        """How many writes and flushes were written down so far."""
        with self.log.open("rb") as log:
            return sum(1 for _ in _entries(log))

    def flushes(self) -> list[int]:
        """Which of the entries are flushes."""
        with self.log.open("rb") as log:
            return [number for number, (flags, _) in enumerate(_entries(log)) if flags & FLUSH]

    def branch(self, folder: Path, chance: random.Random, loss: Loss, entry_count: int) -> Cut:
        """The disk as a cut after the first entries would have left it, as another disk in ``folder``.

        It can be made for as long as this disk was not settled after the run that is on record.
        """
        copy = LosingDisk(folder).disk
        subprocess.run(["cp", "--sparse=always", str(self.disk), str(copy)], check=True)
        return self._settle(copy, chance, loss, entry_count)

    def _settle(self, path: Path, chance: random.Random, loss: Loss, entry_count: int | None) -> Cut:
        with self.log.open("rb") as log, path.open("r+b") as disk:
            flushed, unflushed, flush_count = read_log(log, entry_count)
            for write in flushed:
                _apply(log, disk, write, 0, write.size_bytes)
            kept, lost_bytes = 0, 0
            survivors = chance.randrange(len(unflushed) + 1) if unflushed else 0
            for index, write in enumerate(unflushed):
                if loss is Loss.TAIL and index < survivors:
                    _apply(log, disk, write, 0, write.size_bytes)
                    kept += 1
                elif loss is Loss.ANY:
                    lost_bytes += _apply_some(log, disk, write, chance)
                else:
                    lost_bytes += write.size_bytes
            disk.flush()
        return Cut(loss, flush_count, len(flushed) + kept, len(unflushed), lost_bytes)


def read_log(log: BinaryIO, entry_count: int | None = None) -> tuple[list[Write], list[Write], int]:
    """Writes before the last flush, writes after it, and how many flushes there were, among all or the first entries.

    The record may end anywhere: entries behind the last update of its head are read for as long as they make sense.
    """
    flushed: list[Write] = []
    since: list[Write] = []
    flush_count = 0
    for flags, write in itertools.islice(_entries(log), entry_count):
        if flags & FLUSH:
            flushed += since
            since = []
            flush_count += 1
        if write.size_bytes:
            (flushed if flags & FUA else since).append(write)
    return flushed, since, flush_count


def _entries(log: BinaryIO) -> Iterator[tuple[int, Write]]:
    magic, version, _, sector_bytes = _SUPER.unpack(log.read(_SUPER.size))
    if (magic, version, sector_bytes) != (MAGIC, 1, SECTOR_BYTES):
        raise ValueError(f"not a log of writes: {magic:#x} {version} {sector_bytes}")
    at = SECTOR_BYTES
    while True:
        log.seek(at)
        head = log.read(_ENTRY.size)
        if len(head) < _ENTRY.size:
            return
        sector, sector_count, flags, data_bytes = _ENTRY.unpack(head)
        if (sector_count == 0 and flags == 0) or flags & ~(FLUSH | FUA | DISCARD | MARK):
            return
        at += SECTOR_BYTES
        size_bytes = sector_count * SECTOR_BYTES
        if flags & MARK:
            at += data_bytes
        elif flags & DISCARD:
            yield flags, Write(sector * SECTOR_BYTES, size_bytes, -1)
        else:
            yield flags, Write(sector * SECTOR_BYTES, size_bytes, at)
            at += size_bytes


def _apply(log: BinaryIO, disk: BinaryIO, write: Write, start: int, end: int) -> None:
    if write.at < 0:
        os.pwrite(disk.fileno(), bytes(end - start), write.offset + start)
        return
    os.pwrite(disk.fileno(), os.pread(log.fileno(), end - start, write.at + start), write.offset + start)


def _apply_some(log: BinaryIO, disk: BinaryIO, write: Write, chance: random.Random) -> int:
    """Each run of sectors may be there or not: half of the writes are whole or lost as a whole, the others are torn.

    Returns:
        How many bytes were lost.
    """
    run_bytes = write.size_bytes if chance.random() < 0.5 else SECTOR_BYTES * chance.choice((1, 8, 64))
    lost = 0
    for start in range(0, write.size_bytes, run_bytes):
        end = min(start + run_bytes, write.size_bytes)
        if chance.random() < 0.5:
            _apply(log, disk, write, start, end)
        else:
            lost += end - start
    return lost
