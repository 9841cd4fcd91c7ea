"""Whether an append may begin: decided from its header and the part's row, before a byte of its body is read."""

from __future__ import annotations

from dataclasses import dataclass

from central.gateway import problems
from central.store.parts import UNKNOWN_SIZE, PartRow


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an append asks for."""

    unit_id: str
    sha256: str
    offset_bytes: int
    completes: bool
    """``Upload-Complete: ?1``: its last byte is the part's."""
    content_bytes: int | None
    """Of its body; ``None`` when it is chunked."""
    length_bytes: int | None
    """``Upload-Length``."""
    content_sha256: str = ""
    """Of the body, when the client says it (``Content-Digest``): damage is found an append and not a part later."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a part stands."""

    offset_bytes: int
    size_bytes: int
    complete: bool


def size_after(row: PartRow, wanted: Wanted, bytes_max: int) -> int:
    """The part's size once this append is taken into account; refuses before a byte of the body is read."""
    said = wanted.length_bytes
    ends_at = None if wanted.content_bytes is None else wanted.offset_bytes + wanted.content_bytes
    if row.complete:
        if wanted.offset_bytes == row.size_bytes and wanted.content_bytes == 0:
            return row.size_bytes
        raise problems.completed_upload(row.size_bytes)
    if wanted.offset_bytes != row.offset_bytes:
        raise problems.mismatching_offset(row.offset_bytes, wanted.offset_bytes, row.size_bytes)
    size = row.size_bytes
    if size == UNKNOWN_SIZE and said is not None:
        size = said
    elif size == UNKNOWN_SIZE and wanted.completes and ends_at is not None:
        size = ends_at
    if said is not None and said != size:
        raise problems.inconsistent_length(f"The part has {size} bytes, not {said}.", row.offset_bytes)
    if ends_at is not None and size != UNKNOWN_SIZE:
        if ends_at > size:
            detail = f"The part has {size} bytes, and this append would end at {ends_at}."
            raise problems.inconsistent_length(detail, row.offset_bytes)
        if wanted.completes and ends_at != size:
            detail = f"The part has {size} bytes, and its last append would end at {ends_at}."
            raise problems.inconsistent_length(detail, row.offset_bytes)
    if max(size, ends_at or 0) > bytes_max:
        raise problems.too_large("A part", bytes_max)
    return size
