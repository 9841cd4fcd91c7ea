"""The worklist as consoles get it: through the real gatekeeper from both real Orthancs, with DCMTK and pynetdicom."""

from __future__ import annotations

import io
import re
import sqlite3
import subprocess
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind  # type: ignore[attr-defined]  # made at import time

from appliance.config import UnitConfig, load_unit
from appliance.dicom.worklist_item import worklist_entry
from appliance.domain.registration import (
    Identifier,
    IdentifierKind,
    Order,
    Patient,
    PatientDetails,
    PersonName,
    Pregnancy,
    Registration,
    RegistrationState,
    Sex,
    WorklistEntry,
)
from appliance.domain.values import Priority
from appliance.store.connect import migrate
from tests.support.doors import UnitDoor, dcmsend, make_image, start_door
from tests.support.gatekeepers import GatekeeperProcess
from tests.support.orthancs import orthanc_commands
from tests.support.ports import free_ports
from tests.support.worklists import LABELS, Made, Reply, ask, insert, insert_entry, query
from tests.support.world import wait_for

pytestmark = [
    pytest.mark.orthanc,
    # pydicom's, of keys that it would not write by itself.
    pytest.mark.filterwarnings("ignore:Invalid value for VR", "ignore:The number of PN components"),
]

STATIONS = {"XRAY1": "ascii", "US1": "latin1", "US2": "utf8"}
CODECS = {"ascii": "ascii", "latin1": "latin-1", "utf8": "utf-8"}
ANSWER_COUNT_MAX = 60
ELAN = Made(
    name_ascii="ELAN^JOE",
    name_latin1="ÉLAN^JOË",
    name_utf8="ÉLAN^JOË=عيلان^جو",
    description="Echo",
    modality="US",
    physician="MEKKI^ALI",
)
ARABIC = Made(name_ascii="BENALI^FATIMA", name_latin1="BENALI^FATIMA", name_utf8="BENALI^FATIMA=بنعلي^فاطمة")


@dataclass
class Unit:
    """Gatekeeper and Orthanc; nothing else of a unit runs."""

    gate: GatekeeperProcess
    door: UnitDoor

    @property
    def config(self) -> UnitConfig:
        return self.gate.config

    def heard(self, calling: str) -> tuple[int, int]:
        """Worklist queries of a station that were answered, and with how many entries, as live facts count them."""
        facts = self.gate.facts().get("devices", {}).get(calling)
        return (facts["answered"].get("worklist", 0), facts["worklist_answer_count"]) if facts else (0, 0)

    def ask(
        self, asked: Dataset, calling: str = "XRAY1", syntax: UID = ExplicitVRLittleEndian, max_pdu: int = 16382
    ) -> Reply:
        return ask(self.gate.port, asked, calling, syntax, max_pdu)

    def fill(self, *entries: Made) -> None:
        """Have these open entries and no others."""
        with self.database() as db:
            db.execute("UPDATE worklist_entry SET is_open = 0")
        db.close()
        known = {row[0] for row in self.rows("SELECT patient_id FROM worklist_entry")}
        insert(self.config.unit_db, [each for each in entries if each.patient_id not in known])
        with self.database() as db:
            db.executemany(
                "UPDATE worklist_entry SET is_open = 1 WHERE patient_id = ?", [(e.patient_id,) for e in entries]
            )
        db.close()

    def database(self) -> sqlite3.Connection:
        return sqlite3.connect(self.config.unit_db, timeout=30)

    def rows(self, sql: str) -> list[tuple[str]]:
        db = self.database()
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def findscu(self, folder: Path, *arguments: str, calling: str = "XRAY1") -> tuple[str, list[Dataset]]:
        """What DCMTK's ``findscu -W`` says, and the answers it wrote."""
        folder.mkdir()
        line = ["findscu", "-d", "-W", "-X", "-od", str(folder), "-aet", calling, "-aec", "QAFILA", "127.0.0.1"]
        done = subprocess.run([*line, str(self.gate.port), *arguments], capture_output=True, timeout=120, check=False)
        text = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert done.returncode == 0, text
        return text, [pydicom.dcmread(path, force=True) for path in sorted(folder.glob("rsp*.dcm"))]


