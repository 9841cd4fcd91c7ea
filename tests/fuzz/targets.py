"""What is fuzzed: each parser with sound samples and the errors it may raise; any other error is a crash."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from appliance.dicom import header_worker
from appliance.dicom.structure import TornFile, check_complete
from appliance.domain.limits import LimitSet
from appliance.gatekeeper import pdu
from appliance.gatekeeper.command import CommandError, parse_command
from appliance.gatekeeper.dataset_scan import scan_for
from appliance.gatekeeper.messages import Inbound
from appliance.gatekeeper.violations import ViolationError
from appliance.imports import worker
from appliance.imports.exif import orientation
from appliance.imports.h264 import read_parameters
from appliance.imports.kinds import Kind, kind_of
from appliance.imports.mp4 import read_video
from appliance.imports.paper import check_paper
from appliance.imports.paper_properties import without_properties
from appliance.imports.pictures import read_picture
from appliance.imports.problems import ImportProblem
from appliance.imports.remux import write_video
from appliance.orthanc import dataset, feed, part10
from appliance.orthanc.worklist_match import QueryError
from appliance.orthanc.worklist_query import Entry, Query
from tests.support import import_files as files
from tests.support import rawdicom
from tests.support.files import small_chest

LIMITS = LimitSet(sequence_depth_max=6, element_count_max=300, inflate_bytes_max=1 << 20)
PIXELS_MAX = 1 << 20
SYNTAXES = (
    rawdicom.IMPLICIT,
    rawdicom.EXPLICIT,
    "1.2.840.10008.1.2.2",
    rawdicom.DEFLATED,
    "1.2.840.10008.1.2.4.50",
)
ENTRY = Entry(
    "key", "US", "", "20260105", "093000", "UNIT-01-42", "UNIT-01-7", "2.25.77", "7", "Benali^Fatima", "BENALI"
)


@dataclass(frozen=True, slots=True)
class Target:
    """One parser. ``run`` may raise ``allowed`` and nothing else."""

    run: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    allowed: tuple[type[Exception], ...] = ()


def _associate_rq(data: bytes) -> None:
    parsed = pdu.parse_associate_rq(data)
    pdu.clamp_max_length(bytearray(data), parsed, 1 << 17)


def _pdvs(data: bytes) -> None:
    list(pdu.pdvs(memoryview(rawdicom.pdu(rawdicom.DATA_TF, data))))


def _data_set_scan(data: bytes) -> None:
    """The first byte chooses the transfer syntax, the second the size of the pieces."""
    if len(data) < 2:
        return
    scan = scan_for(SYNTAXES[data[0] % len(SYNTAXES)], LIMITS)
    step = 1 + data[1]
    for start in range(2, len(data), step):
        scan.feed(memoryview(data)[start : start + step])
    scan.finish()


def _inbound(data: bytes) -> None:
    """A stream of whole P-DATA-TF PDUs, as the relay hands them over."""
    inbound = Inbound({1: rawdicom.EXPLICIT, 3: rawdicom.IMPLICIT}, LIMITS, lambda message: None)
    at = 0
    while at + pdu.HEADER_BYTES <= len(data):
        _, length = pdu.header(data, at)
        end = at + pdu.HEADER_BYTES + length
        if end > len(data):
            return
        inbound.take(memoryview(data)[at:end])
        at = end


def _part10(data: bytes) -> None:
    meta = part10.parse_meta(data)
    part10.digests(data, meta.dataset_offset)
    part10.is_executable_preamble(data)


def _feed(data: bytes) -> None:
    rows = feed.parse_rows(json.loads(data.decode("utf-8", "replace")))
    feed.follow(feed.START, rows)


def _worklist(data: bytes) -> None:
    query = Query(data, "US1", "utf8")
    query.matches(ENTRY)
    for element in dataset.parse(_item_data_set(), rawdicom.EXPLICIT).values():
        for step in element.items or ():
            query.matches_step(step, "utf-8")
            query.fill(dataset.parse(_item_data_set(), rawdicom.EXPLICIT), step)


def _small_data_set(data: bytes) -> None:
    for syntax in SYNTAXES[:3]:
        found = dataset.parse(data, syntax)
        if syntax == rawdicom.EXPLICIT:
            dataset.encode(found)


def _header_answer(data: bytes) -> None:
    """As the child answers; whatever pydicom raises must have become an answer."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        answer = header_worker.answer({"do": "header", "path": file.name})
    code, _ = json.loads(json.dumps(answer)).get("error", ["", ""])
    assert code in ("", "unreadable"), f"damage is taken for {code}"


def _structure(data: bytes) -> None:
    check_complete(io.BytesIO(data), len(data))


def _kind(data: bytes) -> None:
    for name in ("a.jpg", "a.png", "a.mp4", "a.pdf", "a.dcm", "DICOMDIR", "a"):
        try:
            kind_of(Path(name), data[:132])
        except ImportProblem:
            continue


def _video(data: bytes) -> None:
    video = read_video(io.BytesIO(data), len(data))
    target = io.BytesIO()
    length = write_video(video, io.BytesIO(data), target)
    again = read_video(io.BytesIO(target.getvalue()), length)
    assert len(again.samples) == len(video.samples), "a rewritten video has other pictures"


