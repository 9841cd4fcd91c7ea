"""The gatekeeper as its own process, as the supervisor starts it, and a willing Orthanc of pynetdicom behind it."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.uid import UID, AllTransferSyntaxes
from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at import time by pynetdicom

from appliance.clock import SystemClock
from appliance.config import UnitConfig, load_unit
from appliance.live import read_live
from appliance.store.connect import migrate
from tests.support.ports import free_port, free_ports
from tests.support.world import wait_for

CLOCK = SystemClock()
LIMITS: dict[str, object] = {
    "handshake_s_max": 0.6,
    "idle_s_max": 2.0,
    "pdu_grace_s_max": 0.4,
    "drain_s_max": 3.0,
    "object_bytes_max": 3_000_000,
    "element_count_max": 5_000,
    "orthanc_answer_s_max": 20.0,
}
"""Short times, so that tests wait for the gatekeeper and not for the clock; long ones where the stand-in is slow."""


PATIENT: dict[str, object] = {"orthanc_answer_s_max": 20.0}
"""The product's limits, but for a stand-in that shares two processors with a test run."""
TITLES = ("XRAY1", "US1")


class GatekeeperProcess:
    """A running gatekeeper."""

    def __init__(self, toml: Path) -> None:
        self.toml = toml
        self.config: UnitConfig = load_unit(toml)
        self.log_path = toml.with_name("gatekeeper.log")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "appliance.gatekeeper", "--config", str(self.toml)], stderr=log
            )

    def wait_open(self) -> GatekeeperProcess:
        """Return when it listens."""
        wait_for(lambda: self.process.poll() is not None or "live" in self.facts(), "the gatekeeper to open")
        assert self.process.poll() is None, self.log_text()
        return self

    def restart(self) -> None:
        """Start it again after it ended."""
        assert self.process.poll() is not None
        self.process = self._start()
        self.wait_open()

    @property
    def port(self) -> int:
        return self.config.dicom.port

    def facts(self) -> dict[str, Any]:
        """Its live facts, marked ``live``; empty when there are none of this process."""
        facts = read_live(self.config.run_dir, "gatekeeper", CLOCK)
        return {**facts, "live": True} if facts and facts["pid"] == self.process.pid else {}

    def wait_refused(self, code: str, count: int = 1) -> None:
        """Return when live facts count so many violations of a code."""
        wait_for(lambda: self.facts().get("refused", {}).get(code, 0) >= count, f"{code}: {self.facts()}")

    def quarantined(self) -> list[Path]:
        return sorted(self.config.quarantine_dir.glob("gate-*.dcm"))

    def findings(self, subject_id: str) -> list[tuple[str, str, str]]:
        """Kind, severity and sentence of the findings about a subject, as another process reads them."""
        db = sqlite3.connect(self.config.unit_db, timeout=30)
        try:
            sql = "SELECT kind, severity, sentence FROM finding WHERE subject_id = ?"
            return db.execute(sql, (subject_id,)).fetchall()
        finally:
            db.close()

    def log_text(self) -> str:
        return self.log_path.read_text(encoding="utf-8")

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


def write_toml(
    folder: Path,
    orthanc_dicom_port: int,
    limits: dict[str, object] | None = None,
    titles: Sequence[str] = TITLES,
    services_port: int = 0,
    device_port: int = 0,
) -> Path:
    """``unit.toml`` with a migrated data folder; nothing listens for the services unless their port is given."""
    data = folder / "data"
    (data / "run").mkdir(parents=True)
    port, http_port, nobody_port = free_ports(3)
    modalities = "".join(f'[[modality]]\nae_title = "{title}"\n' for title in titles)
    bounds = "".join(f"{key} = {json.dumps(value)}\n" for key, value in (limits or {}).items())
    toml = folder / "unit.toml"
    toml.write_text(
        f'[unit]\ndata_dir = "{data}"\n'
        f'[dicom]\nae_title = "QAFILA"\nbind = "127.0.0.1"\nport = {port}\n'
        f"{modalities}"
        f"[orthanc]\ndicom_port = {orthanc_dicom_port}\nhttp_port = {http_port}\n"
        f"[services]\nport = {services_port or nobody_port}\ndevice_port = {device_port}\n"
        f"[limits]\n{bounds}"
    )
    config = load_unit(toml)
    migrate(config.unit_db, config.door_db)
    return toml


@contextmanager
def running_gatekeeper(
    folder: Path,
    orthanc_dicom_port: int,
    limits: dict[str, object] | None = None,
    titles: Sequence[str] = TITLES,
    services_port: int = 0,
    device_port: int = 0,
) -> Iterator[GatekeeperProcess]:
    """One that listens; ended at the end of the block."""
    gatekeeper = GatekeeperProcess(write_toml(folder, orthanc_dicom_port, limits, titles, services_port, device_port))
    try:
        yield gatekeeper.wait_open()
    finally:
        gatekeeper.stop()


class StandIn:
    """Takes everything, and remembers the bytes; what Orthanc does to them is no matter here."""

    def __init__(self) -> None:
        self.port = free_port()
        self.stored: dict[str, bytes] = {}
        self.offered_max_length_bytes: list[int] = []
        self.association_count = 0
        self.abort_count = 0
        self.before_answer = threading.Event()
        """Cleared, it holds every C-STORE response back."""
        self.before_answer.set()
        self.received = threading.Event()
        """Set when a C-STORE came in whole."""
        self._ae = AE("QAFILA")
        self._ae.maximum_pdu_size = 0
        self._ae.maximum_associations = 64
        self._ae.add_supported_context(Verification)
        for context in StoragePresentationContexts:
            self._ae.add_supported_context(UID(str(context.abstract_syntax)), list(AllTransferSyntaxes))
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_ABORTED, self._aborted),
        ]
        self._server = self._ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)  # type: ignore[arg-type]  # pynetdicom's handler type is wider than any handler

    def _store(self, event: evt.Event) -> int:
        self.received.set()
        self.before_answer.wait(20)
        request = event.request
        self.stored[str(request.AffectedSOPInstanceUID)] = request.DataSet.getvalue()  # type: ignore[union-attr]  # a C-STORE has both
        return 0x0000

    def _accepted(self, event: evt.Event) -> None:
        self.association_count += 1
        self.offered_max_length_bytes.append(event.assoc.requestor.maximum_length or 0)

    def _aborted(self, _: evt.Event) -> None:
        self.abort_count += 1

    def end_associations(self) -> None:
        """Abort whatever is open, as Orthanc does after its time-out."""
        assert self._server is not None
        for association in self._server.active_associations:
            association.abort()

    def stop(self) -> None:
        self.before_answer.set()
        self._ae.shutdown()


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """A running one."""
    server = StandIn()
    try:
        yield server
    finally:
        server.stop()
