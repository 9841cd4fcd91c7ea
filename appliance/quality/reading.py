"""A stored file as the plain values that checks are given; runs only in the child that meets untrusted bytes.

It reads up to Pixel Data as pydicom does and remembers where the pixels lie, so that a film is not held twice.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset

from appliance.dicom.character_sets import suspect_encoding
from appliance.dicom.structure import (
    BIG_ENDIAN_UID,
    DEFLATED_UID,
    IMPLICIT_UID,
    TornFile,
    check_complete,
    seek_data_set,
)
from appliance.quality.view import HeaderView

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

PIXEL_DATA = 0x7FE00010
UNDEFINED = 0xFFFFFFFF
INFLATED_BYTES_MAX = 256 * 1024 * 1024
TEXT_CHARS_MAX = 324
VALUE_COUNT_MAX = 4096
"""Longer than any vector of frame times that a loop of 2 GiB needs."""
ITEM_COUNT_MAX = 16
PERSON_TEXT_VRS = frozenset({"PN", "LO", "SH", "LT", "ST", "UC", "UT"})
"""Those whose bytes the Specific Character Set speaks of (PS3.5 6.1.2.3)."""
DEPTH_MAX = 2


@dataclass(frozen=True, slots=True)
class PixelPlace:
    """Where the value of Pixel Data begins, and its length; ``UNDEFINED`` when it is compressed."""

    offset: int
    length_bytes: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A file as far as its pixels; ``file`` may be an inflated copy, which ``place`` then speaks of."""

    dataset: Dataset
    transfer_syntax_uid: str
    file: BinaryIO
    size_bytes: int
    place: PixelPlace | None
    damage: str


def open_file(file: BinaryIO) -> Opened:
    """Read up to Pixel Data.

    Raises:
        TornFile: If there is no data set at all, or it is damaged before its pixels.
        Exception: Whatever pydicom raises on bytes that it cannot read.
    """
    size_bytes = os.fstat(file.fileno()).st_size
    damage = ""
    try:
        check_complete(file, size_bytes)
    except TornFile as torn:
        damage = str(torn)
    file.seek(0)
    uid = seek_data_set(file, size_bytes)
    source = file
    if uid == DEFLATED_UID:
        source = _inflated(file)
        size_bytes = source.getbuffer().nbytes
    is_implicit, is_little = uid == IMPLICIT_UID, uid != BIG_ENDIAN_UID
    try:
        dataset = read_dataset(source, is_implicit, is_little, stop_when=_is_pixels)
    except Exception as error:
        if damage:
            raise TornFile(damage) from error  # a length of 4 GiB is no lack of memory
        raise
    return Opened(dataset, uid, source, size_bytes, _pixel_place(source, is_implicit, is_little), damage)


def _is_pixels(tag: int, vr: str | None, length: int) -> bool:
    return int(tag) >= PIXEL_DATA


def _inflated(file: BinaryIO) -> io.BytesIO:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return io.BytesIO(inflater.decompress(file.read(INFLATED_BYTES_MAX), INFLATED_BYTES_MAX))
    except zlib.error as error:
        raise TornFile("the deflated data set is damaged") from error


def _pixel_place(file: BinaryIO, is_implicit: bool, is_little: bool) -> PixelPlace | None:
    """pydicom left the file at the element that stopped it, or at its end."""
    order: Literal["little", "big"] = "little" if is_little else "big"
    tag = file.read(4)
    if (int.from_bytes(tag[:2], order), int.from_bytes(tag[2:], order)) != (PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF):
        return None
    if not is_implicit:
        file.seek(4, io.SEEK_CUR)
    length_bytes = int.from_bytes(file.read(4), order)
    return PixelPlace(file.tell(), length_bytes)


def header_view(dataset: Dataset, depth: int = 0) -> HeaderView:
    """The standard's attributes of a data set by keyword, of sequences the first items."""
    labels = _labels(dataset)
    values: dict[str, tuple[str, ...]] = {}
    items: dict[str, tuple[HeaderView, ...]] = {}
    suspects: dict[str, str] = {}
    for tag in list(dataset.keys()):
        keyword = keyword_for_tag(tag)
        if not keyword:
            continue
        raw = dataset.get_item(tag)
        if isinstance(raw, RawDataElement) and isinstance(raw.value, bytes) and _vr_of(raw) in PERSON_TEXT_VRS:
            # Bytes are judged before pydicom replaces them by their decoded text.
            looks_like = suspect_encoding(raw.value, labels)
            if looks_like:
                suspects[keyword] = looks_like
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                found = list(element.value)[:ITEM_COUNT_MAX]
                nested = depth + 1 < DEPTH_MAX
                items[keyword] = tuple(header_view(item, depth + 1) if nested else HeaderView() for item in found)
                values[keyword] = ()
            else:
                values[keyword] = _texts(element.value)
        except Exception:
            # pydicom raises many kinds on one bad value; the others are read, and this one counts as present.
            values[keyword] = ("?",)
    return HeaderView(values, items, suspects)


def _vr_of(raw: RawDataElement) -> str:
    from pydicom.datadict import dictionary_VR

    return str(raw.VR or dictionary_VR(raw.tag))


def _labels(dataset: Dataset) -> Sequence[str]:
    try:
        return _texts(dataset.get("SpecificCharacterSet"))
    except Exception:
        return ()


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, bytes):
        return (f"({len(value)} bytes)",) if value else ()
    parts = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    texts = tuple(str(part).replace("\0", "")[:TEXT_CHARS_MAX] for part in parts[:VALUE_COUNT_MAX])
    return texts if any(text.strip() for text in texts) else ()
