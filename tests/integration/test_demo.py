"""``qafila demo`` without a screen: the README's door, with its own pictures and with files that are given."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import examples

from tests.support.orthancs import orthanc_commands
from tests.support.world import running_processes, wait_for

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not orthanc_commands(), reason="no Orthanc on this machine"),
]
DEMO = [sys.executable, "-m", "appliance.cli.main", "demo", "--headless"]


def play(*arguments: str) -> tuple[int, dict[str, int], str]:
    """Exit code, the last line's facts, and everything said."""
    done = subprocess.run([*DEMO, *arguments], check=False, capture_output=True, text=True, timeout=500)
    lines = done.stdout.strip().splitlines()
    facts: dict[str, int] = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    return done.returncode, facts, done.stdout + done.stderr


@pytest.mark.parametrize("orthanc", orthanc_commands())
def test_demo_confirms_its_own_pictures_through_a_cut_link(orthanc: str, tmp_path: Path) -> None:
    code, facts, said = play("--orthanc", orthanc, "--folder", str(tmp_path / "demo"))
    assert code == 0, said
    assert (facts["studies"], facts["instances"], facts["confirmed"], facts["identical"]) == (3, 3, 3, 3)
    assert facts["bytes"] > 15_000_000
    assert "the link is gone" in said
    assert "the review pages are at http://127.0.0.1:" in said
    assert said.count(", password ") == 3


def test_demo_sends_what_is_given_and_names_what_cannot_be_sent(tmp_path: Path) -> None:
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "notes.dcm").write_text("not a picture")
    given = [str(examples.get_path("ct")), str(tmp_path / "empty.dcm"), str(tmp_path / "notes.dcm"), "/nonexistent.dcm"]
    code, facts, said = play("--folder", str(tmp_path / "demo"), "--send", *given)
    assert code == 4, said
    assert (facts["confirmed"], facts["identical"], facts["refused"]) == (1, 1, 3)
    for line in ("empty.dcm is empty", "notes.dcm is not a DICOM file", "nonexistent.dcm is not there"):
        assert line in said
    assert "Traceback" not in said


def test_demo_plays_in_a_folder_with_any_name(tmp_path: Path) -> None:
    folder = tmp_path / 'l\'été "2026" \\ عيادة'
    code, facts, said = play("--folder", str(folder), "--send", str(examples.get_path("ct")))
    assert code == 0, said
    assert facts["identical"] == 1


def test_demo_with_nothing_to_send_says_so(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    code, _, said = play("--folder", str(tmp_path / "demo"), "--send", str(tmp_path / "folder"))
    assert code == 1
    assert "the folder holds no file" in said
    assert "Traceback" not in said


def test_ctrl_c_leaves_nothing_running(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo = subprocess.Popen([*DEMO, "--folder", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (folder / "unit.log").exists(), "the unit to be started")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(90) == 130
    finally:
        demo.kill()
    assert running_processes(str(folder).encode()) == []
