"""The one frame of a file that its preview shows, decoded, with its size checked before any decoder sees it."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID

from appliance.dicom.structure import DEFLATED_UID, TornFile, seek_data_set
from sync.wire.frame_size import coded_frame_size
from sync.wire.jpeg import SOI
from sync.wire.limits import WireLimits
from sync.wire.walk import Layout, Picture, walk

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_JPEG_XL_PREFIX = "1.2.840.10008.1.2.4.11"


class NoPicture(Exception):
    """There is nothing to show, or nothing that can be decoded here; the text says which, without patient identity."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Decoded stored values: (rows, columns) or (rows, columns, 3) in RGB, and the header that says what they mean."""

    header: Dataset
    samples: NDArray[Any]
    index: int
    frame_count: int
    is_as_stored: bool
    """Colours are as the file has them; decoders of coded frames give RGB."""


def read_frame(path: Path, limits: WireLimits) -> Frame:
    """The middle frame of a file.

    Raises:
        NoPicture: If it has none that can be decoded within the limits.
        OSError: If it cannot be read.
        Exception: Whatever pydicom raises on a header that it cannot read.
    """
    with path.open("rb") as opened:
        file = _inflated(opened, limits)
        size_bytes = file.seek(0, io.SEEK_END)
        layout = walk(file, size_bytes, limits)
        file.seek(0)
        header = dcmread(file, stop_before_pixels=True, force=True)
        rows, columns = _count(header, "Rows"), _count(header, "Columns")
        samples = max(1, _count(header, "SamplesPerPixel"))
        if not rows or not columns or (layout.picture is None and layout.encapsulated_offset is None):
            raise NoPicture("the object has no picture")
        if rows * columns * samples > limits.preview_samples_max:
            raise NoPicture(f"a picture of {columns} x {rows} pixels is larger than previews are made of")
        count = max(1, _count(header, "NumberOfFrames"))
        if layout.encapsulated_offset is not None:
            index = count // 2
            file.seek(layout.encapsulated_offset)
            coded = get_frame(file, index, number_of_frames=count)
            return Frame(header, _decoded(header, coded, limits), index, count, is_as_stored=False)
        values, index, count = _native(file, layout, count)
        return Frame(header, values, index, count, is_as_stored=True)


def _count(header: Dataset, keyword: str) -> int:
    """A number of the header; 0 where it is absent or none."""
    try:
        return int(header.get(keyword) or 0)
    except (TypeError, ValueError):
        return 0


def _inflated(file: BinaryIO, limits: WireLimits) -> BinaryIO:
    """The file itself; for a deflated one its data set alone, which both parsers take as explicit little endian."""
    size_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    try:
        uid = seek_data_set(file, size_bytes)
    except TornFile:
        return file
    if uid != DEFLATED_UID:
        return file
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflater.decompress(file.read(limits.preview_inflated_bytes_max), limits.preview_inflated_bytes_max)
    except zlib.error as error:
        raise NoPicture("the deflated data set is damaged") from error
    if inflater.unconsumed_tail:
        raise NoPicture("the deflated data set is larger than previews are made of")
    return io.BytesIO(data)


# --- native --------------------------------------------------------------------------------------------------------


