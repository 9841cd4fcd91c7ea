"""Decodes a picture and turns it upright: plain pixels, or the JPEG's own bytes when they may stand in DICOM as is."""

from __future__ import annotations

from dataclasses import dataclass

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from appliance.imports.jpeg import Jpeg, read_jpeg
from appliance.imports.kinds import Kind
from appliance.imports.png import read_png
from appliance.imports.problems import ImportProblem

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Picture:
    """A still picture ready for an object; either ``pixels`` or ``baseline``."""

    rows: int
    columns: int
    component_count: int
    """1 or 3."""
    pixels: Pixels | None
    """Shape (rows, columns) or (rows, columns, 3), red, green, blue; ``None`` when the JPEG's bytes are used."""
    baseline: bytes
    photometric: str
    was_lossy: bool
    source_bytes: int
    """Length of the compressed picture; for the ratio of a lossy one."""
    notes: tuple[str, ...] = ()


def read_picture(kind: Kind, data: bytes, pixel_count_max: int) -> Picture:
    """The picture in ``data``, decoded as a proof that it can be.

    Raises:
        ImportProblem: With a ``picture-`` code.
    """
    return _from_jpeg(data, pixel_count_max) if kind is Kind.JPEG else _from_png(data, pixel_count_max)


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """The picture as EXIF orientation 1 to 8 wants it shown (CIPA DC-008, table 4)."""
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _from_jpeg(data: bytes, pixel_count_max: int) -> Picture:
    jpeg = read_jpeg(data)
    if jpeg.rows * jpeg.columns > pixel_count_max:
        raise ImportProblem("picture-too-large", f"{jpeg.columns} x {jpeg.rows}")
    pixels = decode_jpeg(jpeg)
    if jpeg.is_baseline and jpeg.orientation == 1:
        rows, columns = jpeg.rows, jpeg.columns
        return Picture(rows, columns, jpeg.component_count, None, jpeg.clean, _photometric(jpeg), True, len(jpeg.clean))
    return _plain(upright(pixels, jpeg.orientation), True, len(jpeg.clean))


def decode_jpeg(jpeg: Jpeg) -> Pixels:
    """Its pixels as they lie in the file, grey or red, green, blue.

    Raises:
        ImportProblem: ``picture-damaged``.
    """
    try:
        pixels: Pixels = imagecodecs.jpeg8_decode(jpeg.clean)
    except (RuntimeError, ValueError) as error:
        raise ImportProblem("picture-damaged", type(error).__name__) from error
    if pixels.shape != ((jpeg.rows, jpeg.columns) + ((3,) if jpeg.component_count == 3 else ())):
        raise ImportProblem("picture-damaged", f"decodes to {pixels.shape}")
    return pixels


def _photometric(jpeg: Jpeg) -> str:
    """PS3.5 table 8.2.1-1; every kind of subsampling is called 422, as other makers of objects do."""
    if jpeg.component_count == 1:
        return "MONOCHROME2"
    if jpeg.is_rgb:
        return "RGB"
    return "YBR_FULL_422" if jpeg.is_subsampled else "YBR_FULL"


def _from_png(data: bytes, pixel_count_max: int) -> Picture:
    png = read_png(data, pixel_count_max)
    try:
        pixels: Pixels = imagecodecs.png_decode(png.clean)
    except (RuntimeError, ValueError) as error:
        raise ImportProblem("picture-damaged", type(error).__name__) from error
    if pixels.shape[:2] != (png.rows, png.columns) or pixels.dtype != np.uint8:
        raise ImportProblem("picture-damaged", f"decodes to {pixels.shape}")
    pixels, notes = _opaque(pixels)
    return _plain(upright(pixels, png.orientation), False, len(png.clean), notes)


def _opaque(pixels: Pixels) -> tuple[Pixels, tuple[str, ...]]:
    """Without the alpha channel; what is see-through is laid on black, row by row to save memory."""
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels, ()
    colours, alpha = pixels[..., :-1], pixels[..., -1:]
    is_opaque = bool((alpha == 255).all())
    solid = np.ascontiguousarray(colours)
    if not is_opaque:
        for row in range(len(solid)):
            solid[row] = (solid[row].astype(np.uint16) * alpha[row] + 127) // 255
    return (solid[..., 0] if solid.shape[2] == 1 else solid), (() if is_opaque else ("see-through",))


def _plain(pixels: Pixels, was_lossy: bool, source_bytes: int, notes: tuple[str, ...] = ()) -> Picture:
    count = 1 if pixels.ndim == 2 else 3
    return Picture(
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        component_count=count,
        pixels=pixels,
        baseline=b"",
        photometric="MONOCHROME2" if count == 1 else "RGB",
        was_lossy=was_lossy,
        source_bytes=source_bytes,
        notes=notes,
    )