def _medium(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.write_bytes(data)
        worker.list_medium({"source": str(source), "target": str(Path(folder) / "listed")})


@cache
def _chest() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return small_chest(Path(folder) / "x.dcm").read_bytes()[:3000]


def _open_sequence() -> bytes:
    """A file that ends inside a sequence of undefined length, before what identifies it."""
    chest = _chest()
    begin = rawdicom.long_element(8, 0x1140, b"SQ", b"", rawdicom.UNDEFINED)
    item = rawdicom.data_set_item(rawdicom.element(8, 0x1150, b"UI", b"1.2\0"), rawdicom.UNDEFINED)
    return chest[: part10.parse_meta(chest).dataset_offset] + begin + item


@cache
def _item_data_set() -> bytes:
    item = files.worklist_item()
    return item[part10.parse_meta(item).dataset_offset :]


@cache
def _dicomdir() -> bytes:
    from pydicom import dcmread
    from pydicom.fileset import FileSet

    with tempfile.TemporaryDirectory() as folder:
        fileset = FileSet()
        fileset.add(dcmread(small_chest(Path(folder) / "x.dcm")))
        fileset.write(Path(folder))
        fileset._stage["t"].cleanup()  # pydicom leaves that to the garbage collector, with a warning
        return (Path(folder) / "DICOMDIR").read_bytes()


def _data_sets() -> list[bytes]:
    nested = rawdicom.nested(5) + rawdicom.nested(5, defined=True)
    plain = [rawdicom.image("1.2.3", 40), nested, _item_data_set()]
    return [bytes([syntax, 7]) + data for syntax in (0, 1, 2, 4) for data in plain] + [
        bytes([3, 9]) + rawdicom.deflate(data) for data in plain
    ]


def _stream() -> list[bytes]:
    image = rawdicom.image("1.2.3", 40)
    return [
        rawdicom.data_tf(1, rawdicom.COMMAND, rawdicom.store_rq("1.2.3"))
        + rawdicom.data_tf(1, 0, image[:30])
        + rawdicom.data_tf(1, rawdicom.LAST_DATA, image[30:])
    ]


def _pdu_seeds() -> list[bytes]:
    return [rawdicom.associate_rq(), rawdicom.associate_rq(contexts=[(n, "1.2", ("1.3", "1.4")) for n in (1, 3, 5)])]


def _row_seeds() -> list[bytes]:
    row = {"Seq": 3, "ChangeType": "NewInstance", "ID": "a", "Date": "b", "ResourceType": "Instance", "Path": "/"}
    return [json.dumps([row, {**row, "Seq": 4}]).encode(), b"[]", b"{}"]


def _jpegs() -> list[bytes]:
    turned = files.with_segments(files.jpeg(files.pattern(16, 16)), files.exif(6))
    return [turned, files.jpeg(files.pattern(24, 16), "444"), files.jpeg(files.pattern(16, 24, 1))]


def _pngs() -> list[bytes]:
    return [files.png(files.pattern(9, 7, colours)) for colours in (1, 3)] + [files.png_header(64, 64)]


def _pdfs() -> list[bytes]:
    stream = b"<< /Type /ObjStm /Length 9 >>\nstream\n<< /Type /Page >>\nendstream"
    with_info = files.pdf(b"<< /Author (A) /Title <4142> >>", stream, trailer=b"/Info 1 0 R")
    return [files.pdf(), files.pdf(b"<< /Type /Catalog >>", stream), with_info]


TARGETS: dict[str, Target] = {
    "associate-rq": Target(_associate_rq, _pdu_seeds, (pdu.PduError,)),
    "associate-ac": Target(
        pdu.parse_associate_ac,
        lambda: [b"\2" + seed[1:].replace(b"\x20\0", b"\x21\0") for seed in _pdu_seeds()],
        (pdu.PduError,),
    ),
    "pdvs": Target(_pdvs, lambda: [rawdicom.pdv(1, 3, b"abcd") + rawdicom.pdv(1, 2, b"ef")], (pdu.PduError,)),
    "command": Target(parse_command, lambda: [rawdicom.store_rq("1.2.3")], (CommandError,)),
    "data-set-scan": Target(_data_set_scan, _data_sets, (ViolationError,)),
    "association": Target(_inbound, _stream, (ViolationError,)),
    "plugin-part10": Target(_part10, lambda: [_chest(), files.worklist_item()], (part10.NotPart10Error,)),
    "plugin-feed": Target(_feed, _row_seeds, (ValueError,)),
    "plugin-worklist": Target(_worklist, lambda: [files.worklist_item()], (QueryError,)),
    "plugin-data-set": Target(_small_data_set, lambda: [_item_data_set()], (dataset.DataSetError,)),
    "header": Target(_header_answer, lambda: [_chest(), files.worklist_item(), _open_sequence()]),
    "structure": Target(_structure, lambda: [_chest(), files.worklist_item()], (TornFile,)),
    "import-kind": Target(_kind, lambda: [_chest()[:132], files.jpeg()[:132], files.mp4()[:132]], ()),
    "import-exif": Target(orientation, lambda: [files.exif(6)[10:], files.exif(3, ">")[10:]]),
    "import-jpeg": Target(lambda data: read_picture(Kind.JPEG, data, PIXELS_MAX), _jpegs, (ImportProblem,)),
    "import-png": Target(lambda data: read_picture(Kind.PNG, data, PIXELS_MAX), _pngs, (ImportProblem,)),
    "import-video-parameters": Target(read_parameters, lambda: [files.sps(), files.sps(profile=77)], (ImportProblem,)),
    "import-video": Target(_video, lambda: [files.mp4(), files.mp4(sound=False, chunk_count=7)], (ImportProblem,)),
    "import-paper": Target(check_paper, _pdfs, (ImportProblem,)),
    "import-paper-properties": Target(without_properties, _pdfs, (ImportProblem,)),
    "import-medium": Target(_medium, lambda: [_dicomdir()], (ImportProblem,)),
}
