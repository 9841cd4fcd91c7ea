"""A second decoder, written from ``docs/reference/wire-form.md`` alone: what the page does not say, this cannot do.

It trusts its input and keeps everything in memory. It shares no code with ``sync/wire``.
"""

from __future__ import annotations

import hashlib
from typing import Any

import imagecodecs
import numpy as np
import zstandard
from numpy.typing import NDArray

_MAGICLESS = zstandard.FORMAT_ZSTD1_MAGICLESS


class Reader:
    """A cursor with the page's notation."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        taken = self.data[self.at : self.at + count]
        assert len(taken) == count
        self.at += count
        return taken

    def u8(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        number, shift = 0, 0
        while True:
            byte = self.u8()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)


def unzstd(frame: bytes, size: int, dictionary: bytes | None = None) -> bytes:
    known = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
    return zstandard.ZstdDecompressor(dict_data=known, format=_MAGICLESS).decompress(frame, max_output_size=size)


def read_header_part(part: bytes, dictionary: bytes) -> dict[str, bytes]:
    """Skeletons by SHA-256."""
    reader = Reader(part)
    assert reader.take(3) == b"QH1"
    assert reader.take(8) == hashlib.sha256(dictionary).digest()[:8]
    count = reader.varint()
    digests = [reader.take(32).hex() for _ in range(count)]
    sizes = [reader.varint() for _ in range(count)]
    skeletons = Reader(unzstd(reader.rest(), sum(sizes), dictionary))
    return {digest: skeletons.take(size) for digest, size in zip(digests, sizes, strict=True)}


def read_file(skeleton: bytes, part: bytes | None) -> bytes:
    """The file of a skeleton and a pixel part."""
    reader = Reader(skeleton)
    assert reader.take(3) == b"QS1"
    size, count = reader.varint(), reader.varint()
    table = [(reader.varint(), reader.varint()) for _ in range(count)]
    stream = Reader(read_pixel_part(part) if part is not None else b"")
    pieces = []
    for literal_count, code in table:
        pieces.append(reader.take(literal_count))
        pieces.append(stream.take(code - 1 if code else int.from_bytes(pieces[-1][-4:], "little")))
    pieces.append(reader.rest())
    whole = b"".join(pieces)
    assert len(whole) == size
    assert stream.rest() == b""
    return whole


def read_pixel_part(part: bytes) -> bytes:
    """The stream of a pixel part."""
    reader = Reader(part)
    assert reader.take(3) == b"QX1"
    digest, size, _ = reader.take(32), reader.varint(), reader.varint()
    stream, raster, tables = b"", b"", b""
    while kind := reader.u8():
        block_size = reader.varint()
        payload = Reader(reader.take(reader.varint()))
        if kind == 1:
            stream += payload.rest()
        elif kind == 2:
            stream += unzstd(payload.rest(), block_size)
        elif kind == 3:
            raster = payload.take(payload.varint()) or raster
            stream += _picture(payload, Reader(raster), stream, block_size)
        elif kind == 4:
            shared = payload.varint()
            tables = tables[:shared] + payload.take(payload.varint())
            stream += _jpeg(tables, payload.rest())
    assert reader.rest() == b""
    assert len(stream) == size
    assert hashlib.sha256(stream).digest() == digest
    return stream


def _picture(payload: Reader, raster: Reader, stream: bytes, size: int) -> bytes:
    form = raster.u8()
    rows, columns, samples, strips = (raster.varint() for _ in range(4))
    order, wide, swapped = form & 7, form >> 3 & 1, form >> 4 & 1
    back, low, bits = payload.varint(), payload.u8(), payload.u8()
    base, _ = payload.varint(), payload.u8()
    rest_size, coded_size = payload.varint(), payload.varint()
    rest_packed = unzstd(payload.take(coded_size), rest_size) if rest_size else b""
    picture = imagecodecs.jpegxl_decode(payload.rest()).astype(np.int64)

    height = picture.shape[0] // strips
    picture = np.concatenate([picture[n * height : (n + 1) * height] for n in range(strips)], axis=1)[:, :columns]
    if order == 0:
        flat = picture.reshape(samples, rows, columns).transpose(1, 2, 0).reshape(-1)
    elif order == 2:
        flat = picture.transpose(2, 0, 1).reshape(-1)
    elif order == 3:
        half = columns // 2
        flat = np.stack(
            [picture[:rows, ::2], picture[:rows, 1::2], picture[rows:, :half], picture[rows:, half:]], axis=-1
        ).reshape(-1)
    else:
        flat = picture.reshape(-1)

    top = (1 << bits) - 1
    values = flat + base & top
    rest = _rest(rest_packed, len(flat))
    if back:
        start = len(stream) - back
        before = _words(stream[start : start + size], order, wide, swapped)[: len(flat)]
        values = values + (before >> low & top) & top
        rest = rest ^ (before & ~(top << low))
    words = values << low | rest
    if order == 4:
        return np.packbits(words.astype(np.uint8), bitorder="little").tobytes()
    if wide:
        return words.astype(">u2" if swapped else "<u2").tobytes()
    made = words.astype(np.uint8)
    return made.reshape(-1, 2)[:, ::-1].tobytes() if swapped else made.tobytes()


def _words(data: bytes, order: int, wide: int, swapped: int) -> NDArray[np.int64]:
    raw = np.frombuffer(data, dtype=np.uint8)
    found: NDArray[Any] = raw
    if order == 4:
        found = np.unpackbits(raw, bitorder="little")
    elif wide:
        found = raw.view(">u2" if swapped else "<u2")
    elif swapped:
        found = raw.reshape(-1, 2)[:, ::-1].reshape(-1)
    return found.astype(np.int64)


def _rest(packed: bytes, count: int) -> NDArray[np.int64]:
    rest = np.zeros(count, dtype=np.int64)
    reader = Reader(packed or b"\0\0")
    mask = int.from_bytes(reader.take(2), "little")
    for bit in range(16):
        if mask >> bit & 1:
            plane = np.frombuffer(reader.take((count + 7) // 8), dtype=np.uint8)
            rest |= np.unpackbits(plane)[:count].astype(np.int64) << bit
    return rest


def _jpeg(tables: bytes, codestream: bytes) -> bytes:
    def box(kind: bytes, content: bytes) -> bytes:
        return (len(content) + 8).to_bytes(4, "big") + kind + content

    container = box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    return bytes(
        imagecodecs.jpegxl_decode_jpeg(container + box(b"jbrd", tables) + box(b"jxlc", codestream), numthreads=1)
    )
