"""Real Orthancs for tests: which ones this machine has, and one started on free ports in a folder of its own.

A handle owns exactly one process and ends it by its id; several test runs may share the machine.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.ports import free_ports

PYTHON_PLUGIN = "/usr/share/orthanc/plugins/libOrthancPython.so"
DICOMWEB_PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
TOP = Path(__file__).resolve().parents[2]
DEBIAN_13_ROOT = TOP / ".cache" / "debian13"
DEBIAN_13_COMMAND = TOP / "image" / "host" / "orthanc13.sh"
"""Runs the Orthanc of the root that ``make debian13-root`` builds."""
READY_S_MAX = 60.0
STOP_S_MAX = 30.0


def orthanc_commands() -> list[str]:
    """Commands of the Orthancs on this machine: its own, and Debian 13's when its root is there.

    ``QAFILA_ORTHANC13`` names another second one; it must replace itself by Orthanc (``exec``), so that its process id
    is Orthanc's. Parametrize a test over this list; it is empty where there is none, and pytest then skips the test.
    """
    own = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    other = os.environ.get("QAFILA_ORTHANC13", "")
    if not other and os.geteuid() == 0 and (DEBIAN_13_ROOT / "usr/sbin/Orthanc").exists():
        other = str(DEBIAN_13_COMMAND)
    return [command for command in (own, other) if command and Path(command).exists()]


@dataclass
class OrthancHandle:
    """One started Orthanc; leave its ``with`` block, or call ``stop``, to end it."""

    process: subprocess.Popen[bytes]
    folder: Path
    log_path: Path
    dicom_port: int
    http_port: int
    credentials: tuple[str, str] | None = None
    ae_title: str = "ORTHANC"

    @property
    def url(self) -> str:
        """Base of the REST API, without a slash at the end."""
        return f"http://127.0.0.1:{self.http_port}"

    def log_text(self) -> str:
        """What Orthanc wrote to its standard output and error so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def wait_ready(self, deadline_s: float = READY_S_MAX) -> OrthancHandle:
        """Return when REST and C-STORE answer (Orthanc opens its DICOM port before its HTTP port).

        Raises:
            AssertionError: If it ends before, or is not ready within ``deadline_s`` seconds; with its log.
        """
        interval_s = 0.1
        for _ in range(int(deadline_s / interval_s)):
            try:
                self.process.wait(timeout=interval_s)
            except subprocess.TimeoutExpired:
                if self._answers():
                    return self
            else:
                raise AssertionError(f"Orthanc ended with {self.process.returncode}:\n{self.log_text()}")
        raise AssertionError(f"Orthanc was not ready within {deadline_s} s:\n{self.log_text()}")

    def _answers(self) -> bool:
        try:
            status, _ = self.request("GET", "/system")
        except OSError:
            return False
        return status == 200

    def request(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """One REST call; any HTTP status comes back as a value.

        Raises:
            OSError: If there is no connection or no answer within 30 s.
        """
        request = urllib.request.Request(self.url + path, data=body, method=method)
        if self.credentials:
            token = base64.b64encode(":".join(self.credentials).encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def json(self, path: str) -> Any:
        """The decoded JSON of a GET that must answer 200."""
        status, body = self.request("GET", path)
        assert status == 200, f"GET {path} answered {status}: {body[:300]!r}"
        return json.loads(body)

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        self.process.kill()
        self.process.wait()

    def wait_ended(self, deadline_s: float = STOP_S_MAX) -> int:
        """Its exit status (negative: the signal) once it has ended by itself.

        Raises:
            subprocess.TimeoutExpired: If it still runs after ``deadline_s`` seconds.
        """
        return self.process.wait(timeout=deadline_s)

    def stop(self) -> None:
        """Ask it to end; kill it when it does not within ``STOP_S_MAX`` seconds. Harmless when it has ended."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()

    def __enter__(self) -> OrthancHandle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_orthanc(command: str, config: dict[str, Any], folder: Path, wrapper: Sequence[str] = ()) -> OrthancHandle:
    """Start an Orthanc with its own ports and folder; not yet ready (see ``wait_ready``).

    Args:
        command: One of ``orthanc_commands()``.
        config: Orthanc's configuration. Ports, folders and loopback-only access are filled in where missing.
        folder: Where its configuration, log and data go; created.
        wrapper: A command that runs another one and keeps its process id, for instance ``strace -D``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dicom_port, http_port = free_ports(2)
    full = {
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": "ORTHANC",
        **config,
    }
    Path(str(full["StorageDirectory"])).mkdir(parents=True, exist_ok=True)
    config_path = folder / "orthanc.test.json"
    config_path.write_text(json.dumps(full, indent=1), encoding="utf-8")
    users = list(dict(full.get("RegisteredUsers", {})).items()) if full["AuthenticationEnabled"] else []
    return start_configured(
        command,
        config_path,
        folder / "orthanc.log",
        wrapper=wrapper,
        dicom_port=int(full["DicomPort"]),
        http_port=int(full["HttpPort"]),
        credentials=users[0] if users else None,
        ae_title=str(full["DicomAet"]),
    )


def start_configured(
    command: str,
    config_path: Path,
    log_path: Path,
    *,
    wrapper: Sequence[str] = (),
    dicom_port: int,
    http_port: int,
    credentials: tuple[str, str] | None,
    ae_title: str,
) -> OrthancHandle:
    """Start an Orthanc with a configuration file that exists, for instance a rendered one; not yet ready."""
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            [*wrapper, command, str(config_path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=config_path.parent,
        )
    return OrthancHandle(
        process=process,
        folder=config_path.parent,
        dicom_port=dicom_port,
        http_port=http_port,
        credentials=credentials,
        ae_title=ae_title,
        log_path=log_path,
    )