@pytest.fixture(scope="module", params=orthanc_commands(), ids=lambda command: Path(command).name)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Unit]:
    folder = tmp_path_factory.mktemp("worklist")
    port, dicom_port, http_port = free_ports(3)
    devices = "".join(
        f'[[modality]]\nae_title = "{title}"\ncharacter_set = "{each}"\n' for title, each in STATIONS.items()
    )
    toml = folder / "unit.toml"
    toml.write_text(
        f'[unit]\ndata_dir = "{folder / "data"}"\n[dicom]\nbind = "127.0.0.1"\nport = {port}\n{devices}'
        f'[orthanc]\ncommand = "{request.param}"\ndicom_port = {dicom_port}\nhttp_port = {http_port}\n'
        f"[limits]\nworklist_answer_count_max = {ANSWER_COUNT_MAX}\nworklist_busy_s_max = 0.2\n"
    )
    config = load_unit(toml)
    config.run_dir.mkdir(parents=True)
    migrate(config.unit_db, config.door_db)
    with start_door(config) as door:
        gate = GatekeeperProcess(toml)
        try:
            yield Unit(gate.wait_open(), door)
        finally:
            gate.stop()
            door.orthanc.kill()


@pytest.fixture
def unit(running: Unit) -> Unit:
    running.fill(ELAN, ARABIC)
    return running


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("calling", STATIONS)
def test_every_return_key_comes_back_filled_in_the_stations_character_set(
    unit: Unit, calling: str, syntax: UID
) -> None:
    character_set = STATIONS[calling]

    reply = unit.ask(query(PatientID=ELAN.patient_id), calling, syntax)

    assert reply.status == 0
    (answer,) = reply.answers
    expected = ELAN.data_set(character_set)
    expected.ScheduledProcedureStepSequence[0].ScheduledStationAETitle = calling
    assert answer.get("SpecificCharacterSet", "") == LABELS[character_set]
    assert answer.PatientName.original_string.rstrip() == ELAN.name(character_set).encode(CODECS[character_set])
    assert str(answer) == str(expected)


@pytest.mark.parametrize("calling", STATIONS)
def test_item_of_a_registration_comes_whole(unit: Unit, calling: str) -> None:
    """As ``appliance.dicom.worklist_item`` makes it, of a patient with a name in both scripts."""
    key = str(uuid.uuid4())
    entry = _entry(key)
    insert_entry(unit.config.unit_db, key, entry)
    item = {"ascii": entry.item_ascii, "latin1": entry.item_latin1, "utf8": entry.item_utf8}[STATIONS[calling]]
    expected = pydicom.dcmread(io.BytesIO(item))
    expected.ScheduledProcedureStepSequence[0].ScheduledStationAETitle = calling
    asked = query(AccessionNumber=entry.accession_number)
    asked.ReasonForTheRequestedProcedure = None
    asked.OtherPatientIDsSequence = []
    del asked.AdditionalPatientHistory

    (answer,) = unit.ask(asked, calling).answers

    assert str(answer) == str(pydicom.Dataset(expected))


