"""A unit whose newest study has one picture that a real Orthanc holds, and nothing else that runs."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID

from appliance.clock import SystemClock
from appliance.config import load_unit
from appliance.dicom.phantom import phantom_chest
from appliance.domain.rendered import Rendered
from appliance.orthanc.rendering import OrthancPreviews
from appliance.store.connect import open_reader
from tests.support.orthancs import OrthancHandle
from tests.support.pacs import start_central
from tests.support.ports import free_port
from tests.support.unit_store import made_unit, study_uid

ROWS, COLUMNS = 640, 512


@dataclass
class PictureUnit:
    """The unit's configuration, its Orthanc, and the picture."""

    toml: Path
    orthanc: OrthancHandle
    sop_instance_uid: str

    def drawn(self, width_px: int, height_px: int) -> Rendered:
        """The picture as Orthanc draws it at that size."""
        rendered = (
            OrthancPreviews(load_unit(self.toml).run_dir / "orthanc.json")
            .preview(self.sop_instance_uid, 1, width_px, height_px)
            .rendered
        )
        assert rendered is not None
        return rendered

    def kill_orthanc(self) -> None:
        """At once, and for good."""
        self.orthanc.process.kill()
        self.orthanc.process.wait()


@contextmanager
def picture_unit(folder: Path, orthanc_command: str) -> Iterator[PictureUnit]:
    """Starts and ends the Orthanc."""
    config = made_unit(folder, 1, now_s=SystemClock().wall_s())
    with open_reader(config.unit_db) as db:
        uid = str(db.value("SELECT sop_instance_uid FROM instance"))
    chest = phantom_chest(ROWS, COLUMNS, 12, 1, study_instance_uid=study_uid(0))
    chest.SOPInstanceUID = chest.file_meta.MediaStorageSOPInstanceUID = UID(uid)
    out = io.BytesIO()
    chest.save_as(out, enforce_file_format=True)
    with start_central(orthanc_command, folder / "orthanc", free_port()) as orthanc:
        assert orthanc.request("POST", "/instances", out.getvalue())[0] == 200
        access = {"url": orthanc.url, "username": "", "password": ""}
        (config.run_dir / "orthanc.json").write_text(json.dumps(access), encoding="utf-8")
        yield PictureUnit(folder / "unit.toml", orthanc, uid)
