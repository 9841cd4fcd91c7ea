"""Fills a real unit's databases through the store's own functions: so many studies, some of them confirmed."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from pathlib import Path

from appliance.clock import utc_text
from appliance.config import UnitConfig, load_unit
from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import Evidence, Instance, ItemState, Receipt, StudyHeader
from appliance.store.connect import Store, migrate, open_unit, write
from appliance.store.intake import KeptInstance, keep_instances
from appliance.store.outbox import items_of_study, move_item
from appliance.store.stamp import Stamp

DESTINATION = "centre"
STEP_S = 60.0


def unit_toml(folder: Path, text: str = "") -> Path:
    """A configuration whose data lies in ``folder``; ``text`` is appended."""
    path = folder / "unit.toml"
    path.write_text(
        f"""[unit]
data_dir = "{folder / "data"}"

[[modality]]
ae_title = "XRAY"

[[destination]]
kind = "dicomweb"
name = "{DESTINATION}"
url = "http://127.0.0.1:9/dicom-web"
{text}
""",
        encoding="utf-8",
    )
    return path


def made_unit(folder: Path, study_count: int, *, now_s: float, confirmed_count: int = 0) -> UnitConfig:
    """A unit that got ``study_count`` studies of one image, one a minute until ``now_s``; the first are confirmed."""
    config = load_unit(unit_toml(folder))
    config.data_dir.mkdir(parents=True)
    config.run_dir.mkdir()
    migrate(config.unit_db, config.door_db)
    with open_unit(config.unit_db) as db, write(db):
        for number in range(study_count):
            stamp = Stamp(now_s - (study_count - number) * STEP_S, "boot-1", number * STEP_S)
            keep_instances(db, stamp, [kept(number, stamp)], [DESTINATION], None)
            if number < confirmed_count:
                confirm(db, stamp, study_uid(number))
    return config


def study_uid(number: int) -> str:
    """The UID of study ``number``."""
    return f"1.2.826.0.1.3680043.8.498.7.{number}"


def kept(number: int, stamp: Stamp) -> KeptInstance:
    """The one image of study ``number``."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return KeptInstance(
        Instance(
            sop_instance_uid=f"{study_uid(number)}.1.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
            series_instance_uid=f"{study_uid(number)}.1",
            study_instance_uid=study_uid(number),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            orthanc_id=digest[:40],
            blob_uuid=str(uuid.UUID(int=number)),
            size_bytes=15_000_000,
            sha256=digest,
            dataset_sha256=digest,
            calling_ae_title="XRAY",
            received_at=utc_text(stamp.wall_s),
        ),
        StudyHeader(
            study_uid(number),
            f"PATIENT^Number{number}",
            f"P{number:06}",
            "19840312",
            "F",
            f"A{number}",
            "20261122",
            "Chest PA",
            "DX",
        ),
        stamp.boot_id,
        stamp.mono_s,
    )


def confirm(db: Store, stamp: Stamp, study_instance_uid: str) -> None:
    """Every item of a study goes its whole way."""
    way = (ItemState.PENDING, ItemState.ENCODING, ItemState.READY, ItemState.SENDING, ItemState.SENT)
    for item in items_of_study(db, study_instance_uid):
        for before, after in itertools.pairwise(way):
            move_item(db, stamp, item.item_id, before, after, "test", attempt_count=1)
        receipt = Receipt(
            item.destination, item.sop_instance_uid, item.sha256, Evidence("wado", item.sha256, dataset_sha256="d" * 64)
        )
        move_item(
            db,
            stamp,
            item.item_id,
            ItemState.SENT,
            ItemState.CONFIRMED,
            "verified",
            attempt_count=1,
            receipt=receipt,
        )


def reject(db: Store, stamp: Stamp, study_instance_uid: str, sentence: str) -> None:
    """Every item of a study is refused for good."""
    for item in items_of_study(db, study_instance_uid):
        move_item(
            db,
            stamp,
            item.item_id,
            item.state,
            ItemState.REJECTED,
            "refused",
            attempt_count=1,
            failure=Failure(FailureKind.PERMANENT, "test", sentence),
        )