def _entry(key: str) -> WorklistEntry:
    name = PersonName(family_latin="BÉNALI", given_latin="Fatima", family_arabic="بنعلي", given_arabic="فاطمة")
    own = Identifier("unit-01", f"U1-{key[:6]}", IdentifierKind.UNIT)
    national = Identifier("MA", "AB123456", IdentifierKind.NATIONAL)
    order = Order(
        exam_code="XR-CHEST",
        modality="DX",
        body_part="CHEST",
        description="Thorax de face, debout à l'arrêt",
        priority=Priority.STAT,
        pregnancy=Pregnancy.NO,
        referrer="Dr Élise",
        reason="Toux",
        scheduled_at="2026-11-22T09:30:00.000Z",
    )
    details = PatientDetails(name=name, sex=Sex.FEMALE, birth_date="19800115", weight_kg=61.5)
    patient = Patient(patient_key=key, details=details, identifiers=(own, national))
    registration = Registration(
        registration_key=key,
        patient_key=key,
        accession_number=f"A{key[:8]}",
        study_instance_uid=f"2.25.{uuid.UUID(key).int}",
        order=order,
        state=RegistrationState.SCHEDULED,
        registered_at=order.scheduled_at,
        changed_at=order.scheduled_at,
    )
    return worklist_entry(patient, registration, own, datetime(2026, 11, 22, 9, 30, tzinfo=UTC), "unit-01")


@pytest.mark.parametrize("calling", STATIONS)
def test_findscu_gets_the_same_bytes(unit: Unit, tmp_path: Path, calling: str) -> None:
    character_set = STATIONS[calling]
    keys = ["PatientName=elan*", "PatientID", "AccessionNumber", "StudyInstanceUID", "RequestedProcedureID"]
    step = "ScheduledProcedureStepSequence[0]."
    keys += [f"{step}Modality=US", f"{step}ScheduledProcedureStepStartDate=20261122", f"{step}ScheduledStationAETitle"]
    keys += [f"{step}ScheduledProtocolCodeSequence[0].CodeValue", f"{step}ScheduledProtocolCodeSequence[0].CodeMeaning"]

    text, answers = unit.findscu(tmp_path / "answers", *(word for key in keys for word in ("-k", key)), calling=calling)

    (answer,) = answers
    assert answer.get("SpecificCharacterSet", "") == LABELS[character_set], text
    assert answer.PatientName.original_string.rstrip() == ELAN.name(character_set).encode(CODECS[character_set])
    assert (answer.AccessionNumber, answer.StudyInstanceUID) == (ELAN.accession, ELAN.uid)
    (found,) = answer.ScheduledProcedureStepSequence
    assert (found.Modality, found.ScheduledStationAETitle) == ("US", calling)
    assert found.ScheduledProtocolCodeSequence[0].CodeValue == ELAN.code


@pytest.mark.parametrize(
    ("calling", "label", "name", "expected"),
    [
        ("XRAY1", "", "benali^f*", ARABIC),
        ("US1", "ISO_IR 100", "éla?^*", ELAN),
        ("US2", "ISO_IR 192", "عيلان*", ELAN),
        ("US2", "ISO_IR 192", "*=بنعلي^*", ARABIC),
        ("US2", "ISO_IR 127", "بنعلي^فاطمة", ARABIC),
        ("US2", "", "benali*", ARABIC),
    ],
)
def test_name_with_wildcards_is_found_in_the_askers_character_set(
    unit: Unit, calling: str, label: str, name: str, expected: Made
) -> None:
    asked = query(PatientName=name)
    if label:
        asked.SpecificCharacterSet = label
    assert unit.ask(asked, calling).accessions == [expected.accession]


def test_entries_of_other_stations_are_never_answered(unit: Unit) -> None:
    own, other, anywhere = Made(station="XRAY1"), Made(station="US1"), Made()
    unit.fill(own, other, anywhere)

    assert unit.ask(query()).accessions == [own.accession, anywhere.accession]
    assert unit.ask(query({"ScheduledStationAETitle": "US1"})).accessions == [anywhere.accession]
    assert unit.ask(query({"ScheduledStationAETitle": "XRAY1"}), "US1").accessions == [anywhere.accession]
    heard = unit.heard("US1")
    assert unit.ask(query(), "US1").accessions == [other.accession, anywhere.accession]
    wait_for(lambda: unit.heard("US1") >= (heard[0] + 1, heard[1] + 2), "the query and its entries to be counted")


