"""Reception through gatekeeper and plugin against the same Orthanc bare, both on the same disk, turn by turn.

The senders are dcmtk's ``storescu``, one process an association, so that they are not the bottleneck. Goal: at least
0.9 of the bare instance rate.
"""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.clock import SystemClock
from bench.pictures import write_pictures
from tests.support.orthancs import orthanc_commands, start_orthanc
from tests.support.world import make_unit

ROUNDS = 5
CASES = ((500_000, 1, 40), (500_000, 4, 20), (15_000_000, 1, 6), (15_000_000, 4, 3))
"""Bytes of an instance, associations at the same time, instances an association."""


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Median rates and their ratio for every case and every Orthanc here."""
    results: dict[str, object] = {}
    for orthanc in orthanc_commands():
        for size_bytes, associations, count in CASES:
            name = f"{Path(orthanc).name} {size_bytes / 1e6:g} MB x {associations}"
            rates = _measure(folder / name.replace(" ", "-"), orthanc, size_bytes, associations, count)
            bare, ours = statistics.median(rates["bare"]), statistics.median(rates["ours"])
            results[name] = {"bare_per_s": round(bare, 1), "ours_per_s": round(ours, 1), "ratio": round(ours / bare, 3)}
            say(f"reception {name}: {ours:.1f}/s of {bare:.1f}/s bare, ratio {ours / bare:.2f} (goal 0.9)")
    return results


def _measure(folder: Path, orthanc: str, size_bytes: int, associations: int, count: int) -> dict[str, list[float]]:
    rates: dict[str, list[float]] = {"bare": [], "ours": []}
    with _bare(folder / "bare", orthanc) as bare_port, _ours(folder / "ours", orthanc) as our_port:
        for number in range(ROUNDS + 1):
            for name, port in (("bare", bare_port), ("ours", our_port)):
                rate = send(folder / "send", port, size_bytes, associations, count)
                if number:  # the first round warms both up
                    rates[name].append(rate)
    shutil.rmtree(folder)
    return rates


@contextlib.contextmanager
def _bare(folder: Path, orthanc: str) -> Iterator[int]:
    settings = {"DicomAet": "QAFILA", "DicomAlwaysAllowStore": True, "StableAge": 3600, "SaveJobs": False}
    with start_orthanc(orthanc, settings, folder) as handle:
        handle.wait_ready()
        yield handle.dicom_port


@contextlib.contextmanager
def _ours(folder: Path, orthanc: str) -> Iterator[int]:
    unit = make_unit(folder, orthanc, "")
    unit.start()
    try:
        yield unit.config.dicom.port
    finally:
        unit.stop()


def send(folder: Path, port: int, size_bytes: int, associations: int, count: int) -> float:
    """Instances a second, from the first process started to the last one ended."""
    batches = [write_pictures(folder / str(number), count, size_bytes) for number in range(associations)]
    titles = ["-aet", "XRAY", "-aec", "QAFILA", "127.0.0.1", str(port)]
    start_mono_s = SystemClock().mono_s()
    senders = [subprocess.Popen(["storescu", "-R", *titles, *map(str, batch)]) for batch in batches]
    codes = [sender.wait() for sender in senders]
    duration_s = SystemClock().mono_s() - start_mono_s
    shutil.rmtree(folder)
    if any(codes):
        raise RuntimeError(f"a sender failed: {codes}")
    return associations * count / duration_s
