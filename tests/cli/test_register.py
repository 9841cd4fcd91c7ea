"""``qafila register``: a person and an exam in one call, with nothing but the database."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest

from appliance.orthanc.worklist import Answers, Worklist, WorklistSettings
from appliance.store.connect import open_reader
from tests.cli.running import Qafila
from tests.support.worklists import part10, query

AICHA = ("--family", "Benali", "--given", "Aïcha", "--family-ar", "بنعلي", "--given-ar", "عائشة")
PERSON = (*AICHA, "--sex", "f", "--birth-date", "١٩٨٤-٠٣-١٢", "--national-id", "ab123456")
CHEST = ("--exam", "xr-chest-pa", "--pregnancy", "no")


def row_count(tmp_path: Path, table: str) -> int:
    with open_reader(tmp_path / "data" / "unit.db") as db:
        return int(db.value(f"SELECT count(*) FROM {table}"))


def answers(tmp_path: Path, calling: str, character_set: str) -> list[pydicom.Dataset]:
    """What Orthanc's plugin would answer this station."""
    worklist = Worklist(
        WorklistSettings(
            unit_db=tmp_path / "data" / "unit.db",
            character_set_by_ae_title={calling: character_set},
            answer_count_max=100,
            query_bytes_max=100_000,
            busy_s_max=1.0,
        )
    )
    found: list[pydicom.Dataset] = [
        pydicom.dcmread(io.BytesIO(file)) for file in worklist.files(part10(query()), calling, Answers())
    ]
    codec = {"ascii": "", "latin1": "ISO_IR 100", "utf8": "ISO_IR 192"}[character_set]
    for item in found:
        # The plugin labels everything with Orthanc's own encoding; the gatekeeper puts the station's back.
        item.SpecificCharacterSet = codec
        item.decode()
    return found


def test_person_and_exam_are_registered_and_stand_on_the_worklist(bare: Qafila, tmp_path: Path) -> None:
    said = bare("register", *PERSON, *CHEST, "--referrer", "Dr Œuvrard", "--reason", "Toux", "--json")
    assert said.code == 0
    made = said.facts["registration"]
    assert (made["patient_name"], made["patient_id"]) == ("Benali^Aïcha=بنعلي^عائشة", "AB123456")
    assert (made["patient_birth_date"], made["patient_sex"], made["state"]) == ("19840312", "F", "scheduled")
    assert (made["description"], made["modality"], made["views"]) == ("Thorax de face (PA)", "DX", "PA")
    assert set(said.facts["preparation"]) == {"fr", "en", "ar"} and said.facts["duplicates"] == []
    (listed,) = bare("worklist", "--json").facts["registrations"]
    assert listed == made


@pytest.mark.parametrize(
    ("calling", "character_set", "name"),
    [("XRAY", "ascii", "Benali^Aicha"), ("CR2", "latin1", "Benali^Aïcha"), ("US1", "utf8", "Benali^Aïcha=بنعلي^عائشة")],
)
def test_station_is_answered_in_its_character_set_and_with_its_own_name(
    bare: Qafila, tmp_path: Path, calling: str, character_set: str, name: str
) -> None:
    made = bare("register", *PERSON, *CHEST, "--json").facts["registration"]
    (answer,) = answers(tmp_path, calling, character_set)
    (step,) = answer.ScheduledProcedureStepSequence
    assert (str(answer.PatientName), step.ScheduledStationAETitle) == (name, calling)
    assert (answer.AccessionNumber, answer.StudyInstanceUID) == (made["accession_number"], made["study_instance_uid"])


def test_exam_of_one_station_is_not_answered_to_another(bare: Qafila, tmp_path: Path) -> None:
    assert bare("register", *PERSON, *CHEST, "--station", "XRAY").code == 0
    assert len(answers(tmp_path, "XRAY", "ascii")) == 1
    assert answers(tmp_path, "SONO", "ascii") == []


