"""Parts that declare or unfold to absurd sizes end in ``WireError`` with hardly any memory taken.

They run in a child whose address space is bounded: an allocation that the code should have refused would kill it.
"""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import zstandard

from sync.wire.block import Kind
from sync.wire.errors import WireError
from sync.wire.jxl_boxes import taken_apart
from sync.wire.limits import WireLimits
from sync.wire.octets import varint
from sync.wire.rebuild import rebuild
from sync.wire.squeeze import compress

TOP = Path(__file__).resolve().parents[2]
MEMORY_BYTES_MORE = 200 << 20
SIZE = 1 << 20


def skeleton(hole_bytes: int = SIZE, file_bytes: int | None = None) -> bytes:
    """One hole and nothing else."""
    return (
        b"QS1"
        + varint(hole_bytes if file_bytes is None else file_bytes)
        + varint(1)
        + varint(0)
        + varint(hole_bytes + 1)
    )


def part(*blocks: bytes, restores_bytes: int = SIZE, history_bytes: int = 0) -> bytes:
    """A pixel part with a head that fits."""
    return b"QX1" + bytes(32) + varint(restores_bytes) + varint(history_bytes) + b"".join(blocks) + b"\0"


def block(kind: int, payload: bytes, size_bytes: int = SIZE, coded_bytes: int | None = None) -> bytes:
    """A block whose sizes may lie."""
    return bytes((kind,)) + varint(size_bytes) + varint(len(payload) if coded_bytes is None else coded_bytes) + payload


def raster(rows: int, columns: int, form: int = 0, strips: int = 1, back: int = 0) -> bytes:
    """The head of a picture block, and its values as they are."""
    head = bytes((form,)) + b"".join(map(varint, (rows, columns, 1, strips)))
    depth = 1 if form == 4 else 8
    return varint(len(head)) + head + varint(back) + bytes((0, depth, 0, depth, 0, 0))


def unsized_frame() -> bytes:
    """A zstd frame that unfolds to a gigabyte and does not say so."""
    packer = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            1, write_content_size=False, format=zstandard.FORMAT_ZSTD1_MAGICLESS
        )
    ).compressobj()
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(1024)) + packer.flush()


def wide_window() -> bytes:
    """A zstd frame that asks for a window of 128 MiB, and says that it has a megabyte."""
    descriptor = bytes((0b1000_0000, (27 - 10) << 3)) + SIZE.to_bytes(4, "little")
    return descriptor + b"\x03\x00\x00" + b"A"


def white_picture() -> bytes:
    """A sound codestream of 1024 x 1024 pixels."""
    made = np.full((1024, 1024), 255, np.uint8)
    return bytes(imagecodecs.jpegxl_encode(made, lossless=True, effort=1, usecontainer=False))


def black_picture() -> bytes:
    """A codestream of four million black pixels in a few hundred bytes."""
    small = imagecodecs.jpegxl_encode(np.zeros((2048, 2048), np.uint8), lossless=True, effort=1, usecontainer=False)
    return bytes(small)


def recompressed_black_jpeg() -> bytes:
    """A recompressed JPEG of 20 million pixels, and its tables."""
    jpeg = bytes(imagecodecs.jpeg8_encode(np.zeros((5000, 4000), np.uint8), level=5))
    coded = bytes(imagecodecs.jpegxl_encode_jpeg(jpeg, usecontainer=True))
    codestream, reconstruction = taken_apart(coded)
    return varint(0) + varint(len(reconstruction)) + reconstruction + codestream


