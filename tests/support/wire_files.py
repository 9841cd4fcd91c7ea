"""Part 10 files out of bare bytes, sound and unsound, for the wire form; shares no code with the product."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import AllTransferSyntaxes

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
BASELINE = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"
SYNTAXES = tuple(str(uid) for uid in AllTransferSyntaxes)
ENCAPSULATED = tuple(uid for uid in SYNTAXES if uid not in (IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED))

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


@dataclass(frozen=True, slots=True)
class Writer:
    """Elements in one way of writing."""

    explicit: bool = True
    big: bool = False

    @classmethod
    def of(cls, syntax: str) -> Writer:
        return cls(syntax != IMPLICIT, syntax == BIG_ENDIAN)

    def number(self, value: int, size: int) -> bytes:
        return value.to_bytes(size, "big" if self.big else "little")

    def tag(self, tag: int) -> bytes:
        return self.number(tag >> 16, 2) + self.number(tag & 0xFFFF, 2)

    def element(self, tag: int, vr: str, value: bytes, length: int | None = None) -> bytes:
        length = len(value) if length is None else length
        if not self.explicit or tag >> 16 == 0xFFFE:
            return self.tag(tag) + self.number(length, 4) + value
        if vr in _LONG:
            return self.tag(tag) + vr.encode() + b"\0\0" + self.number(length, 4) + value
        return self.tag(tag) + vr.encode() + self.number(length, 2) + value

    def us(self, tag: int, value: int) -> bytes:
        return self.element(tag, "US", self.number(value, 2))

    def text(self, tag: int, vr: str, text: str) -> bytes:
        return self.element(tag, vr, text.encode() + (b"\0" if vr == "UI" else b" ") * (len(text) % 2))

    def sequence(self, tag: int, items: Sequence[bytes], *, undefined: bool) -> bytes:
        if undefined:
            body = b"".join(
                self.element(ITEM, "", each, UNDEFINED) + self.element(ITEM_END, "", b"") for each in items
            ) + self.element(SEQUENCE_END, "", b"")
            return self.element(tag, "SQ", body, UNDEFINED)
        return self.element(tag, "SQ", b"".join(self.element(ITEM, "", each) for each in items))

    def fragments(self, fragments: Sequence[bytes], table: bytes = b"", *, closed: bool = True) -> bytes:
        body = b"".join(self.element(ITEM, "", each) for each in (table, *fragments))
        end = self.element(SEQUENCE_END, "", b"") if closed else b""
        return self.element(0x7FE00010, "OB", body + end, UNDEFINED)


@dataclass(frozen=True, slots=True)
class Image:
    """What the image pixel module says, and the bytes of the pixels."""

    rows: int
    columns: int
    value: bytes = field(repr=False)
    samples: int = 1
    allocated: int = 16
    stored: int = 16
    high: int | None = None
    signed: bool = False
    planar: int = 0
    frames: int = 1
    photometric: str = "MONOCHROME2"
    vr: str = "OW"


@dataclass(frozen=True, slots=True)
class Made:
    """A file and how it is put together."""

    syntax: str = EXPLICIT
    image: Image | None = None
    fragments: Sequence[bytes] | None = field(default=None, repr=False)
    table: bytes = b""
    closed: bool = True
    preamble: bytes | None = field(default=bytes(128), repr=False)
    meta: bool = True
    name: str = "PHANTOM^WIRE"
    private: bytes = b""
    undefined: bool = False
    icon: bytes = b""
    after: bytes = b""
    pixel_tag: int = 0x7FE00010
    extra: Sequence[bytes] = field(default=())
    """Elements before the pixels, already written."""

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        writer = Writer.of(self.syntax)
        head = b"" if self.preamble is None else self.preamble + b"DICM"
        return head + (self._meta() if self.meta else b"") + self._data_set(writer)

    def _meta(self) -> bytes:
        writer = Writer()
        body = writer.element(0x00020001, "OB", b"\0\1")
        body += writer.text(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.7")
        body += writer.text(0x00020003, "UI", "1.2.3.4")
        body += writer.text(0x00020010, "UI", self.syntax)
        return writer.element(0x00020000, "UL", struct.pack("<I", len(body))) + body

    def _data_set(self, writer: Writer) -> bytes:
        body = writer.text(0x00080005, "CS", "ISO_IR 192") + writer.text(0x00080018, "UI", "1.2.3.4")
        inner = writer.text(0x00080100, "SH", "1") + writer.text(0x00080104, "LO", "odd")
        body += writer.sequence(0x00081110, [inner, b"", inner], undefined=self.undefined)
        body += writer.text(0x00100010, "PN", self.name)
        image = self.image
        if image is not None:
            body += writer.us(0x00280002, image.samples) + writer.text(0x00280004, "CS", image.photometric)
            if image.samples > 1:
                body += writer.us(0x00280006, image.planar)
            body += writer.text(0x00280008, "IS", str(image.frames))
            body += writer.us(0x00280010, image.rows) + writer.us(0x00280011, image.columns)
            high = image.stored - 1 if image.high is None else image.high
            body += writer.us(0x00280100, image.allocated) + writer.us(0x00280101, image.stored)
            body += writer.us(0x00280102, high) + writer.us(0x00280103, int(image.signed))
        body += writer.text(0x00290010, "LO", "QAFILA TEST") + writer.element(0x00291001, "OB", self.private)
        if self.icon:
            icon = writer.us(0x00280010, 2) + writer.element(0x7FE00010, "OW", self.icon)
            body += writer.sequence(0x00880200, [icon], undefined=self.undefined)
        body += b"".join(self.extra)
        if self.fragments is not None:
            body += writer.fragments(self.fragments, self.table, closed=self.closed)
        elif image is not None:
            body += writer.element(self.pixel_tag, image.vr, image.value)
        return body + self.after


def smooth(rows: int, columns: int, top: int, *, channels: int = 0, seed: int = 0) -> NDArray[np.int64]:
    """A picture that compresses well and fills 0 to ``top``: waves and a little noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:rows, 0:columns]
    picture = (np.sin(x / 9.0 + seed) + np.cos(y / 7.0) + 2.0) / 4.0
    if channels:
        picture = np.stack([picture * (1.0 - 0.2 * channel) for channel in range(channels)], axis=-1)
    noise = rng.integers(0, max(1, top // 64) + 1, picture.shape)
    smoothed: NDArray[np.int64] = np.clip((picture * top).astype(np.int64) + noise, 0, top)
    return smoothed


def words(values: NDArray[Any], bits: int, *, big: bool = False) -> bytes:
    """Values as unsigned words of 8, 16, 32 or 64 bits."""
    kept = values if bits == 64 else values & ((1 << bits) - 1)
    return kept.astype(f"{'>' if big else '<'}u{bits // 8}").tobytes()


def jpeg(rows: int = 64, columns: int = 48, *, grey: bool = False, quality: int = 85, seed: int = 0) -> bytes:
    """A baseline JPEG stream."""
    picture = smooth(rows, columns, 255, channels=0 if grey else 3, seed=seed).astype(np.uint8)
    return bytes(imagecodecs.jpeg8_encode(picture, level=quality))


def real_frame(syntax: str) -> bytes | None:
    """A real coded frame for a transfer syntax, where an encoder for it is at hand."""
    picture = smooth(40, 36, 4095).astype(np.uint16)
    eight = smooth(40, 36, 255).astype(np.uint8)
    suffix = syntax.removeprefix("1.2.840.10008.1.2.4.")
    if suffix in ("50", "51"):
        return jpeg()
    if suffix in ("57", "70"):
        return bytes(imagecodecs.ljpeg_encode(picture, bitspersample=12))
    if suffix in ("80", "81"):
        return bytes(imagecodecs.jpegls_encode(picture))
    if suffix in ("90", "91", "92", "93"):
        return bytes(imagecodecs.jpeg2k_encode(picture, codecformat="j2k", reversible=True))
    if suffix in ("201", "202", "203"):
        return bytes(imagecodecs.htj2k_encode(picture))
    if suffix in ("110", "112"):
        return bytes(imagecodecs.jpegxl_encode(eight, lossless=True, usecontainer=False))
    if suffix == "111":
        return bytes(imagecodecs.jpegxl_encode_jpeg(jpeg(), usecontainer=True))
    return None
