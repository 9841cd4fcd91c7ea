"""A stock Orthanc inside a namespace: every peer's receiver, and the sender of some."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

from appliance.supervisor import ChildSpec, spawn
from bench.link.namespaces import Namespace
from bench.peers.http import Rest
from bench.peers.payloads import decoded_sha256
from tests.support.orthancs import DICOMWEB_PLUGIN

DICOM_PORT, HTTP_PORT = 4242, 8042
LOGIN = ("bench", "bench")
_READY_S_MAX = 120.0


class BenchOrthanc:
    """Orthanc with its defaults and what ``settings`` adds; may be killed and started again on the same folder."""

    def __init__(self, namespace: Namespace, command: str, folder: Path, settings: dict[str, Any]) -> None:
        folder.mkdir(parents=True)
        self._log_file = folder / "orthanc.log"
        config = {
            "DicomPort": DICOM_PORT,
            "HttpPort": HTTP_PORT,
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "RemoteAccessAllowed": True,
            "AuthenticationEnabled": True,
            "RegisteredUsers": dict([LOGIN]),
            "Plugins": [DICOMWEB_PLUGIN],
            **settings,
        }
        (folder / "storage").mkdir()
        config_file = folder / "orthanc.json"
        config_file.write_text(json.dumps(config, indent=1), encoding="utf-8")
        self._argv = namespace.command(command, str(config_file))
        self._process: subprocess.Popen[bytes] | None = None
        self.rest = Rest(namespace, HTTP_PORT, LOGIN)

    def start(self, *, wait: bool = True) -> None:
        """Start it; with ``wait`` return when REST answers.

        Raises:
            OSError: If it ends, or does not answer in time; with the end of its log.
        """
        self._process = spawn(ChildSpec("orthanc", self._argv, log_file=self._log_file))
        pause = threading.Event()
        for _ in range(int(_READY_S_MAX / 0.1) if wait else 0):
            if self.answers():
                return
            if self._process.poll() is not None:
                break
            pause.wait(0.1)
        if wait:
            raise OSError(f"Orthanc did not start: {self._log_file.read_text(errors='replace')[-2000:]}")

    def answers(self) -> bool:
        try:
            self.rest.get("/system")
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """As ``kill -9``, harmless when it does not run; ``start`` starts it again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def instances(self) -> dict[str, str]:
        """SOP Instance UID of everything held, with Orthanc's own identifier.

        Raises:
            OSError: If it does not answer.
        """
        return {row["MainDicomTags"]["SOPInstanceUID"]: row["ID"] for row in self.rest.get("/instances?expand")}

    def pixel_sha256(self, orthanc_id: str) -> str:
        """Digest of the decoded pixels that it holds. Raises ``OSError`` if it does not answer."""
        with tempfile.NamedTemporaryFile(suffix=".dcm") as copy:
            copy.write(self.rest.fetch("GET", f"/instances/{orthanc_id}/file"))
            copy.flush()
            return decoded_sha256(Path(copy.name))