def test_emergency_needs_nothing_else(bare: Qafila, tmp_path: Path) -> None:
    said = bare("register", "--emergency", "--json")
    made = said.facts["registration"]
    assert (said.code, made["priority"], made["is_emergency"]) == (0, "stat", True)
    (answer,) = answers(tmp_path, "XRAY", "ascii")
    assert str(answer.PatientName).startswith("TEMP^") and answer.RequestedProcedurePriority == "STAT"


def test_emergency_takes_what_is_known_and_only_shows_who_it_may_be(bare: Qafila) -> None:
    assert bare("register", *PERSON, *CHEST).code == 0
    said = bare("register", "--emergency", *AICHA, "--exam", "US-FAST", "--json")
    assert said.code == 0 and said.facts["registration"]["modality"] == "US"
    assert [one["patient_birth_date"] for one in said.facts["duplicates"]] == ["19840312"]


def test_emergency_with_an_arabic_name_alone_is_not_stopped(bare: Qafila, tmp_path: Path) -> None:
    assert bare("register", "--emergency", "--family-ar", "بنعلي").code == 0
    (answer,) = answers(tmp_path, "US1", "utf8")
    assert str(answer.PatientName).startswith("TEMP^") and str(answer.PatientName).endswith("=بنعلي")


def test_somebody_known_is_shown_with_reasons_and_nothing_is_written(bare: Qafila, tmp_path: Path) -> None:
    bare("register", *PERSON, *CHEST)
    again = ("--family", "Ben Ali", "--given", "Aicha", "--sex", "F", "--birth-date", "1984-12-03", *CHEST)
    said = bare("register", *again)
    assert said.code == 1
    assert "Nothing was registered" in said.out and "same name, nearly the same birth date" in said.out
    facts = bare("register", *again, "--json").facts
    assert facts["code"] == "possible-duplicate" and facts["exit_code"] == 1
    assert facts["duplicates"][0]["reasons"][:2] == ["same-name", "birth-date-near"]
    assert row_count(tmp_path, "patient") == row_count(tmp_path, "registration") == 1

    assert bare("register", *again, "--new-person").code == 0
    assert row_count(tmp_path, "patient") == 2


@pytest.mark.parametrize("typed", ["AB-123456", "ab 123456", "unit-id", "key"])
def test_exam_for_a_known_person_by_any_of_their_numbers(bare: Qafila, tmp_path: Path, typed: str) -> None:
    first = bare("register", *PERSON, *CHEST, "--json").facts
    who = {"unit-id": first["patient_unit_id"].lower(), "key": first["registration"]["patient_key"]}.get(typed, typed)
    said = bare("register", "--patient", who, "--exam", "US-RENAL", "--weight", "61,5", "--json")
    assert said.code == 0 and said.facts["registration"]["patient_key"] == first["registration"]["patient_key"]
    assert row_count(tmp_path, "patient") == 1
    assert {float(item.PatientWeight) for item in answers(tmp_path, "XRAY", "ascii")} == {61.5}