Bomb = tuple[Callable[[], tuple[bytes, bytes]], str]
BOMBS: dict[str, Bomb] = {
    "skeleton of 2^62 bytes": (lambda: (skeleton(1 << 62), part(restores_bytes=1 << 62)), "skeleton declares"),
    "skeleton with 2^40 holes": (lambda: (b"QS1" + varint(1 << 30) + varint(1 << 40), part()), "skeleton declares"),
    "hole larger than its file": (lambda: (skeleton(1 << 30, 5), part(restores_bytes=1 << 30)), "skeleton declares"),
    "restores 2^62 bytes": (lambda: (skeleton(), part(restores_bytes=1 << 62)), "pixel part declares"),
    "history of 2^62 bytes": (lambda: (skeleton(), part(history_bytes=1 << 62)), "of history"),
    "block of 2^40 bytes": (lambda: (skeleton(), part(block(Kind.ZSTD, b"abc", 1 << 40))), "bytes in a block"),
    "block of a gigabyte": (
        lambda: (skeleton(1 << 30), part(block(Kind.ZSTD, b"abc", 1 << 30), restores_bytes=1 << 30)),
        "bytes in a block",
    ),
    "payload of 2^40 bytes": (lambda: (skeleton(), part(block(Kind.RAW, b"a", coded_bytes=1 << 40))), "coded bytes"),
    "filler of 2^40 bytes": (lambda: (skeleton(), part(block(Kind.FILLER, b"", 0, 1 << 40))), "coded bytes"),
    "zstd of 256 megabytes": (
        lambda: (skeleton(), part(block(Kind.ZSTD, compress(bytes(1 << 28), 1)))),
        "frame declares 268435456",
    ),
    "zstd without a size": (lambda: (skeleton(), part(block(Kind.ZSTD, unsized_frame()))), "frame declares"),
    "zstd with a wide window": (lambda: (skeleton(), part(block(Kind.ZSTD, wide_window()))), "window of 134217728"),
    "zstd that is short": (lambda: (skeleton(), part(block(Kind.ZSTD, compress(bytes(9), 1)))), "frame declares 9"),
    "picture of 2^40 pixels": (
        lambda: (skeleton(), part(block(Kind.PICTURE, raster(SIZE, SIZE) + black_picture()))),
        "picture of 1099511627776 pixels",
    ),
    "picture in 2^20 strips": (
        lambda: (skeleton(), part(block(Kind.PICTURE, raster(1, SIZE, strips=SIZE) + black_picture()))),
        "not the one that its block describes",
    ),
    "picture larger than its block": (
        lambda: (skeleton(), part(block(Kind.PICTURE, raster(1024, 1024) + black_picture()))),
        "not the one that its block describes",
    ),
    "picture of bits": (
        lambda: (skeleton(), part(block(Kind.PICTURE, raster(4096, 2048, form=4) + black_picture()))),
        "picture of 8388608 pixels",
    ),
    "predicted from nothing": (
        lambda: (
            skeleton(),
            part(block(Kind.PICTURE, raster(1024, 1024, back=SIZE) + white_picture()), history_bytes=SIZE),
        ),
        "has not given",
    ),
    "JPEG of 20 million pixels": (
        lambda: (skeleton(4000), part(block(Kind.JPEG, recompressed_black_jpeg(), 4000), restores_bytes=4000)),
        "JPEG of 4000 x 5000 pixels",
    ),
    "JPEG tables of 2^40 bytes": (
        lambda: (skeleton(), part(block(Kind.JPEG, varint(0) + varint(1 << 40)))),
        "JPEG block declares",
    ),
    "JPEG tables from nothing": (
        lambda: (skeleton(), part(block(Kind.JPEG, varint(1 << 40) + varint(0)))),
        "JPEG block declares",
    ),
    "a million empty blocks": (lambda: (skeleton(), part(block(Kind.RAW, b"", 0) * 1_000_000)), "an empty block"),
    "a million blocks of filler": (
        lambda: (skeleton(), part(block(Kind.FILLER, b"", 0) * 1_000_001)),
        "more than 1000000 blocks",
    ),
}


def explode(folder: Path) -> None:
    """Try every bomb in a folder under a bound on address space; called in the child. One JSON line each."""
    page_bytes = resource.getpagesize()
    address_space_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * page_bytes
    resource.setrlimit(resource.RLIMIT_AS, (address_space_bytes + MEMORY_BYTES_MORE,) * 2)
    for path in sorted(folder.glob("*.skeleton")):
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sentence = "it passed"
        try:
            with path.with_suffix(".part").open("rb") as made:
                rebuild(path.read_bytes(), made, io.BytesIO(), WireLimits())
        except WireError as error:
            sentence = str(error)
        more_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        print(json.dumps([path.stem, sentence, more_kib << 10]), flush=True)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, int]]:
    """Sentence and memory taken, by bomb; what is missing killed the child."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, (make, _) in BOMBS.items():
        made_skeleton, made_part = make()
        (folder / f"{name}.skeleton").write_bytes(made_skeleton)
        (folder / f"{name}.part").write_bytes(made_part)
    code = "import sys, pathlib; from tests.unit.test_wire_bombs import explode; explode(pathlib.Path(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=TOP, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {name: (sentence, more_bytes) for name, sentence, more_bytes in lines}


@pytest.mark.fault(51)
@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_bomb_is_refused_before_it_goes_off(name: str, outcomes: dict[str, tuple[str, int]]) -> None:
    sentence, more_bytes = outcomes[name]
    assert BOMBS[name][1] in sentence
    assert more_bytes < 64 << 20


def test_a_part_that_unfolds_too_well_is_refused_on_the_way() -> None:
    size = 8 << 20
    blocks = [block(Kind.ZSTD, compress(bytes(size), 19), size) for _ in range(20)]
    made = part(*blocks, restores_bytes=20 * size)
    written = 0

    class Sink(io.BytesIO):
        def write(self, piece: object) -> int:
            nonlocal written
            written += len(memoryview(piece))  # type: ignore[arg-type]  # any buffer
            return 0

    limits = WireLimits()
    with pytest.raises(WireError, match="out of bounds"):
        rebuild(skeleton(20 * size), io.BytesIO(made), Sink(), limits)
    assert written <= limits.ratio_free_bytes + limits.ratio_max * len(made)
    assert written < 20 * size
