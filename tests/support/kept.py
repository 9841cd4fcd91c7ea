"""A unit's folder without an Orthanc: the real door keeps files in it, and every state of a power cut can be made."""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom

from appliance.clock import Clock, SystemClock
from appliance.config import DimseDestination, UnitConfig, UnitTable, blob_path
from appliance.dicom.header import HeaderReader
from appliance.orthanc.door import CONTENT_DICOM, CONTENT_HEADER, Door, DoorSettings
from appliance.orthanc.ledger import Ledger
from appliance.orthanc.notices import Notices
from appliance.orthanc.take_in import TakeIn
from appliance.store.connect import migrate, open_door, open_unit
from appliance.store.door import KeptRow, find_kept
from tests.support.files import small_chest

DESTINATION = "pacs"
HEADER_BYTES = 512
"""What stands for "the file until its pixels"."""


@dataclass
class KeptUnit:
    """A migrated unit with one destination; instances come in through ``keep``."""

    config: UnitConfig
    clock: Clock = field(default_factory=SystemClock)

    def keep(self, path: Path) -> KeptRow:
        """What the door does with a file that a modality sent, up to its ledger row."""
        with closing(Ledger(self.config.door_db, self.clock)) as ledger:
            blob_uuid = self._create(Door(self._door_settings(), ledger, self.clock), path)
        return self.row(blob_uuid)

    def repeat(self, path: Path) -> None:
        """What the door does with a file that Orthanc holds already: it gives its copy back."""
        with closing(Ledger(self.config.door_db, self.clock)) as ledger:
            door = Door(self._door_settings(), ledger, self.clock)
            door.remove(self._create(door, path), CONTENT_DICOM)

    def _create(self, door: Door, path: Path) -> str:
        blob_uuid, data = str(uuid.uuid4()), path.read_bytes()
        door.create(blob_uuid, CONTENT_DICOM, data)
        door.create(str(uuid.uuid4()), CONTENT_HEADER, data[:HEADER_BYTES])
        return blob_uuid

    def keep_chest(self, seed: int, **options: Any) -> KeptRow:
        """Keep a phantom; the seed tells them apart."""
        return self.keep(small_chest(self.config.data_dir.parent / f"sent-{seed}.dcm", seed, **options))

    def blob(self, row: KeptRow) -> Path:
        return blob_path(self.config.blob_dir, row.blob_uuid)

    def row(self, blob_uuid: str) -> KeptRow:
        with open_door(self.config.door_db, clock=self.clock) as door:
            row = find_kept(door, blob_uuid)
        assert row is not None
        return row

    def take_in(self) -> None:
        """What intake does until it is idle."""
        with (
            open_unit(self.config.unit_db, clock=self.clock) as unit,
            open_door(self.config.door_db, clock=self.clock) as door,
            HeaderReader() as headers,
        ):
            Notices(self.config, unit, door, headers).mirror()
            take_in = TakeIn(self.config, unit, door, headers)
            while take_in.take():
                pass

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of ``unit.db``."""
        return _rows(self.config.unit_db, sql, parameters)

    def ledger(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of ``door.db``."""
        return _rows(self.config.door_db, sql, parameters)

    def findings(self) -> dict[str, str]:
        """Kind -> severity of the open findings."""
        return dict(self.rows("SELECT kind, severity FROM finding WHERE cleared_at = ''"))

    def local_states(self) -> dict[str, str]:
        return dict(self.rows("SELECT sop_instance_uid, local_state FROM instance"))

    def quarantined(self) -> set[str]:
        """First word of each name in quarantine."""
        return {path.name.split("-")[0] for path in self.config.quarantine_dir.iterdir()}

    def blobs(self) -> set[str]:
        return {path.name for path in self.config.blob_dir.rglob("*") if path.is_file()}

    def _door_settings(self) -> DoorSettings:
        return DoorSettings(
            door_db=self.config.door_db,
            blob_dir=self.config.blob_dir,
            quarantine_dir=self.config.quarantine_dir,
            attachment_dir=self.config.orthanc_dir / "attachments",
            index_wal=self.config.orthanc_dir / "index-wal",
            free_bytes_floor=0,
            free_inode_floor=0,
            object_bytes_max=1 << 30,
            object_share_of_free_space_max=1.0,
            quarantine_file_count_max=1_000,
        )


def _rows(path: Path, sql: str, parameters: tuple[object, ...]) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql, parameters).fetchall()


def make_kept_unit(folder: Path, clock: Clock | None = None) -> KeptUnit:
    """A fresh unit below ``folder``."""
    config = UnitConfig(
        unit=UnitTable(data_dir=str(folder / "data")),
        destination=(DimseDestination(name=DESTINATION, host="127.0.0.1", port=104, called_ae_title="PACS"),),
    )
    for each in (config.data_dir, config.blob_dir, config.quarantine_dir, config.orthanc_dir, config.run_dir):
        each.mkdir(parents=True, exist_ok=True)
    migrate(config.unit_db, config.door_db)
    return KeptUnit(config, clock or SystemClock())


def make_index(unit: KeptUnit, rows: list[KeptRow]) -> None:
    """An index as Orthanc leaves it, with the columns of 1.10.1 that recovery reads, over these blobs."""
    with closing(sqlite3.connect(unit.config.orthanc_dir / "index")) as db:
        db.execute("CREATE TABLE Resources (internalId INTEGER PRIMARY KEY, resourceType INTEGER, publicId TEXT)")
        db.execute(
            "CREATE TABLE AttachedFiles (id INTEGER, fileType INTEGER, uuid TEXT, uncompressedSize INTEGER,"
            " uncompressedMD5 TEXT, PRIMARY KEY (id, fileType))"
        )
        for number, row in enumerate(rows, start=1):
            md5 = hashlib.md5(unit.blob(row).read_bytes(), usedforsecurity=False).hexdigest()
            db.execute("INSERT INTO Resources VALUES (?, 4, ?)", (number, f"orthanc-{number}"))
            db.execute("INSERT INTO AttachedFiles VALUES (?, 1, ?, ?, ?)", (number, row.blob_uuid, row.size_bytes, md5))
            header = unit.ledger("SELECT header_blob_uuid FROM kept WHERE blob_uuid = ?", row.blob_uuid)[0][0]
            db.execute("INSERT INTO AttachedFiles VALUES (?, 3, ?, ?, '')", (number, header, HEADER_BYTES))
        db.commit()


def rewritten(path: Path, target: Path, **values: object) -> Path:
    """A copy of a file with other values under the same SOP Instance UID."""
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(target, enforce_file_format=True)
    return target
