"""Our own system as a contender: modality, unit and centre as real processes.

Time 0 is the end of the modality's C-STORE.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.dicom.phantom import phantom_chest
from bench.link import Link
from bench.link.namespaces import Namespace
from bench.peers.contender import Contender, Result
from bench.peers.http import Rest
from bench.peers.payloads import Payload, decoded_sha256
from bench.peers.report import OURS
from bench.peers.sides import PACS_HTTP_PORT, UNIT_DICOM_PORT, CentreSide, UnitSide
from bench.peers.storescu import groups_of

_CSTORE_S_MAX = 600.0


class Ours(Contender):
    """Everything with its default settings; the machines' own TCP default is reno, so that only what the unit asks the
    kernel for is at work.
    """

    name = OURS
    congestion = "reno"

    def __init__(self, orthanc: str) -> None:
        self._orthanc = orthanc
        self._payload: Payload | None = None
        self._link: Link | None = None
        self._centre: CentreSide | None = None
        self._unit: UnitSide | None = None
        self._part_bytes_before = 0
        self._carried: list[tuple[float, int]] = []

    @property
    def centre(self) -> CentreSide:
        assert self._centre is not None, "prepare() comes first"
        return self._centre

    @property
    def unit(self) -> UnitSide:
        assert self._unit is not None, "prepare() comes first"
        return self._unit

    def prepare(self, link: Link, payload: Payload, folder: Path) -> None:
        self._link, self._payload = link, payload
        self._centre = CentreSide(link.centre, folder / "centre", self._orthanc)
        self._centre.start_and_wait()
        self._unit = UnitSide(link.unit, folder / "unit", self._orthanc, self._centre.ca_file)
        self._unit.enrol(self._centre.new_code())
        self._unit.start_and_wait()
        self._deliver_one(folder)

    def _deliver_one(self, folder: Path) -> None:
        """A small picture all the way: what is measured is a unit that has been at work, not one that starts up."""
        path = folder / "first.dcm"
        picture = phantom_chest(128, 128, seed=380)
        picture.save_as(path, enforce_file_format=True)
        c_store(self.unit.namespace, [path])
        self.unit.wait_ready(lambda: picture.SOPInstanceUID in self.unit.confirmed())

    def begin(self) -> None:
        assert self._payload is not None, "prepare() comes first"
        self._part_bytes_before = self.centre.part_bytes()
        c_store(self.unit.namespace, self._payload.paths)

    def arrived(self) -> set[str]:
        return self.centre.verified()

    def observe(self, result: Result, now_s: float) -> None:
        assert self._payload is not None, "prepare() comes first"
        assert self._link is not None
        self._carried.append((round(now_s, 1), self._link.report().up.carried_bytes))
        wanted = {item.sop_instance_uid for item in self._payload.items}
        with contextlib.suppress(OSError):
            if result.first_look_s is None and self.centre.previewed() & wanted:
                result.first_look_s = round(now_s, 2)
        with contextlib.suppress(OSError):
            if result.confirmed_s is None and wanted <= self.unit.confirmed():
                result.confirmed_s = round(now_s, 2)

    def done(self, result: Result, payload: Payload) -> bool:
        return result.confirmed_s is not None and super().done(result, payload)

    def kill_unit(self) -> None:
        self.unit.kill_and_restart()

    def kill_centre(self) -> None:
        self.centre.kill_gateway()

    def equal(self) -> bool:
        """Pixels as the modality had them, and the very file that the unit stored."""
        assert self._payload is not None, "prepare() comes first"
        digests = self.centre.file_sha256()
        rest = Rest(self.centre.namespace, PACS_HTTP_PORT)
        held = {row["MainDicomTags"]["SOPInstanceUID"]: row["ID"] for row in rest.get("/instances?expand")}
        for item in self._payload.items:
            content = rest.fetch("GET", f"/instances/{held[item.sop_instance_uid]}/file")
            if hashlib.sha256(content).hexdigest() != digests[item.sop_instance_uid]:
                return False
            with tempfile.NamedTemporaryFile(suffix=".dcm") as copy:
                copy.write(content)
                copy.flush()
                if decoded_sha256(Path(copy.name)) != item.pixel_sha256:
                    return False
        return True

    def notes(self) -> dict[str, Any]:
        assert self._link is not None, "prepare() comes first"
        said_bytes = self._link.report().stream_bytes_up
        part_bytes = self.centre.part_bytes() - self._part_bytes_before
        return {
            "part_bytes": part_bytes,
            "stream_bytes_up": said_bytes,
            "beside_parts_bytes": said_bytes - part_bytes,
            "carried_bytes_by_s": self._carried,
        }

    def close(self) -> None:
        for side in (self._unit, self._centre):
            if side is not None:
                side.stop()


def c_store(unit: Namespace, paths: Sequence[Path]) -> None:
    """Send files to the unit's door as a modality does; returns after the last *Success*.

    Raises:
        OSError: If ``storescu`` says that something was not taken.
    """
    for options, files in groups_of(paths):
        titles = ("-R", "-aet", "XRAY", "-aec", "QAFILA", *options)
        argv = unit.command("storescu", *titles, "127.0.0.1", str(UNIT_DICOM_PORT), *map(str, files))
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=_CSTORE_S_MAX)
        if done.returncode:
            raise OSError(f"the unit did not take the payload: {done.stdout}{done.stderr}")
