"""A stored file as its parts: skeleton and pixel part, proved by rebuilding the file from them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from sync.wire.block import Context, Kind, Past
from sync.wire.choose import Block, Chooser
from sync.wire.effort import FAST, PLAIN, SMALL, Effort
from sync.wire.errors import WireCancelled, WireError
from sync.wire.jpeg import SOI
from sync.wire.limits import DEFAULT_LIMITS, WireLimits
from sync.wire.pixels import PartHead, filler_block, packed_block
from sync.wire.plan import bytes_pieces, grouped, history, picture_pieces
from sync.wire.rebuild import rebuild
from sync.wire.skeleton import make_skeleton
from sync.wire.stream import HoleStream
from sync.wire.walk import Hole, Layout, Picture, Span, walk

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["FAST", "PLAIN", "SMALL", "Effort", "Encoded", "encode"]

_STEP_BYTES = 1 << 20
_CODECS = {"picture": "jxl", "jpeg": "jxl-jpeg", "zstd": "zstd", "raw": "raw"}
_HOLES_BYTES_MIN = 256
"""A pixel part costs about 50 bytes, its entry in a manifest more; fewer pixels than this stay in the skeleton."""
_HOLE_SAID_BYTES = 24
"""What one hole adds to a skeleton at most: two numbers."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """The parts of one file. Without pixel bytes the fields of the pixel part are empty or 0, and there is no file.

    ``codec`` says in a word or two what most bytes were coded with, for people and counters only.
    """

    sha256: str
    size_bytes: int
    skeleton: bytes
    pixels_sha256: str
    pixels_bytes: int
    restores_sha256: str
    restores_bytes: int
    codec: str


def _never() -> bool:
    return False


def encode(
    path: Path,
    pixels_out: Path,
    effort: Effort,
    limits: WireLimits = DEFAULT_LIMITS,
    cancelled: Callable[[], bool] = _never,
) -> Encoded:
    """Put a file into parts, and rebuild it from them before they count.

    Args:
        path: The stored file, of any content.
        pixels_out: Where the pixel part is written, whole and not flushed to the medium; left absent where there are
            no pixel bytes or this raises.
        effort: How hard to try.
        limits: Bounds.
        cancelled: Asked between blocks.

    Raises:
        WireError: If the file is larger than allowed, changes meanwhile, or does not come out the same.
        WireCancelled: If ``cancelled`` said so.
        OSError: If reading or writing fails.
    """
    try:
        with path.open("rb") as file:
            return _encode(file, pixels_out, effort, limits, cancelled)
    except BaseException:
        pixels_out.unlink(missing_ok=True)
        raise


def _encode(
    file: BinaryIO, pixels_out: Path, effort: Effort, limits: WireLimits, cancelled: Callable[[], bool]
) -> Encoded:
    size_bytes = file.seek(0, io.SEEK_END)
    if size_bytes > limits.file_bytes_max:
        raise WireError(f"the file has {size_bytes} bytes, {limits.file_bytes_max} are allowed")
    layout = _fitting(walk(file, size_bytes, limits), limits)
    original = _sha256(file)
    skeleton = make_skeleton(file, layout.holes, size_bytes)
    if not layout.holes:
        if rebuild(skeleton, None, io.BytesIO(), limits) != original:
            raise WireError("the file changed while it was read")
        return Encoded(original, size_bytes, skeleton, "", 0, "", 0, "none")
    stream = HoleStream(file, layout.holes)
    restores = hashlib.sha256()
    for step in stream.steps():
        restores.update(step)
    with pixels_out.open("wb") as out:
        writer = _Writer(out, limits)
        codec = _write(writer, stream, layout, restores.hexdigest(), effort, limits, cancelled)
    with pixels_out.open("rb") as part:
        if rebuild(skeleton, part, _Nowhere(), limits) != original:
            raise WireError("the parts do not give the file again; it may have changed while it was read")
    return Encoded(
        original,
        size_bytes,
        skeleton,
        writer.sha256.hexdigest(),
        writer.position,
        restores.hexdigest(),
        stream.size_bytes,
        codec,
    )


def _fitting(layout: Layout, limits: WireLimits) -> Layout:
    """The layout; no holes where they are tiny, one for the whole file where its skeleton would be too large."""
    if sum(hole.length for hole in layout.holes) < _HOLES_BYTES_MIN:
        layout = Layout(layout.file_bytes)
    literal_bytes = layout.file_bytes - sum(hole.length for hole in layout.holes)
    said_bytes = _HOLE_SAID_BYTES * (len(layout.holes) + 1)
    if literal_bytes + said_bytes <= limits.skeleton_bytes_max and len(layout.holes) <= limits.hole_count_max:
        return layout
    return Layout(layout.file_bytes, [Hole(0, layout.file_bytes)], [Span("value", 0, 1)])


def _sha256(file: BinaryIO) -> str:
    hashed = hashlib.sha256()
    file.seek(0)
    while step := file.read(_STEP_BYTES):
        hashed.update(step)
    return hashed.hexdigest()


class _Nowhere(io.BytesIO):
    """Takes bytes and forgets them."""

    def write(self, data: Buffer) -> int:
        return memoryview(data).nbytes


class _Writer:
    """The part being written, with its digest and its promise to be no bomb."""

    def __init__(self, out: BinaryIO, limits: WireLimits) -> None:
        self._out = out
        self._limits = limits
        self.sha256 = hashlib.sha256()
        self.position = 0
        self._restored = 0

    def write(self, data: bytes) -> None:
        self._out.write(data)
        self.sha256.update(data)
        self.position += len(data)

    def block(self, block: Block) -> None:
        packed = packed_block(block.kind, block.size_bytes, block.payload)
        self._restored += block.size_bytes
        self.write(filler_block(self._restored, self.position + len(packed), self._limits))
        self.write(packed)


def _write(
    writer: _Writer,
    stream: HoleStream,
    layout: Layout,
    restores_sha256: str,
    effort: Effort,
    limits: WireLimits,
    cancelled: Callable[[], bool],
) -> str:
    picture = layout.picture
    history_bytes = 0 if picture is None else history(picture, _native_bytes(stream, layout), limits)
    writer.write(PartHead(restores_sha256, stream.size_bytes, history_bytes).packed())
    chooser = Chooser(effort, limits, Context(Past(history_bytes)))
    for span in layout.spans:
        for block in _blocks(span, stream, picture, chooser, limits):
            writer.block(block)
            if cancelled():
                raise WireCancelled("stopped as asked")
    writer.write(bytes((Kind.END,)))
    return _CODECS[max(chooser.used, key=lambda kind: chooser.used[kind])]


def _native_bytes(stream: HoleStream, layout: Layout) -> int:
    return sum(stream.starts[span.last] - stream.starts[span.first] for span in layout.spans if span.kind == "native")


def _blocks(
    span: Span, stream: HoleStream, picture: Picture | None, chooser: Chooser, limits: WireLimits
) -> Iterator[Block]:
    start, end = stream.starts[span.first], stream.starts[span.last]
    if span.kind == "fragments":
        yield from _coded_frames(span, stream, chooser, limits)
        return
    native = span.kind == "native" and picture is not None
    pieces = picture_pieces(picture, end - start, limits) if native and picture else bytes_pieces(end - start)
    for piece in pieces:
        yield chooser.block(stream.read(start, piece.size_bytes), piece)
        start += piece.size_bytes


def _coded_frames(span: Span, stream: HoleStream, chooser: Chooser, limits: WireLimits) -> Iterator[Block]:
    """Runs of fragments from one that begins a JPEG stream to the next are frames; all else is bytes."""
    end = stream.starts[span.last]
    starts = stream.starts[span.first : span.last]
    begins = [start for start in starts if stream.read(start, min(len(SOI), end - start)) == SOI]
    edges = [starts[0], *begins, end]
    for start, end, are_frames in grouped(edges, limits.block_bytes_max):
        if are_frames:
            yield from chooser.jpegs([stream.read(a, b - a) for a, b in pairwise(edges[start : end + 1])])
            continue
        position = edges[start]
        for piece in bytes_pieces(edges[end] - edges[start]):
            yield chooser.block(stream.read(position, piece.size_bytes), piece)
            position += piece.size_bytes
