"""What no lossless sender can beat by much: (JPEG XL effort 7 of the pixels + zstd -19 of the headers) / link rate.

Computed here from the codecs alone, apart from everything that the product does.
"""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import zstandard
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from bench.peers.payloads import Item, Payload

EFFORT = 7
_JPEG = (JPEGBaseline8Bit, JPEGExtended12Bit)


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """The fewest bytes for one payload, as far as this yardstick knows."""

    pixel_bytes: int
    header_bytes: int

    @property
    def all_bytes(self) -> int:
        return self.pixel_bytes + self.header_bytes

    def seconds(self, rate_bps: float, share_up: float = 1.0) -> float:
        """How long these bytes take at a rate that is there for that share of the time."""
        return self.all_bytes * 8 / rate_bps / share_up


def limit_of(payload: Payload, folder: Path) -> Limit:
    """The limit of a payload; each object's part is remembered in ``folder``."""
    parts = [_limit_of_item(item, folder) for item in payload.items]
    return Limit(sum(part.pixel_bytes for part in parts), sum(part.header_bytes for part in parts))


def _limit_of_item(item: Item, folder: Path) -> Limit:
    note = folder / f"{item.path.stem}-{item.pixel_sha256[:16]}.limit.json"
    if note.exists():
        return Limit(**json.loads(note.read_text(encoding="ascii")))
    limit = measure(item.path)
    note.write_text(json.dumps(dataclasses.asdict(limit)), encoding="ascii")
    return limit


def measure(path: Path) -> Limit:
    """The limit of one file: native pixels anew, JPEG frames by bit-exact recompression.

    Raises:
        ValueError: If a frame does not come back identical; then the yardstick itself would be wrong.
    """
    dataset = pydicom.dcmread(path)
    if dataset.file_meta.TransferSyntaxUID in _JPEG:
        frames = generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1)))
        pixel_bytes = sum(_recompressed_bytes(frame) for frame in frames)
    else:
        pixel_bytes = sum(_coded_bytes(frame, int(dataset.BitsStored)) for frame in pydicom.iter_pixels(dataset))
    del dataset.PixelData
    body = io.BytesIO()
    dataset.save_as(body, enforce_file_format=True)
    return Limit(pixel_bytes, len(zstandard.ZstdCompressor(level=19).compress(body.getvalue())))


def _coded_bytes(frame: NDArray[Any], bits_stored: int) -> int:
    bits = bits_stored if frame.dtype == np.uint16 else None
    coded = imagecodecs.jpegxl_encode(frame, lossless=True, effort=EFFORT, bitspersample=bits)
    if not np.array_equal(imagecodecs.jpegxl_decode(coded), frame):
        raise ValueError("JPEG XL did not give back the same pixels; the limit cannot be computed with it")
    return len(coded)


def _recompressed_bytes(frame: bytes) -> int:
    # A DICOM fragment has even length; the padding after the end of the image is not JPEG.
    image = frame[: frame.rindex(b"\xff\xd9") + 2]
    coded = imagecodecs.jpegxl_encode_jpeg(image)
    if bytes(imagecodecs.jpegxl_decode_jpeg(coded, numthreads=1)) != image:
        raise ValueError("JPEG XL did not give back the same JPEG; the limit cannot be computed with it")
    return len(coded)
