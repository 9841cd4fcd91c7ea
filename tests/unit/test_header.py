"""Headers of untrusted files are read by a child that may die: one file fails, the next is read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_charset_files

from appliance.dicom.header import HeaderError, HeaderReader, header_from
from tests.support.files import sample_files, small_chest


def test_header_says_what_the_file_says() -> None:
    with HeaderReader() as reader:
        for sample in sample_files():
            if sample.path.read_bytes()[128:132] != b"DICM":
                continue
            dataset = pydicom.dcmread(sample.path, stop_before_pixels=True)
            header = reader.read(sample.path)
            assert header.sop_instance_uid == dataset.SOPInstanceUID
            assert header.sop_class_uid == dataset.SOPClassUID
            assert header.series_instance_uid == dataset.SeriesInstanceUID
            assert header.study.study_instance_uid == dataset.StudyInstanceUID
            assert header.transfer_syntax_uid == dataset.file_meta.TransferSyntaxUID
            assert header.study.patient_name == str(dataset.get("PatientName", "")).strip()
            assert header.study.modality == dataset.get("Modality", "")


@pytest.mark.parametrize(
    ("file_name", "patient_name"),
    [
        ("chrFren.dcm", "Buc^Jérôme"),
        ("chrArab.dcm", "قباني^لنزار"),
        ("chrH31.dcm", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("chrX1.dcm", "Wang^XiaoDong=王^小東"),
        ("chrX2.dcm", "Wang^XiaoDong=王^小东"),
        ("chrI2.dcm", "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_name_is_read_in_its_character_set(file_name: str, patient_name: str) -> None:
    (found,) = get_charset_files(file_name)
    path = Path(found)
    with HeaderReader() as reader:
        header = reader.read(path)
    assert (header.study.patient_name, header.suspect_encoding) == (patient_name, "")


def test_arabic_name_in_utf_8_is_read_with_both_groups(tmp_path: Path) -> None:
    path = labelled(tmp_path, "ISO_IR 192", "BENALI^FATIMA=بنعلي^فاطمة")
    with HeaderReader() as reader:
        header = reader.read(path)
    assert (header.study.patient_name, header.suspect_encoding) == ("BENALI^FATIMA=بنعلي^فاطمة", "")


def test_arabic_name_under_a_latin_label_is_flagged_and_left_as_it_is(tmp_path: Path) -> None:
    path = labelled(tmp_path, "ISO_IR 192", "بنعلي^فاطمة")
    relabelled = path.read_bytes().replace(b"ISO_IR 192", b"ISO_IR 100")
    path.write_bytes(relabelled)
    with HeaderReader() as reader:
        header = reader.read(path)
    assert header.suspect_encoding == "utf-8"
    assert header.study.patient_name == "بنعلي^فاطمة".encode().decode("latin-1")
    assert path.read_bytes() == relabelled


def labelled(folder: Path, label: str, name: str) -> Path:
    path = small_chest(folder / "named.dcm")
    dataset = pydicom.dcmread(path)
    dataset.SpecificCharacterSet = label
    dataset.PatientName = name
    dataset.save_as(path)
    return path


@pytest.mark.fault(61)
def test_deflate_bomb_costs_its_own_file_only(tmp_path: Path) -> None:
    import zlib

    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # A private element of 1 GiB of zeros before the patient's name.
    bomb = deflate.compress(b"\x09\x00\x10\x10OB\0\0" + (1 << 30).to_bytes(4, "little"))
    for _ in range(256):
        bomb += deflate.compress(bytes(4 << 20))
    bomb += deflate.flush()
    meta = b"\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99"
    path = tmp_path / "bomb.dcm"
    path.write_bytes(bytes(128) + b"DICM" + meta + bomb)
    assert_others_are_read(path, {"no-identity", "unreadable", "parser-died"}, tmp_path)


@pytest.mark.fault(61)
def test_deep_nesting_costs_its_own_file_only(tmp_path: Path) -> None:
    meta = b"\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\0"
    nest = b"\x08\x00\x15\x11\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path = tmp_path / "deep.dcm"
    path.write_bytes(bytes(128) + b"DICM" + meta + nest * 100_000)
    assert_others_are_read(path, {"unreadable", "parser-died", "no-identity"}, tmp_path)


@pytest.mark.fault(61)
def test_element_larger_than_the_memory_bound_costs_its_own_file_only(tmp_path: Path) -> None:
    meta = b"\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\0"
    path = tmp_path / "huge.dcm"
    path.write_bytes(bytes(128) + b"DICM" + meta + b"\x10\x00\x10\x00\x00\x00\x00\x40")
    with path.open("r+b") as file:
        file.truncate(0x40000000 + 200)
    assert_others_are_read(path, {"unreadable", "parser-died"}, tmp_path)


@pytest.mark.fault(61)
def test_parser_that_stalls_is_killed_and_the_next_file_is_read(tmp_path: Path) -> None:
    stalling = tmp_path / "fifo"
    os.mkfifo(stalling)
    good = small_chest(tmp_path / "good.dcm")
    with HeaderReader() as reader:
        reader.read(good)
        reader._answer_s_max = 0.3  # the child runs by now, so only this file can make it late
        with pytest.raises(HeaderError) as caught:
            reader.read(stalling)
    assert caught.value.code == "parser-stalled"
    assert_others_are_read(tmp_path / "absent", {"missing"}, tmp_path)


@pytest.mark.fault(61)
def test_parser_killed_between_two_files_is_started_again(tmp_path: Path) -> None:
    good = small_chest(tmp_path / "good.dcm")
    with HeaderReader() as reader:
        reader.read(good)
        child = reader._child.process
        assert child is not None
        child.kill()
        child.wait()
        assert reader.read(good).study.modality


def test_warm_starts_the_parser_that_reads_the_next_file(tmp_path: Path) -> None:
    with HeaderReader() as reader:
        reader.warm()
        started = reader._child.process
        assert started is not None
        reader.read(small_chest(tmp_path / "good.dcm"))
        assert reader._child.process is started


def assert_others_are_read(bad: Path, codes: set[str], folder: Path) -> None:
    good = small_chest(folder / "good.dcm")
    with HeaderReader() as reader:
        with pytest.raises(HeaderError) as caught:
            reader.read(bad)
        assert caught.value.code in codes
        assert reader.read(good).sop_instance_uid == pydicom.dcmread(good).SOPInstanceUID


@pytest.mark.fault(62)
@pytest.mark.parametrize("uid", ["", "1.2/../../etc", "1.2\0", "1" * 65, "../1", "1.2.a"])
def test_uid_that_is_no_uid_is_refused(uid: str) -> None:
    keywords = ("SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID", "TransferSyntaxUID")
    values = dict.fromkeys(keywords, "1.2.3")
    header_from(values)
    for keyword in values:
        with pytest.raises(HeaderError) as caught:
            header_from({**values, keyword: uid})
        assert caught.value.code == "no-identity"


def test_intake_side_carries_no_parser() -> None:
    code = (
        "import sys, appliance.dicom.header, appliance.orthanc.intake\n"
        "print([m for m in ('pydicom', 'httpx', 'pynetdicom', 'numpy', 'sqlite_utils') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_file_that_ends_inside_a_sequence_is_no_fault_of_the_medium(tmp_path: Path) -> None:
    path = small_chest(tmp_path / "a.dcm")
    whole = path.read_bytes()
    at = whole.index(b"\x08\x00\x16\x00UI")
    path.write_bytes(whole[:at] + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff")
    with HeaderReader() as reader, pytest.raises(HeaderError) as caught:
        reader.read(path)
    assert caught.value.code == "unreadable"