def _native(file: BinaryIO, layout: Layout, count: int) -> tuple[NDArray[Any], int, int]:
    picture = layout.picture
    span = next(span for span in layout.spans if span.kind == "native")
    hole = layout.holes[span.first]
    if picture is None or picture.bits_allocated not in (1, 8, 16, 32, 64):
        raise NoPicture("the pixels have a width that is not known here")
    samples_per_frame = picture.rows * picture.columns * (2 if picture.half_chroma else picture.samples)
    frame_bits = samples_per_frame * picture.bits_allocated
    count = min(count, hole.length * 8 // frame_bits)
    if count == 0:
        raise NoPicture("the pixels are cut off")
    index = count // 2
    first_bit = index * frame_bits
    first, last = first_bit // 8, (first_bit + frame_bits + 7) // 8
    if picture.words_swapped:
        start, end = first // 2 * 2, min((last + 1) // 2 * 2, hole.length)
        file.seek(hole.offset + start)
        pairs = np.frombuffer(file.read(end - start), dtype=np.uint8)
        pairs = pairs[: pairs.size // 2 * 2].reshape(-1, 2)[:, ::-1].reshape(-1)
        return _shaped(pairs[first - start : last - start], picture), index, count
    file.seek(hole.offset + first)
    raw = np.frombuffer(file.read(last - first), dtype=np.uint8)
    if picture.bits_allocated == 1:
        bits = np.unpackbits(raw, bitorder="little")[first_bit % 8 :][:samples_per_frame]
        return bits.reshape(picture.rows, picture.columns), index, count
    return _shaped(_words(raw, picture), picture), index, count


def _words(raw: NDArray[np.uint8], picture: Picture) -> NDArray[Any]:
    if picture.bits_allocated == 8:
        return raw
    width = picture.bits_allocated // 8
    return raw.view(f"{'>' if picture.big_endian else '<'}u{width}").astype(f"u{width}", copy=False)


def _shaped(words: NDArray[Any], picture: Picture) -> NDArray[Any]:
    rows, columns, samples = picture.rows, picture.columns, picture.samples
    if picture.half_chroma:
        pairs = words.reshape(rows, columns // 2, 4)
        luma = pairs[:, :, :2].reshape(rows, columns)
        chroma = np.repeat(pairs[:, :, 2:], 2, axis=1)
        return np.concatenate([luma[:, :, None], chroma], axis=2)
    if samples == 1:
        return words.reshape(rows, columns)
    if picture.planar:
        return words.reshape(samples, rows, columns).transpose(1, 2, 0)[:, :, :3]
    return words.reshape(rows, columns, samples)[:, :, :3]


# --- encapsulated --------------------------------------------------------------------------------------------------


def _decoded(header: Dataset, coded: bytes, limits: WireLimits) -> NDArray[Any]:
    """Stored values of one coded frame; colours as RGB."""
    size = coded_frame_size(coded)
    if size is not None and size[0] * size[1] > limits.preview_samples_max:
        raise NoPicture("a coded frame is larger than previews are made of")
    uid = UID(str(header.file_meta.get("TransferSyntaxUID", "")))
    if uid.startswith(_JPEG_XL_PREFIX):
        return _by_imagecodecs(coded, (imagecodecs.jpegxl_decode,))
    if coded.startswith(SOI) and header.get("PhotometricInterpretation") != "RGB":
        # Faster and leaner than pydicom's decoders, but it takes three components for YCbCr where no marker says else.
        with suppress(NoPicture):
            return _by_imagecodecs(coded, (imagecodecs.jpeg8_decode,))
    try:
        options = as_pixel_options(header, number_of_frames=1, transfer_syntax_uid=uid)
        options["pixel_keyword"] = "PixelData"
        values, _ = get_decoder(uid).as_array(encapsulate([coded]), index=0, validate=False, **options)
        return np.asarray(values)
    except Exception as error:
        # pydicom's decoders raise many kinds; those of imagecodecs take some streams that they refuse
        known = (imagecodecs.jpeg2k_decode, imagecodecs.jpegls_decode, imagecodecs.jpeg8_decode)
        try:
            return _by_imagecodecs(coded, known)
        except NoPicture:
            raise NoPicture(f"frames of transfer syntax {uid} cannot be decoded here") from error


def _by_imagecodecs(coded: bytes, decoders: tuple[Callable[[bytes], Any], ...]) -> NDArray[Any]:
    for decode in decoders:
        try:
            return np.asarray(decode(coded))
        except (RuntimeError, ValueError, MemoryError):
            continue
    raise NoPicture("a coded frame cannot be decoded here")
