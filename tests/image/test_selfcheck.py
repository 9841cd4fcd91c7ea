"""The self-check that feeds the watchdog: true for a unit that answers, false and in words for one that does not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from appliance.cli.main import main
from appliance.config import load_unit
from appliance.health.selfcheck import SelfCheckError, echo
from tests.support.orthancs import orthanc_commands
from tests.support.world import make_unit


def test_unit_that_does_not_run_is_said_to_answer_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unit = make_unit(tmp_path / "unit", "Orthanc", "")
    assert main(["selfcheck", "--config", str(unit.toml)]) == 1
    assert "would not be answered: the door does not answer" in capsys.readouterr().out


@pytest.mark.orthanc
@pytest.mark.skipif(not orthanc_commands(), reason="no Orthanc on this machine")
def test_echo_goes_through_the_door_to_orthanc_and_back(tmp_path: Path) -> None:
    unit = make_unit(tmp_path / "unit", orthanc_commands()[0], "")
    try:
        unit.start()
        config = load_unit(unit.toml)
        echo(config)
        orthanc_pid = unit.child_pids()["orthanc"]
        os.kill(orthanc_pid, signal.SIGSTOP)
        with pytest.raises(SelfCheckError):
            echo(config)
        os.kill(orthanc_pid, signal.SIGCONT)
    finally:
        unit.stop()
