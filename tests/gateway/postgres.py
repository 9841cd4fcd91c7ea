"""A PostgreSQL of our own for tests: Debian's server and driver, a fresh cluster in a folder, ended with the test.

The driver is Debian's ``python3-psycopg2``, lent to this interpreter when both are of one Python version; our own
requirements have none, for the default needs none.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port

DEBIAN_PACKAGES = Path("/usr/lib/python3/dist-packages")


def server_programs() -> Path | None:
    """The folder of ``initdb`` and ``pg_ctl``, the newest; ``None`` where there is no server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def lend_driver(folder: Path) -> str | None:
    """A folder that holds the driver and nothing else, for ``PYTHONPATH``; ``None`` where there is none."""
    if importlib.util.find_spec("psycopg2") is not None:
        return ""
    extension = f"_psycopg.cpython-{sys.version_info.major}{sys.version_info.minor}-"
    driver = DEBIAN_PACKAGES / "psycopg2"
    if not driver.is_dir() or not any(path.name.startswith(extension) for path in driver.iterdir()):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "psycopg2").symlink_to(driver)
    return str(folder)


def why_not() -> str:
    """Why there is no PostgreSQL here; empty when there is."""
    if server_programs() is None:
        return "no PostgreSQL server (Debian package postgresql)"
    if os.geteuid() == 0 and "nobody" not in {entry.pw_name for entry in pwd.getpwall()}:
        return "PostgreSQL does not run as root"
    if importlib.util.find_spec("psycopg2") is None and not (DEBIAN_PACKAGES / "psycopg2").is_dir():
        return "no driver (Debian package python3-psycopg2)"
    return ""


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database."""
    programs = server_programs()
    assert programs is not None
    folder.mkdir(parents=True, exist_ok=True)
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    port = free_port()

    def run(*command: str) -> None:
        # Another run of pytest that begins meanwhile shuts its users' common folder again.
        for path in (folder, *folder.parents):
            if user and path.is_dir() and "pytest" in str(path):
                path.chmod(path.stat().st_mode | 0o011)
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    data = str(folder / "data")
    run(str(programs / "initdb"), "-D", data, "-U", "qafila", "--auth=trust", "-E", "UTF8", "--no-sync")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c port={port}"
    run(str(programs / "pg_ctl"), "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")
    try:
        yield f"postgresql+psycopg2://qafila@/postgres?host={folder}&port={port}"
    finally:
        run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
