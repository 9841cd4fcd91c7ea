"""Media: a DICOMDIR says what counts, and never leads outside, whatever it names and however it is mounted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet

from appliance.domain.limits import LimitSet
from appliance.imports.finding import find, resolve
from appliance.imports.importer import Importer, State
from appliance.imports.problems import ImportProblem
from tests.support.files import small_chest
from tests.support.import_units import CLOCK, ImportUnit, import_unit


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportUnit]:
    with import_unit(tmp_path_factory.mktemp("unit")) as running:
        yield running


@pytest.fixture
def importer(unit: ImportUnit) -> Iterator[Importer]:
    with Importer(unit.config, CLOCK, "nurse") as one:
        yield one


def write(fileset: FileSet, folder: Path) -> Path:
    """Write it and remove its staging folder now: pydicom leaves that to the garbage collector, with a warning."""
    folder.mkdir()
    fileset.write(folder)
    fileset._stage["t"].cleanup()
    return folder


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """A medium as a console burns it: two studies of two images, a viewer, a picture of the hospital."""
    fileset = FileSet()
    for seed in (1, 2):
        for number in (1, 2):
            fileset.add(dcmread(small_chest(tmp_path / "x.dcm", seed=seed, number=number)))
    folder = write(fileset, tmp_path / "medium")
    (folder / "VIEWER.EXE").write_bytes(b"MZ" * 99)
    (folder / "logo.jpg").write_bytes(b"no picture")
    return folder


class NamesOnly:
    """A DICOMDIR that was read already."""

    def __init__(self, *ids: str) -> None:
        self._ids = [name.split("/") for name in ids]

    def list_medium(self, dicomdir: Path) -> list[list[str]]:
        return self._ids


@pytest.mark.parametrize("given", [".", "DICOMDIR"])
def test_medium_means_what_its_dicomdir_names(unit: ImportUnit, importer: Importer, medium: Path, given: str) -> None:
    found = find([medium / given], importer, unit.config.limits)
    assert (len(found.files), found.problems) == (4, [])
    outcomes = [importer.bring(path, None) for path in found.files]
    assert {outcome.state for outcome in outcomes} == {State.STORED}
    assert {outcome.sop_instance_uid for outcome in outcomes} <= set(unit.orthanc.stored)


def test_medium_mounted_in_small_letters_is_found(unit: ImportUnit, importer: Importer, medium: Path) -> None:
    for path in sorted(medium.rglob("*"), key=lambda path: -len(path.parts)):
        suffix = ";1" if path.is_file() and path.name != "DICOMDIR" else ""
        path.rename(path.with_name(path.name.lower() + suffix))
    found = find([medium], importer, unit.config.limits)
    assert (len(found.files), found.problems) == (4, [])


def test_missing_file_is_named_and_the_others_go_on(unit: ImportUnit, importer: Importer, medium: Path) -> None:
    gone = find([medium], importer, unit.config.limits).files[2]
    gone.unlink()
    found = find([medium], importer, unit.config.limits)
    assert len(found.files) == 3
    (problem,) = found.problems
    assert problem.code == "medium-missing"
    assert gone.name in problem.sentence


def test_dicomdir_whose_offsets_are_wrong_hides_nothing(unit: ImportUnit, importer: Importer, medium: Path) -> None:
    dicomdir = dcmread(medium / "DICOMDIR")
    for record in dicomdir.DirectoryRecordSequence:
        record.OffsetOfTheNextDirectoryRecord = record.OffsetOfReferencedLowerLevelDirectoryEntity = 7
    dicomdir.save_as(medium / "DICOMDIR")
    assert len(find([medium], importer, unit.config.limits).files) == 4


@pytest.mark.fault(59)
@pytest.mark.fault(62)
@pytest.mark.parametrize("id_", ["../x", "..", "a/../../x", "./x", "a//b", "/etc/passwd", "\\etc\\passwd", "a\0b", ""])
def test_name_that_leads_outside_is_refused(tmp_path: Path, id_: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"x")
    found = find([tmp_path / "DICOMDIR"], NamesOnly(id_), LimitSet())
    assert found.files == []
    assert [problem.code for problem in found.problems] == ["medium-outside"]


def test_link_on_a_medium_is_refused(tmp_path: Path) -> None:
    (tmp_path / "A").symlink_to("/etc")
    with pytest.raises(ImportProblem) as caught:
        resolve(tmp_path, ["A", "passwd"])
    assert caught.value.code == "symlink"


def test_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    for parts in (["A"], ["B"], ["A", "B"]):
        with pytest.raises(ImportProblem) as caught:
            resolve(tmp_path, parts)
        assert caught.value.code == "medium-missing"


def test_damaged_and_empty_dicomdir_are_said_so(unit: ImportUnit, importer: Importer, tmp_path: Path) -> None:
    dicomdir = tmp_path / "DICOMDIR"
    for data, code in ((b"", "medium-damaged"), (bytes(128) + b"DICM" + b"\4\0\x20\x12SQ\0\0\xff", "medium-damaged")):
        dicomdir.write_bytes(data)
        assert [problem.code for problem in find([tmp_path], importer, unit.config.limits).problems] == [code]
    write(FileSet(), tmp_path / "empty")
    assert [problem.code for problem in find([tmp_path / "empty"], importer, unit.config.limits).problems] == [
        "medium-empty"
    ]


def test_more_files_than_are_imported_at_once_are_refused(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(b"x")
    found = find([tmp_path], NamesOnly(), LimitSet(import_file_count_max=3))
    assert [problem.code for problem in found.problems] == ["too-many-files"]
    assert found.files == []


def test_endless_folders_are_refused(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(6):
        folder = folder / "d"
        folder.mkdir()
    found = find([tmp_path], NamesOnly(), LimitSet(import_folder_depth_max=4))
    assert [problem.code for problem in found.problems] == ["too-deep"]


def test_record_without_a_file_is_passed_over(unit: ImportUnit, importer: Importer, medium: Path) -> None:
    dicomdir = dcmread(medium / "DICOMDIR")
    dicomdir.DirectoryRecordSequence.append(Dataset())
    dicomdir.save_as(medium / "DICOMDIR")
    assert len(find([medium], importer, unit.config.limits).files) == 4
