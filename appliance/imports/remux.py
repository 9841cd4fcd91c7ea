"""Writes an MP4 anew with nothing but its pictures: no sound, no places, no names, no other file behind it.

The coded pictures are the same bytes; each is checked to be made of whole NAL units while it is copied.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from appliance.imports.boxes import box, full_box, maybe, one
from appliance.imports.mp4 import Video
from appliance.imports.problems import ImportProblem

SAMPLE_BYTES_MAX = 32 * 1024 * 1024
"""A picture of level 4.2 has at most 3 MB before coding, and coding makes it smaller."""
_ENTRY_BYTES = 78
_COMPRESSOR_NAME = slice(42, 74)
_SLICES = frozenset({1, 5})
"""NAL unit types that hold a picture, of those that MP4 writers use (H.264 table 7-1)."""


def write_video(video: Video, source: BinaryIO, target: BinaryIO) -> int:
    """Write the clean MP4; its length, which is even, for DICOM wants it so.

    Raises:
        ImportProblem: ``video-cut`` or ``video-damaged`` at a picture that is not whole.
        OSError: If ``target`` cannot be written.
    """
    head = box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2avc1mp41")
    media_bytes = sum(length for _, length in video.samples)
    # The place of the pictures does not change the length of the list that names it.
    place = len(head) + len(_moov(video, 0)) + 8
    target.write(head + _moov(video, place) + struct.pack(">I4s", 8 + media_bytes, b"mdat"))
    for picture in _pictures(video, source):
        target.write(picture)
    length = place + media_bytes
    if length % 2:
        target.write(box(b"free", b"\0"))
        length += 9
    return length


def _pictures(video: Video, source: BinaryIO) -> Iterator[bytes]:
    for start, length in video.samples:
        if length > SAMPLE_BYTES_MAX:
            raise ImportProblem("video-damaged", f"a picture of {length} bytes")
        source.seek(start)
        data = source.read(length)
        if len(data) != length:
            raise ImportProblem("video-cut", f"a picture at byte {start}")
        _check_picture(data, video.nal_length_bytes, start)
        yield data


def _check_picture(data: bytes, length_bytes: int, start: int) -> None:
    """NAL units, one behind the other up to the end, with a picture among them."""
    at, has_slice = 0, False
    while at < len(data):
        first = at + length_bytes
        at = first + int.from_bytes(data[at:first], "big")
        if at > len(data) or at == first or first >= len(data):
            raise ImportProblem("video-damaged", f"the picture at byte {start} is not whole")
        has_slice = has_slice or data[first] & 0x1F in _SLICES
    if not has_slice:
        raise ImportProblem("video-damaged", f"there is no picture at byte {start}")


def _moov(video: Video, place: int) -> bytes:
    tables = one(video.track, b"mdia", b"minf", b"stbl")
    count = len(video.samples)
    sizes = struct.pack(f">{count}I", *(length for _, length in video.samples))
    stbl = box(
        b"stbl",
        full_box(b"stsd", struct.pack(">I", 1), _entry(video)),
        box(b"stts", one(tables, b"stts")),
        _kept(tables, b"ctts"),
        _kept(tables, b"stss"),
        full_box(b"stsc", struct.pack(">IIII", 1, 1, count, 1)),
        full_box(b"stsz", struct.pack(">II", 0, count), sizes),
        full_box(b"stco", struct.pack(">II", 1, place)),
    )
    minf = box(
        b"minf",
        full_box(b"vmhd", bytes(8), flags=1),
        box(b"dinf", full_box(b"dref", struct.pack(">I", 1), full_box(b"url ", flags=1))),
        stbl,
    )
    mdia = box(
        b"mdia",
        box(b"mdhd", one(video.track, b"mdia", b"mdhd")),
        full_box(b"hdlr", bytes(4), b"vide", bytes(12), b"\0"),
        minf,
    )
    track = box(b"trak", box(b"tkhd", one(video.track, b"tkhd")), _kept(video.track, b"edts"), mdia)
    return box(b"moov", box(b"mvhd", one(video.moov, b"mvhd")), track)


def _kept(parent: memoryview, kind: bytes) -> bytes:
    contents = maybe(parent, kind)
    return b"" if contents is None else box(kind, contents)


def _entry(video: Video) -> bytes:
    """The sample entry without its maker's name, with the decoder's configuration and how pixels are to be shown."""
    fixed = bytearray(video.entry[:_ENTRY_BYTES])
    fixed[_COMPRESSOR_NAME] = bytes(32)
    extensions = video.entry[_ENTRY_BYTES:]
    return box(b"avc1", bytes(fixed), *(_kept(extensions, kind) for kind in (b"avcC", b"colr", b"pasp")))
