"""Imports on a whole unit with a real Orthanc: everything is kept once, whatever is killed in between."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from appliance.config import blob_path
from tests.support.files import small_chest
from tests.support.import_files import exif, jpeg, mp4, pattern, pdf, png, with_segments
from tests.support.import_units import registered
from tests.support.orthancs import orthanc_commands
from tests.support.world import Unit, make_unit, wait_for

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not orthanc_commands(), reason="no Orthanc on this machine"),
]


def importing(unit: Unit, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "appliance.cli.main", "import", "--json", "--config", str(unit.toml), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def imported(unit: Unit, *words: str) -> tuple[int, dict[str, object]]:
    process = importing(unit, *words)
    out, err = process.communicate(timeout=120)
    assert "Traceback" not in err
    return process.returncode, json.loads(out)


def states(said: dict[str, object]) -> list[str]:
    files = said["files"]
    assert isinstance(files, list)
    return [row["state"] for row in files]


def write_files(folder: Path) -> list[Path]:
    """One of each kind."""
    made = {
        "a.jpg": with_segments(jpeg(), exif(1)),
        "b.jpg": with_segments(jpeg(), exif(6)),
        "c.png": png(pattern()),
        "d.mp4": mp4(),
        "e.pdf": pdf(),
    }
    folder.mkdir()
    for name, data in made.items():
        (folder / name).write_bytes(data)
    small_chest(folder / "IM1", seed=71)
    return sorted(folder.iterdir())


def kept(unit: Unit) -> dict[str, bytes]:
    """The stored file of each instance that the unit knows."""
    rows = unit.query("SELECT sop_instance_uid, blob_uuid FROM instance")
    return {str(uid): blob_path(unit.config.blob_dir, str(blob)).read_bytes() for uid, blob in rows}


@pytest.mark.parametrize("orthanc", orthanc_commands())
def test_files_of_every_kind_are_kept_once(orthanc: str, tmp_path: Path) -> None:
    unit = make_unit(tmp_path / "unit", orthanc, "")
    unit.start()
    try:
        exam = registered(unit.config).registration
        paths = [str(path) for path in write_files(tmp_path / "files")]
        code, said = imported(unit, *paths, "--registration", exam.accession_number)
        assert (code, states(said)) == (0, ["stored"] * 6)
        wait_for(lambda: len(unit.known_uids()) == 6, "intake to file what was imported")
        code, again = imported(unit, str(tmp_path / "files"), "--registration", exam.registration_key)
        assert (code, states(again)) == (0, ["already-here"] * 6)
        files = kept(unit)
        assert len(files) == 6
        made = [dcmread(BytesIO(data)) for data in files.values()]
        assert sum(dataset.StudyInstanceUID == exam.study_instance_uid for dataset in made) == 5
        callers = unit.query("SELECT DISTINCT calling_ae_title FROM instance")
        assert callers == [("QAFILA-IMPORT",)]
    finally:
        unit.stop()


@pytest.mark.fault(12)
def test_import_that_is_killed_or_stopped_loses_and_doubles_nothing(tmp_path: Path) -> None:
    unit = make_unit(tmp_path / "unit", orthanc_commands()[0], "")
    unit.start()
    chance = random.Random(7)
    try:
        exam = registered(unit.config).registration
        folder = tmp_path / "files"
        folder.mkdir()
        for number in range(12):
            (folder / f"{number:02}.png").write_bytes(png(pattern(40, 30 + number)))
        for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
            process = importing(unit, str(folder), "--registration", exam.accession_number)
            goal = len(unit.query("SELECT 1 FROM instance")) + chance.randint(1, 2)
            wait_for(
                lambda goal=goal, process=process: (  # type: ignore[misc]  # bound now, for the loop goes on
                    len(unit.query("SELECT 1 FROM instance")) >= goal or process.poll() is not None
                ),
                "some files to come in",
            )
            if process.poll() is None:
                process.send_signal(number)
            process.communicate(timeout=60)
        code, said = imported(unit, str(folder), "--registration", exam.accession_number)
        assert code == 0
        assert set(states(said)) <= {"stored", "already-here"}
        wait_for(lambda: len(unit.known_uids()) == 12, "all to be filed")
        assert len(unit.query("SELECT 1 FROM instance")) == 12
        assert unit.query("SELECT kind FROM finding WHERE cleared_at = '' AND kind LIKE '%conflict%'") == []
        assert not [path for path in (unit.config.data_dir / "import-work").rglob("*") if path.name != ".lock"]
    finally:
        unit.stop()


def test_stopped_unit_is_said_so_and_nothing_is_tried_further(tmp_path: Path) -> None:
    unit = make_unit(tmp_path / "unit", orthanc_commands()[0], "")
    unit.start()
    exam = registered(unit.config).registration
    unit.stop()
    files = write_files(tmp_path / "files")
    code, said = imported(unit, str(tmp_path / "files"), "--registration", exam.accession_number)
    assert code == 3
    assert states(said) == ["refused"]
    assert said["not_tried_count"] == len(files) - 1


def test_ctrl_c_says_what_was_done(tmp_path: Path) -> None:
    unit = make_unit(tmp_path / "unit", orthanc_commands()[0], "")
    unit.start()
    try:
        exam = registered(unit.config).registration
        folder = tmp_path / "files"
        folder.mkdir()
        for number in range(40):
            (folder / f"{number:02}.png").write_bytes(png(pattern(40, 30 + number)))
        process = importing(unit, str(folder), "--registration", exam.accession_number)
        wait_for(lambda: unit.query("SELECT 1 FROM instance"), "the first to come in")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        said = json.loads(out)
        assert said["not_tried_count"] == 40 - len(said["files"])
        assert "stored" in states(said)
    finally:
        unit.stop()


@pytest.mark.fault(12)
def test_watched_folder_takes_each_file_once_while_its_process_is_killed(tmp_path: Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    extra = f'[import]\nfolder = "{watched}"\n[limits]\nimport_settle_s = 0.1\n'
    unit = make_unit(tmp_path / "unit", orthanc_commands()[0], "", extra=extra)
    unit.start()
    try:
        folder = watched / registered(unit.config).registration.accession_number
        folder.mkdir()
        for number in range(6):
            (folder / f"{number}.png").write_bytes(png(pattern(40, 30 + number)))
        for count in (1, 3):
            wait_for(lambda count=count: len(unit.known_uids()) >= count, "some to come in")  # type: ignore[misc]  # bound now
            os.kill(unit.child_pids()["quality"], signal.SIGKILL)
        done = watched / "done" / folder.name
        wait_for(lambda: done.is_dir() and len(list(done.iterdir())) == 6, "all to be moved")
        wait_for(lambda: len(unit.known_uids()) == 6, "all to be filed")
        assert not folder.exists()
        assert len(unit.query("SELECT 1 FROM instance")) == 6
        assert unit.query("SELECT sentence FROM finding WHERE kind = 'import-file' AND cleared_at = ''") == []
    finally:
        unit.stop()
