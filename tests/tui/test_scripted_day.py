"""A day by keys alone in a real terminal: real Orthanc, real storescu, a link that goes and comes, the report back.

Once in French while an Arabic layout is active (every letter arrives as Arabic), once in English. What the screen said
is compared with what both databases say.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.dicom.phantom import phantom_chest
from appliance.store.answers import list_answers
from appliance.store.connect import open_reader
from appliance.store.registrations import RegistrationRow, list_registrations
from central.config import load_central
from central.store import answers as centre_answers
from central.store.opening import open_database
from sync.wire.answers import ReportStatus
from tests.courier.link import Link
from tests.support.orthancs import orthanc_commands
from tests.support.world import Centre, Unit, enrol, gateway_destination, make_unit, running_centre, wait_for
from tests.tui import terminal as keys
from tests.tui.terminal import Terminal, terminal
from tui.language import catalogue_of

pytestmark = [pytest.mark.orthanc, pytest.mark.slow]
QUICK = "[limits]\nbackoff_s_first = 0.2\nbackoff_s_max = 1.0\n"
UNIT_NAME = "test-unit"
AT = "2026-11-22T09:30:00.000Z"


@dataclass
class World:
    """A centre, a link to it, and a unit whose screen speaks a language."""

    centre: Centre
    link: Link
    unit: Unit

    def exams(self) -> tuple[RegistrationRow, ...]:
        with open_reader(self.unit.config.unit_db) as db:
            return list_registrations(db, limit=10)

    def send(self, folder: Path, exam: RegistrationRow) -> None:
        """The device takes the exam from its worklist and sends one picture, with dcmtk."""
        dataset = phantom_chest(
            640,
            512,
            12,
            1,
            study_instance_uid=exam.study_instance_uid,
            patient_id=exam.patient_id,
            patient_name=exam.patient_name,
        )
        dataset.AccessionNumber, dataset.PatientSex = exam.accession_number, exam.patient_sex
        dataset.PatientBirthDate = exam.patient_birth_date
        path = folder / f"{exam.accession_number}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        port = str(self.unit.config.dicom.port)
        subprocess.run(
            ["storescu", "-xe", "-aet", "XRAY", "-aec", "QAFILA", "127.0.0.1", port, str(path)],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def report(self, study_instance_uid: str) -> str:
        """A reader at the centre writes, as the review pages do."""
        database = open_database(load_central(self.centre.toml))
        try:
            with database.write() as connection:
                (unit_id,) = centre_answers.units_of_study(connection, study_instance_uid)
                posted = centre_answers.add_report(
                    connection,
                    unit_id,
                    AT,
                    report_id="report-1",
                    version=1,
                    status=ReportStatus.FINAL,
                    study_instance_uid=study_instance_uid,
                    author="Dr Haddad",
                    title="Thorax",
                    findings="Pneumothorax.",
                    impression="Drain now.",
                    is_critical=True,
                )
            return str(posted.answer_id)
        finally:
            database.close()

    def seen_by(self, answer_id: str) -> str:
        """By whom, as the centre has it."""
        database = open_database(load_central(self.centre.toml))
        try:
            with database.write() as connection:
                row = centre_answers.answer_row(connection, answer_id)
            return row.seen_by if row else ""
        finally:
            database.close()


@contextmanager
def world(folder: Path, orthanc: str, language: str) -> Iterator[World]:
    with (
        running_centre(folder / "centre", orthanc) as centre,
        Link(centre.gateway_port) as link,
    ):
        destination = gateway_destination(f"http://127.0.0.1:{link.port}")
        extra = f'[screen]\nlanguage = "{language}"\n{QUICK}'
        unit = make_unit(folder / "unit", orthanc, destination, extra=extra)
        enrol(unit, centre)
        unit.start()
        try:
            yield World(centre, link, unit)
        finally:
            unit.stop()


def spoken(language: str) -> Callable[[str], str]:
    """What the screen says for an English message without values."""
    return catalogue_of(language).gettext


@pytest.mark.parametrize("language", ["fr", "en"])
def test_day_is_worked_by_keys_alone_and_the_databases_say_what_the_screen_said(tmp_path: Path, language: str) -> None:
    said = spoken(language)
    with world(tmp_path, orthanc_commands()[0], language) as at, terminal(at.unit.toml, rows=30, columns=110) as screen:
        # The lock, which goes by itself here, says that power may go too and takes no keys; it names no unit.
        safe = said("✓ Safe to power off")
        screen.wait_until(lambda: UNIT_NAME in screen.text and safe in screen.text, "the first page")
        register(screen, said, in_arabic=language == "fr")
        (first,) = at.exams()
        at.send(tmp_path, first)
        screen.wait_for_text(said("Complete at centre"))

        at.link.allowance_bytes = 0
        at.link.cut()
        screen.type(keys.F9)
        screen.wait_for_text(said("NEW PATIENT"))
        screen.type(keys.F2)
        screen.wait_for_text("TEMP")
        wait_for(lambda: len(at.exams()) == 2, "the emergency to be registered")
        emergency = next(one for one in at.exams() if one.study_instance_uid != first.study_instance_uid)
        at.send(tmp_path, emergency)
        screen.wait_for_text(said("Queued"))
        screen.type("ص".encode() if language == "fr" else b"w")
        screen.wait_for_text(said("DELIVERY"))
        screen.wait_for_text(said("link down").split(":")[0])
        screen.type(keys.ESCAPE)
        screen.wait_for_text(said("Time"))

        at.link.allowance_bytes = None
        screen.type("ف".encode() if language == "fr" else b"t")
        screen.wait_for_text(said("✓✓ every study is safe at the centre"))

        answer_id = at.report(first.study_instance_uid)
        screen.wait_for_text(said("▲ {count} critical from the centre").format(count=1))
        screen.type(keys.F11)
        screen.wait_for_text(said("Go to page"))
        screen.press(keys.DOWN, keys.DOWN, keys.DOWN, keys.ENTER)
        screen.wait_for_text("Drain now.")
        screen.type(keys.F9)
        screen.wait_for_text(said("Who has seen it?"))
        screen.press("سلمى".encode() if language == "fr" else b"Salma", keys.ENTER)
        wait_for(lambda: at.seen_by(answer_id) != "", "the centre to hear who has seen it")
        screen.type(keys.CTRL_Q)
        assert screen.exit_code() == 0

        assert at.seen_by(answer_id) == ("سلمى" if language == "fr" else "Salma")
        with open_reader(at.unit.config.unit_db) as db:
            assert [one.seen_by for one in list_answers(db)] == [at.seen_by(answer_id)]
            assert {row[0] for row in db.rows("SELECT state FROM outbox")} == {"confirmed"}
            assert {row[0] for row in db.rows("SELECT study_instance_uid FROM study")} == {
                first.study_instance_uid,
                emergency.study_instance_uid,
            }
        assert len(at.centre.holdings()) == 2
        assert emergency.is_emergency and first.patient_birth_date == "19840312" and first.patient_sex == "F"
        assert ("بن علي" in first.patient_name) is (language == "fr")


def register(screen: Terminal, said: Callable[[str], str], *, in_arabic: bool) -> None:
    """A woman and a chest X-ray; with an Arabic layout the Latin name is the one that the unit proposes."""
    screen.type("ح".encode() if in_arabic else b"p")
    screen.wait_for_text(said("NEW PATIENT"))
    if in_arabic:
        screen.press(keys.DOWN, keys.DOWN, "بن علي".encode(), keys.DOWN, "أمينة".encode(), keys.DOWN)
        screen.press("١٩٨٤-٠٣-١٢".encode())
    else:
        screen.press(b"Benali", keys.DOWN, b"Amina", keys.DOWN, keys.DOWN, keys.DOWN, b"1984-03-12")
    screen.press(keys.DOWN, keys.RIGHT)
    screen.wait_for_text(said("Female"))
    screen.type(keys.F3)
    screen.wait_for_text("DX  ")
    screen.type(keys.ENTER)
    screen.wait_for_text(said("Tell the patient: {words}").partition("{")[0])
    screen.press(keys.RIGHT, keys.F9)
    if in_arabic:
        screen.wait_for_text("Ben ")
        screen.press(keys.F9)
    screen.wait_for_text(said("Registered: {name}, ID {number}.").partition("{")[0])
