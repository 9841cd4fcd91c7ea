"""A whole world for tests of the whole: a real centre, a real unit run by ``qafila unit run``, and a modality.

The modality is pynetdicom, so that a test knows the instant of every *Success*; what it was told is the ground truth
that no power cut, kill or full disk may make untrue.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import sqlite3
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at import time by pynetdicom

from appliance.clock import SystemClock
from appliance.config import UnitConfig, load_unit
from appliance.live import read_live
from appliance.supervisor import ChildSpec, end_process, spawn
from tests.support.ports import free_ports

START_S_MAX = 90.0
CLOCK = SystemClock()


def wait_for(condition: Callable[[], object], what: str, seconds_max: float = START_S_MAX) -> None:
    """Wait for a condition with a deadline; the only way tests here let time pass."""
    pause = threading.Event()
    deadline_mono_s = CLOCK.mono_s() + seconds_max
    while not condition():
        assert CLOCK.mono_s() < deadline_mono_s, f"waited {seconds_max:.0f} s in vain for {what}"
        pause.wait(0.05)


@dataclass(frozen=True, slots=True)
class Centre:
    """A running centre, asked directly and not through any code of the product."""

    http_port: int
    dicom_port: int
    gateway_port: int
    toml: Path

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def dicomweb_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def holdings(self) -> dict[str, int]:
        """How many instances the centre holds under each SOP Instance UID."""
        rows = self._json("/instances?expand")
        counts: dict[str, int] = {}
        for row in rows:
            uid = row["MainDicomTags"]["SOPInstanceUID"]
            counts[uid] = counts.get(uid, 0) + 1
        return counts

    def file(self, sop_instance_uid: str) -> bytes:
        """The Part 10 file that the centre holds."""
        found = self._json("/tools/lookup", sop_instance_uid.encode("ascii"))
        path = next(row["Path"] for row in found if row["Type"] == "Instance")
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}/file", timeout=30) as answer:
            return bytes(answer.read())

    def delete(self, sop_instance_uid: str) -> None:
        """Lose an instance, as a restore from an older backup does."""
        (found,) = self._json("/tools/lookup", sop_instance_uid.encode("ascii"))
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{found['Path']}", method="DELETE")
        urllib.request.urlopen(request, timeout=30).close()

    def _json(self, path: str, body: bytes | None = None) -> list[dict[str, Any]]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=body)
        with urllib.request.urlopen(request, timeout=30) as answer:
            rows: list[dict[str, Any]] = json.load(answer)
        return rows


@contextlib.contextmanager
def running_centre(folder: Path, orthanc: str, gateway_toml: str = "") -> Iterator[Centre]:
    """A centre of its own under ``folder``; ``gateway_toml`` is more of its ``[gateway]`` table."""
    folder.mkdir(parents=True, exist_ok=True)
    http_port, dicom_port, gateway_port = free_ports(3)
    toml = folder / "central.toml"
    toml.write_text(
        f'[centre]\ndata_dir = "{folder}/data"\n'
        f'[pacs]\ncommand = "{orthanc}"\nhttp_port = {http_port}\ndicom_port = {dicom_port}\n'
        f"[review]\nenabled = false\n[fleet]\nenabled = false\n[gateway]\nport = {gateway_port}\n{gateway_toml}"
    )
    process = _qafila(folder / "centre.log", "central", "run", "--config", str(toml))
    try:
        _wait_ready(process, folder / "centre.log", lambda: "central.run ready" in (folder / "centre.log").read_text())
        yield Centre(http_port, dicom_port, gateway_port, toml)
    finally:
        end_process(process, 30.0)


@dataclass(slots=True)
class Unit:
    """A unit that can be started, stopped, killed and started again on the same configuration."""

    toml: Path
    log_file: Path
    config: UnitConfig
    process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> None:
        """``qafila unit run``; returns when its door is open."""
        self.process = _qafila(self.log_file, "unit", "run", "--config", str(self.toml))
        if wait:
            _wait_ready(self.process, self.log_file, lambda: self.ready)

    @property
    def ready(self) -> bool:
        facts = read_live(self.config.run_dir, "unit", CLOCK)
        is_ours = facts is not None and self.process is not None and facts["pid"] == self.process.pid
        return is_ours and facts is not None and bool(facts["ready"])

    @property
    def shows_children(self) -> bool:
        """Whether the supervisor has spoken lately."""
        return read_live(self.config.run_dir, "unit", CLOCK) is not None

    def child_pids(self) -> dict[str, int]:
        """Process ids of the children that run, by name."""
        facts = read_live(self.config.run_dir, "unit", CLOCK)
        assert facts is not None, "the unit is not running"
        return {name: row["pid"] for name, row in facts["children"].items() if row["pid"]}

    def stop(self) -> None:
        """As systemd does it; harmless when it has ended."""
        if self.process is not None:
            end_process(self.process, 40.0)
            self.process = None

    def kill_all(self) -> None:
        """The supervisor with SIGKILL; its children die with it. Harmless when nothing runs."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None
        wait_for(lambda: not self._processes(), "the children to die with their supervisor")

    def _processes(self) -> list[int]:
        """Everything that was started with this unit's configuration or Orthanc's."""
        return running_processes(str(self.toml).encode(), str(self.config.orthanc_dir).encode())

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of ``unit.db``, read only."""
        return query(self.config.unit_db, sql)

    def confirmed_uids(self) -> set[str]:
        """SOP Instance UIDs that this unit shows as delivered to every destination."""
        rows = self.query(
            "SELECT i.sop_instance_uid FROM instance i JOIN outbox o USING (instance_id)"
            " GROUP BY i.instance_id HAVING min(o.state = 'confirmed') = 1"
        )
        return {str(row[0]) for row in rows}

    def known_uids(self) -> set[str]:
        """SOP Instance UIDs in the outbox's database."""
        return {str(row[0]) for row in self.query("SELECT sop_instance_uid FROM instance")}


