"""The Modality Worklist item: whole, in three character sets, read back by pydicom and by dcmtk."""

from __future__ import annotations

import io
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from appliance.dicom.worklist_item import CHARACTER_SETS, worklist_entry
from appliance.domain.registration import (
    Identifier,
    IdentifierKind,
    Order,
    PatientDetails,
    PersonName,
    Pregnancy,
    Sex,
    WorklistEntry,
)
from appliance.domain.values import Priority
from appliance.orthanc.dataset import parse
from appliance.orthanc.part10 import parse_meta
from appliance.registration.names import NameRefusedError, checked_name
from tests.registration.made import AICHA, details, national, order, patient, registration

AT = datetime(2026, 11, 22, 9, 30, 5, tzinfo=UTC)
OWN = Identifier("unit-01", "UNIT01-E278ZBXCN", IdentifierKind.UNIT)
TYPE_1 = (
    "ScheduledProcedureStepSequence RequestedProcedureID RequestedProcedureDescription RequestedProcedureCodeSequence "
    "StudyInstanceUID PatientName PatientID"
)
TYPE_2 = (
    "ReferencedStudySequence RequestedProcedurePriority PatientTransportArrangements AccessionNumber "
    "RequestingPhysician ReferringPhysicianName AdmissionID CurrentPatientLocation ReferencedPatientSequence "
    "PatientBirthDate PatientSex PatientWeight ConfidentialityConstraintOnPatientDataDescription PatientState "
    "PregnancyStatus MedicalAlerts Allergies SpecialNeeds"
)
STEP_TYPE_1 = (
    "ScheduledStationAETitle ScheduledProcedureStepStartDate ScheduledProcedureStepStartTime Modality "
    "ScheduledProcedureStepDescription ScheduledProtocolCodeSequence ScheduledProcedureStepID"
)
STEP_TYPE_2 = (
    "ScheduledPerformingPhysicianName ScheduledStationName ScheduledProcedureStepLocation PreMedication "
    "RequestedContrastAgent"
)


def entry(known: PatientDetails | None = None, wanted: Order | None = None) -> WorklistEntry:
    return worklist_entry(patient(known), registration(wanted), OWN, AT, "unit-01")


def files(made: WorklistEntry) -> dict[str, bytes]:
    return {"ascii": made.item_ascii, "latin1": made.item_latin1, "utf8": made.item_utf8}


def data_sets(made: WorklistEntry) -> dict[str, Dataset]:
    return {name: pydicom.dcmread(io.BytesIO(file)) for name, file in files(made).items()}


def known() -> PatientDetails:
    return PatientDetails(name=AICHA, sex=Sex.FEMALE, birth_date="19840312", weight_kg=61.5)


@pytest.mark.parametrize("character_set", CHARACTER_SETS)
@pytest.mark.parametrize("known_details", [known(), details("TEMP", "E278ZBXCN", sex=Sex.UNKNOWN, birth="")])
def test_every_return_key_of_table_k_6_1_is_there(character_set: str, known_details: PatientDetails) -> None:
    item = data_sets(entry(known_details))[character_set]
    assert [key for key in TYPE_1.split() if not item.get(key)] == []
    assert [key for key in TYPE_2.split() if key not in item] == []
    (step,) = item.ScheduledProcedureStepSequence
    assert [key for key in STEP_TYPE_1.split() if not step.get(key)] == []
    assert [key for key in STEP_TYPE_2.split() if key not in step] == []
    for (code,) in (item.RequestedProcedureCodeSequence, step.ScheduledProtocolCodeSequence):
        assert code.CodeValue == "XR-CHEST-PA" and code.CodingSchemeDesignator and code.CodeMeaning


def test_values_are_those_of_the_registration() -> None:
    made = entry(known(), order(priority=Priority.STAT, pregnancy=Pregnancy.POSSIBLE, station="XRAY", reason="Toux"))
    item = data_sets(made)["utf8"]
    (step,) = item.ScheduledProcedureStepSequence
    assert (step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime) == ("20261122", "093005")
    assert (step.Modality, step.ScheduledStationAETitle) == ("DX", "XRAY")
    assert (item.AccessionNumber, item.StudyInstanceUID) == (made.accession_number, made.study_instance_uid)
    assert item.RequestedProcedureID == made.requested_procedure_id == step.ScheduledProcedureStepID
    assert (item.PatientID, item.IssuerOfPatientID) == ("UNIT01-E278ZBXCN", "unit-01")
    assert (item.PatientBirthDate, item.PatientSex, float(item.PatientWeight)) == ("19840312", "F", 61.5)
    assert (item.RequestedProcedurePriority, item.PregnancyStatus) == ("STAT", 2)
    assert item.ReasonForTheRequestedProcedure == "Toux"
    assert (made.scheduled_date, made.scheduled_time, made.modality) == ("20261122", "093005", "DX")


