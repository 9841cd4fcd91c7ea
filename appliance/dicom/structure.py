"""Whether a Part 10 file is structurally whole: every element ends inside the file and every sequence is closed.

Used only where the ledger that would prove the bytes is lost. It walks lengths and never decodes a value, so it needs
no memory; a nested sequence costs one list entry, not a stack frame (PS3.5 section 7, PS3.10 section 7).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import BinaryIO, Literal

DEFLATED_UID = "1.2.840.10008.1.2.1.99"
IMPLICIT_UID = "1.2.840.10008.1.2"
BIG_ENDIAN_UID = "1.2.840.10008.1.2.2"
UNDEFINED = 0xFFFFFFFF
DEPTH_MAX = 256
INFLATE_STEP_BYTES = 1 << 20

_LONG_VRS = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_ITEM, _ITEM_END, _SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)


class TornFile(Exception):
    """The file is no whole Part 10 file; the text says where it ends."""


@dataclass(frozen=True, slots=True)
class _Level:
    """An open sequence (its items come next) or an open item (its elements come next)."""

    is_sequence: bool
    explicit: bool


class _Walker:
    def __init__(self, file: BinaryIO, size_bytes: int, explicit: bool, little: bool) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._order: Literal["little", "big"] = "little" if little else "big"
        self._explicit = explicit
        self._levels: list[_Level] = []

    def walk(self) -> None:
        while self._levels or self._file.tell() < self._size_bytes:
            if self._levels and self._levels[-1].is_sequence:
                self._item()
            else:
                self._element()

    def _number(self, byte_count: int) -> int:
        raw = self._file.read(byte_count)
        if len(raw) != byte_count:
            raise TornFile(f"the file ends inside an element at byte {self._file.tell()}")
        return int.from_bytes(raw, self._order)

    def _skip(self, length_bytes: int) -> None:
        end = self._file.tell() + length_bytes
        if end > self._size_bytes:
            raise TornFile(f"{end - self._size_bytes} bytes are missing at the end")
        self._file.seek(end)

    def _open(self, level: _Level) -> None:
        if len(self._levels) >= DEPTH_MAX:
            raise TornFile(f"sequences are nested deeper than {DEPTH_MAX}")
        self._levels.append(level)

    def _item(self) -> None:
        explicit = self._levels[-1].explicit
        tag = (self._number(2), self._number(2))
        length_bytes = self._number(4)
        if tag == _SEQUENCE_END:
            self._levels.pop()
        elif tag != _ITEM:
            raise TornFile(f"a sequence holds something else than items at byte {self._file.tell()}")
        elif length_bytes == UNDEFINED:
            self._open(_Level(is_sequence=False, explicit=explicit))
        else:
            self._skip(length_bytes)

    def _element(self) -> None:
        explicit = self._levels[-1].explicit if self._levels else self._explicit
        tag = (self._number(2), self._number(2))
        if tag == _ITEM_END and self._levels:
            self._number(4)
            self._levels.pop()
            return
        if tag[0] == 0xFFFE:
            raise TornFile(f"an item without a sequence at byte {self._file.tell()}")
        vr = self._file.read(2) if explicit else b""
        if vr in _LONG_VRS:
            self._number(2)
            length_bytes = self._number(4)
        elif explicit:
            length_bytes = self._number(2)
        else:
            length_bytes = self._number(4)
        if length_bytes == UNDEFINED:
            # An UN of undefined length holds implicit little endian items (PS3.5 section 6.2.2, note).
            self._open(_Level(is_sequence=True, explicit=explicit and vr != b"UN"))
        else:
            self._skip(length_bytes)


def check_complete(file: BinaryIO, size_bytes: int) -> None:
    """Return when ``file`` (at its start, ``size_bytes`` long) is a whole Part 10 file.

    Raises:
        TornFile: If it is not, or is no Part 10 file at all.
        OSError: If it cannot be read.
    """
    transfer_syntax_uid = seek_data_set(file, size_bytes)
    if transfer_syntax_uid == DEFLATED_UID:
        _check_deflated(file)
        return
    explicit = transfer_syntax_uid != IMPLICIT_UID
    _Walker(file, size_bytes, explicit, transfer_syntax_uid != BIG_ENDIAN_UID).walk()


def seek_data_set(file: BinaryIO, size_bytes: int) -> str:
    """Read group 0002 (always explicit little endian) and leave the file at its data set.

    Returns:
        The transfer syntax UID.

    Raises:
        TornFile: If it is no Part 10 file, or ends before its data set.
        OSError: If it cannot be read.
    """
    if file.read(132)[128:] != b"DICM":
        raise TornFile("it is no DICOM file")
    transfer_syntax_uid = ""
    while True:
        start = file.tell()
        head = file.read(8)
        if len(head) < 8 or head[:2] != b"\x02\x00":
            file.seek(start)
            if not transfer_syntax_uid or start == size_bytes:
                raise TornFile("the file ends inside its meta information")
            return transfer_syntax_uid
        is_long = head[4:6] in _LONG_VRS
        length_bytes = int.from_bytes(file.read(4) if is_long else head[6:8], "little")
        if file.tell() + length_bytes > size_bytes:
            raise TornFile("the file ends inside its meta information")
        value = file.read(length_bytes)
        if head[2:4] == b"\x10\x00":
            transfer_syntax_uid = value.rstrip(b"\0 ").decode("ascii", "replace")


def _check_deflated(file: BinaryIO) -> None:
    """A deflate stream says itself where it ends; its output is thrown away piece by piece."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while not inflate.eof:
            piece = inflate.unconsumed_tail or file.read(INFLATE_STEP_BYTES)
            output = inflate.decompress(piece, INFLATE_STEP_BYTES)
            if not piece and not output and not inflate.eof:
                raise TornFile("the deflated data set has no end")
    except zlib.error as error:
        raise TornFile(f"the deflated data set is damaged: {error}") from error
