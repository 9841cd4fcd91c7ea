"""The watched folder: moved only when it is in, left with a finding when it is not, met again after any crash."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from appliance.config import UnitConfig
from appliance.imports.importer import Importer, Outcome
from appliance.imports.watch import LOOK_S, RETRY_S, Watcher, open_import_folder
from appliance.store.connect import open_unit
from appliance.store.findings import open_subjects
from appliance.store.import_targets import ImportTarget
from tests.imports.test_medium import write
from tests.store.made import HandClock
from tests.support.files import small_chest
from tests.support.import_files import jpeg, pattern, pdf, png
from tests.support.import_units import CLOCK, ImportUnit, import_unit, registered


class Watched:
    """A watcher whose time the test moves."""

    def __init__(self, unit: ImportUnit) -> None:
        self.unit = unit
        self.root = Path(unit.config.imports.folder)
        self.clock = HandClock()
        self.db = open_unit(unit.config.unit_db, clock=CLOCK)
        self.importer = Importer(unit.config, CLOCK, "test")
        self.watcher = Watcher(unit.config, self.clock, self.db, self.importer)

    def close(self) -> None:
        self.importer.__exit__(None, None, None)
        self.db.close()

    def put(self, name: str, data: bytes) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def run(self, step_count: int = 3) -> None:
        """So many looks, with time for files to settle between."""
        for _ in range(step_count):
            self.watcher.step()
            self.clock.mono += LOOK_S

    def left(self) -> list[str]:
        """Files that wait."""
        return self._names(lambda path: path.relative_to(self.root).parts[0] != "done")

    def done(self) -> list[str]:
        return self._names(lambda path: path.relative_to(self.root).parts[0] == "done")

    def sentences(self) -> list[str]:
        with closing(sqlite3.connect(self.unit.config.unit_db)) as db:
            sql = "SELECT sentence FROM finding WHERE kind = 'import-file' AND cleared_at = '' ORDER BY finding_id"
            return [row[0] for row in db.execute(sql)]

    def _names(self, wanted: object) -> list[str]:
        assert callable(wanted)
        paths = [path for path in self.root.rglob("*") if not path.is_dir() and wanted(path)]
        return sorted(str(path.relative_to(self.root)) for path in paths)


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportUnit]:
    with import_unit(tmp_path_factory.mktemp("unit")) as running:
        yield running


@pytest.fixture
def watched(unit: ImportUnit) -> Iterator[Watched]:
    root = Path(unit.config.imports.folder)
    shutil.rmtree(root)
    root.mkdir()
    one = Watched(unit)
    yield one
    one.close()


def accession_of(config: UnitConfig) -> str:
    return registered(config).registration.accession_number


def test_settled_file_goes_in_and_is_moved(watched: Watched) -> None:
    accession = accession_of(watched.unit.config)
    watched.put(f"{accession}/a.jpg", jpeg())
    watched.put(f"{accession.lower()}/deep/b.pdf", pdf())
    count = len(watched.unit.orthanc.stored)
    watched.run(4)
    assert len(watched.unit.orthanc.stored) == count + 2
    assert watched.done() == sorted([f"done/{accession}/a.jpg", f"done/{accession.lower()}/deep/b.pdf"])
    assert (watched.left(), watched.sentences()) == ([], [])
    assert not (watched.root / accession).exists()


def test_file_that_still_grows_is_waited_for(watched: Watched) -> None:
    accession = accession_of(watched.unit.config)
    path = watched.put(f"{accession}/a.png", png(pattern(70, 9))[:100])
    watched.run(1)
    path.write_bytes(png(pattern(70, 9)))
    watched.run(1)
    assert watched.left() == [f"{accession}/a.png"]
    watched.run(1)
    assert (watched.left(), watched.sentences()) == ([], [])


def test_file_is_not_touched_before_it_has_settled(watched: Watched) -> None:
    accession = accession_of(watched.unit.config)
    watched.put(f"{accession}/a.png", png(pattern(71, 9)))
    watched.watcher.step()
    watched.watcher.step()
    assert watched.left() == [f"{accession}/a.png"]


@pytest.mark.parametrize("name", [".a.jpg", "~a.jpg", "a.jpg.part", "a.jpg.tmp"])
def test_unfinished_file_is_nobodys(watched: Watched, name: str) -> None:
    watched.put(name, b"x")
    watched.run()
    assert (watched.left(), watched.sentences()) == ([name], [])


def test_bad_file_stays_with_a_finding_that_goes_with_it(watched: Watched) -> None:
    accession = accession_of(watched.unit.config)
    path = watched.put(f"{accession}/a.jpg", jpeg()[:-9])
    watched.run(6)
    assert watched.left() == [f"{accession}/a.jpg"]
    (sentence,) = watched.sentences()
    assert "a.jpg" in sentence
    assert all("a.jpg" not in subject for subject in open_subjects(watched.db, "import-file"))
    path.write_bytes(jpeg(pattern(60, 61)))
    watched.run(4)
    assert (watched.left(), watched.sentences()) == ([], [])


def test_finding_of_a_file_that_was_taken_away_is_cleared_after_a_restart_too(watched: Watched) -> None:
    path = watched.put("a.jpg", jpeg())
    watched.run()
    assert "does not say whom it belongs to" in watched.sentences()[0]
    path.unlink()
    again = Watched(watched.unit)
    again.run(1)
    again.close()
    assert watched.sentences() == []


@pytest.mark.parametrize(
    ("folder", "words"), [("NOBODY-1", "names a registration"), ("done-not", "names a registration")]
)
def test_folder_that_is_no_registration_is_said_so(watched: Watched, folder: str, words: str) -> None:
    watched.put(f"{folder}/a.jpg", jpeg())
    watched.run()
    assert words in watched.sentences()[0]
    assert watched.left() == [f"{folder}/a.jpg"]


def test_dicom_needs_no_folder(watched: Watched, tmp_path: Path) -> None:
    watched.put("IM1", small_chest(tmp_path / "x.dcm", seed=41).read_bytes())
    watched.put("anything/IM2", small_chest(tmp_path / "x.dcm", seed=42).read_bytes())
    watched.run(4)
    assert watched.left() == []
    assert watched.done() == ["done/IM1", "done/anything/IM2"]


def test_link_is_not_followed(watched: Watched, tmp_path: Path) -> None:
    accession = accession_of(watched.unit.config)
    (tmp_path / "real.jpg").write_bytes(jpeg())
    watched.put(f"{accession}/x", b"")
    (watched.root / accession / "a.jpg").symlink_to(tmp_path / "real.jpg")
    (watched.root / accession / "b").symlink_to(tmp_path)
    watched.run(6)
    assert sum("link" in sentence for sentence in watched.sentences()) == 2
    assert (tmp_path / "real.jpg").exists()


def test_file_of_the_same_name_is_not_written_over(watched: Watched) -> None:
    accession = accession_of(watched.unit.config)
    for columns in (8, 9):
        watched.put(f"{accession}/a.png", png(pattern(50, columns)))
        watched.run()
    assert watched.left() == []
    assert len(watched.done()) == 2


def test_closed_door_is_tried_again_later(watched: Watched) -> None:
    accession = accession_of(watched.unit.config)
    watched.unit.gatekeeper.stop()
    try:
        watched.put(f"{accession}/a.png", png(pattern(51, 9)))
        watched.run()
        assert "door does not answer" in watched.sentences()[0]
    finally:
        watched.unit.gatekeeper.restart()
    watched.run()
    assert watched.left() == [f"{accession}/a.png"]
    watched.clock.mono += RETRY_S
    watched.run(2)
    assert (watched.left(), watched.sentences()) == ([], [])


def test_crash_between_success_and_move_sends_nothing_twice(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger of a real door knows the object then; here its row is written by hand."""
    accession = accession_of(watched.unit.config)
    watched.put(f"{accession}/a.png", png(pattern(52, 9)))
    before = set(watched.unit.orthanc.stored)
    with monkeypatch.context() as patch:
        patch.setattr(Watcher, "_move", _crash)
        with pytest.raises(KeyboardInterrupt):
            watched.run(3)
    (uid,) = set(watched.unit.orthanc.stored) - before
    with closing(sqlite3.connect(watched.unit.config.door_db)) as door, door:
        door.execute(
            """INSERT INTO kept (blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes, received_at, boot_id,
                mono_s) VALUES ('b', ?1, ?2, ?2, 1, '2026', 'boot', 0)""",
            (uid, 64 * "0"),
        )
    watched.unit.orthanc.stored.clear()
    again = Watched(watched.unit)
    again.run(3)
    again.close()
    assert watched.unit.orthanc.stored == {}
    assert watched.done() == [f"done/{accession}/a.png"]


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


