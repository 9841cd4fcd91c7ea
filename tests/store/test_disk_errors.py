"""The real SQLite library while the disk fails it: strace makes chosen system calls answer with an error."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.store.connect import Store, open_unit
from appliance.store.intake import get_cursor
from appliance.store.outbox import candidates
from tests.store.keep_until_error import BATCH_COUNT
from tests.store.made import fresh_unit

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")

REPOSITORY = Path(__file__).parents[2]


def run_with(folder: Path, injection: str) -> tuple[int, str]:
    """How many batches were reported committed under ``strace --inject`` into calls on the WAL, and how it ended."""
    fresh_unit(folder).close()
    command = [
        *("strace", "-f", "-qq", "-o", "/dev/null", "-P", str(folder / "unit.db-wal")),
        *(f"--inject={injection}", sys.executable, "-m", "tests.store.keep_until_error", str(folder / "unit.db")),
    ]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True)
    *numbers, ending = run.stdout.split()
    return len(numbers), ending


def committed(db: Store) -> int:
    assert db.value("PRAGMA integrity_check") == "ok"
    assert len(candidates(db, "pacs", 100)) == get_cursor(db, "kept").seq
    return get_cursor(db, "kept").seq


@pytest.mark.fault(18)
@pytest.mark.parametrize("at", [1, 2, 7])
def test_eio_on_sync_of_the_wal_is_no_commit_and_ends_the_writer(tmp_path: Path, at: int) -> None:
    """From one failed sync on, every commit is refused; what was reported committed is there after a fresh start."""
    reported, kind = run_with(tmp_path, f"fsync,fdatasync:error=EIO:when={at}")

    assert kind == "io"
    assert reported < BATCH_COUNT
    with open_unit(tmp_path / "unit.db") as db:
        assert committed(db) == reported


@pytest.mark.fault(15)
@pytest.mark.parametrize("at", [1, 5, 40])
def test_enospc_on_wal_append_is_reported_as_full_and_loses_nothing_committed(tmp_path: Path, at: int) -> None:
    reported, kind = run_with(tmp_path, f"pwrite64:error=ENOSPC:when={at}")

    assert kind == "full"
    with open_unit(tmp_path / "unit.db") as db:
        assert committed(db) == reported


@pytest.mark.fault(20)
def test_read_only_remount_under_the_wal_is_an_error_and_loses_nothing_committed(tmp_path: Path) -> None:
    reported, kind = run_with(tmp_path, "pwrite64:error=EROFS:when=30+")

    assert kind in ("io", "read-only")
    with open_unit(tmp_path / "unit.db") as db:
        assert committed(db) == reported


def test_program_without_a_fault_commits_everything(tmp_path: Path) -> None:
    assert run_with(tmp_path, "fsync:error=EIO:when=9999") == (BATCH_COUNT, "done")
