"""``qafila unit run``: the unit's processes in the foreground, from a configuration file to an open door.

Order: recovery of files and ledger, Orthanc, recovery of Orthanc's index, intake, sync, and last the gatekeeper, so
that a modality is answered only by a unit that knows what it holds. MPPS and Storage Commitment run when they are
wanted; their socket is held here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from pathlib import Path

from appliance import handed
from appliance.cli import enrol
from appliance.clock import SystemClock
from appliance.config import UnitConfig, load_unit
from appliance.live import read_live, write_live
from appliance.logging import log
from appliance.orthanc import process as orthanc_process
from appliance.services import activation as services
from appliance.supervisor import (
    ChildSpec,
    FolderLock,
    NotYetError,
    Supervisor,
    SupervisorError,
    check_port,
    end_process,
    spawn,
)

WATCH_S = 0.2
LIVE_S = 1.0
DOOR_START_S_MAX = 30.0
KNOCK_S = 3.0
RECOVERY_STOP_S_MAX = 10.0


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the ``unit`` command."""
    unit = subparsers.add_parser("unit", help="run the unit's processes in the foreground")
    actions = unit.add_subparsers(dest="action", required=True)
    run = actions.add_parser("run", help="start everything, restart what dies, stop with Ctrl-C")
    run.add_argument("--config", type=Path, required=True, help="unit.toml")
    run.set_defaults(handler=lambda arguments: run_unit(arguments.config))
    enrol.add(actions)


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
    try:
        for folder in (config.data_dir, config.blob_dir, config.quarantine_dir, config.orthanc_dir, config.run_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SupervisorError(
            f"the data folder {config.data_dir} cannot be used: {error.strerror}. Nothing was changed; "
            "check the disk and its rights, or set unit.data_dir"
        ) from error
    lock = FolderLock(config.run_dir / "unit.lock")
    check_port(config.dicom.bind, config.dicom.port, "dicom.port")
    check_port("127.0.0.1", config.orthanc.dicom_port, "orthanc.dicom_port")
    check_port("127.0.0.1", config.orthanc.http_port, "orthanc.http_port")
    check_port("127.0.0.1", config.services.port, "services.port")
    _migrate(config)
    return lock


def _migrate(config: UnitConfig) -> None:
    """In a child, because what migrations import would stay resident here for weeks: 16 MB."""
    child = os.fork()
    if child:
        if os.waitpid(child, 0)[1]:
            raise SupervisorError("the databases could not be made ready for this release; the lines above say why")
        return
    code = 1
    try:
        from appliance.store.connect import StoreError, migrate

        try:
            migrate(config.unit_db, config.door_db)
            _take_in(config)
        except StoreError as error:
            # Recovery sets a damaged database aside and rebuilds it; only what it cannot mend either stops the start.
            log("unit.run", "database needs recovery", why=error)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _take_in(config: UnitConfig) -> None:
    """Whom the first boot named; a disk that cannot be written now is tried again by the next start."""
    from appliance.people.first import take_in
    from appliance.store.connect import open_unit

    if not (config.handed_dir / handed.SUPERVISOR).exists():
        return
    with open_unit(config.unit_db, clock=SystemClock()) as db:
        try:
            take_in(db, config.handed_dir)
        except OSError as error:
            log("unit.run", "the first boot's supervisor waits", why=error.strerror)


def _supervise(config: UnitConfig, config_path: Path, stop: threading.Event) -> int:
    clock = SystemClock()
    listener = services.listen(config)
    supervisor = Supervisor(_children(config, config_path, listener, stop), clock, stop)
    supervisor.start_all()
    try:
        was_ready = False
        last_facts_mono_s = float("-inf")
        while not stop.is_set():
            ready = supervisor.all_run()
            if ready and not was_ready:
                log("unit.run", "ready", unit=config.unit.name, port=config.dicom.port)
            if ready is not was_ready or clock.mono_s() - last_facts_mono_s >= LIVE_S:
                last_facts_mono_s = clock.mono_s()
                write_live(config.run_dir, "unit", {"ready": ready, "children": supervisor.facts()}, clock)
            was_ready = ready
            stop.wait(WATCH_S)
            supervisor.watch_once()
    finally:
        supervisor.stop_all()
        listener.close()
        with contextlib.suppress(OSError):
            (config.run_dir / "unit.live.json").unlink()
    log("unit.run", "stopped", unit=config.unit.name)
    return 0


def _children(config: UnitConfig, config_path: Path, listener: socket.socket, stop: threading.Event) -> list[ChildSpec]:
    from appliance.orthanc import settings

    python = config.unit.python or sys.executable
    orthanc = orthanc_process.find(config.orthanc.command, "orthanc.command")
    orthanc_json = config.orthanc_dir / "orthanc.json"
    orthanc_log = config.orthanc_dir / "orthanc.log"

    def module(name: str) -> list[str]:
        return [python, "-m", name, "--config", str(config_path)]

    def recover(phase: str) -> None:
        recovery = spawn(ChildSpec("recovery", [*module("appliance.orthanc.recovery"), "--phase", phase]))
        while recovery.poll() is None and not stop.wait(0.02):
            pass
        end_process(recovery, RECOVERY_STOP_S_MAX)
        if recovery.returncode != 0 and not stop.is_set():
            raise NotYetError(
                f"recovery could not finish (phase {phase}, exit code {recovery.returncode}). "
                "Nothing was deleted; the lines above say what stands in the way"
            )

    def before_orthanc() -> None:
        recover("files")
        settings.write(config)
        orthanc_process.trim_log(orthanc_log)

    def after_orthanc(process: subprocess.Popen[bytes]) -> None:
        access = json.loads((config.run_dir / "orthanc.json").read_text(encoding="utf-8"))
        credentials = (access["username"], access["password"])
        try:
            orthanc_process.wait_until_it_answers(config.orthanc.http_port, credentials, process, stop, orthanc_log)
        except SupervisorError as error:
            # What is stored can be delivered and looked at all the same.
            raise NotYetError(str(error)) from error
        if not stop.is_set():
            recover("index")

    def after_gatekeeper(process: subprocess.Popen[bytes]) -> None:
        _wait_for_door(config, process, stop)

    return [
        ChildSpec(
            "orthanc",
            [orthanc, str(orthanc_json)],
            before_start=before_orthanc,
            after_start=after_orthanc,
            log_file=orthanc_log,
            stop_s_max=20.0,
        ),
        ChildSpec("intake", module("appliance.orthanc.intake")),
        ChildSpec("sync", module("sync"), stop_s_max=15.0),
        ChildSpec("quality", module("appliance.quality")),
        ChildSpec(
            services.NAME,
            [*module("appliance.services"), "--listener-fd", str(listener.fileno())],
            is_wanted=services.Activation(config, listener, SystemClock()).is_wanted,
            inherited=[listener],
            stop_s_max=3.0,  # it may be in a call to a device that does not answer; nothing is lost when it is killed
        ),
        ChildSpec(
            "enrol",
            [python, "-m", "appliance.cli.main", "unit", "enrol", "--config", str(config_path), "--handed"],
            is_wanted=handed.CodeWaits(config.handed_dir, SystemClock()).is_wanted,
        ),
        ChildSpec("gatekeeper", module("appliance.gatekeeper"), after_start=after_gatekeeper),
    ]


def _wait_for_door(config: UnitConfig, process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    """Until the gatekeeper says that it listens; its own sentence is on stderr when it cannot."""
    clock = SystemClock()
    deadline_mono_s = clock.mono_s() + DOOR_START_S_MAX
    knock_mono_s = clock.mono_s() + KNOCK_S
    while not stop.wait(0.02):
        facts = read_live(config.run_dir, "gatekeeper", clock)
        if facts is not None and facts["pid"] == process.pid:
            return
        if process.poll() is not None:
            raise SupervisorError(
                f"the gatekeeper ended at once with exit code {process.returncode}; see the line above"
            )
        if clock.mono_s() > knock_mono_s:
            knock_mono_s = clock.mono_s() + KNOCK_S
            if _is_open(config):
                return
        if clock.mono_s() > deadline_mono_s:
            raise SupervisorError(f"the gatekeeper did not open the door within {DOOR_START_S_MAX:.0f} s")


def _is_open(config: UnitConfig) -> bool:
    """Asked of the port itself: on a full or read-only disk nobody can say so in a live file."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.dicom.bind, config.dicom.bind)
    with contextlib.suppress(OSError), socket.create_connection((host, config.dicom.port), timeout=1.0):
        return True
    return False
