"""Foreign files as devices make them, small and made here: JPEG, PNG, MP4 with H.264, PDF, and a worklist item.

The MP4s hold NAL units that no decoder could play; their boxes, parameters and framing are what is tested. Where
``ffmpeg`` is installed, ``tests/imports/test_ffmpeg.py`` looks at real ones.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from io import BytesIO

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from appliance.imports.boxes import box, full_box

Pixels = NDArray[np.uint8]
_UPRIGHT = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
TURNED = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
SECRET = b"DUPONT JEAN 48.8566N"
"""What somebody else's file carries and no object of ours may."""


def pattern(rows: int = 48, columns: int = 64, colours: int = 3) -> Pixels:
    """A picture in which no two corners are alike."""
    y, x = np.mgrid[0:rows, 0:columns]
    planes = [x * 255 // columns, y * 255 // rows, (x + y) * 255 // (rows + columns)]
    picture = np.stack(planes[:colours], axis=-1).astype(np.uint8)
    return picture[..., 0] if colours == 1 else picture


# JPEG


def jpeg(pixels: Pixels | None = None, subsampling: str = "420") -> bytes:
    """A baseline JPEG as libjpeg writes it."""
    return bytes(imagecodecs.jpeg8_encode(pattern() if pixels is None else pixels, level=90, subsampling=subsampling))


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def exif(orientation: int, order: str = "<") -> bytes:
    """An APP1 segment with an orientation, an artist and a place."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    artist = SECRET + b"\0"
    entries = [(0x0112, 3, 1, struct.pack(order + "HH", orientation, 0))]
    entries.append((0x013B, 2, len(artist), struct.pack(order + "I", 8 + 2 + 12 * 2 + 4)))
    tiff = mark + struct.pack(order + "IH", 8, len(entries))
    for tag, kind, count, value in entries:
        tiff += struct.pack(order + "HHI", tag, kind, count) + value
    return segment(0xE1, b"Exif\0\0" + tiff + bytes(4) + artist)


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """A JPEG with these segments behind its start."""
    return data[:2] + b"".join(segments) + data[2:]


# PNG


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels: Pixels, *extra: bytes, interlaced: bool = False) -> bytes:
    """A PNG with extra chunks behind its header."""
    rows, columns = pixels.shape[:2]
    colour_type = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    header = struct.pack(">IIBBBBB", columns, rows, 8, colour_type, 0, 0, int(interlaced))
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b""))
    )


def png_header(columns: int, rows: int, bits: int = 8, colour_type: int = 2) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", columns, rows, bits, colour_type, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(1 << 16))), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# MP4


class Bits:
    """Writes the codes of H.264 headers."""

    def __init__(self) -> None:
        self._text = ""

    def put(self, value: int, count: int) -> Bits:
        self._text += f"{value:0{count}b}"
        return self

    def code(self, value: int) -> Bits:
        """ue(v)"""
        text = f"{value + 1:b}"
        self._text += "0" * (len(text) - 1) + text
        return self

    def done(self) -> bytes:
        """With the stop bit, and with emulation prevention."""
        text = self._text + "1"
        text += "0" * (-len(text) % 8)
        plain = int(text, 2).to_bytes(len(text) // 8, "big")
        safe = bytearray()
        for byte in plain:
            if safe[-2:] == b"\0\0" and byte <= 3:
                safe.append(3)
            safe.append(byte)
        return bytes(safe)


def sps(
    columns: int = 640,
    rows: int = 480,
    profile: int = 100,
    level: int = 31,
    constraints: int = 0,
    *,
    chroma: int = 1,
    is_progressive: bool = True,
) -> bytes:
    """A sequence parameter set of that size."""
    bits = Bits().code(0)
    if profile == 100:
        bits.code(chroma).code(0).code(0).put(0, 1).put(0, 1)
    bits.code(0).code(2).code(1).put(0, 1)
    width, height = -(-columns // 16), -(-rows // 16)
    bits.code(width - 1).code(height - 1).put(int(is_progressive), 1)
    if not is_progressive:
        bits.put(0, 1)
    bits.put(1, 1)
    crop_right, crop_bottom = (16 * width - columns) // 2, (16 * height - rows) // 2
    if crop_right or crop_bottom:
        bits.put(1, 1).code(0).code(crop_right).code(0).code(crop_bottom)
    else:
        bits.put(0, 1)
    bits.put(0, 1)
    return bytes([0x67, profile, constraints, level]) + bits.done()


def nal(kind: int, length: int, seed: int) -> bytes:
    """A NAL unit with its length before it."""
    body = bytes([0x60 | kind]) + bytes((seed * 7 + n * 13) % 251 + 4 for n in range(length - 1))
    return struct.pack(">I", length) + body


def mp4(
    *,
    parameters: bytes | None = None,
    pictures: Sequence[bytes] | None = None,
    delta: int = 1000,
    scale: int = 30_000,
    codec: bytes = b"avc1",
    matrix: bytes = _UPRIGHT,
    sound: bool = True,
    chunk_count: int = 3,
    fragmented: bool = False,
) -> bytes:
    """An MP4 as a telephone writes it: media first, names and places in user data, a sound track beside."""
    parameters = sps() if parameters is None else parameters
    if pictures is None:
        pictures = [nal(6, 9, n) + nal(5 if n == 0 else 1, 101 + n, n) for n in range(7)]
    sizes = [len(picture) for picture in pictures]
    head = box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomavc1")
    chunks, places, at = [], [], len(head) + 8
    per_chunk = -(-len(pictures) // chunk_count) if pictures else 1
    for start in range(0, len(pictures), per_chunk):
        noise = b"sound" * 3
        places.append(at + len(noise))
        chunks.append(noise + b"".join(pictures[start : start + per_chunk]))
        at += len(chunks[-1])
    avcc = box(
        b"avcC", bytes([1]) + parameters[1:4] + b"\xff\xe1" + struct.pack(">H", len(parameters)) + parameters + b"\0"
    )
    entry = (
        bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HH", 640, 480) + bytes(14) + SECRET.ljust(32, b"\0") + bytes(4)
    )
    runs = [(1, per_chunk, 1)]
    if len(places) > 1 and len(pictures) % per_chunk:
        runs.append((len(places), len(pictures) % per_chunk, 1))
    stbl = box(
        b"stbl",
        full_box(b"stsd", struct.pack(">I", 1), box(codec, entry, avcc)),
        full_box(b"stts", struct.pack(">III", 1, len(sizes), delta)),
        full_box(b"stss", struct.pack(">II", 1, 1)),
        full_box(b"stsc", struct.pack(">I", len(runs)), *(struct.pack(">III", *run) for run in runs)),
        full_box(b"stsz", struct.pack(f">II{len(sizes)}I", 0, len(sizes), *sizes)),
        full_box(b"stco", struct.pack(f">I{len(places)}I", len(places), *places)),
    )
    tracks = [_track(b"vide", stbl, matrix, scale, delta * len(sizes))]
    if sound:
        tracks.append(_track(b"soun", box(b"stbl"), matrix, 44_100, 44_100))
    place = box(b"udta", box(b"\xa9xyz", SECRET))
    mvhd = full_box(b"mvhd", bytes(8), struct.pack(">II", 1000, 1000), bytes(80))
    moov = box(b"moov", mvhd, *tracks, place, *([box(b"mvex")] if fragmented else []))
    return head + box(b"mdat", *chunks) + moov


def _track(kind: bytes, stbl: bytes, matrix: bytes, scale: int, duration: int) -> bytes:
    tkhd = full_box(b"tkhd", bytes(8), struct.pack(">III", 1, 0, duration), bytes(16), matrix, bytes(8), flags=3)
    mdhd = full_box(b"mdhd", bytes(8), struct.pack(">II", scale, duration), bytes(4))
    hdlr = full_box(b"hdlr", bytes(4), kind, bytes(12), SECRET + b"\0")
    return box(b"trak", tkhd, box(b"mdia", mdhd, hdlr, box(b"minf", stbl)))


# PDF


def pdf(*objects: bytes, trailer: bytes = b"", tail: bytes = b"") -> bytes:
    """A PDF of these objects (numbered from 1), by default one empty page."""
    bodies = objects or (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>",
    )
    out = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    places = []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (len(places) + 1, trailer)
    return out + b"startxref\n%d\n%%%%EOF\n" % start + tail


# whom it belongs to


def worklist_item(study_instance_uid: str = "2.25.77", modality: str = "US") -> bytes:
    """A worklist item as the unit's registrations make them, with an Arabic name."""
    step = Dataset()
    step.ScheduledStationAETitle = ""
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20260105", "0930"
    step.Modality = modality
    step.ScheduledProcedureStepID = "UNIT-01-7"
    step.ScheduledProcedureStepDescription = "Échographie abdominale"
    item = Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.31")
    item.file_meta.MediaStorageSOPInstanceUID = UID("2.25.78")
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.SpecificCharacterSet = "ISO_IR 192"
    item.PatientName = "Benali^Fatima=بنعلي^فاطمة"
    item.PatientID, item.IssuerOfPatientID = "UNIT-01-42", "UNIT-01"
    item.PatientBirthDate, item.PatientSex, item.PatientWeight = "19840229", "F", "61.5"
    item.AccessionNumber, item.StudyInstanceUID = "UNIT-01-7", study_instance_uid
    item.ReferringPhysicianName = "Alaoui^Omar"
    item.RequestedProcedureID = "UNIT-01-7"
    item.RequestedProcedureDescription = "Échographie abdominale"
    item.ScheduledProcedureStepSequence = [step]
    buffer = BytesIO()
    item.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
