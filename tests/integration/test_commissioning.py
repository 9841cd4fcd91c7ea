"""A device is tried out with a whole unit: each step is seen when the device does it, and kept until the next time."""

from __future__ import annotations

import contextlib
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import time by pynetdicom
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
)

from appliance.cli.main import main
from appliance.config import DimseDestination
from sync.adapters.association import Conversation
from sync.adapters.services import VERIFICATION
from tests.integration.unit_day.pictures import Picture, film
from tests.support.orthancs import orthanc_commands
from tests.support.ports import free_port
from tests.support.services import CLOCK, Console, ReportServer, commitment_request, step_created, step_ended
from tests.support.worklists import ask, query
from tests.support.world import Unit, dicomweb_destination, make_unit, wait_for

pytestmark = pytest.mark.orthanc

TITLE = "FILMS"
DX = str(DigitalXRayImageStorageForPresentation)
PATIENT_S = 60.0


@dataclass
class Device:
    """An X-ray console that does what its user says."""

    unit: Unit
    folder: Path

    @property
    def port(self) -> int:
        return self.unit.config.dicom.port

    def echo(self, called: str = "QAFILA") -> None:
        with self._call([(VERIFICATION, str(ImplicitVRLittleEndian))], called) as conversation:
            conversation.echo()

    def worklist(self) -> Dataset:
        """The one entry for it."""
        (item,) = ask(self.port, query({"Modality": "DX"}), TITLE).answers
        return item

    def store(self, item: Dataset) -> Picture:
        picture = film(self.folder, f"film-{generate_uid()[-8:]}", item, seed=4)
        with self._call([(DX, str(ExplicitVRLittleEndian))]) as conversation:
            assert conversation.store(picture.path, lambda _: None) == 0x0000
        return picture

    def report(self, item: Dataset, picture: Picture) -> None:
        """MPPS, from the beginning to the end."""
        step_uid = str(generate_uid())
        with Console(self.port, [ModalityPerformedProcedureStep], calling=TITLE) as console:
            created = step_created(str(item.StudyInstanceUID), str(item.AccessionNumber))
            assert console.create(created, step_uid).Status == 0x0000
            assert console.set(step_ended([picture.reference]), step_uid).Status == 0x0000

    def ask_for(self, picture: Picture) -> None:
        """Storage Commitment, on a line that it closes."""
        with Console(self.port, [StorageCommitmentPushModel], calling=TITLE) as console:
            assert console.ask(commitment_request([picture.reference])) == 0x0000

    def _call(self, contexts: list[tuple[str, str]], called: str = "QAFILA") -> Conversation:
        table = DimseDestination(
            name="unit", host="127.0.0.1", port=self.port, called_ae_title=called, calling_ae_title=TITLE
        )
        return Conversation(table, self.unit.config.limits, CLOCK, contexts)


def waiting_doctor(unit: Unit) -> subprocess.Popen[str]:
    """The command as a person leaves it running."""
    argv = [sys.executable, "-m", "appliance.cli.main", "doctor", "device", TITLE, "--config", str(unit.toml)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def doctor(unit: Unit, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and what is on record of the device."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main(["doctor", "device", *words, "--json", "--config", str(unit.toml)])
    assert code in (0, 1), said.getvalue()
    (device,) = (one for one in json.loads(said.getvalue())["devices"] if one["ae_title"] == TITLE)
    return code, device


def outcomes(device: dict[str, Any]) -> dict[str, str]:
    return {row["step"]: row["outcome"] for row in device["steps"]}


@pytest.fixture(scope="module")
def report_port() -> int:
    return free_port()


@pytest.fixture(scope="module", params=orthanc_commands()[:1])
def unit(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, report_port: int) -> Iterator[Unit]:
    """A unit that owes everything to a centre that is away."""
    device = f'[[modality]]\nae_title = "{TITLE}"\nname = "Salle 1"\ncharacter_set = "latin1"\n'
    made = make_unit(
        tmp_path_factory.mktemp("unit"),
        request.param,
        f'{device}host = "127.0.0.1"\nport = {report_port}\n{dicomweb_destination("http://127.0.0.1:9/dicom-web")}',
    )
    made.start()
    yield made
    made.stop()


def test_device_passes_once_every_step_was_seen_and_its_picture_goes_nowhere(
    unit: Unit, report_port: int, tmp_path: Path
) -> None:
    device = Device(unit, tmp_path)
    code, seen = doctor(unit, TITLE, "--no-wait")
    assert code == 1
    assert outcomes(seen) | {"ping": ""} == {
        **{"ping": "", "port": "failed", "title-out": "waiting", "echo": "waiting", "title-in": "waiting"},
        **dict.fromkeys(("worklist", "store", "identity", "names", "mpps", "commitment"), "waiting"),
    }

    with ReportServer(report_port, title=TITLE):
        device.echo()
        item = device.worklist()
        assert str(item.PatientName) == "ESSAI^ÉQUIPEMENT"
        wait_for(lambda: outcomes(doctor(unit, "Salle 1", "--no-wait")[1])["worklist"] == "fine", "the query")
        waiting = waiting_doctor(unit)
        assert waiting.stdout is not None
        shown = [waiting.stdout.readline() for _ in range(2)]
        waiting.send_signal(signal.SIGINT)
        shown += waiting.communicate(timeout=PATIENT_S)[0].splitlines()
        assert waiting.returncode == 130
        assert "What was seen is kept" in shown[-1]

        unit.stop()
        unit.start()
        picture = device.store(item)
        device.report(item, picture)
        device.ask_for(picture)
        waiting = waiting_doctor(unit)
        told = waiting.communicate(timeout=PATIENT_S)[0]
    assert waiting.returncode == 0, told
    assert "Passed on" in told
    code, seen = doctor(unit, TITLE)
    assert (code, seen["state"]) == (0, "passed")
    assert set(outcomes(seen).values()) <= {"fine", "skipped"}, seen
    assert unit.query("SELECT owed_count FROM instance") == [(0,)]
    assert unit.query("SELECT state FROM registration") == [("completed",)]
    assert ask(unit.config.dicom.port, query(), TITLE).answers == []


def test_picture_that_was_typed_in_by_hand_is_told_from_one_of_the_worklist_and_goes_nowhere_either(
    unit: Unit, tmp_path: Path
) -> None:
    device = Device(unit, tmp_path)
    code, before = doctor(unit, TITLE, "--no-wait", "--again", "--without", "mpps,commitment")
    assert (code, outcomes(before)["mpps"], outcomes(before)["title-in"]) == (1, "waived", "fine")
    item = device.worklist()
    item.PatientName, item.SpecificCharacterSet = "ESSAI^??QUIPEMENT", "ISO_IR 100"
    item.StudyInstanceUID, item.AccessionNumber = generate_uid(), ""
    device.store(item)

    def steps() -> dict[str, str]:
        return outcomes(doctor(unit, TITLE, "--no-wait")[1])

    wait_for(lambda: steps()["store"] == "fine", "the picture")
    assert (steps()["identity"], steps()["names"]) == ("failed", "failed")
    assert unit.query("SELECT max(owed_count) FROM instance") == [(0,)], "known by the test patient's ID"