def test_arabic_name_alone_gets_a_proposal_and_is_taken_only_when_told_so(bare: Qafila, tmp_path: Path) -> None:
    words = ("--family-ar", "بنعلي", "--given-ar", "فاطمة", "--sex", "F", "--age", "٧٠", "--exam", "US-RENAL")
    said = bare("register", *words)
    assert said.code == 2 and "'Benali Fatima'" in said.err and row_count(tmp_path, "patient") == 0
    assert bare("register", *words, "--accept-latin").code == 0
    with open_reader(tmp_path / "data" / "unit.db") as db:
        assert db.row("SELECT family_latin, latin_is_proposal, age_text FROM patient") == ("Benali", 1, "070Y")


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        ((), 2, "The exam is missing"),
        ((*PERSON, "--exam", "XR-CHEST-PA"), 2, "pregnancy question"),
        ((*PERSON, "--exam", "XR-CHST", "--pregnancy", "no"), 2, "Did you mean XR-CHEST"),
        ((*PERSON, "--exam", "XR-HAND", "--pregnancy", "no"), 2, "--side L, R or B"),
        ((*PERSON, *CHEST, "--side", "l"), 2, "has no side"),
        ((*PERSON, *CHEST, "--station", "XRY"), 2, "there is: XRAY"),
        ((*PERSON, *CHEST, "--at", "soon"), 2, "'soon'"),
        ((*PERSON, *CHEST, "--weight", "heavy"), 2, "weight"),
        ((*PERSON, *CHEST, "--modality", "D X"), 2, "no modality"),
        ((*PERSON, *CHEST, "--reason", "x" * 65), 2, "reason is longer"),
        ((*PERSON, *CHEST, "--identifier", "77"), 2, "issuer"),
        ((*CHEST, "--sex", "F", "--birth-date", "1984-03-12"), 2, "The name is missing"),
        ((*AICHA, *CHEST, "--birth-date", "1984-03-12"), 2, "The sex is missing"),
        ((*AICHA, *CHEST, "--sex", "F"), 2, "The birth date is missing"),
        ((*AICHA, *CHEST, "--sex", "F", "--birth-date", "12/03/1984"), 2, "write year, month and day"),
        (("--family", "بنعلي", *CHEST, "--sex", "F", "--age", "4"), 2, "belong into the Arabic field"),
        (("--patient", "nobody", *CHEST), 4, "Nobody on this unit goes by 'nobody'"),
        (("--patient", "x", "--family", "y", *CHEST), 2, "--family says nothing here"),
    ],
)
def test_what_cannot_be_registered_is_a_sentence_and_nothing_is_written(
    bare: Qafila, tmp_path: Path, words: tuple[str, ...], code: int, named: str
) -> None:
    said = bare("register", *words)
    assert (said.code, named in said.err) == (code, True), said.err
    assert "Nothing was registered" in said.err
    assert row_count(tmp_path, "patient") == row_count(tmp_path, "journal") == 0


def test_known_people_and_exams_can_be_listed(bare: Qafila) -> None:
    bare("register", *PERSON, *CHEST)
    (found,) = bare("register", "--find", "عايشه", "--json").facts["patients"]
    assert found["patient_family_latin"] == "Benali" and found["patient_identifiers"][0]["value"] == "AB123456"
    assert "Benali, Aïcha" in bare("register", "--find", "aicha").out
    assert "Nobody" in bare("register", "--find", "omar").out
    assert "XR-CHEST-PA" in bare("register", "--exams").out
    exams = bare("register", "--exams", "--json").facts["exams"]
    assert {"fr", "en", "ar"} == set(exams[0]["name"])


def test_catalogue_and_prefix_of_the_configuration_are_used(bare: Qafila, tmp_path: Path) -> None:
    own = tmp_path / "exams.toml"
    own.write_text(
        'emergency_exam = "X1"\n[[exam]]\ncode = "X1"\nmodality = "CR"\nbody_part = "CHEST"\nprice = 50\n'
        'name = { fr = "Un", en = "One", ar = "واحد" }\n',
        encoding="utf-8",
    )
    with (tmp_path / "unit.toml").open("a", encoding="utf-8") as file:
        file.write(f'[registration]\ncatalogue = "{own}"\nprefix = "VAN7"\nlanguage = "en"\n')
    facts = bare("register", "--emergency", "--json").facts
    made = facts["registration"]
    assert (made["modality"], made["description"], facts["price"]) == ("CR", "One", 50)
    assert made["accession_number"].startswith("VAN7-")
    own.write_text(own.read_text(encoding="utf-8").replace("body_part", "body_prt"), encoding="utf-8")
    said = bare("register", "--emergency")
    assert said.code == 3 and "did you mean 'body_part'" in said.err
    assert "No exam can be registered" in bare("config", "check").out
