"""The end of a process that may not go on: a flush failed, or its door cannot open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.orthanc.blobs import EXIT_IO_ERROR

EXIT_UNUSABLE = 78
REPOSITORY = Path(__file__).parents[2]


@pytest.mark.fault(18)
@pytest.mark.parametrize("error", ["/dev/full", "/dev/null"])
def test_failed_flush_ends_the_process_also_when_the_log_lies_on_the_same_full_disk(error: str) -> None:
    program = (
        "from appliance.orthanc.blobs import fail_stop\ntry:\n fail_stop('x', OSError())\nfinally:\n print('lives')"
    )
    with Path(error).open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log, check=False
        )
    assert (done.returncode, done.stdout) == (EXIT_IO_ERROR, b"")


@pytest.mark.fault(18)
@pytest.mark.parametrize("error", ["/dev/full", "/dev/null"])
def test_door_that_cannot_open_ends_orthanc_also_when_the_log_lies_on_the_same_full_disk(error: str) -> None:
    """Without its door Orthanc would take pictures unguarded; a stand-in for its module starts the plugin here."""
    program = (
        "import sys, types\nsys.modules['orthanc'] = stub = types.ModuleType('orthanc')\n"
        "stub.GetConfiguration = lambda: '{}'\n"
        "try:\n import appliance.orthanc.plugin\nfinally:\n print('lives')"
    )
    with Path(error).open("wb") as log:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log, check=False
        )
    assert (done.returncode, done.stdout) == (EXIT_UNUSABLE, b"")
