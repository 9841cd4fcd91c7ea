"""A unit's Orthanc with our plugin, as the supervisor starts it, and DCMTK's senders in front of it."""

from __future__ import annotations

import random
import re
import sqlite3
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pydicom.examples
from pydicom.uid import generate_uid

from appliance.config import DicomTable, ModalityTable, OrthancTable, UnitConfig, UnitTable
from appliance.domain.limits import LimitSet
from appliance.orthanc import settings
from appliance.store.connect import migrate
from tests.support.orthancs import OrthancHandle, start_configured
from tests.support.ports import free_ports

AE_TITLE = "QAFILA"
MODALITIES = ("XRAY1", "US1")
SMALL_DISK = LimitSet(free_bytes_floor=0, free_inode_floor=0, object_share_of_free_space_max=1.0)
"""No floors: the file system's own errors are what is tested."""


def unit_config(command: str, data_dir: Path, limits: LimitSet | None = None) -> UnitConfig:
    """A unit on free ports with two known devices."""
    dicom_port, orthanc_dicom_port, http_port = free_ports(3)
    return UnitConfig(
        unit=UnitTable(name="unit-test", data_dir=str(data_dir)),
        dicom=DicomTable(ae_title=AE_TITLE, bind="127.0.0.1", port=dicom_port),
        modality=tuple(ModalityTable(ae_title=title) for title in MODALITIES),
        orthanc=OrthancTable(command=command, dicom_port=orthanc_dicom_port, http_port=http_port),
        limits=limits or LimitSet(),
    )


@dataclass
class UnitDoor:
    """A running Orthanc of ours; its ``with`` block ends it."""

    config: UnitConfig
    orthanc: OrthancHandle

    def __enter__(self) -> UnitDoor:
        return self

    def __exit__(self, *_: object) -> None:
        self.orthanc.stop()

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of ``door.db``."""
        return ledger_rows(self.config, sql, *parameters)

    def blobs(self) -> list[Path]:
        """Every file below ``blobs``, partial ones too."""
        return blob_files(self.config)

    def quarantined(self) -> list[Path]:
        return sorted(self.config.quarantine_dir.iterdir())

    def facts(self) -> dict[str, Any]:
        return dict(self.orthanc.json("/qafila/door"))

    def send(self, *paths: Path, calling: str = MODALITIES[0], options: Sequence[str] = ()) -> Sent:
        return dcmsend(self.orthanc.dicom_port, paths, calling=calling, options=options)


def ledger_rows(config: UnitConfig, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Rows of ``door.db``, also when nothing runs."""
    db = sqlite3.connect(config.door_db, timeout=30)
    try:
        return db.execute(sql, parameters).fetchall()
    finally:
        db.close()


def blob_files(config: UnitConfig) -> list[Path]:
    return sorted(path for path in config.blob_dir.rglob("*") if path.is_file())


def prepare(config: UnitConfig) -> Path:
    """Migrate the ledger and render Orthanc's configuration, as the supervisor does before each start."""
    config.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(config.unit_db, config.door_db)
    return settings.write(config)


def start_door(config: UnitConfig, wrapper: Sequence[str] = (), *, ready: bool = True) -> UnitDoor:
    """Start the unit's Orthanc; with ``ready``, wait until it answers.

    Args:
        config: From ``unit_config``.
        wrapper: A command that runs another one, for instance ``strace -D`` (which keeps its process id).
        ready: Whether to wait.
    """
    path = prepare(config)
    access = settings.read_access(config.run_dir)
    orthanc = start_configured(
        config.orthanc.command,
        path,
        config.data_dir.parent / f"{config.data_dir.name}.orthanc.log",
        wrapper=wrapper,
        dicom_port=config.orthanc.dicom_port,
        http_port=config.orthanc.http_port,
        credentials=(access.username, access.password),
        ae_title=config.dicom.ae_title,
    )
    if ready:
        try:
            orthanc.wait_ready()
        except BaseException:
            orthanc.stop()
            raise
    return UnitDoor(config, orthanc)


@dataclass(frozen=True)
class Sent:
    """What a sender heard."""

    returncode: int
    text: str

    @property
    def statuses(self) -> list[int]:
        """DIMSE statuses of the C-STORE responses, in order; an aborted association adds none."""
        return [int(found, 16) for found in re.findall(r"DIMSE Status\s*: 0x([0-9a-fA-F]{4})", self.text)]

    @property
    def success_count(self) -> int:
        return self.statuses.count(0)


def dcmsend(
    port: int,
    paths: Sequence[Path],
    *,
    calling: str = MODALITIES[0],
    called: str = AE_TITLE,
    options: Sequence[str] = (),
    timeout_s: float = 120,
) -> Sent:
    """Send files with DCMTK's ``dcmsend``, each in its own transfer syntax; it goes on to the next after a failure.

    Args:
        port: On 127.0.0.1.
        paths: Part 10 files.
        calling: Calling AE title.
        called: Called AE title.
        options: More of its options.
        timeout_s: Its bound as a whole.
    """
    done = subprocess.run(
        ["dcmsend", "-d", "-nh", "-dn", "-nuc", "-aet", calling, "-aec", called, *options, "127.0.0.1", str(port)]
        + [str(path) for path in paths],
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    return Sent(done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace"))


def make_image(
    path: Path, *, uid: str = "", seed: int = 0, side: int = 500, patient_id: str = "DOOR^1", pixels: bool = True
) -> Path:
    """A CT slice with noise of its own: ``side`` squared pixels of two bytes, or no pixels at all."""
    dataset = pydicom.dcmread(pydicom.examples.get_path("ct"))
    dataset.SOPInstanceUID = uid or generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.PatientID = patient_id
    dataset.InstanceNumber = seed
    dataset.Rows = dataset.Columns = side
    dataset.PixelData = random.Random(seed).randbytes(2 * side * side)
    if not pixels:
        del dataset.PixelData
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path)
    return path
