"""Looks at the pixels: whether all are there, and what a few frames show; runs only in the bounded child."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import UID

from appliance.dicom.structure import BIG_ENDIAN_UID
from appliance.quality.reading import UNDEFINED, Opened
from appliance.quality.saturation import clipped_shares
from appliance.quality.view import FrameFacts, FramesView, HeaderView

FRAME_COUNT_MAX = 24
"""Decoded at most, at even distances, the first and the last among them."""
LOSSY_LEVELS = 2
"""What a lossy codec may leave of an even frame, of 256 levels."""
EVEN_SHARE = 0.9995
"""Of a frame in one value: it shows nothing but a mark."""
_JPEG_XL = "1.2.840.10008.1.2.4.11"
_LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91")
_VIDEO = "1.2.840.10008.1.2.4.10"

_SECOND_DECODERS = {
    "1.2.840.10008.1.2.4.50": "jpeg8_decode",
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",
    "1.2.840.10008.1.2.4.90": "jpeg2k_decode",
    "1.2.840.10008.1.2.4.91": "jpeg2k_decode",
}
"""By transfer syntax; a decoder that is given another format may crash (liblj92 did under fuzzing)."""

Samples = NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the header says of a frame."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    is_half_chroma: bool
    is_planar: bool
    frame_count: int

    @property
    def frame_bits(self) -> int:
        per_pixel = 2 if self.is_half_chroma else self.samples
        return self.rows * self.columns * per_pixel * self.bits_allocated


def look(opened: Opened, header: HeaderView, sample_count_max: int) -> FramesView:
    """What is to be known of the pixels of one file.

    Args:
        opened: The file.
        header: Its header.
        sample_count_max: Pixels that may be decoded in all.
    """
    place = opened.place
    if place is None:
        return FramesView(is_there=False)
    layout = _layout(header)
    if layout is None:
        return FramesView(is_there=True, not_looked_why="syntax")
    is_projection = header.is_projection and layout.samples == 1
    is_inverted = header.text("PhotometricInterpretation") == "MONOCHROME1"
    wanted = _wanted(layout, sample_count_max)
    if place.length_bytes != UNDEFINED:
        length_bytes = min(place.length_bytes, max(0, opened.size_bytes - place.offset))
        missing_bytes = max(0, -(-layout.frame_bits * layout.frame_count // 8) - length_bytes)
        if layout.bits_allocated not in (1, 8, 16, 32):
            return FramesView(is_there=True, missing_bytes=missing_bytes, not_looked_why="syntax")
        found = (
            _facts(number, samples, 0, is_projection, is_inverted)
            for number, samples in _native(opened, layout, wanted, length_bytes)
        )
        return FramesView(is_there=True, missing_bytes=missing_bytes, looked=tuple(found))
    if opened.transfer_syntax_uid.startswith(_VIDEO) and not opened.transfer_syntax_uid.startswith(_JPEG_XL):
        return FramesView(is_there=True, not_looked_why="video")
    return _coded(opened, layout, wanted, is_projection, is_inverted)


def _layout(header: HeaderView) -> _Layout | None:
    def whole(keyword: str, otherwise: int = 0) -> int:
        number = header.number(keyword)
        return otherwise if number is None else int(number)

    layout = _Layout(
        whole("Rows"),
        whole("Columns"),
        whole("SamplesPerPixel", 1),
        whole("BitsAllocated"),
        whole("BitsStored", whole("BitsAllocated")),
        whole("PixelRepresentation") == 1,
        header.text("PhotometricInterpretation") == "YBR_FULL_422",
        header.number("PlanarConfiguration") == 1,
        header.frame_count,
    )
    return layout if layout.frame_bits > 0 and layout.samples in (1, 3, 4) else None


def _wanted(layout: _Layout, sample_count_max: int) -> tuple[int, ...]:
    """Indices of the frames to look at, rising."""
    fitting = sample_count_max // (layout.rows * layout.columns * layout.samples)
    count = min(layout.frame_count, FRAME_COUNT_MAX, fitting)
    if count <= 1:
        return (layout.frame_count // 2,) if count else ()
    return tuple(sorted({round(i * (layout.frame_count - 1) / (count - 1)) for i in range(count)}))


def _native(
    opened: Opened, layout: _Layout, wanted: tuple[int, ...], length_bytes: int
) -> Iterator[tuple[int, Samples]]:
    """Frames that are wholly there."""
    assert opened.place is not None
    order = ">" if opened.transfer_syntax_uid == BIG_ENDIAN_UID else "<"
    for index in wanted:
        first, last = index * layout.frame_bits // 8, -(-(index + 1) * layout.frame_bits // 8)
        if last > length_bytes:
            continue
        opened.file.seek(opened.place.offset + first)
        raw = opened.file.read(last - first)
        if layout.bits_allocated == 1:
            yield index + 1, np.unpackbits(np.frombuffer(raw, np.uint8))[: layout.rows * layout.columns, None]
            continue
        words = np.frombuffer(raw, f"{order}u{layout.bits_allocated // 8}")
        if layout.samples == 1:
            yield index + 1, _stored(words, layout).reshape(layout.rows, layout.columns)
        elif layout.is_half_chroma:
            yield index + 1, words.reshape(layout.rows, layout.columns, 2)
        elif layout.is_planar:
            yield index + 1, np.moveaxis(words.reshape(layout.samples, layout.rows, layout.columns), 0, -1)
        else:
            yield index + 1, words.reshape(layout.rows, layout.columns, layout.samples)


def _stored(words: Samples, layout: _Layout) -> Samples:
    """Values of the stored bits alone: older files keep overlays in those above."""
    words = words.astype(words.dtype.newbyteorder("="), copy=False)
    spare = layout.bits_allocated - layout.bits_stored
    if spare <= 0:
        return words.view(f"i{layout.bits_allocated // 8}") if layout.is_signed else words
    shifted = words << np.asarray(spare, words.dtype)
    values: Samples = shifted.view(f"i{layout.bits_allocated // 8}") if layout.is_signed else shifted
    return np.asarray(values >> np.asarray(spare, values.dtype))


def _coded(
    opened: Opened, layout: _Layout, wanted: tuple[int, ...], is_projection: bool, is_inverted: bool
) -> FramesView:
    assert opened.place is not None
    levels = LOSSY_LEVELS if opened.transfer_syntax_uid in _LOSSY else 0
    looked: list[FrameFacts] = []
    unreadable: list[int] = []
    opened.file.seek(opened.place.offset)
    found_count = 0
    with suppress(ValueError):  # an end without its delimiter: what came before counts
        for index, coded in enumerate(generate_frames(opened.file, number_of_frames=layout.frame_count)):
            if index >= layout.frame_count:
                break
            found_count += 1
            if index not in wanted:
                continue
            samples = _decoded(opened, coded)
            if samples is None:
                unreadable.append(index + 1)
                continue
            looked.append(_facts(index + 1, samples, levels, is_projection and samples.ndim == 2, is_inverted))
    return FramesView(
        is_there=True,
        missing_frame_count=max(0, layout.frame_count - found_count),
        looked=tuple(looked),
        unreadable=tuple(unreadable),
    )


def _decoded(opened: Opened, coded: bytes) -> Samples | None:
    """Stored values of one frame; ``None`` when no decoder takes it."""
    if opened.transfer_syntax_uid.startswith(_JPEG_XL):
        return _by_imagecodecs("jpegxl_decode", coded)
    uid = UID(opened.transfer_syntax_uid)
    try:
        options = as_pixel_options(opened.dataset, number_of_frames=1, transfer_syntax_uid=uid)
        options["pixel_keyword"] = "PixelData"
        samples, _ = get_decoder(uid).as_array(encapsulate([coded]), index=0, validate=False, raw=True, **options)
        return np.asarray(samples)
    except Exception:
        # pydicom's decoders raise many kinds; one of the same format takes some streams that they refuse
        name = _SECOND_DECODERS.get(opened.transfer_syntax_uid)
        return _by_imagecodecs(name, coded) if name else None


def _by_imagecodecs(name: str, coded: bytes) -> Samples | None:
    import imagecodecs

    try:
        return np.asarray(getattr(imagecodecs, name)(coded))
    except (RuntimeError, ValueError, MemoryError):
        return None


def _facts(number: int, samples: Samples, levels: int, is_projection: bool, is_inverted: bool) -> FrameFacts:
    is_blank = _is_blank(samples, levels)
    if is_blank or not is_projection:
        return FrameFacts(number, is_blank)
    low, high = clipped_shares(samples)
    return FrameFacts(number, False, dark_share=high if is_inverted else low, bright_share=low if is_inverted else high)


def _is_blank(samples: Samples, levels: int) -> bool:
    """Whether a frame, or each of its colours, is one value but for a mark."""
    planes = samples.reshape(-1, samples.shape[-1]).T if samples.ndim == 3 else [samples.reshape(-1)]
    return all(_is_even(plane, levels) for plane in planes)


def _is_even(plane: Samples, levels: int) -> bool:
    few = plane[:: max(1, plane.size // 4096)].astype(np.int64)
    middle = int(np.median(few))
    if (np.abs(few - middle) <= levels).mean() < EVEN_SHARE - 0.01:
        return False
    return bool((np.abs(plane.astype(np.int64) - middle) <= levels).mean() >= EVEN_SHARE)
