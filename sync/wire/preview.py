"""A small picture of an instance, for a person far away to see first; never for diagnosis, and no part of the file."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import config

from sync.wire.limits import DEFAULT_LIMITS, WireLimits
from sync.wire.preview_frame import Frame, NoPicture, read_frame
from sync.wire.preview_tones import (
    averaged,
    fitted,
    grey,
    padding_mask,
    palette_colour,
    rgb_of_ybr,
    stored_values,
)

MEDIA_TYPE = "image/webp"
_QUALITY_BEST, _QUALITY_LEAST = 70, 25
"""Beyond 70 the bytes grow by half for what nobody sees in a picture of 1,024 pixels."""
_METHOD = 4
"""WebP's effort: 6 saves another 10 % for twice the time (measured)."""
_SMALLER = 0.8
_EDGE_PIXELS_MIN = 64


@dataclass(frozen=True, slots=True)
class Preview:
    """An encoded picture and its size in pixels."""

    data: bytes
    media_type: str
    width: int
    height: int


def make_preview(path: Path, limits: WireLimits = DEFAULT_LIMITS) -> Preview | None:
    """A WebP within the bytes that its kind may have; None where there is no picture or it cannot be decoded here.

    Raises:
        OSError: If the file cannot be read.
    """
    made = preview_or_reason(path, limits)
    return made if isinstance(made, Preview) else None


def preview_or_reason(path: Path, limits: WireLimits = DEFAULT_LIMITS) -> Preview | str:
    """As ``make_preview``, with the reason instead of None: a sentence without patient identity."""
    try:
        with _quiet():
            frame = read_frame(path, limits)
            return _fitting(_picture(frame, limits), _bytes_max(frame, limits))
    except NoPicture as error:
        return str(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # The text of a parser's error may quote values of the data set, hence patient identity: only its type goes out.
        return f"the header cannot be read as a picture's ({type(error).__name__})"


@contextmanager
def _quiet() -> Iterator[None]:
    """pydicom takes every value as it is, and neither warns nor logs: its sentences quote values of the data set."""
    logger = logging.getLogger("pydicom")
    level, validation = logger.level, config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        config.settings.reading_validation_mode = validation


def _bytes_max(frame: Frame, limits: WireLimits) -> int:
    is_still = frame.frame_count == 1 and frame.header.get("Modality") not in ("US", "IVUS")
    return limits.preview_still_bytes_max if is_still else limits.preview_ultrasound_bytes_max


def _picture(frame: Frame, limits: WireLimits) -> NDArray[np.uint8]:
    """(height, width) or (height, width, 3), as it is to be seen."""
    header, samples = frame.header, frame.samples
    height, width = fitted(samples.shape[0], samples.shape[1], limits.preview_edge_pixels)
    photometric = str(header.get("PhotometricInterpretation") or "MONOCHROME2")
    if samples.ndim == 3:
        return _colour(frame, photometric, height, width)
    values = stored_values(samples, header)
    if photometric == "PALETTE COLOR" and (colours := palette_colour(values, header)) is not None:
        return _to_bytes(averaged(colours, height, width))
    return grey(averaged(values, height, width, padding_mask(values, header)), header, frame.index)


def _colour(frame: Frame, photometric: str, height: int, width: int) -> NDArray[np.uint8]:
    shown = averaged(frame.samples, height, width)
    if frame.samples.dtype.itemsize > 1:
        stored = int(frame.header.get("BitsStored") or 8 * frame.samples.dtype.itemsize)
        shown *= 255.0 / ((1 << stored) - 1)
    if photometric.startswith("YBR") and frame.is_as_stored:
        shown = rgb_of_ybr(shown, photometric)
    return _to_bytes(shown)


def _to_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(values, 0, 255)), dtype=np.uint8)


def _fitting(picture: NDArray[np.uint8], bytes_max: int) -> Preview:
    """The best quality that fits; where even the least does not (detector noise), the picture gets smaller."""
    while True:
        data = _webp(picture, _QUALITY_BEST)
        if len(data) > bytes_max:
            data = _searched(picture, bytes_max)
        height, width = picture.shape[:2]
        if len(data) <= bytes_max or max(height, width) <= _EDGE_PIXELS_MIN:
            return Preview(data, MEDIA_TYPE, width, height)
        picture = _to_bytes(averaged(picture, *fitted(height, width, int(max(height, width) * _SMALLER))))


def _searched(picture: NDArray[np.uint8], bytes_max: int) -> bytes:
    """The best quality between the least and the best that fits, or the least."""
    low, high = _QUALITY_LEAST, _QUALITY_BEST
    best = _webp(picture, low)
    while high - low > 1 and len(best) <= bytes_max:
        middle = (low + high) // 2
        data = _webp(picture, middle)
        if len(data) <= bytes_max:
            best, low = data, middle
        else:
            high = middle
    return best


def _webp(picture: NDArray[np.uint8], quality: int) -> bytes:
    shown = np.repeat(picture[:, :, None], 3, axis=2) if picture.ndim == 2 else picture
    return bytes(imagecodecs.webp_encode(np.ascontiguousarray(shown), level=quality, method=_METHOD, lossless=False))
