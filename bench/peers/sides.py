"""Our unit and our centre as real processes in the two namespaces of a link: configured, enrolled, run and killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import trustme

from appliance.clock import SystemClock
from appliance.config import UnitConfig, load_unit
from appliance.live import read_live
from appliance.supervisor import ChildSpec, end_process, spawn
from bench.link.emulator import CENTRE_ADDRESS
from bench.link.namespaces import Namespace, run
from tests.support.world import query, running_processes

GATEWAY_PORT, PACS_HTTP_PORT, PACS_DICOM_PORT = 8070, 8043, 11113
UNIT_DICOM_PORT, UNIT_ORTHANC_DICOM_PORT, UNIT_ORTHANC_HTTP_PORT = 11112, 11114, 8044
"""Fixed: each link's namespaces are its own."""
DESTINATION, UNIT_NAME = "centre", "bench-unit"
READY_S_MAX = 120.0
CLOCK = SystemClock()
_TOP = Path(__file__).resolve().parents[2]


class Side:
    """One ``qafila ... run`` inside a namespace, with everything that it starts."""

    def __init__(self, namespace: Namespace, toml: Path, *arguments: str) -> None:
        self.namespace = namespace
        self.toml = toml
        self.log_file = toml.with_suffix(".log")
        self._argv = namespace.command(*qafila(*arguments, "--config", str(toml)))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Not yet ready when this returns."""
        self.process = spawn(ChildSpec(self.toml.stem, self._argv, log_file=self.log_file))

    def stop(self) -> None:
        """As systemd does it; harmless when it does not run."""
        if self.process is not None:
            end_process(self.process, 40.0)

    def wait_ready(self, ready: Callable[[], bool]) -> None:
        """Return when ``ready``.

        Raises:
            OSError: If the process ends before, or is not ready in time; with the end of its log.
        """
        pause = threading.Event()
        deadline_mono_s = CLOCK.mono_s() + READY_S_MAX
        while not _holds(ready):
            ended = self.process is None or self.process.poll() is not None
            if ended or CLOCK.mono_s() > deadline_mono_s:
                raise OSError(f"{self.toml.stem} did not become ready:\n{self.log_text()[-3000:]}")
            pause.wait(0.1)

    def log_text(self) -> str:
        return self.log_file.read_text(encoding="utf-8", errors="replace") if self.log_file.exists() else ""


class CentreSide(Side):
    """``qafila central run``: gateway and embedded PACS."""

    def __init__(self, namespace: Namespace, folder: Path, orthanc: str) -> None:
        folder.mkdir(parents=True)
        authority = trustme.CA()
        certificate = authority.issue_cert(CENTRE_ADDRESS)
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "gateway.pem"))
        toml = folder / "central.toml"
        toml.write_text(
            f'[centre]\ndata_dir = "{folder}/data"\n'
            f'[pacs]\ncommand = "{orthanc}"\nhttp_port = {PACS_HTTP_PORT}\ndicom_port = {PACS_DICOM_PORT}\n'
            f'[review]\nenabled = false\n[gateway]\nbind = "{CENTRE_ADDRESS}"\nport = {GATEWAY_PORT}\n'
            f'certificate_file = "{folder}/gateway.pem"\nkey_file = "{folder}/gateway.pem"\n',
            encoding="utf-8",
        )
        super().__init__(namespace, toml, "central", "run")
        self.database = folder / "data" / "gateway.db"

    def start_and_wait(self) -> None:
        self.start()
        self.wait_ready(lambda: "central.run ready" in self.log_text())

    def new_code(self) -> str:
        """A one-time code for the unit.

        Raises:
            OSError: If there is none to be had.
        """
        said = run(qafila("central", "enrol", UNIT_NAME, "--config", str(self.toml)), 60.0).split()
        if not said or "-" not in said[0]:
            raise OSError(f"no enrolment code: {' '.join(said)}")
        return said[0]

    def kill_gateway(self) -> None:
        """``kill -9`` of the gateway and its workers; ``qafila central run`` starts it again."""
        for pid in running_processes(b"central.gateway"):
            if self._is_mine(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _is_mine(self, pid: int) -> bool:
        """Other units and centres may run on this machine, each in namespaces of its own."""
        with contextlib.suppress(OSError):
            inside = Path("/run/netns", self.namespace.name).stat().st_ino
            return Path(f"/proc/{pid}/ns/net").stat().st_ino == inside
        return False

    def verified(self) -> set[str]:
        """SOP Instance UIDs that the gateway read back from the PACS and found equal."""
        rows = self._query("SELECT sop_instance_uid FROM file WHERE state = 'verified'")
        return {str(row[0]) for row in rows}

    def previewed(self) -> set[str]:
        """SOP Instance UIDs whose preview a reader can see, or whose pixels are there whole."""
        rows = self._query(
            "SELECT f.sop_instance_uid FROM file f JOIN claim c USING (file_id) JOIN part p ON p.sha256 = c.preview"
            " WHERE p.complete UNION SELECT sop_instance_uid FROM file WHERE state = 'verified'"
        )
        return {str(row[0]) for row in rows}

    def file_sha256(self) -> dict[str, str]:
        """By SOP Instance UID: digest of the file as the unit stored it."""
        return {str(uid): str(digest) for uid, digest in self._query("SELECT sop_instance_uid, sha256 FROM file")}

    def part_bytes(self) -> int:
        """Bytes of all parts that are here whole or in part."""
        ((total,),) = self._query("SELECT coalesce(sum(offset_bytes), 0) FROM part")
        return int(str(total))

    def _query(self, sql: str) -> list[tuple[object, ...]]:
        try:
            return query(self.database, sql)
        except sqlite3.Error as error:
            raise OSError(f"the gateway's database cannot be read now: {error}") from error


class UnitSide(Side):
    """``qafila unit run``, with the gateway as its only destination."""

    def __init__(self, namespace: Namespace, folder: Path, orthanc: str, ca_file: Path, extra_toml: str = "") -> None:
        folder.mkdir(parents=True)
        toml = folder / "unit.toml"
        toml.write_text(
            f'[unit]\nname = "{UNIT_NAME}"\ndata_dir = "{folder}/data"\n'
            f'[dicom]\nbind = "127.0.0.1"\nport = {UNIT_DICOM_PORT}\n'
            f'[orthanc]\ncommand = "{orthanc}"\ndicom_port = {UNIT_ORTHANC_DICOM_PORT}\n'
            f"http_port = {UNIT_ORTHANC_HTTP_PORT}\n"
            f'[[modality]]\nae_title = "XRAY"\n'
            f'[[destination]]\nkind = "gateway"\nname = "{DESTINATION}"\n'
            f'url = "https://{CENTRE_ADDRESS}:{GATEWAY_PORT}"\nca_file = "{ca_file}"\n{extra_toml}',
            encoding="utf-8",
        )
        super().__init__(namespace, toml, "unit", "run")
        self.config: UnitConfig = load_unit(toml)

    def start_and_wait(self) -> None:
        self.start()
        self.wait_ready(self.is_ready)

    def is_ready(self) -> bool:
        facts = read_live(self.config.run_dir, "unit", CLOCK)
        return (
            facts is not None and self.process is not None and facts["pid"] == self.process.pid and bool(facts["ready"])
        )

    def enrol(self, code: str) -> None:
        """With the one-time code, over the link.

        Raises:
            OSError: If the unit says anything but that it is enrolled.
        """
        argv = qafila("unit", "enrol", "--code", code, "--config", str(self.toml))
        done = subprocess.run(self.namespace.command(*argv), check=False, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise OSError(f"the unit was not enrolled: {done.stdout}{done.stderr}")

    def kill_and_restart(self) -> None:
        """``kill -9`` of the whole unit, started again as soon as nothing of it runs any more."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        pause = threading.Event()
        while running_processes(str(self.toml).encode(), str(self.config.orthanc_dir).encode()):
            pause.wait(0.02)
        self.start()

    def confirmed(self) -> set[str]:
        """SOP Instance UIDs that the unit itself shows as delivered and proved."""
        rows = self._query(
            "SELECT i.sop_instance_uid FROM instance i JOIN outbox o USING (instance_id)"
            " GROUP BY i.instance_id HAVING min(o.state = 'confirmed') = 1"
        )
        return {str(row[0]) for row in rows}

    def states(self) -> dict[str, int]:
        """How many outbox items are in each state."""
        rows = self._query("SELECT state, count(*) FROM outbox GROUP BY state")
        return {str(state): int(str(count)) for state, count in rows}

    def make_stat(self, study_instance_uid: str) -> bool:
        """``qafila stat``, as a technologist would; False while the unit does not know the study yet."""
        argv = qafila("stat", study_instance_uid, "--config", str(self.toml))
        return subprocess.run(argv, check=False, capture_output=True, timeout=60.0).returncode == 0

    def _query(self, sql: str) -> list[tuple[object, ...]]:
        try:
            return query(self.config.unit_db, sql)
        except sqlite3.Error as error:
            raise OSError(f"the unit's database cannot be read now: {error}") from error


def _holds(ready: Callable[[], bool]) -> bool:
    try:
        return ready()
    except OSError:  # what is asked is not there yet
        return False


def qafila(*arguments: str) -> list[str]:
    """The command line of our own program, of this tree."""
    return [sys.executable, "-m", "appliance.cli.main", *arguments]