def running_processes(*words: bytes) -> list[int]:
    """Ids of the processes that name one of ``words`` in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command_line = (folder / "cmdline").read_bytes() if folder.name.isdigit() else b""
            if any(word in command_line for word in words):
                found.append(int(folder.name))
    return found


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    """Rows of a database, read only, with no code of the product in between."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute(sql).fetchall()


def make_unit(folder: Path, orthanc: str, destination_toml: str, data_dir: Path | None = None, extra: str = "") -> Unit:
    """Write a unit's configuration; nothing is started.

    Args:
        folder: For its configuration and log.
        orthanc: Command of the Orthanc to run.
        destination_toml: The ``[[destination]]`` tables.
        data_dir: Where the unit keeps its data; ``folder/data`` by default.
        extra: More TOML, for instance a ``[limits]`` table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ports = free_ports(4)
    toml = folder / "unit.toml"
    toml.write_text(
        f'[unit]\nname = "test-unit"\ndata_dir = "{data_dir or folder / "data"}"\n'
        f'[dicom]\nbind = "127.0.0.1"\nport = {ports[0]}\n'
        f'[orthanc]\ncommand = "{orthanc}"\ndicom_port = {ports[1]}\nhttp_port = {ports[2]}\n'
        f"[services]\nport = {ports[3]}\n"
        f'[[modality]]\nae_title = "XRAY"\n{destination_toml}\n{extra}\n'
    )
    return Unit(toml, folder / "unit.log", load_unit(toml))


def dicomweb_destination(url: str, name: str = "centre") -> str:
    """The TOML of one DICOMweb destination."""
    return f'[[destination]]\nkind = "dicomweb"\nname = "{name}"\nurl = "{url}"\n'


def gateway_destination(url: str, name: str = "centre") -> str:
    """The TOML of one gateway destination; the unit has to be enrolled there."""
    return f'[[destination]]\nkind = "gateway"\nname = "{name}"\nurl = "{url}"\n'


def enrol(unit: Unit, centre: Centre) -> None:
    """Make the unit known at the centre's gateway, with the commands that people give."""
    code = _qafila_says("central", "enrol", unit.config.unit.name, "--config", str(centre.toml))["code"]
    _qafila_says("unit", "enrol", "--config", str(unit.toml), "--code", str(code))


@dataclass(frozen=True, slots=True)
class Told:
    """One *Success* that the modality heard."""

    sop_instance_uid: str
    pixel_sha256: str
    at_mono_s: float


