"""Digests by which two Part 10 files are recognised as the same data set and the same pixels.

What counts as the same, and so gives the same ``dataset_sha256``:

- everything after group 0002 except pixel data, whatever the transfer syntax: implicit or explicit VR, little or big
  endian, deflated or not, defined or undefined lengths of sequences and items, order of the elements in the file;
- group length elements (gggg,0000) and Data Set Trailing Padding (FFFC,FFFC) are left out: toolkits drop or remake
  them;
- trailing blanks and NULs of an element that the DICOM dictionary knows as text do not count (PS3.5 section 6.2);
  every other value counts byte by byte, after turning big-endian words round;
- a VR counts only where it changes the bytes: an element written as UN, or without VR, is the same as one written with
  its own VR. A value of unknown or UN representation, or private OB, that parses as a whole sequence in implicit VR
  little endian is taken as one (PS3.5 section 6.2.2), unless it is longer than ``GUESSED_SEQUENCE_BYTES_MAX``.

``pixel_sha256`` is of the fragments of encapsulated pixel data with their lengths (without the Basic Offset Table,
which is an index), or of the native words in little endian; it is empty where there are no pixels. Nested pixel data
(icons) belong to the data set, and so do second pixels at the top, which no file should have.

Reading is streamed: memory is bounded by the element count, never by the size of a value. A hostile file ends in a
``DigestError`` after at most one pass over its bytes.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from appliance.dicom.structure import BIG_ENDIAN_UID, DEFLATED_UID, IMPLICIT_UID
from sync.wire.dictionary import dictionary_vr

GUESSED_SEQUENCE_BYTES_MAX = 1 << 20
META_BYTES_MAX = 1 << 20
ELEMENT_COUNT_MAX = 500_000
DEPTH_MAX = 64
INFLATED_BYTES_MAX = 2 << 30
INFLATE_RATIO_MAX = 100
STEP_BYTES = 1 << 20
PADDING_BYTES_MAX = 1 << 16

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_TRAILING_PADDING = 0xFFFCFFFC
PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
_TEXT_VRS = frozenset(
    {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
)
_GUESSED_VRS = frozenset({"", "UN", "OB"})
_WORD_BYTES = {"AT": 2, "US": 2, "SS": 2, "OW": 2, "UL": 4, "SL": 4, "OL": 4, "FL": 4, "OF": 4}
_WORD_BYTES |= {"FD": 8, "OD": 8, "SV": 8, "UV": 8, "OV": 8}


class DigestError(Exception):
    """The file cannot be read as DICOM; the text says why and holds no value of the file."""


@dataclass(frozen=True, slots=True)
class Meta:
    """Where the data set begins and how it is written."""

    transfer_syntax_uid: str
    dataset_offset_bytes: int


@dataclass(frozen=True, slots=True)
class Digests:
    """Hexadecimal SHA-256 of the canonical data set and of the pixels; ``pixel_sha256`` is empty without pixels."""

    transfer_syntax_uid: str
    dataset_sha256: str
    pixel_sha256: str


def read_meta(file: BinaryIO) -> Meta:
    """Read preamble and group 0002; the file is left at the first byte of the data set.

    Raises:
        DigestError: If there is no preamble, no transfer syntax, or group 0002 does not end.
    """
    file.seek(0)
    if file.read(132)[128:] != b"DICM":
        raise DigestError("the file has no DICOM preamble")
    source = _Source(file.read)
    transfer_syntax_uid = ""
    while source.position < META_BYTES_MAX:
        head = source.up_to(4)
        if len(head) < 4 or head[:2] != b"\x02\x00":
            break
        vr = source.exactly(2).decode("latin-1")
        length = _number(source.exactly(6)[2:]) if vr in _LONG_VRS else _number(source.exactly(2))
        if length > META_BYTES_MAX:
            raise DigestError("the file meta information is too long")
        value = source.exactly(length)
        if head == b"\x02\x00\x10\x00":
            transfer_syntax_uid = value.rstrip(b" \0").decode("ascii", "replace")
    else:
        raise DigestError("the file meta information is too long")
    if not transfer_syntax_uid:
        raise DigestError("the file names no transfer syntax")
    offset = 132 + source.position - len(head)
    file.seek(offset)
    return Meta(transfer_syntax_uid, offset)


def bytes_after_meta_equal(ours: BinaryIO, theirs: BinaryIO) -> bool:
    """Whether both files have the same transfer syntax and the same bytes after group 0002: the cheap, strict answer.

    Raises:
        DigestError: As ``read_meta``, for either file.
    """
    if read_meta(ours).transfer_syntax_uid != read_meta(theirs).transfer_syntax_uid:
        return False
    while True:
        step = ours.read(STEP_BYTES)
        if step != theirs.read(STEP_BYTES):
            return False
        if not step:
            return True


def digests(file: BinaryIO, leave_out: frozenset[int] = frozenset()) -> Digests:
    """The canonical digests of a Part 10 file.

    Args:
        file: Open for reading in binary; read from the start, in one pass.
        leave_out: Tags of the top level that do not count, for instance those that decompression rewrites.

    Raises:
        DigestError: If the file cannot be read as DICOM or exceeds a bound of this module.
    """
    meta = read_meta(file)
    uid = meta.transfer_syntax_uid
    deflated = uid == DEFLATED_UID
    source = _Source(_inflated(file) if deflated else file.read)
    big = uid == BIG_ENDIAN_UID
    walk = _Walk(source, _Encoding(explicit=uid != IMPLICIT_UID, order="big" if big else "little"))
    dataset = walk.dataset(None, leave_out)
    return Digests(uid, dataset.hex(), walk.pixel_sha256)


@dataclass(frozen=True, slots=True)
class _Encoding:
    explicit: bool
    order: Literal["little", "big"]


_IMPLICIT = _Encoding(explicit=False, order="little")


class _Source:
    """Sequential reading with a position and exact lengths."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.position = 0

    def up_to(self, count: int) -> bytes:
        data = self._read(count)
        self.position += len(data)
        return data

    def exactly(self, count: int) -> bytes:
        data = self.up_to(count)
        if len(data) != count:
            raise DigestError(f"the file ends inside an element, after {self.position} bytes of its data set")
        return data

    def steps(self, length_bytes: int) -> Iterator[bytes]:
        while length_bytes:
            step = self.exactly(min(length_bytes, STEP_BYTES))
            length_bytes -= len(step)
            yield step


