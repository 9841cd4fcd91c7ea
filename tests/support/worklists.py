"""Worklist entries as they lie in ``unit.db``, made with pydicom from a few words, and consoles that ask for them."""

from __future__ import annotations

import dataclasses
import io
import itertools
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]  # made at import time

from appliance.domain.registration import WorklistEntry

LABELS = {"ascii": "", "latin1": "ISO_IR 100", "utf8": "ISO_IR 192"}
_NUMBERS = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Made:
    """One entry; what a test does not say is made up."""

    name_ascii: str = "BENALI^FATIMA"
    name_latin1: str = "BENALI^FATIMA"
    name_utf8: str = "BENALI^FATIMA=بنعلي^فاطمة"
    modality: str = "DX"
    station: str = ""
    date: str = "20261122"
    time: str = "093000"
    description: str = "Thorax de face"
    physician: str = ""
    code: str = "XR-CHEST"
    history: str = ""
    is_open: bool = True
    number: int = field(default_factory=lambda: next(_NUMBERS))

    @property
    def accession(self) -> str:
        return f"U1-A{self.number}"

    @property
    def patient_id(self) -> str:
        return f"U1-{self.number}"

    @property
    def uid(self) -> str:
        return f"2.25.{self.number}"

    @property
    def procedure_id(self) -> str:
        return f"RP{self.number}"

    def name(self, character_set: str) -> str:
        return {"ascii": self.name_ascii, "latin1": self.name_latin1, "utf8": self.name_utf8}[character_set]

    def data_set(self, character_set: str) -> Dataset:
        """The whole item, with every return key of PS3.4 table K.6-1."""
        whole, step = Dataset(), Dataset()
        if LABELS[character_set]:
            whole.SpecificCharacterSet = LABELS[character_set]
        step.ScheduledStationAETitle = self.station
        step.ScheduledProcedureStepStartDate = self.date
        step.ScheduledProcedureStepStartTime = self.time
        step.Modality = self.modality
        step.ScheduledPerformingPhysicianName = self.physician
        step.ScheduledProcedureStepDescription = self.description
        step.ScheduledStationName = "Salle 1"
        step.ScheduledProcedureStepLocation = "Unit 1"
        step.ScheduledProtocolCodeSequence = [self._code()]
        step.PreMedication = ""
        step.ScheduledProcedureStepID = f"SPS{self.number}"
        step.RequestedContrastAgent = ""
        step.ScheduledProcedureStepStatus = "SCHEDULED"
        whole.ScheduledProcedureStepSequence = [step]
        whole.RequestedProcedureID = self.procedure_id
        whole.RequestedProcedureDescription = self.description
        whole.RequestedProcedureCodeSequence = [self._code()]
        whole.StudyInstanceUID = self.uid
        whole.ReferencedStudySequence = []
        whole.RequestedProcedurePriority = "ROUTINE"
        whole.PatientTransportArrangements = ""
        whole.AccessionNumber = self.accession
        whole.RequestingPhysician = "DR^SMITH"
        whole.ReferringPhysicianName = "DR^SMITH"
        whole.AdmissionID = ""
        whole.CurrentPatientLocation = "Unit 1"
        whole.ReferencedPatientSequence = []
        whole.PatientName = self.name(character_set)
        whole.PatientID = self.patient_id
        whole.IssuerOfPatientID = "U1"
        whole.PatientBirthDate = "19800115"
        whole.PatientSex = "F"
        whole.PatientWeight = "61.5"
        whole.ConfidentialityConstraintOnPatientDataDescription = ""
        whole.PatientState = ""
        whole.AdditionalPatientHistory = self.history
        whole.PregnancyStatus = 4
        whole.MedicalAlerts = ""
        whole.Allergies = ""
        whole.SpecialNeeds = ""
        return whole

    def _code(self) -> Dataset:
        code = Dataset()
        code.CodeValue = self.code
        code.CodingSchemeDesignator = "99QAFILA"
        code.CodeMeaning = self.description
        return code

    def file(self, character_set: str) -> bytes:
        """As it lies in the database."""
        item = self.data_set("utf8")
        item.PatientName = self.name(character_set)
        if character_set == "ascii":
            del item.SpecificCharacterSet
        else:
            item.SpecificCharacterSet = LABELS[character_set]
        return part10(item)


def part10(data_set: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    """A Part 10 file."""
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.MediaStorageSOPClassUID = UID(str(ModalityWorklistInformationFind))
    data_set.file_meta.MediaStorageSOPInstanceUID = UID("2.25.99")
    data_set.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def insert_entry(unit_db: Path, registration_key: str, entry: WorklistEntry) -> None:
    """Put an entry of the product's own making into a migrated database, without the registration behind it."""
    values = dataclasses.asdict(entry)
    _execute(unit_db, [(registration_key, 1, *values.values())])


def insert(unit_db: Path, entries: Iterable[Made]) -> None:
    """Put entries into a migrated database, without the registrations behind them."""
    rows = [
        (
            *(f"key-{made.number:06}", int(made.is_open), made.modality, made.station, made.date, made.time),
            *(made.patient_id, made.accession, made.uid, made.procedure_id),
            *(made.name(each) for each in LABELS),
            *(made.file(each) for each in LABELS),
        )
        for made in entries
    ]
    _execute(unit_db, rows)


def _execute(unit_db: Path, rows: Sequence[tuple[object, ...]]) -> None:
    db = sqlite3.connect(unit_db, timeout=30)
    try:
        with db:
            db.executemany(f"INSERT INTO worklist_entry VALUES ({', '.join('?' * 16)})", rows)
    finally:
        db.close()


def query(step: Mapping[str, object] | None = None, **keys: object) -> Dataset:
    """Every return key of ``Made.data_set``, empty, with these keys to match by."""
    asked, asked_step = Dataset(), Dataset()
    model = Made().data_set("ascii")
    for element in model:
        setattr(asked, element.keyword, [] if element.VR == "SQ" else None)
    for element in model.ScheduledProcedureStepSequence[0]:
        setattr(asked_step, element.keyword, [] if element.VR == "SQ" else None)
    for keyword, value in (step or {}).items():
        setattr(asked_step, keyword, value)
    for keyword, value in keys.items():
        setattr(asked, keyword, value)
    asked.ScheduledProcedureStepSequence = [asked_step]
    return asked


@dataclass(frozen=True)
class Reply:
    """What a console heard."""

    status: int
    answers: Sequence[Dataset]

    @property
    def accessions(self) -> list[str]:
        return [str(answer.AccessionNumber) for answer in self.answers]


def ask(port: int, asked: Dataset, calling: str, syntax: UID = ExplicitVRLittleEndian, max_pdu: int = 16382) -> Reply:
    """One query on an association of its own.

    Args:
        port: On 127.0.0.1.
        asked: The identifier.
        calling: Calling AE title.
        syntax: The only transfer syntax offered.
        max_pdu: The longest PDU that the console takes.
    """
    console = AE(calling)
    console.add_requested_context(ModalityWorklistInformationFind, syntax)
    association = console.associate("127.0.0.1", port, ae_title="QAFILA", max_pdu=max_pdu)
    assert association.is_established, "the association was refused"
    answers: list[Dataset] = []
    status = 0
    try:
        for heard, identifier in association.send_c_find(asked, ModalityWorklistInformationFind):
            assert "Status" in heard, "the association was cut"
            status = int(heard.Status)
            if identifier is not None:
                answers.append(identifier)
    finally:
        association.release()
    return Reply(status, answers)