@dataclass(slots=True)
class Modality:
    """Sends small pictures one after the other, also through refusals and broken associations, until stopped."""

    port: int
    called_ae_title: str = "QAFILA"
    size_bytes: int = 60_000
    seed: int = 0
    host: str = "127.0.0.1"
    told: list[Told] = field(default_factory=list)
    refused_statuses: list[int] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def send(self, count: int) -> list[Told]:
        """Send ``count`` pictures over one association; what was told *Success*."""
        before = len(self.told)
        self._associate(itertools.repeat(None, count))
        return self.told[before:]

    @contextlib.contextmanager
    def sending(self) -> Iterator[Modality]:
        """Sends in the background for as long as the block lasts."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._send_on, daemon=True)
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join(60)
            assert not self._thread.is_alive(), "the modality did not come to an end"

    def _send_on(self) -> None:
        while not self._stop.is_set():
            if not self._associate(itertools.repeat(None, 20)):
                self._stop.wait(0.1)

    def _associate(self, pictures: Iterator[None]) -> bool:
        entity = AE(ae_title="XRAY")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
        entity.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
        association = entity.associate(self.host, self.port, ae_title=self.called_ae_title)
        if not association.is_established:
            return False
        for _ in pictures:
            if self._stop.is_set() or not association.is_established:
                break
            picture = small_picture(self.size_bytes, self.seed + len(self.told) + len(self.refused_statuses))
            with contextlib.suppress(RuntimeError, ValueError):
                self._note(picture, association.send_c_store(picture))
        if association.is_established:
            association.release()
        return True

    def _note(self, picture: Dataset, answer: Dataset) -> None:
        if "Status" not in answer:
            return
        if answer.Status == 0x0000:
            pixels = hashlib.sha256(picture.PixelData).hexdigest()
            self.told.append(Told(str(picture.SOPInstanceUID), pixels, CLOCK.mono_s()))
        else:
            self.refused_statuses.append(int(answer.Status))


def echo(port: int, calling_ae_title: str = "XRAY") -> bool:
    """Whether the door answers a C-ECHO."""
    entity = AE(ae_title=calling_ae_title)
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", port, ae_title="QAFILA")
    if not association.is_established:
        return False
    answer = association.send_c_echo()
    association.release()
    return bool(answer) and answer.Status == 0x0000


def small_picture(size_bytes: int, seed: int) -> Dataset:
    """A secondary capture of about ``size_bytes`` of noise, with UIDs of its own; four pictures make a study."""
    rows = max(1, size_bytes // 256)
    picture = Dataset()
    picture.file_meta = FileMetaDataset()
    picture.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    picture.SOPClassUID = SecondaryCaptureImageStorage
    picture.SOPInstanceUID = generate_uid()
    group = f"{seed // 4}"
    picture.StudyInstanceUID = generate_uid(entropy_srcs=["study", group])
    picture.SeriesInstanceUID = generate_uid(entropy_srcs=["series", group])
    picture.PatientName, picture.PatientID, picture.Modality = f"TEST^{group}", f"T{group}", "OT"
    picture.PatientBirthDate, picture.PatientSex, picture.StudyDate = "19700101", "O", "20260101"
    picture.AccessionNumber = picture.StudyTime = picture.ReferringPhysicianName = picture.StudyID = ""
    picture.ConversionType, picture.InstanceNumber, picture.SeriesNumber = "WSD", seed % 4 + 1, 1
    picture.SamplesPerPixel, picture.PhotometricInterpretation = 1, "MONOCHROME2"
    picture.Rows, picture.Columns, picture.BitsAllocated, picture.BitsStored, picture.HighBit = rows, 256, 8, 8, 7
    picture.PixelRepresentation = 0
    block = hashlib.sha256(f"{picture.SOPInstanceUID}".encode()).digest()
    picture.PixelData = (block * (rows * 256 // len(block) + 1))[: rows * 256]
    return picture


def pixel_sha256(part10: bytes) -> str:
    """Digest of the pixel data of a file, read with pydicom alone."""
    import pydicom

    return hashlib.sha256(pydicom.dcmread(io.BytesIO(part10)).PixelData).hexdigest()


def _qafila(log_file: Path, *arguments: str) -> subprocess.Popen[bytes]:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    log_file.write_bytes(b"")
    return spawn(ChildSpec(arguments[0], [sys.executable, "-m", "appliance.cli.main", *arguments], log_file=log_file))


def _qafila_says(*arguments: str) -> dict[str, Any]:
    argv = [sys.executable, "-m", "appliance.cli.main", *arguments, "--json"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=START_S_MAX)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _wait_ready(process: subprocess.Popen[bytes], log_file: Path, ready: Callable[[], bool]) -> None:
    def ready_or_dead() -> bool:
        return ready() or process.poll() is not None

    wait_for(ready_or_dead, f"readiness, see {log_file}")
    assert process.poll() is None, f"ended with {process.returncode}:\n{log_file.read_text()[-3000:]}"
