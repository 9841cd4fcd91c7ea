"""The walk over a data set: where it ends, how deep it goes, and what is refused.

The table of odd data sets was sent to bare Orthanc 1.10.1 and 1.12.7: what is refused here they dropped, in part with
Success, or hung on for 30 s.
"""

from __future__ import annotations

import struct
from pathlib import Path

import pydicom.uid
import pytest
from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary

from appliance.domain.limits import LimitSet
from appliance.gatekeeper.dataset_scan import DEFLATED, EXPLICIT_BIG_ENDIAN, IMPLICIT_LITTLE_ENDIAN, scan_for
from appliance.gatekeeper.sequence_tags import SEQUENCE_TAGS, may_be_private_sequence
from appliance.gatekeeper.violations import ViolationError
from tests.support.rawdicom import (
    EXPLICIT,
    IMPLICIT,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    data_set_item,
    deflate,
    element,
    image,
    long_element,
    nested,
)

LIMITS = LimitSet(sequence_depth_max=32, element_count_max=1000, inflate_bytes_max=4 << 20)
CODE = element(0x0008, 0x0100, b"SH", b"1")
IMPLICIT_CODE = struct.pack("<HHI", 0x0008, 0x0100, 2) + b"1 "
ENCAPSULATED = "1.2.840.10008.1.2.4.50"


def verdict(data: bytes, transfer_syntax_uid: str = EXPLICIT, limits: LimitSet = LIMITS) -> str:
    """The violation's code, or ``sound``; the same in one piece and, when it is small, byte by byte."""
    whole = _verdict([data], transfer_syntax_uid, limits)
    if len(data) < 50_000:
        single = [data[at : at + 1] for at in range(len(data))]
        assert _verdict(single, transfer_syntax_uid, limits) == whole
    return whole


def _verdict(pieces: list[bytes], transfer_syntax_uid: str, limits: LimitSet) -> str:
    scan = scan_for(transfer_syntax_uid, limits)
    try:
        for piece in pieces:
            scan.feed(piece)
        scan.finish()
    except ViolationError as violation:
        return violation.code
    return "sound"


def sequence(value: bytes, length: int | None = None, vr: bytes = b"SQ") -> bytes:
    return long_element(0x0040, 0x0555, vr, value, length)


def pixels(fragments: bytes) -> bytes:
    return long_element(0x7FE0, 0x0010, b"OB", b"", UNDEFINED) + fragments


def implicit(group: int, number: int, value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHI", group, number, len(value) if length is None else length) + value


def implicit_nested(depth: int) -> bytes:
    inner = b""
    for _ in range(depth):
        inner = implicit(0x0040, 0x0555, data_set_item(inner))
    return inner


def test_transfer_syntaxes_are_those_of_the_dictionary() -> None:
    assert pydicom.uid.ImplicitVRLittleEndian == IMPLICIT_LITTLE_ENDIAN
    assert pydicom.uid.ExplicitVRBigEndian == EXPLICIT_BIG_ENDIAN
    known = UID_dictionary.items()
    named = {uid for uid, row in known if row[1] == "Transfer Syntax" and "Deflate" in row[0]}
    # Deflated Image Frame Compression deflates frames, not the data set.
    assert named - {"1.2.840.10008.1.2.8.1"} == DEFLATED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        image("1.2.3"),
        image("1.2.3", between=sequence(data_set_item(CODE) + SEQUENCE_END, UNDEFINED)),
        image("1.2.3", between=sequence(data_set_item(CODE, UNDEFINED) + ITEM_END + SEQUENCE_END, UNDEFINED)),
        image("1.2.3", between=sequence(data_set_item(CODE + ITEM_END) + SEQUENCE_END, UNDEFINED)),
        image("1.2.3", between=sequence(data_set_item(CODE) + SEQUENCE_END)),
        image("1.2.3", between=sequence(data_set_item(CODE) + SEQUENCE_END + CODE)),
        image("1.2.3", between=sequence(data_set_item(CODE), 4)),
        image("1.2.3", between=sequence(data_set_item(CODE, 4))),
        image("1.2.3", between=sequence(b"")),
        image("1.2.3", between=struct.pack("<HH2sH", 0x40, 0x555, b"??", 4) + b"abcd"),
        image("1.2.3", between=long_element(0x40, 0x555, b"ZZ", b"abcd")),
        image("1.2.3", between=sequence(data_set_item(IMPLICIT_CODE) + SEQUENCE_END, UNDEFINED, b"UN")),
        image("1.2.3", between=sequence(b"not items at all", None, b"UN")),
        image("1.2.3", between=sequence(data_set_item(IMPLICIT_CODE), None, b"UN")),
        image("1.2.3", between=sequence(data_set_item(b"ab", 0x7FFFFFFF), None, b"UN")),
        pixels(data_set_item(b"") + data_set_item(bytes(10_000)) + SEQUENCE_END),
        pixels(SEQUENCE_END) + CODE,
    ],
    ids=range(18),
)
def test_sound_data_set_ends_where_it_should(data: bytes) -> None:
    assert verdict(data) == "sound"


