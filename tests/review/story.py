"""A day in small: a real unit at a slow link, the centre before a real Orthanc, and a reader's browser."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from appliance.cli.main import main
from appliance.dicom.phantom import phantom_chest
from tests.review.live import Centre, centre_in
from tests.support.orthancs import OrthancHandle
from tests.support.pacs import start_central, stored_file
from tests.support.ports import free_port
from tests.support.slow_link import SlowLink
from tests.support.world import Unit, gateway_destination, make_unit, wait_for

RATE_BYTES_PER_S = 150_000
NAME = "Diallo^Aïcha=ديالو^عائشة"
REQUEST = (
    *("--family", "Diallo", "--given", "Aïcha", "--family-ar", "ديالو", "--given-ar", "عائشة"),
    *("--exam", "XR-CHEST-PA", "--pregnancy", "no", "--referrer", "Dr Sow, Podor", "--reason", "Chute, dyspnée"),
)
QUICK = "[limits]\nbackoff_s_first = 0.2\nbackoff_s_max = 1.0\n"


@dataclass
class Story:
    """Who takes part."""

    centre: Centre
    pacs: OrthancHandle
    link: SlowLink
    unit: Unit

    def qafila(self, *words: str) -> int:
        """A command on the unit, as a person types it."""
        return main([*words, "--config", str(self.unit.toml)])

    def answers(self, capsys: Any) -> list[dict[str, Any]]:
        """What ``qafila reports`` lists on the unit."""
        capsys.readouterr()
        self.qafila("reports", "--json")
        found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["answers"]
        return found

    def wait_for_answer(self, capsys: Any, kind: str) -> dict[str, Any]:
        """On the unit's disk."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            found[:] = [one for one in self.answers(capsys) if one["kind"] == kind]
            return bool(found)

        wait_for(there, f"a {kind} on the unit")
        return found[0]

    def capture(self) -> Dataset:
        """A patient is registered, and the radiograph that was asked for goes through the unit's door, as urgent."""
        picture = phantom_chest(1800, 1500, 14, 61)
        picture.SpecificCharacterSet, picture.PatientName = "ISO_IR 192", NAME
        picture.StudyDescription = "Thorax de face"
        born = str(picture.PatientBirthDate)
        person = ("--sex", str(picture.PatientSex), "--birth-date", f"{born[:4]}-{born[4:6]}-{born[6:]}")
        assert self.qafila("register", *REQUEST, *person) == 0
        ((picture.StudyInstanceUID, picture.AccessionNumber, picture.PatientID),) = self.unit.query(
            "SELECT study_instance_uid, accession_number, patient_id FROM worklist_entry"
        )
        path = self.unit.toml.with_name("picture.dcm")
        picture.save_as(path, enforce_file_format=True)
        door = ("127.0.0.1", str(self.unit.config.dicom.port))
        subprocess.run(["storescu", "-aet", "XRAY", "-aec", "QAFILA", *door, str(path)], check=True, timeout=120)
        uid = str(picture.StudyInstanceUID)
        wait_for(lambda: self.qafila("stat", uid) == 0, "the study to be known on the unit")
        return picture

    def coded_bytes(self) -> int:
        """Of the pixels, as the unit announced them."""
        ((size_bytes,),) = self.centre.gateway.query("SELECT max(size_bytes) FROM part WHERE kind = 'pixels'")
        return int(size_bytes)

    def document(self) -> Dataset | None:
        """The newest report in the PACS."""
        found = self.centre.gateway.query(
            "SELECT sop_instance_uid FROM report_version v JOIN report_filing f USING (study_instance_uid, version) "
            "WHERE filed_at IS NOT NULL ORDER BY version DESC"
        )
        content = stored_file(self.pacs, found[0][0]) if found else None
        return dcmread(io.BytesIO(content)) if content else None


@contextlib.contextmanager
def told(folder: Path, orthanc: str, language: str) -> Iterator[Story]:
    """Everything runs; the link is away."""
    with contextlib.ExitStack() as stack:
        pacs = stack.enter_context(start_central(orthanc, folder / "orthanc", free_port()))
        centre = stack.enter_context(centre_in(folder / "centre", f"{pacs.url}/dicom-web", language))
        link = stack.enter_context(SlowLink(centre.gateway.port, RATE_BYTES_PER_S))
        unit = make_unit(folder / "unit", orthanc, gateway_destination(f"http://127.0.0.1:{link.port}"), extra=QUICK)
        code = centre.gateway.code(unit.config.unit.name)
        assert main(["unit", "enrol", "--config", str(unit.toml), "--code", code]) == 0
        link.cut()
        stack.callback(unit.stop)
        unit.start()
        yield Story(centre, pacs, link, unit)
