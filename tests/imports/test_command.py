"""``qafila import`` as people see it: words, exit codes, and nothing stored for a registration that is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.domain.registration import RegistrationState
from appliance.store.connect import open_unit
from appliance.store.registrations import move_registration
from tests.cli.running import Qafila
from tests.support.import_files import jpeg, mp4, pattern, png
from tests.support.import_units import CLOCK, ImportUnit, import_unit, registered


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportUnit]:
    with import_unit(tmp_path_factory.mktemp("unit")) as running:
        yield running


@pytest.fixture
def qafila(unit: ImportUnit, capsys: pytest.CaptureFixture[str]) -> Qafila:
    return Qafila(str(unit.gatekeeper.toml), capsys)


def test_files_are_told_one_by_one(unit: ImportUnit, qafila: Qafila, tmp_path: Path) -> None:
    exam = registered(unit.config).registration
    (tmp_path / "a.mp4").write_bytes(mp4())
    (tmp_path / "b.jpg").write_bytes(jpeg()[:-9])
    (tmp_path / "c.txt").write_bytes(b"a list")
    said = qafila("import", str(tmp_path), "--registration", exam.accession_number)
    assert said.code == 1
    first, second, last = said.out.splitlines()
    assert first == f"✓ stored       {tmp_path}/a.mp4 The sound was left out."
    assert second.startswith(f"! {tmp_path}/b.jpg ends too early")
    assert last.startswith("1 file stored, 1 not imported, 1 others left out.")
    assert said.err == ""


def test_name_cannot_write_on_the_terminal(unit: ImportUnit, qafila: Qafila, tmp_path: Path) -> None:
    exam = registered(unit.config).registration
    path = tmp_path / "a\x1b[2J\u202e.png"
    path.write_bytes(png(pattern(33, 9)))
    said = qafila("import", str(path), "--registration", exam.registration_key)
    assert said.code == 0
    assert "\x1b" not in said.out
    assert "\u202e" not in said.out


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_registration_that_is_none_is_said_so(qafila: Qafila, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    said = qafila("import", str(tmp_path / "a.jpg"), "--registration", "NOBODY-1", *words)
    assert said.code == 4
    assert "Nothing was imported" in said.err
    if words:
        assert said.facts["code"] == "registration-unknown"


def test_cancelled_registration_takes_nothing(unit: ImportUnit, qafila: Qafila, tmp_path: Path) -> None:
    exam = registered(unit.config).registration
    with open_unit(unit.config.unit_db, clock=CLOCK) as db:
        move_registration(db, db.stamp(), exam.registration_key, RegistrationState.CANCELLED, "test", "not needed")
    (tmp_path / "a.jpg").write_bytes(jpeg())
    said = qafila("import", str(tmp_path / "a.jpg"), "--registration", exam.accession_number)
    assert (said.code, "was cancelled" in said.err) == (1, True)


def test_picture_without_a_registration_is_refused(qafila: Qafila, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    said = qafila("import", str(tmp_path / "a.jpg"), "--json")
    assert said.code == 1
    assert said.facts["counts"] == {"stored": 0, "already-here": 0, "refused": 1}
    assert said.facts["files"][0]["code"] == "no-registration"


def test_device_says_what_it_was_taken_with(unit: ImportUnit, qafila: Qafila, tmp_path: Path) -> None:
    exam = registered(unit.config).registration
    (tmp_path / "a.jpg").write_bytes(jpeg(pattern(40, 41)))
    said = qafila("import", str(tmp_path), "--registration", exam.accession_number, "--device", "photograph", "--json")
    assert unit.data_set(said.facts["files"][0]["sop_instance_uid"]).Modality == "XC"


def test_wrong_use_says_usage(qafila: Qafila) -> None:
    assert qafila("import").code == 2
