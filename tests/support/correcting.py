"""A unit with stored pictures and registrations, and what sync would do about its duties, for tests of corrections."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from appliance.config import UnitConfig, blob_path, load_unit
from appliance.corrections.actions import Actions
from appliance.corrections.identity import Belonging, belonging
from appliance.dicom.reviser import Reviser
from appliance.domain.registration import Identifier, IdentifierKind, Order, PatientDetails, PersonName, Sex
from appliance.domain.values import Evidence, Instance, ItemState, Receipt, StudyHeader
from appliance.orthanc.part10 import parse_meta
from appliance.registration.desk import Registered, register_person, unit_words
from appliance.store import outbox, revisions
from appliance.store.connect import Store, migrate, open_unit
from appliance.store.intake import KeptInstance, keep_instances
from appliance.stored import revision_dir, stored_path
from sync.core.machine import ItemEvent, allows, move
from tests.store.made import made_stamp
from tests.support.unit_store import DESTINATION, unit_toml
from tests.support.world import small_picture

__all__ = ["Desk", "desk"]


@dataclass
class Desk:
    """A unit at which people correct."""

    config: UnitConfig
    db: Store
    actions: Actions

    def register(self, family: str, given: str, birth: str = "19800101", arabic: str = "") -> Registered:
        """A person and an exam."""
        name = PersonName(family_latin=family, given_latin=given, family_arabic=arabic, given_arabic=arabic)
        details = PatientDetails(name=name, sex=Sex.FEMALE, birth_date=birth)
        wanted = Order(
            exam_code="CXR", modality="DX", body_part="CHEST", description="Chest", scheduled_at=made_stamp().at
        )
        national = Identifier("STATE", f"N-{family}-{given}", IdentifierKind.NATIONAL)
        words = unit_words(self.config)
        return register_person(self.db, made_stamp(), words, details, [national], wanted, "amina")

    def whose(self, registered: Registered) -> Belonging:
        return belonging(self.db, registered.registration.registration_key)

    def picture(self, said: Registered | None = None, study: str = "", **values: str) -> str:
        """A picture that arrived; its SOP Instance UID. It says what ``said``'s console was told, save ``values``."""
        dataset = small_picture(32, 0)
        if said is not None:
            dataset.PatientName = f"{said.patient.details.name.family_latin}^{said.patient.details.name.given_latin}"
            dataset.PatientID, dataset.PatientBirthDate = said.patient_id, said.patient.details.birth_date
            dataset.PatientSex = "F"
            dataset.AccessionNumber = said.registration.accession_number
            dataset.StudyInstanceUID = said.registration.study_instance_uid
        if study:
            dataset.StudyInstanceUID = study
        dataset.Modality = "DX"
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        return self.take_in(dataset)

    def take_in(self, dataset: Dataset) -> str:
        """As the door and intake do it."""
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        out = io.BytesIO()
        dataset.save_as(out, enforce_file_format=True)
        return self.take_in_file(out.getvalue())

    def take_in_file(self, content: bytes) -> str:
        """Any file."""
        dataset = dcmread(io.BytesIO(content), stop_before_pixels=True)
        blob_uuid = str(uuid.uuid4())
        path = blob_path(self.config.blob_dir, blob_uuid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        meta = parse_meta(content)
        instance = Instance(
            sop_instance_uid=str(dataset.SOPInstanceUID),
            sop_class_uid=str(dataset.SOPClassUID),
            series_instance_uid=str(dataset.SeriesInstanceUID),
            study_instance_uid=str(dataset.StudyInstanceUID),
            transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
            orthanc_id=hashlib.sha256(blob_uuid.encode()).hexdigest()[:40],
            blob_uuid=blob_uuid,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            dataset_sha256=hashlib.sha256(content[meta.dataset_offset :]).hexdigest(),
            calling_ae_title="XRAY",
            received_at=made_stamp().at,
        )
        header = StudyHeader(
            instance.study_instance_uid,
            *(
                str(dataset.get(keyword, ""))
                for keyword in (
                    "PatientName",
                    "PatientID",
                    "PatientBirthDate",
                    "PatientSex",
                    "AccessionNumber",
                    "StudyDate",
                    "StudyDescription",
                    "Modality",
                )
            ),
        )
        keep_instances(self.db, made_stamp(), [KeptInstance(instance, header)], [DESTINATION], None)
        return instance.sop_instance_uid

    def path(self, uid: str) -> Path:
        """The file that is owed now."""
        found = revisions.latest_content(self.db, uid)
        assert found is not None
        return stored_path(self.config, found[0])

    def said(self, uid: str) -> Dataset:
        """The picture as it is owed now."""
        found = revisions.latest_content(self.db, uid)
        assert found is not None
        content = self.path(uid).read_bytes()
        assert hashlib.sha256(content).hexdigest() == found[0].sha256
        return dcmread(io.BytesIO(content))

    def sync(self, *events: ItemEvent) -> None:
        """Move duties on to their latest revisions, then every item that may through these events."""
        for one in revisions.unrevised(self.db, 999):
            self._move(one.item.item_id, ItemEvent.REVISED, one.revision_id)
        for event in events:
            for item_id in [row[0] for row in self.db.rows("SELECT item_id FROM outbox")]:
                self._move(item_id, event)

    def deliver(self) -> None:
        """Everything that waits is sent and confirmed."""
        self.sync(ItemEvent.CHOSEN, ItemEvent.PREPARED, ItemEvent.STARTED, ItemEvent.ACCEPTED, ItemEvent.VERIFIED)

    def state(self, uid: str) -> ItemState:
        return ItemState(self.db.value("SELECT state FROM outbox_item WHERE sop_instance_uid = ?", (uid,)))

    def _move(self, item_id: int, event: ItemEvent, revision_id: int | None = None) -> None:
        (item,) = outbox.load_items(self.db, [item_id])
        if not allows(item.state, event):
            return
        to_state, receipt = move(item.state, event), None
        if to_state is ItemState.CONFIRMED:
            evidence = Evidence("wado", item.sha256, dataset_sha256="d" * 64)
            receipt = Receipt(item.destination, item.sop_instance_uid, item.sha256, evidence)
        outbox.move_item(
            self.db,
            made_stamp(),
            item_id,
            item.state,
            to_state,
            event,
            attempt_count=0,
            receipt=receipt,
            revision_id=revision_id,
        )


@contextmanager
def desk(folder: Path) -> Iterator[Desk]:
    """A new unit in ``folder``."""
    config = load_unit(unit_toml(folder))
    config.data_dir.mkdir(parents=True)
    config.run_dir.mkdir()
    migrate(config.unit_db, config.door_db)
    with open_unit(config.unit_db) as db, Reviser(revision_dir(config)) as reviser:
        yield Desk(config, db, Actions(config, db, reviser))