@pytest.mark.fault(28)
@pytest.mark.parametrize("missing", [1, 2, 7, 5000, 9_999, 10_000, 10_001, 10_007, 10_011])
def test_data_set_cut_inside_an_element_is_truncated(missing: int) -> None:
    assert verdict(image("1.2.3")[:-missing]) == "object-truncated"


@pytest.mark.fault(28)
@pytest.mark.parametrize(
    "data",
    [
        sequence(b"", UNDEFINED),
        sequence(data_set_item(CODE), UNDEFINED),
        sequence(data_set_item(CODE, UNDEFINED), UNDEFINED),
        sequence(data_set_item(CODE), 100),
        sequence(data_set_item(CODE, 100), UNDEFINED),
        pixels(data_set_item(b"")),
        pixels(data_set_item(b"") + data_set_item(bytes(10), 100)),
        sequence(b"a value of unknown kind", 100, b"UN"),
        sequence(data_set_item(IMPLICIT_CODE), 100, b"UN"),
        image("1.2.3") + b"\0",
    ],
    ids=range(10),
)
def test_data_set_that_leaves_something_open_is_truncated(data: bytes) -> None:
    assert verdict(data) == "object-truncated"


@pytest.mark.fault(28)
@pytest.mark.parametrize("missing", [1, 100, 10_003])
def test_implicit_data_set_cut_inside_an_element_is_truncated(missing: int) -> None:
    data = implicit(8, 0x18, b"1.2.3\0") + implicit(0x10, 0x10, b"TEST^GATE ") + implicit(0x7FE0, 0x10, bytes(10_000))

    assert verdict(data, IMPLICIT) == "sound"
    assert verdict(data[:-missing], IMPLICIT) == "object-truncated"


@pytest.mark.parametrize(
    "between",
    [
        ITEM_END,
        SEQUENCE_END,
        data_set_item(CODE),
        sequence(CODE),
        sequence(data_set_item(CODE) + ITEM_END + SEQUENCE_END, UNDEFINED),
        sequence(data_set_item(CODE)) + SEQUENCE_END,
        sequence(data_set_item(CODE, UNDEFINED) + SEQUENCE_END, UNDEFINED),
        long_element(0x0041, 0x1001, b"OB", data_set_item(b"abcd") + SEQUENCE_END, UNDEFINED),
        long_element(0x0041, 0x1001, b"UT", data_set_item(CODE) + SEQUENCE_END, UNDEFINED),
        struct.pack("<HHI", 0xFFFE, 0xE0FF, 0),
        sequence(data_set_item(CODE) + SEQUENCE_END + data_set_item(CODE)),
        sequence(data_set_item(CODE + ITEM_END + CODE)),
        long_element(0x7FE0, 0x0010, b"UT", SEQUENCE_END, UNDEFINED),
    ],
    ids=range(13),
)
def test_stray_delimiter_or_missing_item_is_malformed(between: bytes) -> None:
    assert verdict(image("1.2.3", between=between)) == "object-malformed"


@pytest.mark.parametrize(
    "fragments", [data_set_item(bytes(10)) + CODE, data_set_item(b"", UNDEFINED), data_set_item(b"") + ITEM_END]
)
def test_pixel_fragments_hold_nothing_but_fragments(fragments: bytes) -> None:
    assert verdict(pixels(fragments + SEQUENCE_END), ENCAPSULATED) == "object-malformed"


@pytest.mark.fault(61)
@pytest.mark.parametrize("defined", [False, True])
def test_nested_sequences_beyond_the_depth_are_refused(defined: bool) -> None:
    assert verdict(nested(32, defined=defined)) == "sound"
    assert verdict(nested(33, defined=defined)) == "sequence-depth"
    assert verdict(nested(3000)) == "sequence-depth"


