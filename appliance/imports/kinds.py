"""What a file is by its first bytes, and whether its name says the same."""

from __future__ import annotations

from enum import StrEnum
from pathlib import PurePath

from appliance.imports.problems import ImportProblem

HEAD_BYTES = 132


class Kind(StrEnum):
    """What can be imported."""

    JPEG = "jpeg"
    PNG = "png"
    MP4 = "mp4"
    PDF = "pdf"
    DICOM = "dicom"
    DICOMDIR = "dicomdir"


PICTURES = frozenset({Kind.JPEG, Kind.PNG})
NEEDS_REGISTRATION = frozenset({Kind.JPEG, Kind.PNG, Kind.MP4, Kind.PDF})
"""These do not say themselves whom they belong to."""

_KIND_BY_ENDING = {
    ".jpg": Kind.JPEG,
    ".jpeg": Kind.JPEG,
    ".jpe": Kind.JPEG,
    ".jfif": Kind.JPEG,
    ".png": Kind.PNG,
    ".mp4": Kind.MP4,
    ".m4v": Kind.MP4,
    ".mov": Kind.MP4,
    ".pdf": Kind.PDF,
    ".dcm": Kind.DICOM,
    ".dicom": Kind.DICOM,
}
_BRANDS_OF_PICTURES = frozenset({b"heic", b"heix", b"heif", b"mif1", b"msf1", b"avif", b"avis"})
"""ISO base media files that hold still pictures, not videos."""


def kind_by_name(path: PurePath) -> Kind | None:
    """What the name promises; ``None`` when it promises nothing we know."""
    if path.name.upper() == "DICOMDIR":
        return Kind.DICOMDIR
    return _KIND_BY_ENDING.get(path.suffix.lower())


def kind_by_content(head: bytes) -> Kind | None:
    """What the first ``HEAD_BYTES`` bytes say; DICOM before whatever its preamble pretends to be."""
    if head[128:132] == b"DICM":
        return Kind.DICOM
    if head.startswith(b"\xff\xd8\xff"):
        return Kind.JPEG
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind.PNG
    if head.startswith(b"%PDF-"):
        return Kind.PDF
    if head[4:8] == b"ftyp" and head[8:12] not in _BRANDS_OF_PICTURES:
        return Kind.MP4
    return None


def kind_of(path: PurePath, head: bytes) -> Kind:
    """What the file is, when name and content agree; a name without a known ending promises nothing.

    A DICOM preamble may be the beginning of another file (a polyglot); it is never sent, for C-STORE carries the data
    set alone. A file that is DICOM but is named as a picture is refused all the same.

    Raises:
        ImportProblem: ``empty``, ``unknown-kind`` or ``wrong-extension``.
    """
    if not head:
        raise ImportProblem("empty")
    promised, found = kind_by_name(path), kind_by_content(head)
    if promised is Kind.DICOMDIR and found is Kind.DICOM:
        return promised
    if found is None:
        raise ImportProblem("wrong-extension" if promised else "unknown-kind")
    if promised not in (None, found):
        raise ImportProblem("wrong-extension", f"{promised} holds {found}")
    return found
