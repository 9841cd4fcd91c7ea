"""``qafila central run``: the centre's processes in the foreground, restarted when they die, stopped with Ctrl-C.

The embedded PACS first, then the gateway, the review pages, the full viewer and the fleet's watch; each can be left
out in ``central.toml``.
"""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import threading
from pathlib import Path

from appliance.clock import SystemClock
from appliance.logging import log
from appliance.orthanc import process as orthanc_process
from appliance.supervisor import ChildSpec, FolderLock, Supervisor, SupervisorError, check_port
from central import pacs
from central.config import CentralConfig, Door, load_central
from central.run_checks import answers
from central.viewer import ohif

WATCH_S = 0.2
START_S_MAX = 60.0


def run(config_path: Path) -> int:
    """Run until SIGTERM or Ctrl-C; 0 after a clean stop, 3 when it cannot start (the sentence is on stderr).

    Raises:
        ConfigError: If ``central.toml`` or its password file cannot be used.
    """
    config = load_central(config_path)
    login = pacs.credentials(config) if config.pacs.enabled else None
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        lock = _prepare(config)
        try:
            return _supervise(config, config_path, login, stop)
        finally:
            lock.release()
    except SupervisorError as error:
        print(f"qafila central: {error}", file=sys.stderr)  # noqa: T201 - the operator's sentence
        return 3


def _prepare(config: CentralConfig) -> FolderLock:
    """Folders, the lock and free ports, before anything starts."""
    try:
        (config.data_dir / "orthanc").mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SupervisorError(
            f"the data folder {config.data_dir} cannot be used: {error.strerror}. Nothing was changed; "
            "check the disk and its rights, or set centre.data_dir"
        ) from error
    lock = FolderLock(config.data_dir / "centre.lock")
    if config.pacs.enabled:
        check_port("127.0.0.1", config.pacs.http_port, "pacs.http_port")
        check_port("127.0.0.1", config.pacs.dicom_port, "pacs.dicom_port")
        if not Path(config.pacs.dicomweb_plugin).exists():
            raise SupervisorError(
                f"Orthanc's DICOMweb plugin is not here ({config.pacs.dicomweb_plugin}); install it with 'make setup' "
                "(Debian package orthanc-dicomweb), or set pacs.dicomweb_plugin"
            )
    if config.gateway.enabled:
        check_port(config.gateway.bind, config.gateway.port, "gateway.port")
    if config.runs_review:
        check_port(config.review.bind, config.review.port, "review.port")
    if ohif.folder_of(config) is not None:
        check_port(config.viewer.bind, config.viewer.port, "viewer.port")
    if config.runs_fleet:
        check_port(config.fleet.bind, config.fleet.port, "fleet.port")
    return lock


def _supervise(config: CentralConfig, config_path: Path, login: tuple[str, str] | None, stop: threading.Event) -> int:
    children = []
    if config.pacs.enabled:
        children.append(_pacs(config, login, stop))
    if config.gateway.enabled:
        children.append(_gateway(config, config_path, stop))
    if config.runs_review:
        children.append(_review(config, config_path, stop))
    has_viewer = ohif.folder_of(config) is not None
    if has_viewer:
        children.append(_companion("viewer", config_path))
    elif config.viewer_pacs is not None:
        log("central.run", "no viewer", what_to_do="fetch OHIF with 'make viewer' and start again; all else works")
    if config.runs_fleet:
        children.append(_companion("fleet", config_path))
    supervisor = Supervisor(children, SystemClock(), stop, area="central.run")
    supervisor.start_all()
    try:
        if not stop.is_set():
            ports = {"http_port": config.pacs.http_port, "gateway_port": config.gateway.port}
            if config.runs_review:
                ports["review_port"] = config.review.port
            if has_viewer:
                ports["viewer_port"] = config.viewer.port
            if config.runs_fleet:
                ports["fleet_port"] = config.fleet.port
            log("central.run", "ready", centre=config.centre.name, **ports)
        while not stop.wait(WATCH_S):
            supervisor.watch_once()
    finally:
        supervisor.stop_all()
    log("central.run", "stopped", centre=config.centre.name)
    return 0


def _pacs(config: CentralConfig, login: tuple[str, str] | None, stop: threading.Event) -> ChildSpec:
    program = orthanc_process.find(config.pacs.command, "pacs.command")
    log_file = config.data_dir / "orthanc.log"

    def after_start(process: subprocess.Popen[bytes]) -> None:
        orthanc_process.wait_until_it_answers(config.pacs.http_port, login, process, stop, log_file)

    return ChildSpec(
        "pacs",
        [program, str(pacs.write(config, login))],
        before_start=lambda: orthanc_process.trim_log(log_file),
        after_start=after_start,
        log_file=log_file,
        stop_s_max=20.0,
    )


def _gateway(config: CentralConfig, config_path: Path, stop: threading.Event) -> ChildSpec:
    command = [sys.executable, "-m", "central.gateway", "--config", str(config_path)]

    def after_start(process: subprocess.Popen[bytes]) -> None:
        _wait_until_it_answers("the gateway", config.gateway, "/v1/health", process, stop)

    return ChildSpec("gateway", command, after_start=after_start, stop_s_max=config.gateway.limits.stop_s_max + 10.0)


def _review(config: CentralConfig, config_path: Path, stop: threading.Event) -> ChildSpec:
    def after_start(process: subprocess.Popen[bytes]) -> None:
        _wait_until_it_answers("the review pages", config.review, "/health", process, stop)

    return dataclasses.replace(_companion("review", config_path), after_start=after_start)


def _companion(name: str, config_path: Path) -> ChildSpec:
    """A process without which units deliver and people read all the same: nobody waits for it."""
    command = [sys.executable, "-m", f"central.{name}", "--config", str(config_path)]
    return ChildSpec(name, command, stop_s_max=10.0)


def _wait_until_it_answers(
    what: str, door: Door, path: str, process: subprocess.Popen[bytes], stop: threading.Event
) -> None:
    """Its own sentence is on standard error when it cannot."""
    clock = SystemClock()
    deadline_mono_s = clock.mono_s() + START_S_MAX
    while not stop.wait(0.02):
        if process.poll() is not None:
            raise SupervisorError(f"{what} ended at once with exit code {process.returncode}; see the line above")
        if answers(door, path):
            return
        if clock.mono_s() > deadline_mono_s:
            raise SupervisorError(f"{what} did not answer within {START_S_MAX:.0f} s")
