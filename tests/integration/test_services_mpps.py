"""MPPS as a console meets it: pynetdicom as SCU against the services process on a real database (PS3.4 annex F)."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRBigEndian
from pynetdicom.sop_class import ModalityPerformedProcedureStep  # type: ignore[attr-defined]  # made at import time

from appliance.store.connect import open_unit, write
from tests.support.services import Console, Services, rejection, running_services, step_created, step_ended
from tests.support.world import wait_for

DX = str(DigitalXRayImageStorageForPresentation)
FINAL = "Performed Procedure Step Object may no longer be updated"
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    with running_services(tmp_path_factory.mktemp("services")) as running:
        with open_unit(running.config.unit_db) as db, write(db):
            db.change("INSERT INTO patient (patient_key, registered_at, changed_at) VALUES ('p', '', '')")
        yield running


@dataclass(frozen=True)
class Exam:
    """One scheduled exam with an open worklist entry, and the step a test is about."""

    services: Services
    number: int

    @property
    def study(self) -> str:
        return f"2.25.7{self.number}"

    @property
    def accession(self) -> str:
        return f"U1-A{self.number}"

    @property
    def step(self) -> str:
        return f"1.7.{self.number}"

    def created(self, **changes: Any) -> Dataset:
        return step_created(self.study, self.accession, **changes)

    @property
    def state(self) -> tuple[object, ...]:
        """State of the registration, and whether it is on the worklist."""
        sql = """SELECT state, is_open FROM registration JOIN worklist_entry USING (registration_key)
            WHERE registration_key = ?"""
        return self.services.rows(sql, self.accession)[0]

    def of_step(self, columns: str, table: str = "performed_step") -> list[tuple[Any, ...]]:
        return self.services.rows(f"SELECT {columns} FROM {table} WHERE step_uid = ?", self.step)


@pytest.fixture
def exam(services: Services) -> Exam:
    exam = Exam(services, next(_NUMBERS))
    with open_unit(services.config.unit_db) as db, write(db):
        db.change(
            """INSERT INTO registration (registration_key, patient_key, accession_number, study_instance_uid, exam_code,
                modality, description, scheduled_at, registered_at, changed_at)
                VALUES (?1, 'p', ?1, ?2, 'XR', 'DX', 'Thorax', '', '', '')""",
            (exam.accession, exam.study),
        )
        db.change(
            """INSERT INTO worklist_entry (registration_key, is_open, modality, scheduled_date, scheduled_time,
                patient_id, accession_number, study_instance_uid, requested_procedure_id, name_ascii, name_latin1,
                name_utf8, item_ascii, item_latin1, item_utf8)
                VALUES (?1, 1, 'DX', '20261122', '093000', 'U1-7', ?1, ?2, 'RP', '', '', '', x'', x'', x'')""",
            (exam.accession, exam.study),
        )
    return exam


def test_step_moves_its_registration_and_closes_the_worklist_entry(exam: Exam) -> None:
    with Console(exam.services.port) as console:
        assert console.create(exam.created(), exam.step).Status == 0x0000
        assert exam.state == ("in-progress", 1)
        ended = step_ended([(DX, "1.2.3.1"), (DX, "1.2.3.2")], ImageAndFluoroscopyAreaDoseProduct="0.034")
        assert console.set(ended, exam.step).Status == 0x0000
    assert exam.state == ("completed", 0)
    assert exam.of_step("state, started, ended, calling_ae_title, patient_id, dose") == [
        (
            "completed",
            "20261122093000",
            "20261122094500",
            "XRAY",
            "U1-7",
            '{"ImageAndFluoroscopyAreaDoseProduct": 0.034}',
        )
    ]
    assert exam.of_step("sop_instance_uid, sop_class_uid, series_instance_uid", "performed_instance") == [
        ("1.2.3.1", DX, "1.2.3.9"),
        ("1.2.3.2", DX, "1.2.3.9"),
    ]
    sql = "SELECT from_state, to_state, actor FROM journal WHERE subject = 'registration' AND subject_id = ?"
    moves = exam.services.rows(sql, exam.accession)
    assert moves == [("scheduled", "in-progress", "XRAY"), ("in-progress", "completed", "XRAY")]


def test_discontinued_step_without_series_ends_the_exam(exam: Exam) -> None:
    reason = Dataset()
    reason.CodeValue, reason.CodingSchemeDesignator, reason.CodeMeaning = "110514", "DCM", "Incorrect worklist entry"
    with Console(exam.services.port) as console:
        console.create(exam.created(), exam.step)
        ended = step_ended(status="DISCONTINUED", PerformedProcedureStepDiscontinuationReasonCodeSequence=[reason])
        ended.PerformedSeriesSequence = []
        assert console.set(ended, exam.step).Status == 0x0000
    assert exam.state == ("discontinued", 0)
    assert exam.of_step("discontinuation") == [("Incorrect worklist entry",)]


def test_exam_goes_on_while_one_of_its_steps_does_and_one_completed_step_completes_it(exam: Exam) -> None:
    with Console(exam.services.port) as console:
        for uid in (exam.step, f"{exam.step}.2"):
            console.create(exam.created(), uid)
        console.set(step_ended([(DX, "1.2.3.1")]), exam.step)
        assert exam.state == ("in-progress", 1)
        console.set(step_ended(status="DISCONTINUED"), f"{exam.step}.2")
    assert exam.state == ("completed", 0)


def test_step_is_linked_by_accession_number_when_the_console_made_its_own_study_uid(exam: Exam) -> None:
    with Console(exam.services.port) as console:
        assert console.create(step_created("1.9.9", exam.accession), exam.step).Status == 0x0000
    assert exam.state == ("in-progress", 1)


def test_step_of_an_unscheduled_exam_is_kept(exam: Exam) -> None:
    with Console(exam.services.port) as console:
        assert console.create(step_created("1.9.9"), exam.step).Status == 0x0000
        assert console.set(step_ended([(DX, "1.9.9.1")]), exam.step).Status == 0x0000
    assert exam.state == ("scheduled", 1)
    assert exam.of_step("study_instance_uid, registration_key", "performed_for") == [("1.9.9", None)]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"PerformedProcedureStepID": None}, 0x0120),
        ({"PerformedStationAETitle": None}, 0x0120),
        ({"ScheduledStepAttributesSequence": None}, 0x0120),
        ({"PerformedProcedureStepStartDate": ""}, 0x0121),
        ({"Modality": ""}, 0x0121),
        ({"ScheduledStepAttributesSequence": []}, 0x0121),
        ({"ScheduledStepAttributesSequence": [Dataset()]}, 0x0120),
        ({"PerformedProcedureStepStatus": "COMPLETED"}, 0x0106),
    ],
)
def test_step_that_lacks_what_it_must_have_is_refused_and_not_recorded(
    exam: Exam, changes: dict[str, Any], status: int
) -> None:
    with Console(exam.services.port) as console:
        answer = console.create(exam.created(**changes), exam.step)
        assert answer.Status == status
        assert answer.ErrorComment
        assert exam.of_step("state") == []
        assert console.create(exam.created(), exam.step).Status == 0x0000


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"PerformedProcedureStepEndDate": None}, 0x0121),
        ({"PerformedProcedureStepEndTime": ""}, 0x0121),
        ({"PerformedSeriesSequence": []}, 0x0121),
        ({"PerformedProcedureStepStatus": "DONE"}, 0x0106),
    ],
)
def test_step_cannot_end_without_what_its_final_state_needs(exam: Exam, changes: dict[str, Any], status: int) -> None:
    with Console(exam.services.port) as console:
        console.create(exam.created(), exam.step)
        assert console.set(step_ended([(DX, "1.2.3.1")], **changes), exam.step).Status == status
    assert exam.of_step("state") == [("in-progress",)]


def test_final_is_final(exam: Exam) -> None:
    with Console(exam.services.port) as console:
        console.create(exam.created(), exam.step)
        console.set(step_ended([(DX, "1.2.3.1")]), exam.step)
        answer = console.set(step_ended([(DX, "1.2.3.1"), (DX, "1.2.3.2")]), exam.step)
        assert (answer.Status, answer.ErrorComment, answer.ErrorID) == (0x0110, FINAL, 0xA710)
    assert exam.of_step("sop_instance_uid", "performed_instance") == [("1.2.3.1",)]


def test_repeats_are_harmless_in_any_transfer_syntax_and_other_content_is_a_duplicate(exam: Exam) -> None:
    ended = step_ended([(DX, "1.2.3.1")])
    with Console(exam.services.port) as console:
        assert console.create(exam.created(), exam.step).Status == 0x0000
        assert console.create(exam.created(), exam.step).Status == 0x0000
        assert console.create(exam.created(PatientID="U1-8"), exam.step).Status == 0x0111
        assert console.set(ended, exam.step).Status == 0x0000
        assert console.set(ended, exam.step).Status == 0x0000
    with Console(exam.services.port, [ModalityPerformedProcedureStep], syntax=ExplicitVRBigEndian) as console:
        assert console.create(exam.created(), exam.step).Status == 0x0000
    assert len(exam.services.rows("SELECT 1 FROM journal WHERE subject_id = ?", exam.step)) == 2


def test_set_of_an_unknown_step_is_refused(exam: Exam) -> None:
    with Console(exam.services.port) as console:
        assert console.set(step_ended(), "1.404").Status == 0x0112


def test_step_without_a_uid_gets_one(exam: Exam) -> None:
    with Console(exam.services.port) as console:
        answer = console.create(exam.created(), None)
    assert answer.Status == 0x0000
    sql = "SELECT step_uid FROM performed_for WHERE registration_key = ?"
    ((uid,),) = exam.services.rows(sql, exam.accession)
    assert uid.startswith("2.25.")


def test_set_keeps_whom_and_what_for_the_step_was_created_and_texts_of_both_character_sets(exam: Exam) -> None:
    created = exam.created(PerformedProcedureStepDescription="Poignet après chute")
    changes = Dataset()
    changes.SpecificCharacterSet = "ISO_IR 192"
    changes.PerformedProcedureStepStatus = "IN PROGRESS"
    changes.PatientName, changes.PatientID, changes.Modality = "OTHER^NAME", "U1-99", "US"
    changes.CommentsOnThePerformedProcedureStep = "صورة واحدة"
    with Console(exam.services.port) as console:
        console.create(created, exam.step)
        assert console.set(changes, exam.step).Status == 0x0000
        assert console.set(step_ended([(DX, "1.2.3.1")]), exam.step).Status == 0x0000
    assert exam.of_step("patient_id, modality, description") == [("U1-7", "DX", "Poignet après chute")]
    ((data,),) = exam.of_step("data_set")
    assert "صورة واحدة".encode() in data


@pytest.mark.fault(12)
def test_step_that_was_answered_survives_kill_9(exam: Exam) -> None:
    with Console(exam.services.port) as console:
        assert console.create(exam.created(), exam.step).Status == 0x0000
        exam.services.kill()
    exam.services.start()
    with Console(exam.services.port) as console:
        assert console.set(step_ended([(DX, "1.2.3.1")]), exam.step).Status == 0x0000
    assert exam.state == ("completed", 0)


def test_step_that_cannot_be_recorded_is_refused_and_the_association_goes_on(exam: Exam) -> None:
    database = exam.services.config.unit_db
    away = database.with_name("away.db")
    with Console(exam.services.port) as console:
        database.rename(away)
        answer = console.create(exam.created(), exam.step)
        away.rename(database)
        assert (answer.Status, answer.ErrorComment) == (0x0110, "cannot be recorded now (missing); say it again")
        assert console.create(exam.created(), exam.step).Status == 0x0000


def test_connection_that_says_nothing_is_cut(tmp_path: Path) -> None:
    with running_services(tmp_path, limits={"idle_s_max": 0.5}) as services:
        silent = socket.create_connection(("127.0.0.1", services.port), timeout=30)
        with silent:
            assert silent.recv(1) == b""
        idle = Console(services.port)
        with idle:
            wait_for(lambda: not idle.association.is_established, "the idle association to be cut")


def test_pdu_that_claims_gigabytes_is_cut_before_it_comes(services: Services) -> None:
    with socket.create_connection(("127.0.0.1", services.port), timeout=30) as liar:
        liar.sendall(bytes([1, 0]) + (0xFFFF_FFFF).to_bytes(4, "big"))
        assert liar.recv(1) in (b"", b"\x07")


@pytest.mark.skipif(shutil.which("echoscu") is None, reason="no DCMTK on this machine")
@pytest.mark.parametrize("called", ["QAFILA", "QAFILA-SC"])
def test_dcmtk_echoes(services: Services, called: str) -> None:
    line = ["echoscu", "-aet", "XRAY", "-aec", called, "127.0.0.1", str(services.port)]
    assert subprocess.run(line, check=False, timeout=60).returncode == 0


def test_strangers_and_wrong_titles_are_rejected(services: Services) -> None:
    assert rejection(services.port, calling="OTHER") == (1, 1, 3)
    assert rejection(services.port, called="OTHER") == (1, 1, 7)
    with Console(services.port, called="QAFILA-SC") as console:
        assert console.association.send_c_echo().Status == 0x0000


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")
def test_log_names_no_patient(exam: Exam) -> None:
    with Console(exam.services.port) as console:
        console.create(exam.created(PatientID="SECRET-1\x01", PatientBirthDate="SECRET-2"), exam.step)
        console.set(step_ended([(DX, "1.2.3.1")], PerformedProcedureStepEndDate="SECRET-3"), exam.step)
    assert "SECRET" not in exam.services.log_text()
    assert "BENALI" not in exam.services.log_text()
