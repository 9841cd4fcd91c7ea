"""``qafila central run``: the centre's processes in the foreground, restarted when they die, stopped with Ctrl-C.

Today that is the embedded PACS alone; the gateway joins it as one more child.
"""

from __future__ import annotations

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
from central.config import CentralConfig, load_central

WATCH_S = 0.2


def run(config_path: Path) -> int:
    """Run until SIGTERM or Ctrl-C; 0 after a clean stop, 3 when it cannot start (the sentence is on stderr).

    Raises:
        ConfigError: If ``central.toml`` or its password file cannot be used.
    """
    config = load_central(config_path)
    login = pacs.credentials(config)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        lock = _prepare(config)
        try:
            return _supervise(config, login, stop)
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
    check_port("127.0.0.1", config.pacs.http_port, "pacs.http_port")
    check_port("127.0.0.1", config.pacs.dicom_port, "pacs.dicom_port")
    if not Path(config.pacs.dicomweb_plugin).exists():
        raise SupervisorError(
            f"Orthanc's DICOMweb plugin is not here ({config.pacs.dicomweb_plugin}); install it with 'make setup' "
            "(Debian package orthanc-dicomweb), or set pacs.dicomweb_plugin"
        )
    return lock


def _supervise(config: CentralConfig, login: tuple[str, str] | None, stop: threading.Event) -> int:
    supervisor = Supervisor([_pacs(config, login, stop)], SystemClock(), stop, area="central.run")
    supervisor.start_all()
    try:
        if not stop.is_set():
            log("central.run", "ready", centre=config.centre.name, http_port=config.pacs.http_port)
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
