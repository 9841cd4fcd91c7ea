"""Stock Orthanc at the unit, forwarding with a retry loop: to a DICOM modality, to an Orthanc peer, and by STOW-RS."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from bench.link import Link
from bench.link.emulator import CENTRE_ADDRESS
from bench.peers.contender import Peer
from bench.peers.orthanc import DICOM_PORT, HTTP_PORT, LOGIN, BenchOrthanc
from bench.peers.payloads import Payload

PAUSE_S = 1.0
_POLL_S = 0.1
_CENTRE_URL = f"http://{CENTRE_ADDRESS}:{HTTP_PORT}"
WAYS = {
    "modality": "/modalities/centre/store",
    "peer": "/peers/centre/store",
    "stow": "/dicom-web/servers/centre/stow",
}
_SETTINGS: dict[str, Any] = {
    "DicomAet": "UNIT",
    "DicomModalities": {"centre": ["CENTRAL", CENTRE_ADDRESS, DICOM_PORT]},
    "OrthancPeers": {"centre": [_CENTRE_URL, *LOGIN]},
    "DicomWeb": {
        "Enable": True,
        "Servers": {"centre": {"Url": f"{_CENTRE_URL}/dicom-web/", "Username": LOGIN[0], "Password": LOGIN[1]}},
    },
}


class Forwarding(Peer):
    """One job a study; a study whose job failed is given to Orthanc again, those that succeeded are not."""

    def __init__(self, congestion: str, orthanc: str, *, way: str) -> None:
        super().__init__(f"Orthanc {way}", congestion, orthanc)
        self._way = way
        self._unit: BenchOrthanc | None = None
        self._studies: list[list[str]] = []
        self.try_count = 0

    @property
    def unit(self) -> BenchOrthanc:
        assert self._unit is not None, "prepare() comes first"
        return self._unit

    def prepare(self, link: Link, payload: Payload, folder: Path) -> None:
        super().prepare(link, payload, folder)
        self._unit = BenchOrthanc(link.unit, self._orthanc, folder / "unit", _SETTINGS)
        self._unit.start()
        ids: dict[str, list[str]] = {}
        for item in payload.items:
            answer = self._unit.rest.fetch("POST", "/instances", item.path.read_bytes())
            ids.setdefault(item.study_instance_uid, []).append(_instance_id(answer))
        self._studies = list(ids.values())

    def send_until_done(self) -> None:
        waiting = list(self._studies)
        while waiting and not self._stop.is_set():
            if self._send(waiting[0]):
                waiting.pop(0)
            else:
                waiting.append(waiting.pop(0))
                self._stop.wait(PAUSE_S)

    def kill_unit(self) -> None:
        self.unit.kill()
        self.unit.start(wait=False)

    def close(self) -> None:
        super().close()
        if self._unit is not None:
            self._unit.kill()

    def _send(self, instance_ids: list[str]) -> bool:
        """Whether Orthanc says that a job for these instances succeeded."""
        self.try_count += 1
        with contextlib.suppress(OSError):
            job = self.unit.rest.post(WAYS[self._way], {"Resources": instance_ids, "Synchronous": False})
            while not self._stop.wait(_POLL_S):
                state = self.unit.rest.get(f"/jobs/{job['ID']}")["State"]
                if state in ("Success", "Failure"):
                    return bool(state == "Success")
        return False


def _instance_id(answer: bytes) -> str:
    return str(json.loads(answer)["ID"])
