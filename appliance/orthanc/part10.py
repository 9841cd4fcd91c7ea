"""What the door must know of a DICOM file before it trusts it: the meta header, read with bounds and nothing more.

Pure and standard library only: Orthanc's own Python loads it. The data set is never parsed here; the duplicate and
conflict rules need only the SOP Instance UID and the digest of the bytes after group 0002.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass

PREAMBLE_BYTES = 128
META_BYTES_MAX = 64 * 1024
"""Real meta headers hold a few hundred bytes; (0002,0102) private information is what could grow."""

_LONG_VRS = frozenset((b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_EXECUTABLE_PREAMBLES = (b"MZ", b"\x7fELF", b"PK", b"#!")
_UID = re.compile(r"[0-9.]{1,64}", re.ASCII)


class NotPart10Error(ValueError):
    """The bytes are no DICOM Part 10 file, or its meta header lies about its own length."""


@dataclass(frozen=True, slots=True)
class MetaHeader:
    """The identity a Part 10 file gives itself (PS3.10 section 7.1); every UID is checked: digits and dots, 1 to 64."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset_offset: int
    """Where group 0002 ends, in bytes from the start of the file."""


@dataclass(frozen=True, slots=True)
class Digests:
    """SHA-256, in lower case hexadecimal, of the whole file and of the bytes after group 0002."""

    sha256: str
    dataset_sha256: str


def parse_meta(data: bytes) -> MetaHeader:
    """Read the meta header.

    Args:
        data: A whole file, or at least its first ``META_BYTES_MAX`` bytes.

    Raises:
        NotPart10Error: If there is no ``DICM``, an element runs past the end or the bound, one of the three UIDs is
            missing or malformed, or nothing follows the header.
    """
    if data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != b"DICM":
        raise NotPart10Error("no DICM after the preamble")
    values: dict[int, bytes] = {}
    offset = PREAMBLE_BYTES + 4
    while data[offset : offset + 2] == b"\x02\x00":
        element, start, end = _element(data, offset)
        if end > min(len(data), META_BYTES_MAX):
            raise NotPart10Error("a meta header element runs past the end")
        values[element] = data[start:end]
        offset = end
    if offset >= len(data):
        raise NotPart10Error("no data set after the meta header")
    return MetaHeader(
        sop_class_uid=_uid(values, 0x0002),
        sop_instance_uid=_uid(values, 0x0003),
        transfer_syntax_uid=_uid(values, 0x0010),
        dataset_offset=offset,
    )


def _element(data: bytes, offset: int) -> tuple[int, int, int]:
    """Element number, start and end of the value of the explicit little endian element at ``offset``."""
    try:
        element, vr = struct.unpack_from("<2xH2s", data, offset)
        if vr in _LONG_VRS:
            (length,) = struct.unpack_from("<I", data, offset + 8)
            start = offset + 12
        else:
            (length,) = struct.unpack_from("<H", data, offset + 6)
            start = offset + 8
    except struct.error as error:
        raise NotPart10Error("the meta header is cut off") from error
    return element, start, start + length


def _uid(values: dict[int, bytes], element: int) -> str:
    value = values.get(element, b"").rstrip(b"\0 ").decode("latin-1")
    if not is_uid(value):
        raise NotPart10Error(f"(0002,{element:04x}) holds no UID")
    return value


def is_uid(text: str) -> bool:
    """Digits and dots, 1 to 64 of them: loose about components, as devices are, but never a path."""
    return _UID.fullmatch(text) is not None


def is_executable_preamble(data: bytes) -> bool:
    """Whether the preamble makes the file a program or an archive as well (PS3.10 section 7.5, a polyglot)."""
    return data.startswith(_EXECUTABLE_PREAMBLES)


def digests(data: bytes, dataset_offset: int) -> Digests:
    """Both digests of a file in memory; the interpreter lock is free while hashing, and nothing is copied."""
    view = memoryview(data)
    return Digests(
        sha256=hashlib.sha256(view).hexdigest(),
        dataset_sha256=hashlib.sha256(view[dataset_offset:]).hexdigest(),
    )
