"""One line an event; a line that cannot be written is lost, and nothing else is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from appliance.logging import log

REPOSITORY = Path(__file__).parents[2]


def test_line_names_area_event_and_quotes_facts_with_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    log("unit.test", "happened", count=3, why="two words", empty="")
    moment, *words = capsys.readouterr().err.rstrip("\n").split(" ", 1)
    assert moment.endswith("Z")
    assert words == ["unit.test happened count=3 why='two words' empty=''"]


@pytest.mark.fault(15)
def test_full_disk_under_the_log_costs_the_line_and_nothing_else() -> None:
    """Standard error is a file on the data disk for Orthanc, and a pipe that may be gone for the others."""
    program = "from appliance.logging import log\nlog('unit.test', 'x' * 20_000)\nprint('went on')"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=full, check=False
        )
    assert done.stdout == b"went on\n"
