"""Orthanc as a child process: found, of a version that was tested, waited for until it answers.

The unit and the centre's embedded PACS start it alike; what they tell it differs and is rendered elsewhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.request
from base64 import b64encode
from os import environ
from pathlib import Path

from appliance.clock import SystemClock
from appliance.supervisor import SupervisorError

VERSIONS_TESTED = ("1.10.1", "1.12.7")
"""Debian 12's and Debian 13's. What must hold on the receiving path was measured on these two."""
START_S_MAX = 60.0
LOG_BYTES_MAX = 8 * 1024 * 1024
_SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"
"""Debian keeps Orthanc in ``/usr/sbin``, which is not on a plain user's ``PATH``."""


def find(command: str, key: str) -> str:
    """The program's path, when it is an Orthanc of a tested version.

    Args:
        command: Name or path, from the configuration.
        key: The configuration's key, for the sentence.

    Raises:
        SupervisorError: If it is missing, no Orthanc, or of another version.
    """
    program = shutil.which(command, path=f"{environ.get('PATH', '')}:{_SYSTEM_FOLDERS}")
    if program is None:
        raise SupervisorError(
            f"Orthanc is not here ({command}). Studies on this disk are safe; install it with 'make setup' "
            f"(Debian packages orthanc, orthanc-python and orthanc-dicomweb), or set {key}"
        )
    version = _version(program)
    if version not in VERSIONS_TESTED:
        raise SupervisorError(
            f"{program} is {f'Orthanc {version}' if version else 'no Orthanc'}, and this release is tested with "
            f"{' and '.join(VERSIONS_TESTED)}. Studies on this disk are safe; install one of these, or set {key}"
        )
    return program


def _version(program: str) -> str | None:
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    found = re.search(r"Orthanc\S*\s+(?P<version>[0-9]+(?:\.[0-9]+)+|mainline\S*)", said.stdout)
    return found["version"] if found else None


def wait_until_it_answers(
    http_port: int,
    credentials: tuple[str, str] | None,
    process: subprocess.Popen[bytes],
    stop: threading.Event,
    log_file: Path,
) -> None:
    """Return when the REST API answers on loopback, or when ``stop`` is set.

    Raises:
        SupervisorError: If Orthanc ends before, or is silent for ``START_S_MAX`` seconds of the monotonic clock.
    """
    request = urllib.request.Request(f"http://127.0.0.1:{http_port}/system")
    if credentials:
        request.add_header("Authorization", f"Basic {b64encode(':'.join(credentials).encode()).decode()}")
    # A proxy in the environment is for the world outside; it would answer, or not, in Orthanc's place.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    clock = SystemClock()
    deadline_mono_s = clock.mono_s() + START_S_MAX
    while clock.mono_s() < deadline_mono_s and not stop.is_set():
        if process.poll() is not None:
            raise SupervisorError(f"Orthanc ended at once with exit code {process.returncode}; see {log_file}")
        try:
            with opener.open(request, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            stop.wait(0.05)
    if not stop.is_set():
        raise SupervisorError(f"Orthanc did not answer within {START_S_MAX:.0f} s; see {log_file}")


def trim_log(log_file: Path) -> None:
    """Keep at most one older log of bounded size."""
    try:
        if log_file.stat().st_size > LOG_BYTES_MAX:
            log_file.replace(log_file.with_suffix(".log.1"))
    except FileNotFoundError:
        return
