"""A unit that imports: a gatekeeper before a willing stand-in for Orthanc, and registered exams."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from appliance.clock import SystemClock
from appliance.config import UnitConfig, load_unit
from appliance.domain.registration import Identifier, IdentifierKind, Laterality, Order, PatientDetails, PersonName, Sex
from appliance.registration.desk import Registered, register_person, unit_words
from appliance.store.connect import open_unit
from tests.support.gatekeepers import PATIENT, GatekeeperProcess, StandIn, running_gatekeeper, stand_in

CLOCK = SystemClock()
EXPLICIT = "1.2.840.10008.1.2.1"


@dataclass
class ImportUnit:
    """What stands behind an import in a test."""

    config: UnitConfig
    gatekeeper: GatekeeperProcess
    orthanc: StandIn

    def data_set(self, sop_instance_uid: str) -> Dataset:
        """What came through the door under a UID, decoded; made objects say themselves how they are coded."""
        return dcmread(BytesIO(self.orthanc.stored[sop_instance_uid]), force=True)

    @property
    def work_files(self) -> list[Path]:
        """What an import left behind."""
        folder = self.config.data_dir / "import-work"
        return [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]


@contextmanager
def import_unit(folder: Path) -> Iterator[ImportUnit]:
    """A running one; its watched folder is ``folder/watched``."""
    watched = folder / "watched"
    watched.mkdir()
    with stand_in() as orthanc, running_gatekeeper(folder, orthanc.port, PATIENT) as gatekeeper:
        toml = gatekeeper.toml
        text = toml.read_text().replace(
            "[limits]\n", f'[import]\nfolder = "{watched}"\n[limits]\nimport_settle_s = 0.001\n'
        )
        toml.write_text(text)
        yield ImportUnit(load_unit(toml), gatekeeper, orthanc)


def registered(config: UnitConfig, modality: str = "US", body_part: str = "ABDOMEN") -> Registered:
    """A woman with a name in both scripts and an exam."""
    name = PersonName(family_latin="Benali", given_latin="Fatima", family_arabic="بنعلي", given_arabic="فاطمة")
    order = Order(
        exam_code="T1",
        modality=modality,
        body_part=body_part,
        description="Échographie",
        laterality=Laterality.LEFT,
        scheduled_at="2026-01-05T09:30:00.000Z",
    )
    with open_unit(config.unit_db, clock=CLOCK) as db:
        return register_person(
            db,
            db.stamp(),
            unit_words(config),
            PatientDetails(name=name, sex=Sex.FEMALE, birth_date="19840229"),
            [Identifier("MA", "AB123456", IdentifierKind.NATIONAL)],
            order,
            "test",
        )
