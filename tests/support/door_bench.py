"""A door without Orthanc, over a real ledger and real folders, driven in Orthanc's order of callbacks."""

from __future__ import annotations

import sqlite3
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from appliance.clock import SystemClock
from appliance.orthanc.door import (
    CONTENT_DICOM,
    CONTENT_HEADER,
    STATUS_ADMIT,
    Door,
    DoorSettings,
)
from appliance.orthanc.ledger import Ledger
from appliance.store.connect import migrate

PIXELS = b"\xe0\x7f\x10\x00OW\0\0" + struct.pack("<I", 1000) + bytes(1000)


class StoppedError(Exception):
    """In the place of the end of the process."""


def stop(what: str, error: BaseException) -> NoReturn:
    raise StoppedError(what) from error


def dicom(uid: str = "1.2.3", body: bytes = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", meta: bytes = b"") -> bytes:
    """A Part 10 file as small as it can be."""

    def element(number: int, value: bytes) -> bytes:
        padded = value + b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", 2, number, b"UI", len(padded)) + padded

    uids = element(2, b"1.2.840.10008.5.1.4.1.1.2") + element(3, uid.encode()) + element(0x10, b"1.2.840.10008.1.2.1")
    return bytes(128) + b"DICM" + uids + meta + body


@dataclass
class Bench:
    """A door and what it writes to."""

    door: Door
    settings: DoorSettings
    ledger: Ledger

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        db = sqlite3.connect(self.settings.door_db)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def kept(self) -> list[str]:
        """Blob UUIDs that count as kept and were not removed."""
        return [row[0] for row in self.rows("SELECT blob_uuid FROM kept WHERE removed_at = '' ORDER BY kept_id")]

    def files(self) -> list[str]:
        return sorted(path.name for path in self.settings.blob_dir.rglob("*") if path.is_file())

    def quarantined_files(self) -> list[Path]:
        return sorted(self.settings.quarantine_dir.iterdir())

    def store(self, data: bytes, *, header: int = 0, calling: str = "XRAY1") -> str:
        """One admitted C-STORE in Orthanc's order; the blob's UUID."""
        assert self.door.admit(data, calling) == STATUS_ADMIT
        return self.create(data, header=header)

    def create(self, data: bytes, *, header: int = 0) -> str:
        blob_uuid = str(uuid.uuid4())
        self.door.create(blob_uuid, CONTENT_DICOM, data)
        if header:
            self.door.create(str(uuid.uuid4()), CONTENT_HEADER, data[:header])
        self.door.stored()
        return blob_uuid


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    settings = DoorSettings(
        door_db=tmp_path / "door.db",
        blob_dir=tmp_path / "blobs",
        quarantine_dir=tmp_path / "quarantine",
        attachment_dir=tmp_path / "attachments",
        index_wal=tmp_path / "index-wal",
        free_bytes_floor=0,
        free_inode_floor=0,
        object_bytes_max=1 << 31,
        object_share_of_free_space_max=1.0,
        quarantine_file_count_max=1_000,
    )
    migrate(tmp_path / "unit.db", settings.door_db)
    settings.index_wal.write_bytes(b"")
    ledger = Ledger(settings.door_db, SystemClock(), stop)
    yield Bench(Door(settings, ledger, SystemClock(), stop), settings, ledger)
    ledger.close()


def with_limits(bench: Bench, **limits: Any) -> Bench:
    settings = replace(bench.settings, **limits)
    return Bench(Door(settings, bench.ledger, SystemClock(), stop), settings, bench.ledger)


def permit(bench: Bench, blob_uuid: str) -> None:
    db = sqlite3.connect(bench.settings.door_db)
    db.execute("INSERT INTO purge_permit VALUES (?, '2026-01-01T00:00:00Z')", (blob_uuid,))
    db.commit()
    db.close()
