"""``qafila central run``: the centre's processes in the foreground, restarted when they die, stopped with Ctrl-C.

The embedded PACS first, then the gateway; either can be left out in ``central.toml``.
"""

from __future__ import annotations

import http.client
import signal
import ssl
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
GATEWAY_START_S_MAX = 60.0


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
    return lock


def _supervise(config: CentralConfig, config_path: Path, login: tuple[str, str] | None, stop: threading.Event) -> int:
    children = []
    if config.pacs.enabled:
        children.append(_pacs(config, login, stop))
    if config.gateway.enabled:
        children.append(_gateway(config, config_path, stop))
    supervisor = Supervisor(children, SystemClock(), stop, area="central.run")
    supervisor.start_all()
    try:
        if not stop.is_set():
            ports = {"http_port": config.pacs.http_port, "gateway_port": config.gateway.port}
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
        _wait_until_it_answers(config, process, stop)

    return ChildSpec("gateway", command, after_start=after_start, stop_s_max=config.gateway.limits.stop_s_max + 10.0)


def _wait_until_it_answers(config: CentralConfig, process: subprocess.Popen[bytes], stop: threading.Event) -> None:
    """Its own sentence is on standard error when it cannot."""
    clock = SystemClock()
    deadline_mono_s = clock.mono_s() + GATEWAY_START_S_MAX
    while not stop.wait(0.02):
        if process.poll() is not None:
            raise SupervisorError(f"the gateway ended at once with exit code {process.returncode}; see the line above")
        if _answers(config):
            return
        if clock.mono_s() > deadline_mono_s:
            raise SupervisorError(f"the gateway did not answer within {GATEWAY_START_S_MAX:.0f} s")


def _answers(config: CentralConfig) -> bool:
    """Whether it is up; its certificate is for units to check, and names another host than this one."""
    bind, port = config.gateway.bind, config.gateway.port
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bind, bind)
    if config.gateway.certificate_file:
        unchecked = ssl.create_default_context()
        unchecked.check_hostname, unchecked.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(host, port, timeout=5, context=unchecked)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/v1/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