@pytest.mark.parametrize(
    "step",
    [
        {"ScheduledStationAETitle": "XRAY1"},
        {"ScheduledStationAETitle": "*"},
        {"ScheduledStationAETitle": "MOBILE"},
        {"Modality": "US", "ScheduledProcedureStepStartDate": "20261101-20261130"},
        {"ScheduledProcedureStepStartTime": "0900-1000"},
        {"ScheduledProcedureStepStartDate": "20261122-20261122", "ScheduledProcedureStepStartTime": "000000-235959"},
        {"ScheduledPerformingPhysicianName": "*", "ScheduledProtocolCodeSequence": []},
        {"ScheduledPerformingPhysicianName": "mekki*", "ScheduledProcedureStepStatus": "SCHEDULED"},
    ],
)
def test_answer_never_has_an_empty_step(unit: Unit, step: dict[str, str]) -> None:
    """Orthanc judges the keys inside the sequence by itself, and would empty it."""
    unit.fill(ELAN)
    reply = unit.ask(query(step))
    assert reply.status == 0, unit.door.orthanc.log_text()[-2000:]
    (answer,) = reply.answers
    assert answer.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID == f"SPS{ELAN.number}"


def test_key_that_the_unit_does_not_know_comes_back_empty(unit: Unit) -> None:
    asked = query({"CommentsOnTheScheduledProcedureStep": None}, OtherPatientNames=None, PatientSize=None)
    asked.add_new(0x00091001, "LO", "")
    for answer in unit.ask(asked).answers:
        assert answer.OtherPatientNames == "" and answer.PatientSize is None
        assert answer.ScheduledProcedureStepSequence[0].CommentsOnTheScheduledProcedureStep == ""


def test_nobody_waits_is_an_empty_list(unit: Unit) -> None:
    unit.fill()
    assert unit.ask(query()) == Reply(0, [])


@pytest.mark.parametrize("max_pdu", [4096, 131072])
def test_many_and_long_answers_pass_whole_whatever_the_console_takes_at_once(unit: Unit, max_pdu: int) -> None:
    many = [Made(history=f"{number} " + "x" * 9_000) for number in range(ANSWER_COUNT_MAX)]
    unit.fill(*many)

    reply = unit.ask(query(), "US2", max_pdu=max_pdu)

    assert reply.status == 0
    assert reply.accessions == [made.accession for made in many]
    assert [answer.AdditionalPatientHistory for answer in reply.answers] == [made.history for made in many]
    assert {answer.SpecificCharacterSet for answer in reply.answers} == {"ISO_IR 192"}


def test_more_than_the_bound_says_that_the_list_is_not_whole(unit: Unit) -> None:
    unit.fill(*(Made() for _ in range(ANSWER_COUNT_MAX + 1)))

    reply = unit.ask(query())

    assert (reply.status, len(reply.answers)) == (0xFE00, ANSWER_COUNT_MAX)


def test_cancel_reaches_orthanc_and_the_association_goes_on(unit: Unit, tmp_path: Path) -> None:
    unit.fill(*(Made(history="x" * 9_000) for _ in range(ANSWER_COUNT_MAX)))

    console = AE("XRAY1")
    console.add_requested_context(ModalityWorklistInformationFind)
    association = console.associate("127.0.0.1", unit.gate.port, ae_title="QAFILA")
    heard: list[int] = []
    for status, _ in association.send_c_find(query(), ModalityWorklistInformationFind, msg_id=7):
        heard.append(int(status.Status))
        if len(heard) == 1:
            association.send_c_cancel(7, association.accepted_contexts[0].context_id)
    again = [int(status.Status) for status, _ in association.send_c_find(query(), ModalityWorklistInformationFind, 9)]
    association.release()

    assert heard[-1] in (0xFE00, 0x0000), "the answers may have overtaken the cancel"
    assert set(heard[:-1]) == {0xFF00}
    assert again[-1] == 0 and len(again) == ANSWER_COUNT_MAX + 1
    for turn in range(5):
        keys = ("-k", "PatientName", "-k", "AdditionalPatientHistory")
        text, _ = unit.findscu(tmp_path / f"answers-{turn}", "--cancel", "3", *keys)
        assert re.search(r"DIMSE Status +: 0x(fe00|0000)", text, re.IGNORECASE)
        assert "DataSetType" not in text, "an answer came with the final status"


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ({"ScheduledProcedureStepStartDate": "today"}, ""),
        ({"ScheduledProcedureStepStartTime": "25"}, ""),
        ({}, "A*=B*=C*=D*"),
    ],
)
def test_query_that_cannot_be_understood_is_a_failure(unit: Unit, step: dict[str, str], name: str) -> None:
    assert unit.ask(query(step, PatientName=name)) == Reply(0xC000, [])
    assert unit.ask(query()).status == 0


