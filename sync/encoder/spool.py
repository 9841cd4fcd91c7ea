"""The parts that are made, on disk and found again after a restart; bounded in bytes, in number, and by what is free.

Everything here can be made again, so it gives way: to the bound, and to reception. Calls may come from any thread.
"""

from __future__ import annotations

import fcntl
import itertools
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from appliance.logging import log
from sync.encoder.base import EncodedFile, PreviewFile
from sync.encoder.entry import (
    Entry,
    PartsRecord,
    PreviewRecord,
    entry_folder,
    flush_parts_record,
    is_digest,
    load,
    move_parts,
    move_preview,
    preview_is_whole,
    remove_parts,
    skeleton_of,
    write_parts_record,
)
from sync.encoder.room import Claim, Kept, leaving_order

_WORK = "work"
_LOCK = "lock"
SENDING_BYTES = 128 * 1024 * 1024
SENDING_COUNT_MIN = 4
"""The newest offers are what destinations send from: so many bytes, which is four transfers, or so many files."""


@dataclass(frozen=True, slots=True)
class SpoolBounds:
    """``free_bytes_min`` stays free on the disk; only a file that a destination waits for may go below it."""

    bytes_max: int
    entry_count_max: int
    free_bytes_min: int


@dataclass(frozen=True, slots=True)
class SettledPreview:
    """``file`` is ``None`` when no preview can be made."""

    file: PreviewFile | None


