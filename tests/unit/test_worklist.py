"""What a station is answered, over a real migrated database; Orthanc's part of it is in the integration tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from appliance.orthanc.worklist import Answers, Worklist, WorklistError, WorklistSettings
from appliance.store.connect import migrate
from tests.support.worklists import Made, insert, part10, query

CHARACTER_SETS = {"XRAY1": "ascii", "US1": "latin1", "US2": "utf8"}
ELAN = Made(
    name_ascii="ELAN^JOE",
    name_latin1="ÉLAN^JOË",
    name_utf8="ÉLAN^JOË=عيلان^جو",
    description="Échographie",
    modality="US",
)


@pytest.fixture
def settings(tmp_path: Path) -> WorklistSettings:
    migrate(tmp_path / "unit.db", tmp_path / "door.db")
    return WorklistSettings(
        unit_db=tmp_path / "unit.db",
        character_set_by_ae_title=CHARACTER_SETS,
        answer_count_max=100,
        query_bytes_max=10_000,
        busy_s_max=0.05,
    )


def _files(settings: WorklistSettings, asked: Dataset, calling: str, answers: Answers | None = None) -> list[bytes]:
    return list(Worklist(settings).files(part10(asked), calling, answers or Answers()))


def _heard(settings: WorklistSettings, asked: Dataset, calling: str = "XRAY1") -> list[str]:
    """Accession numbers of the answers."""
    return [str(_read(file).AccessionNumber) for file in _files(settings, asked, calling)]


def _read(file: bytes) -> Dataset:
    return pydicom.dcmread(DicomBytesIO(file))


def test_entry_is_answered_to_its_own_station_alone(settings: WorklistSettings) -> None:
    here, elsewhere, anywhere = Made(station="XRAY1"), Made(station="US1"), Made()
    insert(settings.unit_db, [here, elsewhere, anywhere])

    assert _heard(settings, query()) == [here.accession, anywhere.accession]
    assert _heard(settings, query({"ScheduledStationAETitle": "US1"})) == [anywhere.accession]
    assert _heard(settings, query({"ScheduledStationAETitle": "XRAY1"})) == [here.accession, anywhere.accession]
    assert _heard(settings, query({"ScheduledStationAETitle": "U*"})) == []


@pytest.mark.parametrize(
    ("asked", "answered"),
    [(None, "XRAY1"), ("*", "XRAY1"), ("XR?Y1", "XRAY1"), ("MOBILE", "MOBILE"), ("A\\XRAY1", "XRAY1")],
)
def test_entry_for_any_station_is_scheduled_where_it_is_asked_for(
    settings: WorklistSettings, asked: str | None, answered: str
) -> None:
    insert(settings.unit_db, [Made()])
    (file,) = _files(settings, query({"ScheduledStationAETitle": asked and asked.split("\\")}), "XRAY1")
    assert _read(file).ScheduledProcedureStepSequence[0].ScheduledStationAETitle == answered


@pytest.mark.parametrize(
    ("ordered", "asked", "answered"),
    [
        ("DX", "CR", "CR"),
        ("CR", "DX", "DX"),
        ("DX", "CR\\US", "CR"),
        ("DX", "CR\\DX", "DX"),
        ("DX", None, "DX"),
        ("US", "US", "US"),
        ("US", "CR", ""),
        ("DX", "US", ""),
    ],
)
def test_radiographs_are_answered_as_the_kind_that_is_asked_for(
    settings: WorklistSettings, ordered: str, asked: str | None, answered: str
) -> None:
    insert(settings.unit_db, [Made(modality=ordered)])
    files = _files(settings, query({"Modality": asked and asked.split("\\")}), "XRAY1")
    said = [str(_read(file).ScheduledProcedureStepSequence[0].Modality) for file in files]
    assert said == ([answered] if answered else [])


def test_closed_entry_is_answered_to_nobody(settings: WorklistSettings) -> None:
    insert(settings.unit_db, [Made(is_open=False)])
    assert _heard(settings, query()) == []


def test_answers_come_by_time(settings: WorklistSettings) -> None:
    late, next_day, early = Made(time="110000"), Made(date="20261123", time="080000"), Made(time="090000")
    insert(settings.unit_db, [late, next_day, early])
    assert _heard(settings, query()) == [early.accession, late.accession, next_day.accession]


@pytest.mark.parametrize(
    "keys",
    [
        lambda made: query(PatientID=made.patient_id),
        lambda made: query(AccessionNumber=made.accession),
        lambda made: query(StudyInstanceUID=made.uid),
        lambda made: query(RequestedProcedureID=made.procedure_id),
        lambda made: query(PatientName="elan*"),
        lambda made: query({"Modality": "US"}),
        lambda made: query({"ScheduledProcedureStepStartDate": "20261122", "Modality": "US"}, PatientName="*^JOE"),
        lambda made: query({"ScheduledProcedureStepID": f"SPS{made.number}"}),
        lambda made: query({"ScheduledProcedureStepDescription": "?chographie"}),
        lambda made: query({"ScheduledProtocolCodeSequence": [_code("US-ABDO")]}),
    ],
)
@pytest.mark.parametrize("calling", CHARACTER_SETS)
def test_each_key_finds_its_entry(settings: WorklistSettings, keys: Callable[[Made], Dataset], calling: str) -> None:
    made = replace(ELAN, code="US-ABDO", description="Xchographie")
    insert(settings.unit_db, [Made(), made, Made()])
    assert _heard(settings, keys(made), calling) == [made.accession]


def _code(value: str) -> Dataset:
    code = Dataset()
    code.CodeValue = value
    code.CodeMeaning = ""
    return code


def test_key_inside_the_step_that_does_not_match_leaves_the_entry_out(settings: WorklistSettings) -> None:
    insert(settings.unit_db, [Made(physician="MEKKI^ALI")])
    assert len(_heard(settings, query({"ScheduledPerformingPhysicianName": "mekki*"}))) == 1
    assert _heard(settings, query({"ScheduledPerformingPhysicianName": "saidi*"})) == []
    assert _heard(settings, query({"ScheduledProtocolCodeSequence": [_code("OTHER")]})) == []


def test_unknown_keys_outside_the_step_are_ignored(settings: WorklistSettings) -> None:
    insert(settings.unit_db, [Made()])
    asked = query(PatientSex="M", PatientBirthDate="19010101", MilitaryRank="X")
    asked.add_new(0x00091001, "LO", "private")
    assert len(_heard(settings, asked)) == 1


def test_key_that_the_unit_does_not_know_comes_back_empty(settings: WorklistSettings) -> None:
    insert(settings.unit_db, [Made()])
    asked = query({"CommentsOnTheScheduledProcedureStep": None}, OtherPatientNames=None, OtherPatientIDsSequence=[])
    (file,) = _files(settings, asked, "XRAY1")
    answer = _read(file)
    assert answer.OtherPatientNames == "" and answer.OtherPatientIDsSequence == []
    assert answer.ScheduledProcedureStepSequence[0].CommentsOnTheScheduledProcedureStep == ""


@pytest.mark.parametrize(
    ("calling", "codec"), [("XRAY1", "ascii"), ("US1", "latin-1"), ("US2", "utf-8"), ("NEW", "ascii")]
)
def test_bytes_are_of_the_stations_character_set_and_claim_orthancs(
    settings: WorklistSettings, calling: str, codec: str
) -> None:
    made = replace(ELAN, description="Echo")
    insert(settings.unit_db, [made])
    (file,) = _files(settings, query(), calling)
    name = made.name(CHARACTER_SETS.get(calling, "ascii"))
    assert name.encode(codec) in file
    assert _read(file).SpecificCharacterSet == "ISO_IR 100"


@pytest.mark.parametrize(
    ("calling", "label", "key"),
    [
        ("US1", None, "élan*"),
        ("US1", "ISO_IR 100", "ÉLAN*"),
        ("US1", "ISO_IR 192", "ÉLAN*"),
        ("US2", None, "عيلان*"),
        ("US2", "ISO_IR 127", "عيلان*"),
        ("US2", "ISO_IR 192", "=عيلان^*"),
        ("XRAY1", None, "ELAN^JOE"),
        ("US2", "ISO_IR 192", "elan^joe"),
    ],
)
def test_name_is_found_in_the_character_set_of_the_query(
    settings: WorklistSettings, calling: str, label: str | None, key: str
) -> None:
    insert(settings.unit_db, [Made(), ELAN])
    asked = query(PatientName=key)
    asked.SpecificCharacterSet = label or {"US1": "ISO_IR 100", "US2": "ISO_IR 192", "XRAY1": "ISO_IR 6"}[calling]
    file = part10(asked)
    if label is None:
        written = pydicom.dcmread(DicomBytesIO(file))
        raw = written.get_item("PatientName").value
        del written.SpecificCharacterSet
        written.PatientName = ""
        file = part10(written).replace(b"\x10\0\x10\0PN\0\0", b"\x10\0\x10\0PN" + len(raw).to_bytes(2, "little") + raw)
    found = list(Worklist(settings).files(file, calling, Answers()))
    assert [_read(each).AccessionNumber for each in found] == [ELAN.accession]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("is_undefined", [False, True])
def test_query_is_read_in_each_plain_transfer_syntax(
    settings: WorklistSettings, syntax: UID, is_undefined: bool
) -> None:
    made = Made(code="XR-HAND")
    insert(settings.unit_db, [Made(), made])
    asked = query({"ScheduledProtocolCodeSequence": [_code("XR-HAND")], "Modality": "DX"})
    asked["ScheduledProcedureStepSequence"].is_undefined_length = is_undefined
    asked.ScheduledProcedureStepSequence[0].is_undefined_length_sequence_item = is_undefined
    found = list(Worklist(settings).files(part10(asked, syntax), "XRAY1", Answers()))
    assert [_read(file).AccessionNumber for file in found] == [made.accession]


def test_more_than_the_bound_is_said_not_to_be_whole(settings: WorklistSettings) -> None:
    insert(settings.unit_db, [Made() for _ in range(4)])
    for bound, is_complete in ((4, True), (3, False)):
        answers = Answers()
        files = _files(replace(settings, answer_count_max=bound), query(), "XRAY1", answers)
        assert (len(files), answers.count, answers.is_complete) == (bound, bound, is_complete)


def test_damaged_entry_keeps_no_other_one_back_and_is_not_hidden(settings: WorklistSettings) -> None:
    sound, damaged = Made(), Made()
    insert(settings.unit_db, [sound, damaged])
    db = sqlite3.connect(settings.unit_db)
    with db:
        db.execute(
            "UPDATE worklist_entry SET item_ascii = substr(item_ascii, 1, 700) WHERE patient_id = ?",
            [damaged.patient_id],
        )
    db.close()
    answers = Answers()
    assert len(_files(settings, query(), "XRAY1", answers)) == 1
    assert not answers.is_complete


def test_entry_that_orthanc_would_empty_is_left_out_and_said(settings: WorklistSettings) -> None:
    insert(settings.unit_db, [Made(time="230000"), Made(time="030000", date="20261123")])
    night = {"ScheduledProcedureStepStartDate": "20261122-20261123", "ScheduledProcedureStepStartTime": "2200-0600"}
    answers = Answers()
    assert _files(settings, query(night), "XRAY1", answers) == []
    assert not answers.is_complete


def _ruin(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(4000))


def _forget_table(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("DROP TABLE worklist_entry")
    db.close()


@pytest.mark.parametrize(
    ("harm", "word"),
    [(Path.unlink, "missing"), (_forget_table, "older release"), (_ruin, "cannot be read")],
    ids=["missing", "older", "ruined"],
)
def test_database_that_cannot_be_read_is_a_failure_and_no_empty_list(
    settings: WorklistSettings, harm: Callable[[Path], None], word: str
) -> None:
    harm(settings.unit_db)
    worklist = Worklist(settings)
    with pytest.raises(WorklistError, match=word):
        list(worklist.files(part10(query()), "XRAY1", Answers()))
    assert worklist.facts()["counts"] == {"failed": 1}


def test_locked_database_is_a_failure_and_no_empty_list(settings: WorklistSettings) -> None:
    insert(settings.unit_db, [Made()])
    holder = sqlite3.connect(settings.unit_db, isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(WorklistError, match="busy"):
        _files(settings, query(), "XRAY1")
    holder.close()
    assert len(_files(settings, query(), "XRAY1")) == 1


def test_reader_waits_for_no_writer(settings: WorklistSettings) -> None:
    insert(settings.unit_db, [Made()])
    writer = sqlite3.connect(settings.unit_db, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE worklist_entry SET is_open = 0")
    assert len(_files(settings, query(), "XRAY1")) == 1
    writer.execute("COMMIT")
    assert _files(settings, query(), "XRAY1") == []
    writer.close()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file[:200],
        lambda file: file[:-3],
        lambda file: file + bytes(20_000),
        lambda file: file.replace(b"BEN*", b"B\x1b$*"),
        lambda file: file.replace(b"BEN*", b"B\xc9N*"),
        lambda file: b"",
    ],
    ids=["cut", "cut short", "too long", "escape", "not ascii", "empty"],
)
def test_query_that_cannot_be_understood_is_a_failure_without_identity(
    settings: WorklistSettings, spoil: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    insert(settings.unit_db, [Made()])
    file = spoil(part10(query(PatientName="BEN*", PatientID="SECRET")))
    with pytest.raises(WorklistError) as raised:
        list(Worklist(settings).files(file, "XRAY1", Answers()))
    assert raised.value.__cause__ is None and raised.value.__suppress_context__
    told = capsys.readouterr().err + str(raised.value)
    assert "unit.worklist query failed" in told
    assert "BEN" not in told and "SECRET" not in told


def test_step_sequence_of_two_items_is_a_failure(settings: WorklistSettings) -> None:
    asked = query()
    asked.ScheduledProcedureStepSequence.append(Dataset())
    with pytest.raises(WorklistError, match="more than one item"):
        _files(settings, asked, "XRAY1")
