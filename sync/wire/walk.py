"""Where the pixel bytes of a stored file are, and what they are a picture of.

The walk only finds *places*. Whatever it finds, the file is rebuilt exactly, because the rest of the file is kept byte
by byte: a broken, deflated or foreign file has fewer or larger holes and compresses less well, nothing else. So the
walk never raises on strange bytes; it stops and keeps what it has. It reads lengths and a handful of short values, and
its memory is bounded by ``WireLimits.hole_count_max`` (PS3.5 sections 7 and A.4, PS3.10 section 7).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import BinaryIO, Literal

from appliance.dicom.structure import BIG_ENDIAN_UID, DEFLATED_UID, DEPTH_MAX, TornFile, seek_data_set
from sync.wire.limits import WireLimits

UNDEFINED = 0xFFFFFFFF
VALUE_BYTES_MIN = 64 * 1024
"""A value of the top level from here on is a hole of its own: documents, wave forms, private blocks."""
_SHORT_VALUE_BYTES_MAX = 64

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SAMPLES, _PHOTOMETRIC, _PLANAR, _FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
_ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH_BIT = 0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102
_NUMBERS = frozenset({_SAMPLES, _PLANAR, _ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH_BIT})

_FIRST_GROUPS: dict[bytes, Literal["little", "big"]] = {
    b"\x02\0": "little",
    b"\x08\0": "little",
    b"\0\x08": "big",
}

Kind = Literal["native", "fragments", "value"]


@dataclass(frozen=True, slots=True)
class Hole:
    """Bytes of the file that travel in the pixel part."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Picture:
    """What the header says of native pixels; zeros where it says nothing. Never trusted, only tried."""

    rows: int
    columns: int
    samples: int
    planar: bool
    bits_allocated: int
    bits_stored: int
    high_bit: int
    luma_chroma: bool
    half_chroma: bool
    """YBR_FULL_422 and YBR_PARTIAL_422 have two samples a pixel when native (PS3.3 section C.7.6.3.1.2)."""
    big_endian: bool
    words_swapped: bool
    """8-bit samples in OW words of a big endian file: each pair is the other way round (PS3.5 section 8.1.1)."""


@dataclass(frozen=True, slots=True)
class Span:
    """Holes ``first`` to ``last`` (excluded) that belong together."""

    kind: Kind
    first: int
    last: int


@dataclass(slots=True)
class Layout:
    """Holes in the order of the file, the spans that they form, and the picture of the native ones."""

    file_bytes: int
    holes: list[Hole] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    picture: Picture | None = None
    encapsulated_offset: int | None = None
    """Where the first item of encapsulated pixels begins."""


class _Stop(Exception):
    """The rest of the file cannot be walked."""


def walk(file: BinaryIO, size_bytes: int, limits: WireLimits) -> Layout:
    """Holes and spans of a file of ``size_bytes``; the whole of it is read only where its structure asks for it.

    Raises:
        OSError: If the file cannot be read.
    """
    file.seek(0)
    layout = Layout(size_bytes)
    try:
        encoding = _encoding(file, size_bytes)
        if encoding is not None:
            _Walk(file, layout, encoding, limits).elements()
    except (_Stop, TornFile):
        pass
    return _without_long_literals(layout, limits)


@dataclass(frozen=True, slots=True)
class _Encoding:
    explicit: bool
    order: Literal["little", "big"]


def _encoding(file: BinaryIO, size_bytes: int) -> _Encoding | None:
    """How the data set is written; the file is left at its first byte. None when it is deflated or unknown.

    Files that have no preamble or contradict their transfer syntax are read as their first element looks.
    """
    order: Literal["little", "big"] = "little"
    try:
        uid = seek_data_set(file, size_bytes)
        if uid == DEFLATED_UID:
            return None
        order = "big" if uid == BIG_ENDIAN_UID else "little"
    except TornFile:
        file.seek(0)
        uid = ""
    start = file.tell()
    head = file.read(8)
    file.seek(start)
    if not uid:
        if head[:2] not in _FIRST_GROUPS:
            return None
        order = _FIRST_GROUPS[head[:2]]
    return _Encoding(head[4:6].isalpha() and head[4:6].isupper(), order)


