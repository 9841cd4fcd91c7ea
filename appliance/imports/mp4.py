"""Reads an MP4 far enough to know its one H.264 track, picture by picture (ISO/IEC 14496-12, -15); owns no decoder."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO

from appliance.imports import h264
from appliance.imports.boxes import boxes, maybe, one, table, top_boxes
from appliance.imports.problems import ImportProblem

MOOV_BYTES_MAX = 64 * 1024 * 1024
"""Tables of half a million pictures take 10 MB."""
SAMPLE_COUNT_MAX = 500_000
"""Two hours at 60 pictures a second."""
_VISUAL_ENTRY_BYTES = 78
_UPRIGHT = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


@dataclass(frozen=True, slots=True)
class Video:
    """The one video track of an MP4."""

    parameters: h264.SequenceParameters
    transfer_syntax_uid: str
    frame_time_ms: float
    nal_length_bytes: int
    samples: Sequence[tuple[int, int]]
    """Place and length of each coded picture in the file."""
    entry: memoryview
    """Contents of the sample entry ``avc1``."""
    moov: memoryview
    track: memoryview
    notes: tuple[str, ...]


def read_video(file: BinaryIO, size_bytes: int) -> Video:
    """Read and judge an MP4.

    Raises:
        ImportProblem: With a ``video-`` code.
    """
    moov = _movie(file, size_bytes)
    all_tracks = [(bytes(one(track, b"mdia", b"hdlr")[8:12]), track) for track in _tracks(moov)]
    tracks = [track for kind, track in all_tracks if kind == b"vide"]
    if not tracks:
        raise ImportProblem("video-none")
    if len(tracks) > 1:
        raise ImportProblem("video-several")
    track = tracks[0]
    table_box = one(track, b"mdia", b"minf", b"stbl")
    entry = _entry(one(table_box, b"stsd"))
    parameters, nal_length_bytes = _configuration(one(entry[_VISUAL_ENTRY_BYTES:], b"avcC"))
    samples = _samples(table_box, size_bytes)
    frame_time_ms = _frame_time_ms(track, table_box, len(samples))
    notes = ["sound-left-out"] if any(kind == b"soun" for kind, _ in all_tracks) else []
    if bytes(_matrix(one(track, b"tkhd"))) != _UPRIGHT:
        notes.append("video-turned")
    return Video(
        parameters=parameters,
        transfer_syntax_uid=h264.transfer_syntax_for(parameters, 1000.0 / frame_time_ms),
        frame_time_ms=frame_time_ms,
        nal_length_bytes=nal_length_bytes,
        samples=samples,
        entry=entry,
        moov=moov,
        track=track,
        notes=tuple(notes),
    )


def _movie(file: BinaryIO, size_bytes: int) -> memoryview:
    """The contents of ``moov``; every box of the file is inside the file then."""
    moov: memoryview | None = None
    for number, (kind, start, end) in enumerate(top_boxes(file, size_bytes)):
        if (number == 0) != (kind == b"ftyp"):
            raise ImportProblem("video-damaged", "its type is not where it belongs")
        if kind == b"moof":
            raise ImportProblem("video-pieces")
        if kind == b"moov":
            if moov is not None or end - start > MOOV_BYTES_MAX:
                raise ImportProblem("video-damaged", "two lists of contents, or a huge one")
            file.seek(start)
            moov = memoryview(file.read(end - start))
    if moov is None:
        raise ImportProblem("video-cut", "no list of contents")
    if maybe(moov, b"mvex") is not None:
        raise ImportProblem("video-pieces")
    return moov


def _tracks(moov: memoryview) -> list[memoryview]:
    return [contents for kind, contents in boxes(moov) if kind == b"trak"]


def _entry(stsd: memoryview) -> memoryview:
    """The contents of the only sample entry, when it is H.264 with its parameters outside the stream."""
    entries = list(boxes(stsd[8:]))
    if int.from_bytes(stsd[4:8], "big") != 1 or len(entries) != 1:
        raise ImportProblem("video-damaged", "not one sample entry")
    kind, contents = entries[0]
    if kind == b"encv":
        raise ImportProblem("video-protected")
    if kind != b"avc1":
        raise ImportProblem("video-coding", kind.decode("ascii", "replace"))
    if len(contents) < _VISUAL_ENTRY_BYTES:
        raise ImportProblem("video-damaged", "a short sample entry")
    return contents


def _configuration(avcc: memoryview) -> tuple[h264.SequenceParameters, int]:
    """Sequence parameters and the length of NAL length fields, from an AVCDecoderConfigurationRecord."""
    if len(avcc) < 7 or avcc[0] != 1:
        raise ImportProblem("video-damaged", "no decoder configuration")
    nal_length_bytes = (avcc[4] & 3) + 1
    found: set[h264.SequenceParameters] = set()
    at = 6
    for _ in range(avcc[5] & 0x1F):
        length = int.from_bytes(avcc[at : at + 2], "big")
        if at + 2 + length > len(avcc):
            raise ImportProblem("video-damaged", "a short decoder configuration")
        found.add(h264.read_parameters(bytes(avcc[at + 2 : at + 2 + length])))
        at += 2 + length
    if len(found) != 1 or nal_length_bytes == 3:
        raise ImportProblem("video-damaged", f"{len(found)} sets of parameters")
    return found.pop(), nal_length_bytes


def _samples(table_box: memoryview, size_bytes: int) -> list[tuple[int, int]]:
    """Place and length of each sample, from the tables of sizes, chunks and their places."""
    sizes = _sizes(one(table_box, b"stsz"))
    chunks = _chunks(table_box)
    runs = table(one(table_box, b"stsc"), "III", "stsc")
    samples: list[tuple[int, int]] = []
    for number, (first, count, _) in enumerate(runs):
        last = runs[number + 1][0] if number + 1 < len(runs) else len(chunks) + 1
        if not 1 <= first < last <= len(chunks) + 1 or not 1 <= count <= SAMPLE_COUNT_MAX:
            raise ImportProblem("video-damaged", "the table stsc makes no sense")
        for chunk in range(first - 1, last - 1):
            inside = sizes[len(samples) : len(samples) + count]
            if len(inside) < count:
                raise ImportProblem("video-damaged", "more pictures in chunks than there are")
            starts = accumulate(inside, initial=chunks[chunk])
            samples += zip(starts, inside, strict=False)
    if not samples or len(samples) != len(sizes):
        raise ImportProblem("video-damaged", f"{len(samples)} of {len(sizes)} pictures have a place")
    if max(start + length for start, length in samples) > size_bytes:
        raise ImportProblem("video-cut", "pictures behind the end of the file")
    return samples


def _sizes(stsz: memoryview) -> list[int]:
    if len(stsz) < 12:
        raise ImportProblem("video-damaged", "the table stsz has a wrong length")
    same, count = struct.unpack_from(">II", stsz, 4)
    if count > SAMPLE_COUNT_MAX or (not same and len(stsz) != 12 + 4 * count):
        raise ImportProblem("video-damaged", "the table stsz has a wrong length")
    return [same] * count if same else [size for (size,) in struct.iter_unpack(">I", stsz[12:])]


def _chunks(table_box: memoryview) -> list[int]:
    near = maybe(table_box, b"stco")
    places = table(near, "I", "stco") if near is not None else table(one(table_box, b"co64"), "Q", "co64")
    return [place for (place,) in places]


def _frame_time_ms(track: memoryview, table_box: memoryview, sample_count: int) -> float:
    """The mean time of a picture, from the table of durations and the track's time scale."""
    durations = table(one(table_box, b"stts"), "II", "stts")
    count = sum(count for count, _ in durations)
    ticks = sum(count * delta for count, delta in durations)
    mdhd = one(track, b"mdia", b"mdhd")
    at = 20 if bytes(mdhd[:1]) == b"\1" else 12
    scale = int.from_bytes(mdhd[at : at + 4], "big")
    if count != sample_count or not ticks or not scale:
        raise ImportProblem("video-damaged", f"{count} times for {sample_count} pictures")
    return 1000.0 * ticks / (scale * sample_count)


def _matrix(tkhd: memoryview) -> memoryview:
    at = 52 if bytes(tkhd[:1]) == b"\1" else 40
    return tkhd[at : at + 36]
