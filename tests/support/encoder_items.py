"""Items for the encoder's tests, and the odd worker's command."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

from sync.adapters.base import SendItem
from tests.support.files import small_chest

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"


def item_of(path: Path, number: int = 1, *, stat: bool = False) -> SendItem:
    """A stored file as the runner hands it on."""
    body = path.read_bytes()
    return SendItem(
        item_id=number,
        sop_instance_uid=f"1.2.3.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1",
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.0",
        transfer_syntax_uid=EXPLICIT_LITTLE,
        size_bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        path=path,
        stat=stat,
    )


def made_item(folder: Path, number: int = 1, *, stat: bool = False, rows: int = 96) -> SendItem:
    """A small chest film in a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    return item_of(small_chest(folder / f"{number}.dcm", number, rows=rows), number, stat=stat)


def unread_item(number: int, *, stat: bool = False, size_bytes: int = 1000) -> SendItem:
    """An item of which no file is ever opened."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return SendItem(
        number, f"1.2.3.{number}", "1", "1.2.3", "1.2.3.0", EXPLICIT_LITTLE, size_bytes, digest, Path("/none"), stat
    )


def damaged(item: SendItem) -> SendItem:
    """The same file under another digest than its own."""
    return replace(item, sha256=hashlib.sha256(item.sha256.encode()).hexdigest())


def odd_worker(control: Path) -> tuple[str, ...]:
    """A worker that misbehaves as ``control`` says; see ``tests.support.odd_worker``."""
    control.mkdir(parents=True, exist_ok=True)
    return (sys.executable, "-m", "tests.support.odd_worker", f"--control={control}")