@pytest.mark.fault(61)
def test_nesting_hidden_in_values_without_a_vr_is_refused() -> None:
    assert verdict(implicit_nested(32), IMPLICIT) == "sound"
    assert verdict(implicit_nested(33), IMPLICIT) == "sequence-depth"
    assert verdict(sequence(data_set_item(implicit_nested(31)), None, b"UN")) == "sound"
    assert verdict(sequence(data_set_item(implicit_nested(32)), None, b"UN")) == "sequence-depth"


def short_nested(depth: int, length: int, group: int = 0x0040, number: int = 0x0555) -> bytes:
    """Each sequence claims ``length`` bytes and holds more."""
    inner = IMPLICIT_CODE
    for _ in range(depth):
        inner = implicit(group, number, b"", length) + data_set_item(inner)
    return inner


@pytest.mark.fault(61)
@pytest.mark.parametrize("length", [0, 8, 12, 4000])
@pytest.mark.parametrize(("group", "number"), [(0x0040, 0x0555), (0x2001, 0x105F)], ids=["standard", "private"])
def test_nesting_with_lying_lengths_is_followed_as_dcmtk_follows_it(length: int, group: int, number: int) -> None:
    """Depth 20,000 of this ended Orthanc 1.10.1 and 1.12.7 with a segmentation fault; depth 5 they store."""
    pixels = implicit(0x7FE0, 0x0010, bytes(4000))
    bomb = short_nested(33, length, group, number) + pixels

    assert verdict(bomb, IMPLICIT) == ("sequence-depth" if length else "object-malformed")
    if 0 < length < 4000:
        assert verdict(short_nested(5, length) + pixels, IMPLICIT) == "sound"


def test_tags_of_sequences_are_those_of_the_dictionaries() -> None:
    standard = {tag for tag, row in DicomDictionary.items() if "SQ" in row[0].split(" or ")}
    assert standard <= SEQUENCE_TAGS
    assert not {tag for tag, row in DicomDictionary.items() if "SQ" not in row[0]} & SEQUENCE_TAGS

    for path in Path("/usr/share").glob("libdcmtk*/*.dic"):
        rows = (line.split("\t") for line in path.read_text(errors="replace").splitlines() if line.startswith("("))
        for tag, vr, *_ in rows:
            groups, number = (part.strip("()") for part in tag.split(",")) if tag.count(",") == 1 else ("", "")
            if vr != "SQ":
                continue
            if number:
                group = int(groups.split("-")[0], 16)
                assert group << 16 | int(number, 16) in SEQUENCE_TAGS, tag
            else:
                group, element = int(tag[1:5], 16), int(tag[-3:-1], 16)
                assert may_be_private_sequence(group, 0x1000 | element), tag


def test_value_that_only_looks_like_an_item_is_no_violation() -> None:
    lookalike = struct.pack("<HHI", 0xFFFE, 0xE000, 4) + b"\xff" * 40

    assert verdict(implicit(0x0009, 0x1001, lookalike) + implicit(0x0010, 0x0010, b"A^B "), IMPLICIT) == "sound"
    assert verdict(implicit(0x7FE0, 0x0010, implicit_nested(40)), IMPLICIT) == "sound"


@pytest.mark.parametrize(
    "value",
    [
        data_set_item(b"abcd") + b"xyz",
        data_set_item(IMPLICIT_CODE) + SEQUENCE_END + b"something else",
        data_set_item(IMPLICIT_CODE) + b"xyz",
        data_set_item(struct.pack("<HHI", 8, 0x18, 1000), UNDEFINED),
        data_set_item(struct.pack("<HHI", 8, 0x18, 3), UNDEFINED) + b"ab",
        data_set_item(IMPLICIT_CODE, 1000),
        data_set_item(implicit(0x0040, 0x0555, b"", 1000), UNDEFINED),
        data_set_item(implicit(0x7FE0, 0x0010, data_set_item(b"", 1000), UNDEFINED), UNDEFINED),
        data_set_item(implicit(0x7FE0, 0x0010, data_set_item(b"", UNDEFINED), UNDEFINED), UNDEFINED),
        data_set_item(implicit(0x0009, 0x1002, data_set_item(b"", 1000)), UNDEFINED),
    ],
    ids=range(10),
)
def test_private_value_that_is_nearly_a_sequence_is_skipped_to_its_end(value: bytes) -> None:
    after = implicit(0x0010, 0x0010, b"A^B ") + implicit(0x7FE0, 0x0010, bytes(100))

    assert verdict(implicit(0x0009, 0x1001, value) + after, IMPLICIT) == "sound"
    assert verdict(implicit(0x0009, 0x1001, value) + after[:-1], IMPLICIT) == "object-truncated"
    assert verdict(sequence(value, None, b"UN") + CODE) == "sound"