@dataclass(frozen=True, slots=True)
class _Head:
    tag: int
    vr: str
    """Empty where the encoding has none."""
    length_bytes: int


class _Walk:
    """One pass over a data set; each element becomes one digest, and those are put in the order of their tags."""

    def __init__(self, source: _Source, encoding: _Encoding, depth: int = 0, budget: list[int] | None = None) -> None:
        self._source = source
        self._encoding = encoding
        self._depth = depth
        self._budget = [ELEMENT_COUNT_MAX] if budget is None else budget
        self.pixel_sha256 = ""

    def dataset(self, end: int | None, leave_out: frozenset[int] = frozenset(), *, delimited: bool = False) -> bytes:
        """Digest of the elements up to ``end``, to the item delimiter, or to the end of the file."""
        found: list[tuple[int, bytes]] = []
        while end is None or self._source.position < end:
            head = self._head(may_end=end is None and not delimited)
            if head is None or (delimited and head.tag == _ITEM_END):
                break
            self._spend()
            digest = self._element(head)
            if head.tag & 0xFFFF and head.tag != _TRAILING_PADDING and head.tag not in leave_out:
                if head.tag in PIXEL_TAGS and self._depth == 0 and not self.pixel_sha256:
                    self.pixel_sha256 = digest.hex()
                else:
                    found.append((head.tag, digest))
        if end is not None and self._source.position != end:
            raise DigestError("an element is longer than what holds it")
        found.sort(key=lambda pair: pair[0])
        return hashlib.sha256(b"".join(tag.to_bytes(4, "big") + digest for tag, digest in found)).digest()

    def items(self, length_bytes: int) -> bytes:
        """The digests of a sequence's items, one after the other."""
        end = None if length_bytes == _UNDEFINED else self._source.position + length_bytes
        digests_of_items = bytearray()
        nested = _Walk(self._source, self._encoding, self._depth + 1, self._budget)
        if nested._depth > DEPTH_MAX:
            raise DigestError(f"sequences are nested deeper than {DEPTH_MAX}")
        while end is None or self._source.position < end:
            tag, item_bytes = self._item_head()
            if tag == _SEQUENCE_END and end is None:
                break
            if tag != _ITEM:
                raise DigestError("a sequence holds something else than items")
            self._spend()
            if item_bytes == _UNDEFINED:
                digests_of_items += nested.dataset(None, delimited=True)
            else:
                digests_of_items += nested.dataset(self._source.position + item_bytes)
        if end is not None and self._source.position != end:
            raise DigestError("an item is longer than its sequence")
        return bytes(digests_of_items)

    def _spend(self) -> None:
        self._budget[0] -= 1
        if self._budget[0] < 0:
            raise DigestError(f"the file has more than {ELEMENT_COUNT_MAX} elements")

    def _tag(self, raw: bytes) -> int:
        order = self._encoding.order
        return int.from_bytes(raw[:2], order) << 16 | int.from_bytes(raw[2:], order)

    def _item_head(self) -> tuple[int, int]:
        raw = self._source.exactly(8)
        return self._tag(raw[:4]), int.from_bytes(raw[4:], self._encoding.order)

    def _head(self, *, may_end: bool) -> _Head | None:
        raw = self._source.up_to(4)
        if not raw and may_end:
            return None
        if len(raw) != 4:
            raise DigestError("the file ends inside a tag")
        tag, order = self._tag(raw), self._encoding.order
        if not self._encoding.explicit or tag >> 16 == 0xFFFE:
            return _Head(tag, "", int.from_bytes(self._source.exactly(4), order))
        vr = self._source.exactly(2).decode("latin-1")
        if not (vr.isascii() and vr.isalpha() and vr.isupper()):
            raise DigestError("an element has no value representation")
        if vr in _LONG_VRS:
            return _Head(tag, vr, int.from_bytes(self._source.exactly(6)[2:], order))
        return _Head(tag, vr, int.from_bytes(self._source.exactly(2), order))

    def _element(self, head: _Head) -> bytes:
        known_vr = dictionary_vr(head.tag)
        if head.length_bytes == _UNDEFINED and head.tag in PIXEL_TAGS:
            return self._fragments()
        if head.length_bytes == _UNDEFINED and head.vr not in ("", "SQ", "UN"):
            raise DigestError("an element that is no sequence has no length")
        if head.vr == "SQ" or head.length_bytes == _UNDEFINED or (known_vr == "SQ" and head.vr in ("", "UN")):
            return hashlib.sha256(b"S" + self._within(head.vr).items(head.length_bytes)).digest()
        if not known_vr and head.vr in _GUESSED_VRS and 8 <= head.length_bytes <= GUESSED_SEQUENCE_BYTES_MAX:
            return self._guessed(head)
        if known_vr in _TEXT_VRS:
            return self._text(head.length_bytes)
        return self._value(head)

    def _within(self, vr: str) -> _Walk:
        """Who reads the inside of a sequence: UN hides implicit VR little endian (PS3.5 section 6.2.2, note 2)."""
        return _Walk(self._source, _IMPLICIT, self._depth, self._budget) if vr == "UN" else self

    def _guessed(self, head: _Head) -> bytes:
        value = self._source.exactly(head.length_bytes)
        if value.startswith(b"\xfe\xff\x00\xe0"):
            position = 0

            def read(count: int) -> bytes:
                nonlocal position
                position += count
                return value[position - count : position]

            try:
                inner = _Walk(_Source(read), _IMPLICIT, self._depth, self._budget)
                return hashlib.sha256(b"S" + inner.items(len(value))).digest()
            except DigestError:
                self._spend()
        return hashlib.sha256(b"V" + value).digest()

    def _text(self, length_bytes: int) -> bytes:
        hashed = hashlib.sha256(b"V")
        padding = b""
        for step in self._source.steps(length_bytes):
            text = step.rstrip(b" \0")
            if text:
                hashed.update(padding)
                hashed.update(text)
                padding = b""
            padding += step[len(text) :]
            if len(padding) > PADDING_BYTES_MAX + STEP_BYTES:
                raise DigestError("a text ends in too much padding")
        return hashed.digest()

    def _value(self, head: _Head) -> bytes:
        hashed = hashlib.sha256(b"V")
        word_bytes = _WORD_BYTES.get(head.vr, 1) if self._encoding.order == "big" else 1
        for step in self._source.steps(head.length_bytes):
            hashed.update(step if word_bytes == 1 else _turned(step, word_bytes))
        return hashed.digest()

    def _fragments(self) -> bytes:
        hashed = hashlib.sha256(b"F")
        is_offset_table = True
        while True:
            tag, length_bytes = self._item_head()
            if tag == _SEQUENCE_END:
                return hashed.digest()
            if tag != _ITEM or length_bytes == _UNDEFINED:
                raise DigestError("encapsulated pixel data hold something else than fragments")
            self._spend()
            if not is_offset_table:
                hashed.update(length_bytes.to_bytes(4, "big"))
            for step in self._source.steps(length_bytes):
                if not is_offset_table:
                    hashed.update(step)
            is_offset_table = False


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _turned(step: bytes, word_bytes: int) -> bytes:
    """The words of ``step`` with their bytes in the other order."""
    if len(step) % word_bytes:
        raise DigestError("a value is no whole number of words")
    turned = bytearray(len(step))
    for i in range(word_bytes):
        turned[i::word_bytes] = step[word_bytes - 1 - i :: word_bytes]
    return bytes(turned)


def _inflated(file: BinaryIO) -> Callable[[int], bytes]:
    """A ``read`` over the inflated rest of the file, bounded in ratio and size (PS3.5 section A.5)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    consumed, produced, buffer = 0, 0, bytearray()

    def read(count: int) -> bytes:
        nonlocal consumed, produced
        while len(buffer) < count and not inflater.eof:
            packed = inflater.unconsumed_tail
            if not packed:
                packed = file.read(1 << 16)
                consumed += len(packed)
                if not packed:
                    break
            try:
                step = inflater.decompress(packed, STEP_BYTES)
            except zlib.error as error:
                raise DigestError("the deflated data set cannot be inflated") from error
            produced += len(step)
            if produced > min(INFLATED_BYTES_MAX, STEP_BYTES + consumed * INFLATE_RATIO_MAX):
                raise DigestError("the deflated data set grows out of bounds")
            buffer.extend(step)
        data = bytes(buffer[:count])
        del buffer[:count]
        return data

    return read
