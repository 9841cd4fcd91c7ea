"""Keeps what was refused: the object as it came, with who sent it, under a name made from its digest.

The name comes from the bytes and never from the object, so nothing in it can lead out of the folder, and a device that
sends the same damaged object all night fills one file.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.domain.limits import LimitSet
from appliance.durable import sync_folder

PREFIX = "gate-"
PARTIAL_SUFFIX = ".part"
_IMPLEMENTATION_CLASS_UID = "2.25.277350294814215262364163418218094206463"
"""Of the meta header below, which a reader needs to open the file; the bytes after it are the sender's."""


class NoRoomError(Exception):
    """Nothing more is set aside; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is known of a refused object; UIDs and titles only."""

    code: str
    detail: str
    calling_ae_title: str
    peer: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    at: str
    received_bytes: int
    """Of the data set; more than is kept when memory was short."""


def keep(folder: Path, label: Label, data_set: Sequence[memoryview], limits: LimitSet) -> str:
    """Write a Part 10 file and a ``.json`` with the label beside it, both durable when this returns.

    Args:
        folder: The quarantine; made when missing.
        label: Who, what and why.
        data_set: The received bytes, in order.
        limits: For the free space that must stay and the number of files.

    Returns:
        The file's name in ``folder``; of an earlier copy when the same bytes were set aside before.

    Raises:
        NoRoomError: If a bound is reached.
        OSError: If it could not be written; nothing is left then.
    """
    head = _meta_header(label)
    digest, size_bytes = hashlib.sha256(head), len(head)
    for chunk in data_set:
        digest.update(chunk)
        size_bytes += len(chunk)
    path = folder / f"{PREFIX}{digest.hexdigest()[:32]}.dcm"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        return path.name
    _check_room(folder, size_bytes, limits)
    facts = {**asdict(label), "sha256": digest.hexdigest(), "size_bytes": size_bytes}
    _write_durable(path.with_suffix(".json"), [json.dumps(facts, indent=1).encode()])
    _write_durable(path, [head, *data_set])
    return path.name


def remove_partial(folder: Path) -> None:
    """What a power cut left half written; called before the door opens."""
    for path in folder.glob(f"{PREFIX}*{PARTIAL_SUFFIX}"):
        with suppress(OSError):
            path.unlink()


def _check_room(folder: Path, size_bytes: int, limits: LimitSet) -> None:
    medium = os.statvfs(folder)
    if medium.f_bavail * medium.f_frsize - size_bytes < limits.free_bytes_floor:
        raise NoRoomError("the disk is too full to keep a copy")
    if sum(1 for _ in folder.glob(f"{PREFIX}*.dcm")) >= limits.quarantine_file_count_max:
        raise NoRoomError(f"{limits.quarantine_file_count_max} damaged objects are set aside already")


def _meta_header(label: Label) -> bytes:
    """Preamble and group 0002 (PS3.10 section 7.1); made the same for the same object, so its digest is too."""
    elements = b"".join(
        (
            struct.pack("<HH2sHIH", 2, 1, b"OB", 0, 2, 0x0100),
            _element(0x0002, b"UI", label.sop_class_uid, "\0"),
            _element(0x0003, b"UI", label.sop_instance_uid, "\0"),
            _element(0x0010, b"UI", label.transfer_syntax_uid, "\0"),
            _element(0x0012, b"UI", _IMPLEMENTATION_CLASS_UID, "\0"),
            _element(0x0016, b"AE", label.calling_ae_title, " "),
        )
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements


def _element(element: int, vr: bytes, text: str, pad: str) -> bytes:
    value = (text + pad * (len(text) % 2)).encode("ascii", "replace")
    return struct.pack("<HH2sH", 2, element, vr, len(value)) + value


def _write_durable(path: Path, chunks: Sequence[bytes | memoryview]) -> None:
    """Temporary name, flush, rename, flush of the folder: the name never shows half a file."""
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    try:
        with partial.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        sync_folder(path.parent)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
