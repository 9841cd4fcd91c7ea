"""Boxes of ISO base media files (ISO/IEC 14496-12 section 4.2), read in memory or listed from a file; bounded."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

from appliance.imports.problems import ImportProblem

BOX_COUNT_MAX = 10_000


def top_boxes(file: BinaryIO, size_bytes: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the contents of each box of a file.

    Raises:
        ImportProblem: ``video-cut`` when one runs past the end of the file, ``video-damaged``.
    """
    at = 0
    for _ in range(BOX_COUNT_MAX):
        if at == size_bytes:
            return
        file.seek(at)
        kind, start, end = _box(file.read(16), at, size_bytes)
        yield kind, start, end
        at = end
    raise ImportProblem("video-damaged", "too many boxes")


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Type and contents of each box in ``data``.

    Raises:
        ImportProblem: ``video-damaged``.
    """
    at = 0
    for _ in range(BOX_COUNT_MAX):
        if at == len(data):
            return
        try:
            kind, start, end = _box(bytes(data[at : at + 16]), at, len(data))
        except ImportProblem as problem:
            raise ImportProblem("video-damaged", problem.detail) from problem
        yield kind, data[start:end]
        at = end
    raise ImportProblem("video-damaged", "too many boxes")


def _box(head: bytes, at: int, end_max: int) -> tuple[bytes, int, int]:
    if len(head) < 8:
        raise ImportProblem("video-cut", f"a box header at byte {at}")
    size, kind = struct.unpack_from(">I4s", head)
    start = at + 8
    if size == 1:
        if len(head) < 16:
            raise ImportProblem("video-cut", f"a box header at byte {at}")
        (size,) = struct.unpack_from(">Q", head, 8)
        start = at + 16
    end = end_max if size == 0 else at + size
    if end < start:
        raise ImportProblem("video-damaged", f"a box of {size} bytes at byte {at}")
    if end > end_max:
        raise ImportProblem("video-cut", f"{end - end_max} bytes are missing")
    return kind, start, end


def one(data: memoryview, *path: bytes) -> memoryview:
    """The contents of the first box at ``path`` below ``data``.

    Raises:
        ImportProblem: ``video-damaged`` when there is none.
    """
    found = maybe(data, *path)
    if found is None:
        raise ImportProblem("video-damaged", f"no box {b'/'.join(path).decode('ascii', 'replace')}")
    return found


def maybe(data: memoryview, *path: bytes) -> memoryview | None:
    """As ``one``; ``None`` when there is none."""
    for wanted in path:
        inside = next((contents for kind, contents in boxes(data) if kind == wanted), None)
        if inside is None:
            return None
        data = inside
    return data


def box(kind: bytes, *contents: bytes | memoryview) -> bytes:
    """A box with these contents."""
    body = b"".join(contents)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full_box(kind: bytes, *contents: bytes | memoryview, flags: int = 0) -> bytes:
    """A box of version 0 with flags."""
    return box(kind, struct.pack(">I", flags), *contents)


def table(data: memoryview, layout: str, name: str) -> list[tuple[int, ...]]:
    """The entries of a full box that holds a count and so many entries of ``layout`` (``struct``, big endian).

    Raises:
        ImportProblem: ``video-damaged`` when it is not as long as its count says.
    """
    step = struct.calcsize(">" + layout)
    if len(data) < 8 or len(data) != 8 + step * int.from_bytes(data[4:8], "big"):
        raise ImportProblem("video-damaged", f"the table {name} has a wrong length")
    return list(struct.iter_unpack(">" + layout, data[8:]))