class _Walk:
    def __init__(self, file: BinaryIO, layout: Layout, encoding: _Encoding, limits: WireLimits) -> None:
        self._file = file
        self._layout = layout
        self._explicit = encoding.explicit
        self._order = encoding.order
        self._limits = limits
        self._numbers: dict[int, int] = {}
        self._photometric = b""

    def elements(self) -> None:
        """Elements of the top level up to the end of the file."""
        while self._file.tell() < self._layout.file_bytes:
            tag, vr, length = self._head(self._explicit)
            if tag in _PIXEL_TAGS:
                self._pixels(vr, length)
            elif length == UNDEFINED:
                self._skip_items(self._explicit and vr != b"UN")
            elif tag in _NUMBERS or tag == _PHOTOMETRIC:
                self._note(tag, length)
            elif length >= VALUE_BYTES_MIN:
                self._value(length)
            else:
                self._skip(length)

    def _read(self, count: int) -> bytes:
        raw = self._file.read(count)
        if len(raw) != count:
            raise _Stop
        return raw

    def _number(self, raw: bytes) -> int:
        return int.from_bytes(raw, self._order)

    def _tag(self) -> int:
        return self._number(self._read(2)) << 16 | self._number(self._read(2))

    def _head(self, explicit: bool) -> tuple[int, bytes, int]:
        tag = self._tag()
        if tag >> 16 == 0xFFFE or not explicit:
            return tag, b"", self._number(self._read(4))
        vr = self._read(2)
        if not (vr.isalpha() and vr.isupper()):
            raise _Stop
        if vr in _LONG_VRS:
            return tag, vr, self._number(self._read(6)[2:])
        return tag, vr, self._number(self._read(2))

    def _skip(self, length: int) -> None:
        end = self._file.tell() + length
        if end > self._layout.file_bytes:
            raise _Stop
        self._file.seek(end)

    def _skip_items(self, explicit: bool) -> None:
        """To the end of a sequence of undefined length; what it holds is of no interest here."""
        levels = [(True, explicit)]
        while levels:
            is_sequence, explicit = levels[-1]
            tag, vr, length = self._head(explicit and not is_sequence)
            if tag == _SEQUENCE_END if is_sequence else tag == _ITEM_END:
                levels.pop()
            elif is_sequence is not (tag == _ITEM) or (not is_sequence and tag >> 16 == 0xFFFE):
                raise _Stop
            elif length != UNDEFINED:
                self._skip(length)
            elif len(levels) >= DEPTH_MAX:
                raise _Stop
            else:
                levels.append((not is_sequence, explicit and vr != b"UN"))

    def _note(self, tag: int, length: int) -> None:
        if length > _SHORT_VALUE_BYTES_MAX:
            raise _Stop
        raw = self._read(length)
        if tag == _PHOTOMETRIC:
            self._photometric = raw.strip(b" \0")
        elif length >= 2:
            self._numbers[tag] = self._number(raw[:2])

    def _hole(self, length: int) -> None:
        """From here; empty ones are none. Leaves the file behind it."""
        if length == 0:
            return
        if len(self._layout.holes) >= self._limits.hole_count_max:
            raise _Stop
        self._layout.holes.append(Hole(self._file.tell(), length))
        self._file.seek(length, 1)

    def _left(self) -> int:
        return self._layout.file_bytes - self._file.tell()

    def _span(self, kind: Kind, first: int) -> None:
        if len(self._layout.holes) > first:
            self._layout.spans.append(Span(kind, first, len(self._layout.holes)))

    def _value(self, length: int) -> None:
        first = len(self._layout.holes)
        if length > self._left():
            raise _Stop
        self._hole(length)
        self._span("value", first)

    def _pixels(self, vr: bytes, length: int) -> None:
        first = len(self._layout.holes)
        if length != UNDEFINED:
            self._hole(min(length, self._left()))
            is_picture = self._layout.picture is None
            if is_picture:
                self._layout.picture = self._picture(vr)
            self._span("native" if is_picture else "value", first)
            return
        if self._layout.encapsulated_offset is None:
            self._layout.encapsulated_offset = self._file.tell()
        try:
            self._fragments()
        finally:
            self._span("fragments", first)

    def _fragments(self) -> None:
        """The offset table, which is the first item, stays in the skeleton."""
        is_offset_table = True
        while True:
            tag, length = self._tag(), self._number(self._read(4))
            if tag == _SEQUENCE_END:
                return
            if tag != _ITEM or length == UNDEFINED:
                raise _Stop
            if is_offset_table:
                self._skip(length)
                is_offset_table = False
            else:
                self._hole(min(length, self._left()))

    def _picture(self, vr: bytes) -> Picture:
        numbers = self._numbers
        big = self._order == "big"
        allocated = numbers.get(_ALLOCATED, 0)
        return Picture(
            rows=numbers.get(_ROWS, 0),
            columns=numbers.get(_COLUMNS, 0),
            samples=numbers.get(_SAMPLES, 1),
            planar=numbers.get(_PLANAR, 0) == 1,
            bits_allocated=allocated,
            bits_stored=numbers.get(_STORED, 0),
            high_bit=numbers.get(_HIGH_BIT, 0),
            luma_chroma=self._photometric.startswith(b"YBR"),
            half_chroma=self._photometric in (b"YBR_FULL_422", b"YBR_PARTIAL_422"),
            big_endian=big,
            words_swapped=big and vr == b"OW" and allocated == 8,
        )


def _without_long_literals(layout: Layout, limits: WireLimits) -> Layout:
    """Runs between holes that are longer than a skeleton should hold become holes of their own."""
    holes: list[Hole] = []
    spans: list[Span] = []
    end = 0

    def literal_to(offset: int) -> None:
        if offset - end > limits.literal_run_bytes_max:
            holes.append(Hole(end, offset - end))
            spans.append(Span("value", len(holes) - 1, len(holes)))

    for span in layout.spans:
        first = len(holes)
        for hole in layout.holes[span.first : span.last]:
            if hole.offset - end > limits.literal_run_bytes_max:
                if len(holes) > first:
                    spans.append(Span(span.kind, first, len(holes)))
                literal_to(hole.offset)
                first = len(holes)
            holes.append(hole)
            end = hole.offset + hole.length
        spans.append(Span(span.kind, first, len(holes)))
    literal_to(layout.file_bytes)
    return replace(layout, holes=holes, spans=spans)
