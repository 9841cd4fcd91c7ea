"""From a foreign file through the gatekeeper: what goes in, what is refused in words, and that files stay."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from appliance.imports.finding import find
from appliance.imports.identity import Device
from appliance.imports.importer import Importer, Outcome, State
from appliance.store.import_targets import ImportTarget
from appliance.store.journal import read_journal
from tests.support.files import small_chest
from tests.support.import_files import exif, jpeg, mp4, pattern, pdf, png, png_header, sps, with_segments
from tests.support.import_units import CLOCK, ImportUnit, import_unit, registered


@pytest.fixture(scope="module")
def unit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImportUnit]:
    with import_unit(tmp_path_factory.mktemp("unit")) as running:
        yield running


@pytest.fixture
def importer(unit: ImportUnit) -> Iterator[Importer]:
    with Importer(unit.config, CLOCK, "nurse") as one:
        yield one
    assert unit.work_files == []


@pytest.fixture
def target(unit: ImportUnit, importer: Importer) -> ImportTarget:
    return importer.target(registered(unit.config).registration.accession_number)


def file(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def stored(outcome: Outcome) -> str:
    assert outcome.state is State.STORED, outcome
    return outcome.sop_instance_uid


@pytest.mark.parametrize(
    ("name", "data", "modality"),
    [
        ("a.jpg", with_segments(jpeg(), exif(1)), "US"),
        ("a.JPEG", with_segments(jpeg(), exif(8)), "US"),
        ("a.png", png(pattern()), "US"),
        ("a.mp4", mp4(), "US"),
        ("a.pdf", pdf(), "DOC"),
        ("no-ending", png(pattern(9, 9)), "US"),
    ],
)
def test_file_goes_through_the_door(
    unit: ImportUnit, importer: Importer, target: ImportTarget, tmp_path: Path, name: str, data: bytes, modality: str
) -> None:
    path = file(tmp_path, name, data)
    uid = stored(importer.bring(path, target))
    dataset = unit.data_set(uid)
    assert dataset.SOPInstanceUID == uid
    assert (dataset.StudyInstanceUID, dataset.Modality) == (target.study_instance_uid, modality)
    assert str(dataset.PatientName) == "Benali^Fatima=بنعلي^فاطمة"
    assert path.read_bytes() == data


def test_exam_says_what_a_picture_was_taken_with_unless_told(unit: ImportUnit, tmp_path: Path) -> None:
    path = file(tmp_path, "a.png", png(pattern(11, 12)))
    with Importer(unit.config, CLOCK, "nurse") as importer:
        target = importer.target(registered(unit.config, "DX", "HAND").registration.registration_key)
        photograph = unit.data_set(stored(importer.bring(path, target)))
        ultrasound = unit.data_set(stored(importer.bring(path, target, Device.ULTRASOUND)))
    assert (photograph.Modality, ultrasound.Modality) == ("XC", "US")
    assert photograph.AnatomicRegionSequence[0].CodeMeaning == "Hand"


def test_pictures_of_one_registration_are_numbered(
    unit: ImportUnit, importer: Importer, target: ImportTarget, tmp_path: Path
) -> None:
    uids = [stored(importer.bring(file(tmp_path, f"{n}.png", png(pattern(20 + n, 20))), target)) for n in range(3)]
    datasets = [unit.data_set(uid) for uid in uids]
    assert [dataset.InstanceNumber for dataset in datasets] == [1, 2, 3]
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 1


def test_dicom_goes_in_as_it_is(unit: ImportUnit, importer: Importer, tmp_path: Path) -> None:
    path = small_chest(tmp_path / "IM0001", seed=3)
    uid = stored(importer.bring(path, None))
    assert path.read_bytes().endswith(unit.orthanc.stored[uid])


def test_history_says_who_brought_it(
    unit: ImportUnit, importer: Importer, target: ImportTarget, tmp_path: Path
) -> None:
    from appliance.store.connect import open_reader

    uid = stored(importer.bring(file(tmp_path, "secret-name.png", png(pattern(31, 9))), target))
    with open_reader(unit.config.unit_db) as db:
        (entry,) = read_journal(db, uid)
    assert (entry.event, entry.actor) == ("imported", "nurse")
    assert "secret-name" not in entry.detail


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.jpg", b"", "empty"),
        ("a.txt", b"hello", "unknown-kind"),
        ("a.jpg", b"hello", "wrong-extension"),
        ("a.jpg", png(pattern()), "wrong-extension"),
        ("a.pdf", bytes(128) + b"DICM", "wrong-extension"),
        ("a.heic", b"\0\0\0\x18ftypheic" + bytes(20), "unknown-kind"),
        ("a.jpg", jpeg()[:-9], "picture-cut"),
        ("a.png", png_header(60_000, 60_000), "picture-too-large"),
        ("a.mp4", mp4(codec=b"hvc1"), "video-coding"),
        ("a.mp4", mp4(parameters=sps(3840, 2160, level=52)), "video-level"),
        ("a.pdf", pdf(trailer=b"/Encrypt 9 0 R"), "paper-encrypted"),
        ("a.pdf", pdf(b"<< /Type /Catalog >>"), "paper-empty"),
        ("a.dcm", bytes(128) + b"DICM" + b"\2\0\x10\0UI\x04\x001.2\0\x08\0\x18\0", "dicom-damaged"),
        ("DICOMDIR", bytes(128) + b"DICM", "unknown-kind"),
    ],
)
def test_bad_file_is_refused_in_words_and_stays(
    unit: ImportUnit, importer: Importer, target: ImportTarget, tmp_path: Path, name: str, data: bytes, code: str
) -> None:
    path = file(tmp_path, name, data)
    before = dict(unit.orthanc.stored)
    outcome = importer.bring(path, target)
    assert (outcome.state, outcome.code) == (State.REFUSED, code)
    assert str(path) in outcome.sentence
    assert outcome.sentence.endswith("The file was left where it is.")
    assert path.read_bytes() == data
    assert unit.orthanc.stored == before


@pytest.mark.fault(61)
def test_preamble_that_is_another_file_does_not_go_in(unit: ImportUnit, importer: Importer, tmp_path: Path) -> None:
    path = small_chest(tmp_path / "a.dcm", seed=4)
    path.write_bytes(b"MZ polyglot".ljust(128, b"\0") + path.read_bytes()[128:])
    uid = stored(importer.bring(path, None))
    assert b"polyglot" not in unit.orthanc.stored[uid]


def test_picture_without_a_registration_is_refused(importer: Importer, tmp_path: Path) -> None:
    assert importer.bring(file(tmp_path, "a.jpg", jpeg()), None).code == "no-registration"


def test_links_pipes_folders_and_absent_files_are_refused(
    importer: Importer, target: ImportTarget, tmp_path: Path
) -> None:
    real = file(tmp_path, "a.jpg", jpeg())
    (tmp_path / "link.jpg").symlink_to(real)
    os.mkfifo(tmp_path / "pipe.jpg")
    codes = {name: importer.bring(tmp_path / name, target).code for name in ("link.jpg", "pipe.jpg", ".", "none.jpg")}
    assert codes == {"link.jpg": "symlink", "pipe.jpg": "not-a-file", ".": "not-a-file", "none.jpg": "not-found"}


@pytest.mark.fault(61)
def test_reader_that_dies_costs_one_file(unit: ImportUnit, target: ImportTarget, tmp_path: Path) -> None:
    from dataclasses import replace

    import msgspec

    small = msgspec.structs.replace(unit.config, limits=replace(unit.config.limits, import_memory_bytes_max=1 << 20))
    path = file(tmp_path, "a.png", png(pattern(13, 13)))
    with Importer(small, CLOCK, "nurse") as importer:
        assert importer.bring(path, target).code == "parser-died"
    with Importer(unit.config, CLOCK, "nurse") as importer:
        stored(importer.bring(path, target))


def test_closed_door_leaves_everything_as_it_was(unit: ImportUnit, target: ImportTarget, tmp_path: Path) -> None:
    path = file(tmp_path, "a.png", png(pattern(14, 13)))
    unit.gatekeeper.stop()
    try:
        with Importer(unit.config, CLOCK, "nurse") as importer:
            outcome = importer.bring(path, target)
    finally:
        unit.gatekeeper.restart()
    assert (outcome.code, outcome.is_transient) == ("door-closed", True)
    with Importer(unit.config, CLOCK, "nurse") as importer:
        stored(importer.bring(path, target))


def test_door_that_breaks_off_before_its_answer_is_no_success(
    unit: ImportUnit, target: ImportTarget, tmp_path: Path
) -> None:
    path = file(tmp_path, "a.png", png(pattern(15, 13)))
    unit.orthanc.received.clear()
    unit.orthanc.before_answer.clear()

    def cut() -> None:
        unit.orthanc.received.wait(30)
        unit.gatekeeper.process.kill()

    cutting = threading.Thread(target=cut)
    cutting.start()
    try:
        with Importer(unit.config, CLOCK, "nurse") as importer:
            outcome = importer.bring(path, target)
    finally:
        cutting.join()
        unit.orthanc.before_answer.set()
        unit.gatekeeper.process.wait()
        unit.gatekeeper.restart()
    assert (outcome.state, outcome.code) == (State.REFUSED, "door-lost")
    with Importer(unit.config, CLOCK, "nurse") as importer:
        again = importer.bring(path, target)
    assert stored(again) in unit.orthanc.stored


def test_two_imports_at_once_wait_for_each_other(unit: ImportUnit, target: ImportTarget, tmp_path: Path) -> None:
    paths = [file(tmp_path, f"{n}.png", png(pattern(40 + n, 13))) for n in range(4)]
    outcomes: list[Outcome] = []

    def run(mine: list[Path]) -> None:
        with Importer(unit.config, CLOCK, "nurse") as importer:
            outcomes.extend(importer.bring(path, target) for path in mine)

    threads = [threading.Thread(target=run, args=(paths[n::2],)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {stored(outcome) for outcome in outcomes} <= set(unit.orthanc.stored)
    assert len(outcomes) == 4


def test_folder_means_its_pictures_and_nothing_else(unit: ImportUnit, importer: Importer, tmp_path: Path) -> None:
    small_chest(tmp_path / "IM1")
    (tmp_path / "deep").mkdir()
    file(tmp_path / "deep", "b.jpg", b"broken")
    file(tmp_path, "Thumbs.db", b"x" * 200)
    (tmp_path / "out").symlink_to("/etc")
    found = find([tmp_path], importer, unit.config.limits)
    assert [path.name for path in found.files] == ["IM1", "b.jpg"]
    assert found.left_out_count == 1
    assert [problem.code for problem in found.problems] == ["symlink"]


def test_dcmread_agrees_on_what_was_sent(unit: ImportUnit, importer: Importer, tmp_path: Path) -> None:
    path = small_chest(tmp_path / "x.dcm", seed=9)
    uid = stored(importer.bring(path, None))
    assert unit.data_set(uid).PatientName == dcmread(path).PatientName