def test_name_in_each_character_set_under_its_label() -> None:
    made = entry(known())
    found = data_sets(made)
    assert "SpecificCharacterSet" not in found["ascii"]
    assert (found["latin1"].SpecificCharacterSet, found["utf8"].SpecificCharacterSet) == ("ISO_IR 100", "ISO_IR 192")
    assert {name: str(item.PatientName) for name, item in found.items()} == {
        "ascii": "Benali^Aicha",
        "latin1": "Benali^Aïcha",
        "utf8": "Benali^Aïcha=بنعلي^عائشة",
    }
    assert [str(item.PatientName) for item in found.values()] == [made.name_ascii, made.name_latin1, made.name_utf8]


def test_an_ascii_item_has_no_byte_that_an_ascii_console_cannot_read() -> None:
    made = entry(known(), order(description="Crâne, œil – côté", referrer="Dr Œuvré", reason="Fièvre élevée"))
    texts = [element for element in data_sets(made)["ascii"].iterall() if element.VR in ("PN", "LO", "SH", "CS", "AE")]
    assert len(texts) > 20 and all(str(element.value).isascii() for element in texts)
    item = data_sets(made)["ascii"]
    assert item.RequestedProcedureDescription == "Crane, oeil - cote"
    assert (item.ReferringPhysicianName, item.ReasonForTheRequestedProcedure) == ("Dr OEuvre", "Fievre elevee")


def test_an_arabic_note_is_left_out_where_it_cannot_be_read_and_never_spelled() -> None:
    found = data_sets(entry(known(), order(referrer="د. العلوي", reason="سعال")))
    assert [str(found[name].ReferringPhysicianName) for name in CHARACTER_SETS] == ["", "", "=د. العلوي"]
    assert [found[name].ReasonForTheRequestedProcedure for name in CHARACTER_SETS] == ["", "", "سعال"]


def test_other_numbers_are_other_patient_ids() -> None:
    person = patient(known(), national("AB123456"))
    made = worklist_entry(person, registration(), national("AB123456"), AT, "unit-01")
    (other,) = data_sets(made)["ascii"].OtherPatientIDsSequence
    assert (made.patient_id, other.PatientID, other.IssuerOfPatientID) == ("AB123456", "UNIT01-E278ZBXCN", "unit-01")


def test_age_is_said_where_no_birth_date_is_known() -> None:
    item = data_sets(entry(details(birth="", age="045Y")))["ascii"]
    assert (item.PatientAge, item.PatientBirthDate) == ("045Y", "")
    assert "PatientAge" not in data_sets(entry(replace(known(), age_text="045Y")))["ascii"]


TEXTS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x6FF, categories=["L", "N", "Zs"]), max_size=20)


@given(TEXTS, TEXTS, st.text("ابةىأ", max_size=10), TEXTS)
def test_any_accepted_name_and_note_comes_back_from_every_file(
    family: str, given_name: str, family_ar: str, note: str
) -> None:
    try:
        name = checked_name(PersonName(family_latin=family, given_latin=given_name, family_arabic=family_ar))
    except NameRefusedError:
        return
    made = entry(PatientDetails(name=name), order(referrer=note, reason=note))
    found = data_sets(made)
    names = {"ascii": made.name_ascii, "latin1": made.name_latin1, "utf8": made.name_utf8}
    for character_set, item in found.items():
        assert str(item.PatientName) == names[character_set].rstrip("^= ")
        raw = parse(files(made)[character_set][_offset(files(made)[character_set]) :], "1.2.840.10008.1.2.1")
        codec = {"ascii": "ascii", "latin1": "latin-1", "utf8": "utf-8"}[character_set]
        assert raw[0x00100010].value.decode(codec).rstrip(" ") == names[character_set].rstrip(" ")


def _offset(file: bytes) -> int:
    return parse_meta(file).dataset_offset


@pytest.mark.skipif(not shutil.which("dcmdump"), reason="no dcmtk")
@pytest.mark.parametrize("character_set", CHARACTER_SETS)
def test_dcmtk_reads_the_file_without_a_word(tmp_path: Path, character_set: str) -> None:
    path = tmp_path / "item.wl"
    path.write_bytes(files(entry(known(), order(referrer="Dr Œuvré", reason="سعال")))[character_set])
    done = subprocess.run(["dcmdump", "+U8", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Benali^A" in done.stdout