def test_medium_goes_in_and_is_moved_as_one(watched: Watched, tmp_path: Path) -> None:
    from pydicom import dcmread
    from pydicom.fileset import FileSet

    fileset = FileSet()
    for number in (1, 2):
        fileset.add(dcmread(small_chest(tmp_path / "x.dcm", seed=61, number=number)))
    write(fileset, watched.root / "cd1")
    watched.put("cd1/VIEWER.EXE", b"MZ")
    missing = next(path for path in (watched.root / "cd1").rglob("*") if path.is_file() and path.name.startswith("IM"))
    kept = missing.read_bytes()
    missing.unlink()
    watched.run()
    assert "not on the medium" in watched.sentences()[0]
    assert watched.done() == []
    missing.write_bytes(kept)
    watched.run(4)
    assert (watched.left(), watched.sentences()) == ([], [])
    assert "done/cd1/DICOMDIR" in watched.done()


def test_nothing_is_watched_without_a_folder() -> None:
    with open_import_folder(UnitConfig(), HandClock()) as step:
        assert step.step() > LOOK_S


def test_step_is_opened_as_the_quality_process_opens_it(unit: ImportUnit) -> None:
    with open_import_folder(unit.config, CLOCK) as step:
        assert step.step() == LOOK_S


def test_absent_folder_is_looked_for_again(watched: Watched) -> None:
    shutil.rmtree(watched.root)
    watched.run(1)
    watched.root.mkdir()


def test_one_step_brings_one_file(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    accession = accession_of(watched.unit.config)
    for number in range(3):
        watched.put(f"{accession}/{number}.png", png(pattern(80 + number, 9)))
    brought: list[Path] = []
    bring = Importer.bring

    def counted(self: Importer, path: Path, target: ImportTarget | None) -> Outcome:
        brought.append(path)
        return bring(self, path, target)

    monkeypatch.setattr(Importer, "bring", counted)
    watched.run(1)
    assert (watched.watcher.step(), len(brought)) == (0.0, 1)
