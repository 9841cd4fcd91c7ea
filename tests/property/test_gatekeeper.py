"""Whatever arrives, in whatever pieces: the same verdict, no other error, and sound data sets pass."""

from __future__ import annotations

import contextlib
import io
import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, AllTransferSyntaxes, DeflatedExplicitVRLittleEndian, generate_uid

from appliance.domain.limits import LimitSet
from appliance.gatekeeper import pdu
from appliance.gatekeeper.command import CommandError, parse_command
from appliance.gatekeeper.dataset_scan import scan_for
from appliance.gatekeeper.messages import Inbound, Message
from appliance.gatekeeper.pdu import PduError
from appliance.gatekeeper.violations import ViolationError
from tests.support import rawdicom
from tests.support.files import sample_files
from tests.support.rawdicom import deflate

LIMITS = LimitSet(sequence_depth_max=4, element_count_max=60, inflate_bytes_max=1 << 20)
SYNTAXES = [rawdicom.IMPLICIT, rawdicom.EXPLICIT, "1.2.840.10008.1.2.2", rawdicom.DEFLATED, "1.2.840.10008.1.2.4.50"]

lengths = st.sampled_from([0, 1, 2, 4, 7, 8, 9, 12, 16, 40, 0xFFFE, 0x7FFFFFFF, 0xFFFFFFFE, rawdicom.UNDEFINED])
tags = st.sampled_from([(8, 0x18), (0x7FE0, 0x10), (0x40, 0x555), (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)])
vrs = st.sampled_from([b"SQ", b"UN", b"OB", b"OW", b"UI", b"US", b"LO", b"??", b"ZZ", b"Z1"])


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Something like an element, item or delimiter header, in any of the encodings."""
    group, number = draw(tags)
    length = draw(lengths)
    order = draw(st.sampled_from("<<<>"))
    tag = struct.pack(f"{order}HH", group, number)
    form = draw(st.integers(0, 2))
    if form == 0 or group == 0xFFFE:
        return tag + struct.pack(f"{order}I", length)
    vr = draw(vrs)
    if form == 1:
        return tag + vr + struct.pack(f"{order}H", length & 0xFFFF)
    return tag + vr + bytes(2) + struct.pack(f"{order}I", length)


soups = st.lists(st.one_of(headers(), st.binary(max_size=20)), max_size=40).map(b"".join)
"""Bytes that are nearly a data set."""


def outcome(data: bytes, transfer_syntax_uid: str, cuts: list[int]) -> str:
    scan = scan_for(transfer_syntax_uid, LIMITS)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    try:
        for start, stop in itertools.pairwise(edges):
            scan.feed(memoryview(data)[start:stop])
        scan.finish()
    except ViolationError as violation:
        return str(violation)
    return "sound"


@settings(max_examples=400, deadline=None)
@given(soups, st.sampled_from(SYNTAXES), st.lists(st.integers(0, 2000), max_size=60), st.booleans())
def test_verdict_is_the_same_in_any_pieces(data: bytes, syntax: str, cuts: list[int], packed: bool) -> None:
    if packed and syntax == rawdicom.DEFLATED:
        data = deflate(data)

    whole = outcome(data, syntax, [])

    assert outcome(data, syntax, cuts) == whole
    assert outcome(data, syntax, list(range(len(data)))) == whole


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(SYNTAXES))
def test_arbitrary_bytes_give_a_verdict(data: bytes, syntax: str) -> None:
    assert outcome(data, syntax, []).split(":")[0] in {
        "sound",
        "object-truncated",
        "object-malformed",
        "sequence-depth",
        "element-count",
        "inflate-limit",
    }


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 3) -> Dataset:
    """A random data set of pydicom's making, with nested sequences and private and unknown elements."""
    made = Dataset()
    made.SOPInstanceUID = generate_uid()
    made.PatientName = draw(st.text("ABC^ ", max_size=20))
    made.Rows = draw(st.integers(0, 65535))
    made.PixelSpacing = [1, 2]
    made.add_new((0x0009, 0x0010), "LO", "MAKER")
    made.add_new((0x0009, 0x1001), "UN", draw(st.binary(max_size=30)))
    if depth:
        made.OtherPatientIDsSequence = Sequence(draw(st.lists(data_sets(depth - 1), max_size=2)))
        made["OtherPatientIDsSequence"].is_undefined_length = draw(st.booleans())
        for inner in made.OtherPatientIDsSequence:
            inner.is_undefined_length_sequence_item = draw(st.booleans())
    return made


def encoded(made: Dataset, syntax: UID, pixels: bytes) -> bytes:
    """As pydicom writes it for the wire."""
    if syntax.is_encapsulated:
        made.PixelData = encapsulate([pixels, pixels[::-1]])
        made["PixelData"].is_undefined_length = True
    else:
        made.PixelData = pixels
    made["PixelData"].VR = "OB"
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    write_dataset(file, made)
    data: bytes = file.getvalue()
    return deflate(data) if syntax == DeflatedExplicitVRLittleEndian else data


