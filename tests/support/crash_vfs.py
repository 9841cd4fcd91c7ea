"""A disk in memory that loses power: what was written but not synced is kept, lost or torn, sector by sector.

It keeps the promises that Linux file systems keep and no others (https://sqlite.org/psow.html): bytes that were synced
and not written since survive; of everything else any mixture of the contents since the last sync may be found, sizes
and directory entries too. A new file's directory entry is durable once a journal or WAL beside it is first synced, as
SQLite's own unix VFS does it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import apsw

_DIRECTORY_SYNCING = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class PowerCutError(Exception):
    """The power failed during this change.

    Raised once: while SQLite then cleans up, changes go nowhere and reads are answered, for a second exception inside
    one call of SQLite has nobody to go to.
    """


@dataclass
class _File:
    data: bytearray = field(default_factory=bytearray)
    earlier: dict[int, list[bytes]] = field(default_factory=dict)
    """Contents each unsynced sector had since the last sync, oldest (the synced one) first, without the present one."""
    sizes: list[int] = field(default_factory=lambda: [0])
    """Every size since the last sync, the synced one first."""
    is_linked: bool = False
    """Whether the directory entry is durable."""
    syncs_directory: bool = False


class Disk:
    """Files of one life of the machine; counts what changes it and cuts the power at one of these."""

    def __init__(self, files: Mapping[str, bytes], seed: int) -> None:
        self._chance = random.Random(seed)
        self.sector_bytes = self._chance.choice((512, 4096))
        self._keep_share = self._chance.choice((0.0, 0.2, 0.5, 0.8, 1.0))
        self._files = {name: _File(bytearray(data), sizes=[len(data)], is_linked=True) for name, data in files.items()}
        self._removed: dict[str, _File] = {}
        self.change_count = 0
        self.cut_at: int | None = None
        """The power fails during this change, counted from 1; ``None``: never."""
        self.is_dead = False

    def open(self, name: str, syncs_directory: bool) -> _File:
        file = self._files.setdefault(name, _File())
        file.syncs_directory = syncs_directory
        return file

    def exists(self, name: str) -> bool:
        return name in self._files

    def remove(self, name: str, sync_directory: bool) -> None:
        if self.is_dead:
            return
        self._removed[name] = self._files.pop(name)
        self._count_change()
        if sync_directory:
            self._removed.clear()

    def write(self, file: _File, offset: int, data: bytes) -> None:
        if self.is_dead:
            return
        end = offset + len(data)
        self._remember(file, offset, end)
        if end > len(file.data):
            file.data.extend(bytes(end - len(file.data)))
            file.sizes.append(end)
        file.data[offset:end] = data
        self._count_change()

    def truncate(self, file: _File, size: int) -> None:
        if self.is_dead:
            return
        self._remember(file, size, len(file.data))
        del file.data[size:]
        file.sizes.append(size)
        self._count_change()

    def sync(self, file: _File) -> None:
        if self.is_dead:
            return
        self._count_change()
        file.earlier.clear()
        file.sizes = [len(file.data)]
        if file.syncs_directory and not file.is_linked:
            for each in self._files.values():
                each.is_linked = True
            self._removed.clear()

    def _remember(self, file: _File, start: int, end: int) -> None:
        """What the sectors of these bytes hold, before they change."""
        for sector in range(start // self.sector_bytes, -(-end // self.sector_bytes)):
            before = bytes(file.data[sector * self.sector_bytes : (sector + 1) * self.sector_bytes])
            file.earlier.setdefault(sector, []).append(before.ljust(self.sector_bytes, b"\0"))

    def survivors(self) -> dict[str, bytes]:
        """What a start after the power cut finds."""
        back = {name: file for name, file in self._removed.items() if self._chance.random() < 0.5}
        there = {name: f for name, f in self._files.items() if f.is_linked or self._chance.random() < 0.5}
        return {name: self._surviving(file) for name, file in (back | there).items()}

    def _surviving(self, file: _File) -> bytes:
        size = self._chance.choice(file.sizes) if len(file.sizes) > 1 else file.sizes[0]
        data = bytearray(file.data[:size].ljust(size, b"\0"))
        for sector, earlier in file.earlier.items():
            start = sector * self.sector_bytes
            if start < size:
                found = self._sector(earlier, bytes(file.data[start : start + self.sector_bytes]))
                data[start : start + self.sector_bytes] = found[: size - start]
        return bytes(data)

    def _sector(self, earlier: list[bytes], present: bytes) -> bytes:
        """The last content, an earlier one, or two of them torn at some byte."""
        if self._chance.random() < self._keep_share:
            return present.ljust(self.sector_bytes, b"\0")
        contents = [*earlier, present.ljust(self.sector_bytes, b"\0")]
        old = self._chance.choice(contents)
        if self._chance.random() < 0.7:
            return old
        new = self._chance.choice(contents)
        torn_at = self._chance.randrange(self.sector_bytes)
        return new[:torn_at] + old[torn_at:]

    def _count_change(self) -> None:
        """Called with the change made and unsynced, so that it too may be found, lost or torn."""
        self.change_count += 1
        if self.change_count == self.cut_at:
            self.is_dead = True
            raise PowerCutError


class CrashVfs(apsw.VFS):
    """SQLite's way to the ``disk`` that is in place at the moment; only WAL with exclusive locking works on it."""

    def __init__(self, name: str) -> None:
        self.vfs_name = name
        self.disk = Disk({}, 0)
        super().__init__(name, "")

    def xFullPathname(self, name: str) -> str:
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:
        return self.disk.exists(pathname)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self.disk.remove(filename, syncdir)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> Any:
        if isinstance(name, apsw.URIFilename):
            name = name.filename()
        opened = self.disk.open(name or f"temporary-{id(flags)}", bool(flags[0] & _DIRECTORY_SYNCING))
        flags[1] = flags[0]
        return _OpenFile(self.disk, opened)

    def xRandomness(self, length: int) -> bytes:
        return random.Random(length).randbytes(length)

    def xSleep(self, microseconds: int) -> int:
        return microseconds

    def xCurrentTime(self) -> float:
        return 2_461_000.5

    def xGetLastError(self) -> tuple[int, str]:
        return 0, ""


class _OpenFile:
    """One open file; there is one connection, so locks are always had."""

    def __init__(self, disk: Disk, file: _File) -> None:
        self._disk = disk
        self._file = file

    def xClose(self) -> None:
        """Nothing is synced by closing."""

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.data[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.write(self._file, offset, bytes(data))

    def xTruncate(self, size: int) -> None:
        self._disk.truncate(self._file, size)

    def xSync(self, flags: int) -> None:
        self._disk.sync(self._file)

    def xFileSize(self) -> int:
        return len(self._file.data)

    def xSectorSize(self) -> int:
        return self._disk.sector_bytes

    def xDeviceCharacteristics(self) -> int:
        """As SQLite's unix VFS says of every Linux disk: a torn write harms no byte outside what was written."""
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xLock(self, level: int) -> None:
        """Had."""

    def xUnlock(self, level: int) -> None:
        """Given back."""

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False
