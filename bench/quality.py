"""From a stored picture to its findings: the whole step with its reading child. Goal: under 2 s for a film of 15 MB.

Everything is kept on one core. The first film of a day also pays for the child's start.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, RLELossless, UltrasoundMultiFrameImageStorage

from appliance.clock import SystemClock
from appliance.dicom.phantom import phantom_chest
from appliance.quality.checking import open_checking
from tests.support.kept import KeptUnit, make_kept_unit

REPEATS = 5
SEEDS = range(REPEATS)


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Seconds a picture by kind, and the child's memory."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        return _run(folder, say)
    finally:
        os.sched_setaffinity(0, cores)


def _run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    results: dict[str, object] = {}
    clock = SystemClock()
    for name, make in KINDS.items():
        unit = make_kept_unit(folder / name)
        size_bytes = sum(_keep(unit, folder / name, make(seed)) for seed in SEEDS) // REPEATS
        seconds = []
        with open_checking(unit.config, clock) as worker:
            for _ in SEEDS:
                start_s = clock.mono_s()
                worker.step()
                seconds.append(clock.mono_s() - start_s)
            peak_mb, cpu_s = _of_children(os.getpid())
        first_s, others_s = seconds[0], statistics.median(seconds[1:])
        results[name] = {
            "size_bytes": size_bytes,
            "first_s": round(first_s, 2),
            "median_s": round(others_s, 2),
            "child_cpu_s": round(cpu_s / REPEATS, 2),
            "child_peak_mb": round(peak_mb),
        }
        say(
            f"quality {name}: {size_bytes / 1e6:.1f} MB in {others_s:.2f} s, the first in {first_s:.2f} s; "
            f"{cpu_s / REPEATS:.2f} s of processor each, child {peak_mb:.0f} MB at most (goal < 2 s)"
        )
    return results


def _keep(unit: KeptUnit, folder: Path, dataset: Dataset) -> int:
    path = folder / "made.dcm"
    dataset.save_as(path, enforce_file_format=True)
    unit.keep(path)
    unit.take_in()
    return path.stat().st_size


def _film(seed: int) -> Dataset:
    return phantom_chest(3000, 2500, 12, seed)


def _coded_film(syntax: str, encode: Callable[[np.ndarray], bytes]) -> Callable[[int], Dataset]:
    def make(seed: int) -> Dataset:
        from pydicom.encaps import encapsulate
        from pydicom.uid import UID

        dataset = _film(seed)
        dataset.PixelData = encapsulate([encode(dataset.pixel_array)])
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
        return dataset

    return make


def _loop(seed: int) -> Dataset:
    """60 frames of 640 x 480 in colour, as JPEG."""
    from imagecodecs import jpeg8_encode
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    dataset = _film(seed)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.Modality, dataset.NumberOfFrames, dataset.FrameTime = "US", 60, 33
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 480, 640, 3
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "YBR_FULL_422", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    noise = np.random.default_rng(seed).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    dataset.PixelData = encapsulate([bytes(jpeg8_encode(noise, level=90))] * 60)
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    return dataset


def _jpeg2000(pixels: np.ndarray) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpeg2k_encode(pixels, reversible=True, codecformat="j2k"))


def _htj2k(pixels: np.ndarray) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.htj2k_encode(pixels, reversible=True))


def _rle(seed: int) -> Dataset:
    dataset = _film(seed)
    dataset.compress(RLELossless, encoding_plugin="pydicom")
    return dataset


KINDS: dict[str, Callable[[int], Dataset]] = {
    "film": _film,
    "film-rle": _rle,
    "film-jpeg2000": _coded_film(JPEG2000Lossless, _jpeg2000),
    "film-htj2k": _coded_film(HTJ2KLossless, _htj2k),
    "loop-jpeg": _loop,
}


def _of_children(pid: int) -> tuple[float, float]:
    """The most that any child of ours ever had resident, in MB, and the processor seconds of all."""
    peak_mb, ticks = 0.0, 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            status = Path(f"/proc/{child}/status").read_text()
            peak_mb = max(peak_mb, int(status.partition("VmHWM:")[2].split()[0]) / 1024)
            user, system = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13]
            ticks += int(user) + int(system)
    return peak_mb, ticks / os.sysconf("SC_CLK_TCK")
