"""The wire form: sizes by effort against one reference, and megabits of original DICOM a second on one core.

The reference is what the goal of the benchmark calls the limit: JPEG XL at effort 7 of the pixels, picture by picture,
and zstd at level 19 of everything else; for JPEG frames their recompression. Rates are of CPU time, and include both
proofs, block by block and of the whole file.
"""

from __future__ import annotations

import io
import resource
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import zstandard
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import ImplicitVRLittleEndian

from appliance.dicom.phantom import phantom_chest, write_phantom_chest
from sync.wire.effort import Effort
from sync.wire.encode import encode
from sync.wire.headers import pack
from sync.wire.preview import preview_or_reason
from sync.wire.rebuild import rebuild
from tests.support.files import sample_files

EFFORTS = (
    Effort(0, 3),
    Effort(1, 3),
    Effort(2, 6),
    Effort(3, 9),
    Effort(4, 12),
    Effort(5, 19),
    Effort(7, 19),
    Effort(9, 19),
)
LOOP_FRAMES = 24
_JPEG_UIDS = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")


@dataclass(frozen=True, slots=True)
class _Row:
    """One file at one effort."""

    total_bytes: int
    encode_mbit_s: float
    rebuild_mbit_s: float
    codec: str


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Sizes, ratios to the reference, rates and previews of every file."""
    folder.mkdir(parents=True)
    warnings.simplefilter("ignore")
    results: dict[str, object] = {}
    for name, path in _files(folder):
        size_bytes = path.stat().st_size
        reference = _reference_bytes(path)
        rows = {effort.jxl: _measured(path, folder / "pixels", effort) for effort in EFFORTS}
        say(f"{name}: {size_bytes} bytes, reference {reference}")
        for effort, row in rows.items():
            say(
                f"  effort {effort}: {row.total_bytes:>9} bytes, {row.total_bytes / reference:.4f} of the reference, "
                f"ratio {size_bytes / row.total_bytes:.2f}, encode {row.encode_mbit_s:.0f} Mbit/s, "
                f"rebuild {row.rebuild_mbit_s:.0f} Mbit/s, {row.codec}"
            )
        results[name] = {
            "size_bytes": size_bytes,
            "reference_bytes": reference,
            "efforts": {
                effort: {
                    "bytes": row.total_bytes,
                    "of_reference": round(row.total_bytes / reference, 4),
                    "encode_mbit_s": round(row.encode_mbit_s),
                    "rebuild_mbit_s": round(row.rebuild_mbit_s),
                    "codec": row.codec,
                }
                for effort, row in rows.items()
            },
            "preview": _preview(path, say),
        }
    return results


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Made ones and shared ones, with pixels; the loop behaves as a console's: still letters and moving speckle."""
    film, loop = folder / "phantom.dcm", folder / "loop.dcm"
    write_phantom_chest(film)
    _write_loop(loop)
    shared = [(sample.name, sample.path) for sample in sample_files(broken=True)]
    with_pixels = [(name, path) for name, path in shared if b"\xe0\x7f\x10\x00" in path.read_bytes()]
    return [("phantom 3000x2500", film), ("native loop", loop), *with_pixels]


def _write_loop(path: Path) -> None:
    rng = np.random.default_rng(0)
    screen = (rng.random((480, 640)) > 0.97).astype(np.float64) * 200
    speckle = rng.gamma(2.0, 20.0, (300, 400))
    frames = []
    for _ in range(LOOP_FRAMES):
        speckle = 0.8 * np.roll(speckle, 1, axis=1) + 0.2 * rng.gamma(2.0, 20.0, speckle.shape)
        frame = screen.copy()
        frame[90:390, 120:520] = speckle
        frames.append(np.clip(frame, 0, 255).astype(np.uint8))
    dataset = phantom_chest(64, 64)
    dataset.Modality = "US"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = LOOP_FRAMES, 480, 640
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = np.repeat(np.stack(frames)[..., None], 3, axis=-1).tobytes()
    dataset.save_as(path, enforce_file_format=True)


def _reference_bytes(path: Path) -> int:
    dataset = dcmread(path, force=True)
    uid = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    frame_count = int(dataset.get("NumberOfFrames") or 1)
    raw = path.read_bytes()
    if uid.startswith("1.2.840.10008.1.2.4") or uid == "1.2.840.10008.1.2.5":
        frames = list(generate_frames(dataset.PixelData, number_of_frames=frame_count))
        if uid in _JPEG_UIDS:
            pixels = sum(len(_recompressed(frame)) for frame in frames)
        else:
            pixels = len(_zstd(b"".join(frames)))
        rest = raw.replace(dataset.PixelData, b"")
        return pixels + len(_zstd(rest))
    value = dataset.PixelData
    header = raw.replace(bytes(value), b"") if isinstance(value, bytes) else raw
    if not uid:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    pictures = dataset.pixel_array
    pictures = pictures if frame_count > 1 else pictures[None]
    return len(_zstd(header)) + sum(_jxl_bytes(picture) for picture in pictures)


def _recompressed(frame: bytes) -> bytes:
    try:
        return bytes(imagecodecs.jpegxl_encode_jpeg(frame, usecontainer=True))
    except RuntimeError:
        return _zstd(frame)


def _jxl_bytes(picture: np.ndarray) -> int:
    shifted = picture.astype(np.int64) - min(0, int(picture.min()))
    depth = max(1, int(shifted.max()).bit_length())
    if depth > 16:
        return len(_zstd(picture.tobytes()))
    made = np.ascontiguousarray(shifted.astype(np.uint8 if depth <= 8 else np.uint16))
    return len(imagecodecs.jpegxl_encode(made, effort=7, lossless=True, bitspersample=depth, numthreads=1))


def _zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=19).compress(data)


def _measured(path: Path, out: Path, effort: Effort) -> _Row:
    size_mbit = path.stat().st_size * 8e-6
    start_s = _cpu_s()
    encoded = encode(path, out, effort)
    encode_s = _cpu_s() - start_s
    start_s = _cpu_s()
    if encoded.pixels_bytes:
        with out.open("rb") as pixels:
            rebuild(encoded.skeleton, pixels, io.BytesIO())
    rebuild_s = _cpu_s() - start_s
    header_bytes = len(pack({encoded.sha256: encoded.skeleton}, effort))
    out.unlink(missing_ok=True)
    return _Row(
        header_bytes + encoded.pixels_bytes,
        size_mbit / max(encode_s, 1e-4),
        size_mbit / max(rebuild_s, 1e-4),
        encoded.codec,
    )


def _preview(path: Path, say: Callable[[str], None]) -> dict[str, object]:
    start_s = _cpu_s()
    made = preview_or_reason(path)
    spent_s = _cpu_s() - start_s
    if isinstance(made, str):
        say(f"  no preview: {made}")
        return {"reason": made}
    say(f"  preview: {len(made.data)} bytes, {made.width} x {made.height}, {spent_s:.2f} s")
    return {"bytes": len(made.data), "width": made.width, "height": made.height, "cpu_s": round(spent_s, 2)}


def _cpu_s() -> float:
    """CPU seconds of this process; elapsed time says little on a machine that others use too."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