def test_locked_database_is_a_failure_while_images_go_on(unit: Unit, tmp_path: Path) -> None:
    holder = sqlite3.connect(unit.config.unit_db, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert unit.ask(query()) == Reply(0xC000, [])
        assert dcmsend(unit.gate.port, [make_image(tmp_path / "1.dcm", side=50)]).statuses == [0]
    finally:
        holder.close()
    assert len(unit.ask(query()).answers) == 2


def test_missing_table_is_a_failure_that_names_no_patient(unit: Unit) -> None:
    with unit.database() as db:
        db.execute("ALTER TABLE worklist_entry RENAME TO away")
    try:
        assert unit.ask(query(PatientID="SECRET-1")) == Reply(0xC000, [])
    finally:
        with db:
            db.execute("ALTER TABLE away RENAME TO worklist_entry")
        db.close()
    assert unit.door.facts()["worklist"]["counts"]["failed"] >= 1
    log = unit.door.orthanc.log_text()
    assert "older release" in log
    assert "SECRET" not in log and "BENALI" not in log and "ELAN" not in log


def test_query_without_end_is_cut_by_the_gatekeeper(unit: Unit) -> None:
    asked = query()
    asked.add_new(0x00102110, "UT", "x" * 70_000)
    with pytest.raises(AssertionError, match="cut"):
        unit.ask(asked)
    unit.gate.wait_refused("object-too-large")
    assert unit.ask(query()).status == 0


def test_our_own_import_has_no_worklist(unit: Unit) -> None:
    """A listed device may ask; what may only store may not."""
    console = AE(unit.config.imports.ae_title)
    console.add_requested_context(ModalityWorklistInformationFind)
    association = console.associate("127.0.0.1", unit.gate.port, ae_title="QAFILA")
    if association.is_established:
        statuses = [dict(status) for status, _ in association.send_c_find(query(), ModalityWorklistInformationFind)]
        association.abort()
        assert not any(status and status[0x00000900].value in (0, 0xFF00) for status in statuses)


def test_queries_and_images_at_the_same_time_hold_nobody_up(unit: Unit, tmp_path: Path) -> None:
    """Orthanc's service lock and Python's interpreter lock are both taken from both sides here."""
    unit.fill(*(Made() for _ in range(ANSWER_COUNT_MAX)))
    images = [make_image(tmp_path / f"{number}.dcm", seed=number, side=300) for number in range(40)]
    is_sent = threading.Event()
    replies: list[Reply] = []

    def poll() -> None:
        while not is_sent.is_set() or not replies:
            replies.append(unit.ask(query(), "US2"))

    consoles = [threading.Thread(target=poll) for _ in range(3)]
    for console in consoles:
        console.start()
    try:
        sent = dcmsend(unit.gate.port, images)
    finally:
        is_sent.set()
        for console in consoles:
            console.join(60)

    assert sent.statuses == [0] * len(images)
    assert all(reply.status == 0 and len(reply.answers) == ANSWER_COUNT_MAX for reply in replies)
