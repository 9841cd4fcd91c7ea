"""Values for tests of the store: instances, receipts and stamps that are told apart by one number."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path

from appliance.domain.values import Evidence, Instance, OutboxItem, Receipt, StudyHeader
from appliance.store.connect import Store, migrate, open_unit
from appliance.store.intake import KeptInstance
from appliance.store.stamp import Stamp

EPOCH_S = 1_800_000_000.0
DIGITAL_XRAY = "1.2.840.10008.5.1.4.1.1.1.1"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"


@dataclass
class HandClock:
    """A clock that stands until it is moved."""

    mono: float = 100.0
    wall: float = EPOCH_S
    boot: str = "boot-1"

    def mono_s(self) -> float:
        return self.mono

    def wall_s(self) -> float:
        return self.wall

    def boot_id(self) -> str:
        return self.boot


def made_stamp(second: float = 0.0, boot_id: str = "boot-1") -> Stamp:
    return Stamp(wall_s=EPOCH_S + second, boot_id=boot_id, mono_s=100.0 + second)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def made_kept(
    number: int, *, study: int = 1, size_bytes: int = 1000, content: str = "", blob: int | None = None
) -> KeptInstance:
    """Instance ``number`` of study ``study``; ``content`` tells data sets of one UID apart."""
    study_uid = f"1.2.3.{study}"
    words = f"{number}/{content}"
    return KeptInstance(
        instance=Instance(
            sop_instance_uid=f"{study_uid}.9.{number}",
            sop_class_uid=DIGITAL_XRAY,
            series_instance_uid=f"{study_uid}.9",
            study_instance_uid=study_uid,
            transfer_syntax_uid=EXPLICIT_LITTLE,
            orthanc_id=digest_of(f"orthanc {study}.{number}")[:40],
            blob_uuid=str(uuid.UUID(int=number if blob is None else blob)),
            size_bytes=size_bytes,
            sha256=digest_of(f"file {study}.{words}"),
            dataset_sha256=digest_of(f"data set {study}.{words}"),
            calling_ae_title="XRAY1",
            received_at=made_stamp(number).at,
        ),
        study=StudyHeader(
            study_uid, f"DOE^{study}", f"P{study}", "19800101", "F", f"A{study}", "20270115", "CHEST", "DX"
        ),
        received_boot_id="boot-1",
        received_mono_s=float(number),
    )


def made_receipt(item: OutboxItem) -> Receipt:
    return Receipt(
        item.destination, item.sop_instance_uid, item.sha256, Evidence("wado", item.sha256, dataset_sha256="d" * 64)
    )


def fresh_unit(folder: Path, *, wait_s: float = 5.0, clock: HandClock | None = None) -> Store:
    """A migrated ``unit.db`` in ``folder``, opened for writing."""
    migrate(folder / "unit.db", folder / "door.db")
    return open_unit(folder / "unit.db", wait_s=wait_s, clock=clock or HandClock())
