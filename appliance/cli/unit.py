"""``qafila unit run``: the unit's processes in the foreground, from a configuration file to an open door.

Order: recovery of files and ledger, Orthanc, recovery of Orthanc's index, intake, sync, and last the gatekeeper, so
that a modality is answered only by a unit that knows what it holds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from pathlib import Path

from appliance.clock import SystemClock
from appliance.config import UnitConfig, load_unit
from appliance.live import write_live
from appliance.logging import log
from appliance.supervisor import ChildSpec, FolderLock, Supervisor, SupervisorError

ORTHANC_START_S_MAX = 60.0
WATCH_S = 0.2
LOG_BYTES_MAX = 8 * 1024 * 1024


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the ``unit`` command."""
    unit = subparsers.add_parser("unit", help="run the unit's processes in the foreground")
    actions = unit.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="start everything, restart what dies, stop with Ctrl-C")
    run.add_argument("--config", type=Path, required=True, help="unit.toml")
    run.set_defaults(handler=lambda arguments: run_unit(arguments.config))


def run_unit(config_path: Path) -> int:
    """Run until SIGTERM or Ctrl-C; 0 after a clean stop, 3 when it cannot start (the sentence is on stderr)."""
    config_path = config_path.resolve()
    config = load_unit(config_path)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        lock = _prepare(config)
        try:
            return _supervise(config, config_path, stop)
        finally:
            lock.release()
    except SupervisorError as error:
        print(f"qafila unit: {error}", file=sys.stderr)
        return 3


def _prepare(config: UnitConfig) -> FolderLock:
    """Folders, the lock, free ports, a present Orthanc and the newest schema, before anything starts."""
    from appliance.store.connect import StoreError, migrate

    try:
        for folder in (config.data_dir, config.blob_dir, config.quarantine_dir, config.orthanc_dir, config.run_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SupervisorError(
            f"the data folder {config.data_dir} cannot be used: {error.strerror}. Nothing was changed; "
            "check the disk and its rights, or set unit.data_dir"
        ) from error
    lock = FolderLock(config.run_dir / "unit.lock")
    if shutil.which(config.orthanc.command) is None:
        raise SupervisorError(
            f"Orthanc is not here ({config.orthanc.command}). Studies on this disk are safe; install it with "
            "'make setup' (Debian packages orthanc and orthanc-python), or set orthanc.command"
        )
    _check_port(config.dicom.bind, config.dicom.port, "dicom.port")
    _check_port("127.0.0.1", config.orthanc.dicom_port, "orthanc.dicom_port")
    _check_port("127.0.0.1", config.orthanc.http_port, "orthanc.http_port")
    try:
        migrate(config.unit_db, config.door_db)
    except StoreError as error:
        # Recovery sets a damaged database aside and rebuilds it; only what it cannot mend either stops the start.
        log("unit.run", "database needs recovery", why=error)
    return lock


def _supervise(config: UnitConfig, config_path: Path, stop: threading.Event) -> int:
    clock = SystemClock()
    supervisor = Supervisor(_children(config, config_path, stop), clock, stop)
    supervisor.start_all()
    try:
        if not stop.is_set():
            log("unit.run", "ready", unit=config.unit.name, port=config.dicom.port)
        last_facts_mono_s = float("-inf")
        while not stop.wait(WATCH_S):
            supervisor.watch_once()
            if clock.mono_s() - last_facts_mono_s >= 1.0:
                last_facts_mono_s = clock.mono_s()
                write_live(config.run_dir, "unit", {"ready": True, "children": supervisor.facts()}, clock)
    finally:
        supervisor.stop_all()
        (config.run_dir / "unit.live.json").unlink(missing_ok=True)
    log("unit.run", "stopped", unit=config.unit.name)
    return 0


def _children(config: UnitConfig, config_path: Path, stop: threading.Event) -> list[ChildSpec]:
    from appliance.orthanc import settings

    python = config.unit.python or sys.executable
    orthanc_json = config.orthanc_dir / "orthanc.json"

    def module(name: str) -> list[str]:
        return [python, "-m", name, "--config", str(config_path)]

    def recover(phase: str) -> None:
        done = subprocess.run([*module("appliance.orthanc.recovery"), "--phase", phase], check=False)
        if done.returncode != 0 and not stop.is_set():
            raise SupervisorError(
                f"recovery could not finish (phase {phase}, exit code {done.returncode}). "
                "Nothing was deleted; the lines above say what stands in the way"
            )

    def before_orthanc() -> None:
        recover("files")
        settings.write(config)
        _trim(config.orthanc_dir / "orthanc.log")

    def after_orthanc(process: subprocess.Popen[bytes]) -> None:
        _wait_for_orthanc(config, process, stop)
        if not stop.is_set():
            recover("index")

    return [
        ChildSpec(
            "orthanc",
            [config.orthanc.command, str(orthanc_json)],
            before_start=before_orthanc,
            after_start=after_orthanc,
            log_file=config.orthanc_dir / "orthanc.log",
            stop_s_max=20.0,
        ),
        ChildSpec("intake", module("appliance.orthanc.intake")),
        ChildSpec("sync", module("sync"), stop_s_max=15.0),
        ChildSpec("gatekeeper", module("appliance.gatekeeper")),
    ]


def _wait_for_orthanc(config: UnitConfig, process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    access = json.loads((config.run_dir / "orthanc.json").read_text(encoding="utf-8"))
    token = b64encode(f"{access['username']}:{access['password']}".encode()).decode()
    request = urllib.request.Request(f"{access['url']}/system", headers={"Authorization": f"Basic {token}"})
    clock = SystemClock()
    deadline_mono_s = clock.mono_s() + ORTHANC_START_S_MAX
    log_file = config.orthanc_dir / "orthanc.log"
    while clock.mono_s() < deadline_mono_s and not stop.is_set():
        if process.poll() is not None:
            raise SupervisorError(f"Orthanc ended at once with exit code {process.returncode}; see {log_file}")
        try:
            with urllib.request.urlopen(request, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            stop.wait(0.05)
    if not stop.is_set():
        raise SupervisorError(f"Orthanc did not answer within {ORTHANC_START_S_MAX:.0f} s; see {log_file}")


def _check_port(host: str, port: int, key: str) -> None:
    """Say it in words before four processes fail over it; the bind itself is repeated by the process that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SupervisorError(
                f"port {port} ({key}) on {host} cannot be used: {error.strerror}. Nothing is lost; "
                f"stop what uses it, or set {key} to a free port"
            ) from error


def _trim(log_file: Path) -> None:
    """Keep at most one older log of bounded size."""
    try:
        if log_file.stat().st_size > LOG_BYTES_MAX:
            log_file.replace(log_file.with_suffix(".log.1"))
    except FileNotFoundError:
        return