@pytest.mark.fault(61)
@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
def test_nesting_under_the_tag_of_pixels_is_no_run_of_fragments(vr: bytes) -> None:
    inner = nested(33) if vr == b"SQ" else implicit_nested(33)
    bomb = long_element(0x7FE0, 0x0010, vr, data_set_item(inner) + SEQUENCE_END, UNDEFINED)

    assert verdict(bomb) == "sequence-depth"


def test_depth_counts_open_levels_only() -> None:
    assert verdict(nested(32) * 5) == "sound"


@pytest.mark.fault(61)
def test_more_elements_than_allowed_are_refused() -> None:
    assert verdict(CODE * 1000) == "sound"
    assert verdict(CODE * 1001) == "element-count"
    assert verdict(sequence(data_set_item(b"") * 1001 + SEQUENCE_END, UNDEFINED)) == "element-count"
    assert verdict(pixels(data_set_item(b"") * 1001 + SEQUENCE_END)) == "element-count"


def test_big_endian_headers_are_read_big_endian() -> None:
    data = struct.pack(">HH2sH", 8, 0x60, b"CS", 2) + b"CR" + struct.pack(">HH2s2xI", 0x7FE0, 0x10, b"OW", 4) + b"abcd"

    assert verdict(data, EXPLICIT_BIG_ENDIAN) == "sound"
    assert verdict(data[:-1], EXPLICIT_BIG_ENDIAN) == "object-truncated"


def test_declared_length_costs_no_memory() -> None:
    scan = scan_for(EXPLICIT, LIMITS)

    scan.feed(long_element(0x7FE0, 0x0010, b"OW", b"", 0xFFFFFFFE))

    with pytest.raises(ViolationError, match=r"4294967294 bytes of a value are missing"):
        scan.finish()


@pytest.mark.parametrize("uid", sorted(DEFLATED))
def test_deflated_data_set_is_judged_inflated(uid: str) -> None:
    assert verdict(deflate(image("1.2.3")), uid) == "sound"
    assert verdict(deflate(image("1.2.3")[:-10]), uid) == "object-truncated"
    assert verdict(deflate(image("1.2.3"))[:-8], uid) == "object-truncated"
    assert verdict(deflate(nested(40)), uid) == "sequence-depth"
    assert verdict(b"\xff" * 100, uid) == "object-malformed"


def test_bytes_after_the_deflate_stream_are_malformed_but_for_the_pad() -> None:
    packed = deflate(image("1.2.3"))

    assert verdict(packed, pydicom.uid.DeflatedExplicitVRLittleEndian) == "sound"
    assert verdict(packed + b"\0\0", pydicom.uid.DeflatedExplicitVRLittleEndian) == "object-malformed"
    assert verdict(packed + b"\0", pydicom.uid.DeflatedExplicitVRLittleEndian) == "object-malformed"


@pytest.mark.fault(61)
def test_deflate_bomb_is_refused_long_before_it_is_inflated() -> None:
    bomb = deflate(long_element(0x7FE0, 0x0010, b"OB", bytes(3 << 20)))

    assert len(bomb) < 10_000
    assert verdict(bomb, pydicom.uid.DeflatedExplicitVRLittleEndian) == "inflate-limit"


@pytest.mark.fault(61)
def test_deflated_object_beyond_the_absolute_cap_is_refused() -> None:
    generous = LimitSet(inflate_ratio_max=10_000, inflate_bytes_max=2 << 20)
    bomb = deflate(long_element(0x7FE0, 0x0010, b"OB", bytes(3 << 20)))

    assert verdict(bomb, pydicom.uid.DeflatedExplicitVRLittleEndian, generous) == "inflate-limit"


def test_small_black_picture_may_deflate_a_thousandfold() -> None:
    black = deflate(image("1.2.3", pixel_bytes=900_000))

    assert verdict(black, pydicom.uid.DeflatedExplicitVRLittleEndian) == "sound"
