"""Centres to deliver to: one real Orthanc that speaks DICOMweb, C-STORE, C-MOVE and Storage Commitment, and dcmtk's."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pydicom import dcmread

from sync.adapters.base import Attempt, Checked, Destination, SendItem, Sent
from tests.support.orthancs import DICOMWEB_PLUGIN, OrthancHandle, start_orthanc

OUR_AE_TITLE = "QAFILA"


def start_central(command: str, folder: Path, listener_port: int, **more: Any) -> OrthancHandle:
    """An Orthanc as a centre; it knows us as ``OUR_AE_TITLE`` at ``listener_port``."""
    config = {
        "Plugins": [DICOMWEB_PLUGIN],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "DicomAet": "CENTRE",
        "DicomCheckCalledAet": True,
        "DicomModalities": {
            "unit": {
                "AET": OUR_AE_TITLE,
                "Host": "127.0.0.1",
                "Port": listener_port,
                "AllowStorageCommitment": True,
                "AllowTranscoding": False,
            }
        },
        "TranscodeDicomProtocol": False,
        "OverwriteInstances": False,
        **more,
    }
    return start_orthanc(command, config, folder).wait_ready()


def stored_file(centre: OrthancHandle, sop_instance_uid: str) -> bytes | None:
    """The Part 10 file the centre holds under this UID, by its own REST; ``None`` when it holds none."""
    query = {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}}
    status, body = centre.request("POST", "/tools/find", json.dumps(query).encode())
    assert status == 200, body
    found = json.loads(body)
    if not found:
        return None
    status, body = centre.request("GET", f"/instances/{found[0]}/file")
    assert status == 200
    return body


def forget_all(centre: OrthancHandle) -> None:
    """Delete everything the centre holds."""
    for study in centre.json("/studies"):
        centre.request("DELETE", f"/studies/{study}")


def item_of(path: Path, item_id: int) -> SendItem:
    """What sync would know of this file."""
    raw = path.read_bytes()
    dataset = dcmread(io.BytesIO(raw), stop_before_pixels=True)
    return SendItem(
        item_id=item_id,
        sop_instance_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        transfer_syntax_uid=str(dataset.file_meta.TransferSyntaxUID),
        size_bytes=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
        path=path,
    )


@dataclass
class Run:
    """Calls a destination and keeps what it reported."""

    destination: Destination
    cancel: threading.Event = field(default_factory=threading.Event)
    progress: list[tuple[int, int]] = field(default_factory=list)
    on_sent: Callable[[Sent], None] = lambda sent: None

    def send(self, items: list[SendItem]) -> tuple[dict[int, str], str]:
        """Outcome code by item (empty: accepted) and the code of the attempt (empty: fine)."""
        outcomes: dict[int, str] = {}

        def on_result(sent: Sent) -> None:
            assert sent.item_id not in outcomes, "an item was reported twice"
            outcomes[sent.item_id] = sent.failure.code if sent.failure else ""
            self.on_sent(sent)

        failure = self.destination.send(items, self._attempt(), on_result)
        return outcomes, failure.code if failure else ""

    def verify(self, items: list[SendItem]) -> tuple[dict[int, Checked], str]:
        """What was reported by item, and the code of the attempt (empty: fine)."""
        outcomes: dict[int, Checked] = {}

        def on_result(checked: Checked) -> None:
            assert checked.item_id not in outcomes, "an item was reported twice"
            assert (checked.evidence is None) != (checked.failure is None)
            outcomes[checked.item_id] = checked

        failure = self.destination.verify(items, self._attempt(), on_result)
        return outcomes, failure.code if failure else ""

    def _attempt(self) -> Attempt:
        return Attempt(self.cancel, lambda item_id, count: self.progress.append((item_id, count)))


def codes(checked: dict[int, Checked]) -> dict[int, str]:
    """Failure code by item; empty: proved."""
    return {item_id: each.failure.code if each.failure else "" for item_id, each in checked.items()}


class DcmtkArchive:
    """dcmtk's ``dcmqrscp``: C-STORE, C-FIND and C-MOVE, no commitment."""

    def __init__(self, folder: Path, port: int, listener_port: int) -> None:
        storage = folder / "archive"
        storage.mkdir(parents=True)
        config = folder / "dcmqrscp.cfg"
        config.write_text(
            f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 16\n"
            f"HostTable BEGIN\nunit = ({OUR_AE_TITLE}, 127.0.0.1, {listener_port})\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nCENTRE {storage} RW (500, 1024mb) ANY\nAETable END\n",
            encoding="utf-8",
        )
        self.port = port
        self._process = subprocess.Popen(
            ["dcmqrscp", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> DcmtkArchive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