class Spool:
    """One folder, of one process at a time.

    Args:
        root: The folder; made if it is not there. Work that an earlier process left unfinished is removed.
        bounds: Its bounds.
        free_bytes: What is free on its disk; asked, not remembered.

    Raises:
        OSError: If the folder cannot be used, or another process uses it.
    """

    def __init__(self, root: Path, bounds: SpoolBounds, free_bytes: Callable[[], int] | None = None) -> None:
        self._root = root
        self._bounds = bounds
        self._free_bytes = free_bytes or (lambda: shutil.disk_usage(root).free)
        self._lock = threading.RLock()
        self._entries: dict[str, Entry] = {}
        self._ranks: Mapping[str, int] = {}
        self._numbers = itertools.count(1)
        self._work_numbers = itertools.count(1)
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock_file = (root / _LOCK).open("ab")
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(root / _WORK, ignore_errors=True)
            self._scan()
        except OSError:
            self._lock_file.close()
            raise

    def close(self) -> None:
        """Let another process use the folder."""
        self._lock_file.close()

    # --- what is there ---------------------------------------------------------------------------------------------

    @property
    def kept_bytes(self) -> int:
        """Of all parts on disk."""
        with self._lock:
            return sum(entry.kept_bytes for entry in self._entries.values())

    def digests(self) -> list[str]:
        """Of the files of which anything is remembered."""
        with self._lock:
            return list(self._entries)

    def record(self, sha256: str) -> PartsRecord | None:
        """How a file's parts were made, whether or not they are still there."""
        with self._lock:
            entry = self._entries.get(sha256)
            return entry.parts if entry else None

    def has_parts(self, sha256: str) -> bool:
        """Whether they are there, by their sizes."""
        with self._lock:
            entry = self._entries.get(sha256)
            return entry is not None and entry.has_parts

    def has_preview(self, sha256: str) -> bool:
        """Whether it is there, or is known to be impossible."""
        with self._lock:
            entry = self._entries.get(sha256)
            return entry is not None and entry.preview is not None

    def offer(self, sha256: str) -> EncodedFile | None:
        """The parts, to be sent; from now on exactly these bytes are kept or made again, until they are forgotten.

        ``None`` when they are not there, or not whole: torn ones are dropped and may be made again.
        """
        with self._lock:
            entry = self._entries.get(sha256)
        if entry is None or not entry.has_parts:
            return None
        is_news = False
        skeleton = skeleton_of(entry)  # may read some MB: not under the lock
        with self._lock:
            parts = entry.parts
            if skeleton is None or parts is None or not entry.has_parts:
                self._drop_parts(entry)
                return None
            entry.used_number = next(self._numbers)
            if not parts.offered or parts.forgotten:
                entry.parts = parts = msgspec.structs.replace(parts, offered=True, forgotten=False)
                self._write(entry)
                is_news = True
        if is_news:
            flush_parts_record(entry.folder)  # up to seconds on a slow card: not under the lock
        return EncodedFile(
            skeleton=skeleton,
            pixels=entry.pixels if parts.has_pixels else None,
            pixels_sha256=parts.pixels_sha256,
            pixels_bytes=parts.pixels_bytes,
            restores_sha256=parts.restores_sha256,
            restores_bytes=parts.restores_bytes,
            no_pixels=not parts.has_pixels,
        )

    def preview(self, sha256: str) -> SettledPreview | None:
        """What is known of a file's preview; ``None`` while nothing is."""
        with self._lock:
            entry = self._entries.get(sha256)
            if entry is None or entry.preview is None:
                return None
            record = entry.preview
            if not preview_is_whole(entry):
                entry.preview = None
                return None
        if not record.sha256:
            return SettledPreview(None)
        return SettledPreview(PreviewFile(entry.preview_file, record.sha256, record.size_bytes, record.media_type))

    # --- what comes and goes ---------------------------------------------------------------------------------------

    @contextmanager
    def work_folder(self) -> Iterator[Path]:
        """A folder of its own for work in progress; removed with whatever was not taken over."""
        folder = self._root / _WORK / str(next(self._work_numbers))
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep_parts(self, sha256: str, work: Path, record: PartsRecord) -> None:
        """Take over what was made in ``work``.

        Raises:
            OSError: If there is no room; nothing was kept.
        """
        with self._lock:
            entry = self._entry(sha256)
            before = entry.parts
            if before is not None and before.offered and before.pixels_sha256 == record.pixels_sha256:
                record = msgspec.structs.replace(record, offered=True)
            entry.has_parts = False
            self._move(sha256, entry, lambda: move_parts(work, entry.folder, record))
            entry.parts, entry.has_parts, entry.is_checked = record, True, True
            entry.used_number = next(self._numbers)
            self._bound_count(sha256)

    def keep_preview(self, sha256: str, work: Path, record: PreviewRecord) -> None:
        """As ``keep_parts``; a record without a digest says that no preview can be made."""
        with self._lock:
            entry = self._entry(sha256)
            self._move(sha256, entry, lambda: move_preview(work, entry.folder, record))
            entry.preview, entry.is_preview_checked = record, True
            self._bound_count(sha256)

    def wish(self, ranks: Mapping[str, int]) -> None:
        """What is needed next, by rank from 0."""
        with self._lock:
            self._ranks = ranks

    def forget(self, sha256: str) -> None:
        """Its parts were delivered to a destination: they leave first when room is needed."""
        with self._lock:
            entry = self._entries.get(sha256)
            if entry is not None and entry.parts is not None and not entry.parts.forgotten:
                entry.parts = msgspec.structs.replace(entry.parts, forgotten=True)
                self._write(entry)

    def purge(self, sha256: str) -> None:
        """Nobody will ever ask for it again: keep nothing of it."""
        with self._lock:
            if sha256 in self._entries:
                self._drop(sha256)

    def make_room(self, need_bytes: int, *, is_awaited: bool, sha256: str = "") -> bool:
        """Let parts go until ``need_bytes`` more fit; whether they do.

        Args:
            need_bytes: What is about to be written.
            is_awaited: A destination waits for it: then wishes give way too, and old offers.
            sha256: Of the file it is for; wishes that come before it stay.
        """
        with self._lock:
            kept_bytes = self.kept_bytes
            if self._fits(kept_bytes + need_bytes, need_bytes):
                return True
            kept = self._kept()
            if not is_awaited:
                rank = self._ranks.get(sha256, -1)
                kept = [each for each in kept if each.claim is not Claim.WISHED or each.rank > rank]
            for each in leaving_order(kept, Claim.OFFERED if is_awaited else Claim.WISHED):
                self._let_go(each)
                kept_bytes -= each.kept_bytes
                if self._fits(kept_bytes + need_bytes, need_bytes):
                    return True
            return False

    # --- inside ----------------------------------------------------------------------------------------------------

    def _scan(self) -> None:
        found: list[tuple[int, str, Entry]] = []
        for folder in self._root.glob("[0-9a-f][0-9a-f]/*"):
            entry = load(folder) if is_digest(folder.name) else None
            if entry is None:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            # A wall time, of which only the order is used, and only to guess what may go first.
            found.append((folder.stat().st_mtime_ns, folder.name, entry))
        for _, sha256, entry in sorted(found, key=lambda each: each[:2]):
            entry.used_number = next(self._numbers)
            self._entries[sha256] = entry
        self.make_room(0, is_awaited=False)

    def _entry(self, sha256: str) -> Entry:
        return self._entries.setdefault(sha256, Entry(entry_folder(self._root, sha256)))

    def _move(self, sha256: str, entry: Entry, move: Callable[[], None]) -> None:
        try:
            move()
        except OSError:
            if entry.parts is None and entry.preview is None:
                self._drop(sha256)
            raise

    def _fits(self, kept_bytes: int, need_bytes: int) -> bool:
        return kept_bytes <= self._bounds.bytes_max and self._free_bytes() - need_bytes >= self._bounds.free_bytes_min

    def _kept(self) -> list[Kept]:
        """All but what destinations are sending from now."""
        sending = self._sending()
        return [
            Kept(sha256, entry.kept_bytes, self._claim(sha256, entry), self._ranks.get(sha256, 0), entry.used_number)
            for sha256, entry in self._entries.items()
            if sha256 not in sending
        ]

    def _sending(self) -> set[str]:
        offers = [each for each in self._entries.items() if self._claim(*each) is Claim.OFFERED and each[1].has_parts]
        offers.sort(key=lambda each: each[1].used_number, reverse=True)
        sending: set[str] = set()
        sending_bytes = 0
        for sha256, entry in offers:
            sending_bytes += entry.kept_bytes
            if len(sending) >= SENDING_COUNT_MIN and sending_bytes > SENDING_BYTES:
                break
            sending.add(sha256)
        return sending

    def _claim(self, sha256: str, entry: Entry) -> Claim:
        parts = entry.parts
        if parts is not None and parts.offered and not parts.forgotten:
            return Claim.OFFERED
        if sha256 in self._ranks:
            return Claim.WISHED
        return Claim.DELIVERED if parts is not None and parts.forgotten else Claim.NOBODY

    def _let_go(self, each: Kept) -> None:
        entry = self._entries[each.sha256]
        if each.claim is Claim.NOBODY:
            self._drop(each.sha256)
        else:
            self._drop_parts(entry)

    def _drop(self, sha256: str) -> None:
        entry = self._entries.pop(sha256)
        shutil.rmtree(entry.folder, ignore_errors=True)
        with suppress(OSError):
            entry.folder.parent.rmdir()  # refused while others lie there

    def _drop_parts(self, entry: Entry) -> None:
        """What they were stays known, so that offered ones can be made again as they were."""
        entry.has_parts = entry.is_checked = False
        with suppress(OSError):
            remove_parts(entry.folder)

    def _write(self, entry: Entry) -> None:
        """A record that cannot be written is right in memory; after a restart the parts are at worst made anew."""
        assert entry.parts is not None
        try:
            write_parts_record(entry.folder, entry.parts)
        except OSError as error:
            log("sync.encoder", "record not written", errno=error.errno)

    def _bound_count(self, newest_sha256: str) -> None:
        """Entries whose parts went are small, but must not become endless."""
        while len(self._entries) > self._bounds.entry_count_max:
            others = (
                (self._claim(sha256, entry), entry.used_number, sha256)
                for sha256, entry in self._entries.items()
                if sha256 != newest_sha256
            )
            self._drop(min(others)[2])