@pytest.mark.parametrize(
    "syntax",
    # The two JPIP syntaxes deflate as well; pydicom writes them plain.
    [s for s in AllTransferSyntaxes if "JPIP" not in s.name],
    ids=lambda s: str(s.name),
)
@settings(max_examples=10, deadline=None)
@given(made=data_sets(), pixels=st.binary(min_size=2, max_size=300).filter(lambda b: len(b) % 2 == 0))
def test_what_pydicom_writes_is_sound_and_cut_is_not(syntax: UID, made: Dataset, pixels: bytes) -> None:
    data = encoded(made, syntax, pixels)
    limits = LimitSet()

    def verdict(some: bytes) -> str:
        scan = scan_for(str(syntax), limits)
        try:
            scan.feed(some)
            scan.finish()
        except ViolationError as violation:
            return violation.code
        return "sound"

    assert verdict(data) == "sound"
    assert verdict(data[:-2]) == "object-truncated"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_pdu_and_command_parsers_know_one_error(data: bytes) -> None:
    for parse in (pdu.parse_associate_rq, pdu.parse_associate_ac):
        for whole in (data, rawdicom.pdu(1, data), rawdicom.pdu(1, rawdicom.associate_rq()[6:74] + data)):
            with contextlib.suppress(PduError):
                parse(whole)
    with contextlib.suppress(PduError):
        list(pdu.pdvs(memoryview(rawdicom.pdu(4, data))))
    with contextlib.suppress(CommandError):
        parse_command(data)


def _split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=4),
    cut_off=st.sets(st.integers(0, 3)),
    cuts=st.lists(st.integers(0, 4000), max_size=8),
    pdv_count=st.integers(1, 3),
)
def test_message_is_judged_the_same_in_any_fragments(
    sizes: list[int], cut_off: set[int], cuts: list[int], pdv_count: int
) -> None:
    """Each object is accepted or refused by itself, however commands and data are cut into PDVs and PDUs."""
    begun: list[Message] = []
    kept: list[bytearray] = []

    def on_message(message: Message) -> None:
        begun.append(message)
        kept.append(bytearray())
        message.keep = kept[-1].__iadd__  # type: ignore[assignment]  # what it returns is not looked at
        message.room_bytes = 1 << 30

    inbound = Inbound({1: rawdicom.EXPLICIT}, LimitSet(), on_message)
    sent, refused = [], []
    for number, size in enumerate(sizes):
        data = rawdicom.image(f"1.2.{number}", size - size % 2)
        sent.append(data[:-1] if number in cut_off else data)
        for pdus in (
            _pdus(rawdicom.store_rq(f"1.2.{number}", number), 1, cuts, pdv_count),
            _pdus(sent[-1], 0, cuts, pdv_count),
        ):
            for each in pdus:
                ended = inbound.take(memoryview(each))
                if ended:
                    refused.append(ended.command.message_id)

    assert inbound.is_between_messages
    assert refused == [number for number in range(len(sizes)) if number in cut_off]
    assert [m.command.sop_instance_uid for m in begun] == [f"1.2.{number}" for number in range(len(sizes))]
    assert [bytes(each) for each in kept] == sent


def _pdus(data: bytes, bit: int, cuts: list[int], pdv_count: int) -> list[bytes]:
    parts = _split(data, cuts)
    pdvs = [rawdicom.pdv(1, bit | (2 if n == len(parts) - 1 else 0), part) for n, part in enumerate(parts)]
    groups = [pdvs[n : n + pdv_count] for n in range(0, len(pdvs), pdv_count)]
    return [rawdicom.pdu(4, b"".join(group)) for group in groups]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 1, 1, 3]), st.integers(0, 3), st.binary(max_size=60)), max_size=10))
def test_hostile_fragments_end_in_a_violation_or_a_verdict(fragments: list[tuple[int, int, bytes]]) -> None:
    def on_message(message: Message) -> None:
        message.room_bytes = 1 << 30

    inbound = Inbound({1: rawdicom.IMPLICIT}, LIMITS, on_message)
    begin = [rawdicom.data_tf(1, 3, rawdicom.store_rq("1.2.3"))]
    try:
        for each in begin + [rawdicom.data_tf(*fragment) for fragment in fragments]:
            inbound.take(memoryview(each))
    except ViolationError:
        return


def test_data_set_of_every_real_example_is_sound() -> None:
    """Files as they lie on disk, not as pydicom would write them."""
    for sample in sample_files():
        data = sample.path.read_bytes()
        meta = dcmread(io.BytesIO(data), stop_before_pixels=True).file_meta
        offset = 132 + 12 + int(meta.FileMetaInformationGroupLength)
        scan = scan_for(str(meta.TransferSyntaxUID), LimitSet())
        scan.feed(data[offset:])
        scan.finish()
