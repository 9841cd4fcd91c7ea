"""Small DICOM data sets, read with bounds and written again; pure and standard library only, for Orthanc's Python.

Values stay bytes: what they mean depends on the character set, which the caller knows. Never for images: everything is
copied, and the bounds are those of a worklist query or answer.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

SPECIFIC_CHARACTER_SET = 0x00080005
SCHEDULED_PROCEDURE_STEP_SEQUENCE = 0x00400100

ELEMENT_COUNT_MAX = 2_000
"""Of one data set with all its items: a worklist answer with every return key has about 70."""
DEPTH_MAX = 8

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
_IMPLICIT = "1.2.840.10008.1.2"
_BYTE_ORDERS = {_IMPLICIT: "<", EXPLICIT_LITTLE_ENDIAN: "<", "1.2.840.10008.1.2.2": ">"}
_LONG_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"))
_UNDEFINED = 0xFFFFFFFF
_ITEM = 0xFFFEE000
_ITEM_END = 0xFFFEE00D
_SEQUENCE_END = 0xFFFEE0DD


class DataSetError(ValueError):
    """The bytes are no data set that is read here; the text holds places and numbers, never values."""


class Element(NamedTuple):
    """A value with its representation; ``items`` is there instead of ``value`` in a sequence that was walked."""

    vr: str
    """Empty in implicit VR."""
    value: bytes
    items: tuple[DataSet, ...] | None = None


DataSet = dict[int, Element]
"""By tag, ``group << 16 | element``, in the order of the bytes."""


def parse(data: bytes, transfer_syntax_uid: str) -> DataSet:
    """Read a whole data set.

    Args:
        data: Its bytes, without preamble and meta header.
        transfer_syntax_uid: Implicit or explicit VR, of either byte order, not deflated.

    Raises:
        DataSetError: If it is of another syntax, cut off, nested or filled beyond the bounds, or names a tag twice.
    """
    order = _BYTE_ORDERS.get(transfer_syntax_uid)
    if order is None:
        raise DataSetError("a transfer syntax that is not read here")
    reader = _Reader(data, order, is_explicit=transfer_syntax_uid != _IMPLICIT)
    found = reader.data_set(len(data), 0)
    if reader.offset != len(data):
        raise DataSetError(f"an item ends at byte {reader.offset} where none began")
    return found


class _Reader:
    def __init__(self, data: bytes, order: str, *, is_explicit: bool) -> None:
        self._data = data
        self._is_explicit = is_explicit
        self._tag = struct.Struct(f"{order}HH")
        self._length_2 = struct.Struct(f"{order}H")
        self._length_4 = struct.Struct(f"{order}I")
        self._count = 0
        self.offset = 0

    def data_set(self, end: int, depth: int) -> DataSet:
        """Elements up to ``end``, or to the end of an item of undefined length, which is left to the caller."""
        if depth > DEPTH_MAX:
            raise DataSetError(f"items nested deeper than {DEPTH_MAX}")
        found: DataSet = {}
        while self.offset < end:
            start = self.offset
            tag = self._read_tag(end)
            if tag == _ITEM_END:
                self.offset = start
                break
            if tag >> 16 == _ITEM >> 16:
                raise DataSetError(f"a delimiter at byte {start} where an element was due")
            self._count += 1
            if self._count > ELEMENT_COUNT_MAX:
                raise DataSetError(f"more than {ELEMENT_COUNT_MAX} elements")
            if tag in found:
                raise DataSetError(f"({tag >> 16:04x},{tag & 0xFFFF:04x}) is there twice")
            found[tag] = self._element(end, depth)
        return found

    def _element(self, end: int, depth: int) -> Element:
        vr, length = self._header(end)
        if vr == "SQ" or length == _UNDEFINED or (not vr and self._is_item_next(length, end)):
            return Element(vr, b"", self._items(length, end, depth + 1))
        return Element(vr, self._bytes(length, end))

    def _is_item_next(self, length: int, end: int) -> bool:
        """In implicit VR a sequence of defined length is told by its first item: no text begins like one."""
        start = self.offset
        is_item = min(length, end - start) >= 4 and self._read_tag(end) == _ITEM
        self.offset = start
        return is_item

    def _header(self, end: int) -> tuple[str, int]:
        """VR and length of a value."""
        if not self._is_explicit:
            return "", self._number(self._length_4, end)
        vr = self._bytes(2, end).decode("latin-1")
        if vr not in _LONG_VRS:
            return vr, self._number(self._length_2, end)
        self._bytes(2, end)
        return vr, self._number(self._length_4, end)

    def _items(self, length: int, end: int, depth: int) -> tuple[DataSet, ...]:
        items: list[DataSet] = []
        stop = self._stop(length, end)
        while self.offset < stop:
            tag = self._read_tag(stop)
            item_length = self._number(self._length_4, stop)
            if tag == _SEQUENCE_END and length == _UNDEFINED:
                return tuple(items)
            if tag != _ITEM:
                raise DataSetError(f"no item at byte {self.offset - 8}")
            item_stop = self._stop(item_length, stop)
            items.append(self.data_set(item_stop, depth))
            if item_length == _UNDEFINED:
                if self.offset >= item_stop or self._read_tag(item_stop) != _ITEM_END:
                    raise DataSetError("an item of undefined length has no end")
                self._number(self._length_4, item_stop)
            elif self.offset != item_stop:
                raise DataSetError(f"an item ends at byte {self.offset} before its length")
        if length == _UNDEFINED:
            raise DataSetError("a sequence of undefined length has no end")
        return tuple(items)

    def _stop(self, length: int, end: int) -> int:
        stop = end if length == _UNDEFINED else self.offset + length
        if stop > end:
            raise DataSetError(f"{length} bytes at byte {self.offset} run past the end")
        return stop

    def _read_tag(self, end: int) -> int:
        if end - self.offset < 4:
            raise DataSetError("cut off within a tag")
        group, element = self._tag.unpack_from(self._data, self.offset)
        self.offset += 4
        return int(group << 16 | element)

    def _number(self, kind: struct.Struct, end: int) -> int:
        if end - self.offset < kind.size:
            raise DataSetError("cut off within a length")
        (number,) = kind.unpack_from(self._data, self.offset)
        self.offset += kind.size
        return int(number)

    def _bytes(self, length: int, end: int) -> bytes:
        start, self.offset = self.offset, self._stop(length, end)
        return self._data[start : self.offset]


def encode(data_set: DataSet) -> bytes:
    """Its bytes in explicit VR little endian, tags ascending, sequences and items of defined length.

    Raises:
        DataSetError: If an element has no VR, or a value does not fit.
    """
    parts: list[bytes] = []
    for tag in sorted(data_set):
        vr, value, items = data_set[tag]
        if items is not None:
            vr = "SQ"
            encoded = map(encode, items)
            value = b"".join(struct.pack("<HHI", _ITEM >> 16, _ITEM & 0xFFFF, len(item)) + item for item in encoded)
        if len(vr) != 2:
            raise DataSetError("an element without a VR")
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode("latin-1")
        if vr in _LONG_VRS:
            parts += (head, struct.pack("<HI", 0, len(value)), value)
        elif len(value) <= 0xFFFF:
            parts += (head, struct.pack("<H", len(value)), value)
        else:
            raise DataSetError(f"{len(value)} bytes do not fit into VR {vr}")
    return b"".join(parts)
