"""What became of the release that came last, as ``qafila update`` (root) writes it down for the unit to read.

It lies in a folder that only root writes; both files are replaced whole and durably, and readable by everybody.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import msgspec

from appliance.durable import sync_folder

STATUS, FLOOR = "status.json", "floor"
_BYTES_MAX = 4096


class State(StrEnum):
    """How far it came."""

    INSTALLING = "installing"
    INSTALLED = "installed"
    """Into the slot that is not in use: it is started at the next boot."""
    REFUSED = "refused"
    FAILED = "failed"
    """It was proved, and could not be written."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Of one release."""

    state: State
    version: int = 0
    """0: its list could not be believed."""
    why: str = ""
    """``release.Why``, of a refused one."""
    list_sha256: str = ""
    """Of its ``release.json``; empty where there was none to read."""
    boot_id: str = ""
    """In which it was written."""


def write_status(folder: Path, status: Status) -> None:
    """Durably; raises ``OSError``."""
    _replace(folder / STATUS, msgspec.json.encode(status) + b"\n")


def read_status(folder: Path) -> Status | None:
    """The last one; ``None`` where none can be read."""
    try:
        with (folder / STATUS).open("rb") as opened:
            return msgspec.json.decode(opened.read(_BYTES_MAX), type=Status)
    except (OSError, msgspec.DecodeError):
        return None


def read_floor(folder: Path) -> int:
    """The newest version that was once found good here."""
    try:
        return int((folder / FLOOR).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 0


def raise_floor(folder: Path, version: int) -> None:
    """Never below it again."""
    if version > read_floor(folder):
        _replace(folder / FLOOR, f"{version}\n".encode("ascii"))


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".new")
    with partial.open("wb") as opened:
        os.fchmod(opened.fileno(), 0o644)
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(path)
    sync_folder(path.parent)
