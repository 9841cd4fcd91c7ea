"""A disk that fails one read during recovery does not make a sound database a damaged one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from tests.support.kept import KeptUnit, make_index
from tests.support.strace import missing_for_injection
from tests.support.unit_store import made_unit

REPOSITORY = Path(__file__).parents[2]
STUDY_COUNT = 60
READS = range(1, 40, 4)


@pytest.mark.root
@pytest.mark.fault(19)
@pytest.mark.skipif(bool(missing_for_injection()), reason=missing_for_injection())
@pytest.mark.parametrize("name", ["unit.db", "door.db", "orthanc/index"])
def test_one_failed_read_in_recovery_sets_no_database_aside(name: str, tmp_path: Path) -> None:
    """SQLite's own check reports a page that cannot be read as damage of the file, whatever the reason."""
    config = made_unit(tmp_path, STUDY_COUNT, now_s=SystemClock().wall_s(), confirmed_count=STUDY_COUNT)
    config.orthanc_dir.mkdir()
    make_index(KeptUnit(config), [])
    trace = tmp_path / "strace.log"
    struck_count = 0
    for nth in READS:
        command = [
            *("strace", "-f", "-qq", "-o", str(trace), "-P", str(config.data_dir / name)),
            *(f"--inject=pread64:error=EIO:when={nth}", sys.executable, "-m", "appliance.orthanc.recovery"),
            *("--config", str(tmp_path / "unit.toml"), "--phase", "files"),
        ]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert not list(config.quarantine_dir.glob("*.set-aside")), f"read {nth}: {done.stderr}"
        struck_count += "INJECTED" in trace.read_text()
    assert struck_count >= 2
