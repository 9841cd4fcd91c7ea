"""One file's parts on disk: its folder, and the two small records that make what lies there count.

A record is written last and replaces the one before in one step. Neither it nor the parts are flushed to the medium:
they can be made again. So after a power cut any of them may be torn or empty, and each part is compared with the size
and digest in its record once before it is handed out.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from sync.encoder.messages import PIXELS, PREVIEW, SKELETON

_PARTS_JSON = "parts.json"
_PREVIEW_JSON = "preview.json"
_HEX_DIGITS = frozenset("0123456789abcdef")


class PartsRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the parts are, and how they were made; it stays when they go, so that the same ones can be made again."""

    jxl: int
    zstd: int
    codec: str
    original_bytes: int
    skeleton_sha256: str
    skeleton_bytes: int
    pixels_sha256: str = ""
    pixels_bytes: int = 0
    restores_sha256: str = ""
    restores_bytes: int = 0
    offered: bool = False
    """A destination may have sent a piece of them: only the same bytes can be sent on."""
    forgotten: bool = False

    @property
    def has_pixels(self) -> bool:
        """Whether there is a pixel part."""
        return bool(self.pixels_sha256)

    @property
    def kept_bytes(self) -> int:
        """Of the parts on disk."""
        return self.skeleton_bytes + self.pixels_bytes


class PreviewRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the preview is; without a digest, none can be made of this file."""

    sha256: str = ""
    size_bytes: int = 0
    media_type: str = ""


@dataclass(slots=True)
class Entry:
    """What is remembered of one file, and what of it is on disk. The records say what should be there."""

    folder: Path
    parts: PartsRecord | None = None
    preview: PreviewRecord | None = None
    has_parts: bool = False
    is_checked: bool = False
    is_preview_checked: bool = False
    """What lies there was compared with its digest, or made by this process."""
    used_number: int = 0
    """Grows with each use; the smallest was used longest ago."""

    @property
    def kept_bytes(self) -> int:
        """On disk, records not counted."""
        parts_bytes = self.parts.kept_bytes if self.parts is not None and self.has_parts else 0
        return parts_bytes + (self.preview.size_bytes if self.preview is not None else 0)

    @property
    def pixels(self) -> Path:
        return self.folder / PIXELS

    @property
    def preview_file(self) -> Path:
        return self.folder / PREVIEW


def spool_folder(data_dir: Path) -> Path:
    """Where a unit's sync process keeps parts; beside, not below, the folders that are named by destinations."""
    return data_dir / "spool"


def entry_folder(root: Path, sha256: str) -> Path:
    """Where the parts of a file lie; the digest is checked, so it can never leave ``root``."""
    if not is_digest(sha256):
        raise ValueError("not a SHA-256")
    return root / sha256[:2] / sha256


def is_digest(text: str) -> bool:
    """Whether this is a SHA-256 in lower-case hexadecimal."""
    return len(text) == 64 and _HEX_DIGITS.issuperset(text)


def load(folder: Path) -> Entry | None:
    """What lies in a folder, by its records and the sizes of the files; ``None`` when nothing of it can be used."""
    entry = Entry(folder, _record(folder / _PARTS_JSON, PartsRecord), _record(folder / _PREVIEW_JSON, PreviewRecord))
    if entry.parts is not None:
        entry.has_parts = _has_size(folder / SKELETON, entry.parts.skeleton_bytes) and (
            not entry.parts.has_pixels or _has_size(entry.pixels, entry.parts.pixels_bytes)
        )
    if (
        entry.preview is not None
        and not _has_size(entry.preview_file, entry.preview.size_bytes)
        and entry.preview.sha256
    ):
        entry.preview = None
    return entry if entry.parts is not None or entry.preview is not None else None


def skeleton_of(entry: Entry) -> bytes | None:
    """The skeleton, once it and the pixel part are known to be whole; ``None`` when they are not."""
    parts = entry.parts
    if parts is None or not entry.has_parts:
        return None
    try:
        skeleton = (entry.folder / SKELETON).read_bytes()
        if hashlib.sha256(skeleton).hexdigest() != parts.skeleton_sha256:
            return None
        if parts.has_pixels and not _has_size(entry.pixels, parts.pixels_bytes):
            return None
        if parts.has_pixels and not entry.is_checked:
            with entry.pixels.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != parts.pixels_sha256:
                    return None
    except OSError:
        return None
    entry.is_checked = True
    return skeleton


def preview_is_whole(entry: Entry) -> bool:
    """Whether the preview that the record speaks of is there; also when it says that none can be made."""
    if entry.preview is None:
        return False
    if entry.preview.sha256 and not entry.is_preview_checked:
        try:
            if hashlib.sha256(entry.preview_file.read_bytes()).hexdigest() != entry.preview.sha256:
                return False
        except OSError:
            return False
    entry.is_preview_checked = True
    return True


def move_parts(work: Path, folder: Path, record: PartsRecord) -> None:
    """Take parts over from the folder they were made in. Raises ``OSError`` when that fails.

    The record before stays until the new one is written: how offered parts were made must not be forgotten.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (work / SKELETON).replace(folder / SKELETON)
    if record.has_pixels:
        (work / PIXELS).replace(folder / PIXELS)
    write_parts_record(folder, record)


def move_preview(work: Path, folder: Path, record: PreviewRecord) -> None:
    """As ``move_parts``."""
    folder.mkdir(parents=True, exist_ok=True)
    if record.sha256:
        (work / PREVIEW).replace(folder / PREVIEW)
    _replace(folder / _PREVIEW_JSON, msgspec.json.encode(record))


def write_parts_record(folder: Path, record: PartsRecord) -> None:
    """Replace the record. Raises ``OSError`` when that fails."""
    _replace(folder / _PARTS_JSON, msgspec.json.encode(record))


def flush_parts_record(folder: Path) -> None:
    """Have it survive a power cut; on a disk that cannot, parts are at worst made anew, in another way."""
    for path, kind in ((folder / _PARTS_JSON, os.O_RDONLY), (folder, os.O_RDONLY | os.O_DIRECTORY)):
        with suppress(OSError):
            descriptor = os.open(path, kind)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def remove_parts(folder: Path) -> None:
    """Remove the parts and leave their record."""
    for name in (PIXELS, SKELETON):
        (folder / name).unlink(missing_ok=True)


_R = TypeVar("_R", PartsRecord, PreviewRecord)


def _record(path: Path, kind: type[_R]) -> _R | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def _has_size(path: Path, size_bytes: int) -> bool:
    try:
        return path.stat().st_size == size_bytes
    except OSError:
        return False


def _replace(path: Path, body: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(body)
    partial.replace(path)
