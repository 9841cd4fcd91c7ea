"""Start to ready, and the resident memory of everything of ours on a unit, without Orthanc, as the field has it: with a
gateway destination and its encoder.

Goals: ready within 5 s plus Orthanc's own start; under 200 MB. Shared pages are counted once for each process (RSS) and
divided among their users (PSS); the goal is held against the larger sum. The states: started and idle; the peak while
pictures come in, are coded and delivered over loopback; the peak while a film is coded with the link away, when there
is time for the most effort; and idle again after all that, with whatever has not ended by then.
"""

from __future__ import annotations

import re
import statistics
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.cli.demo.link import CuttableLink
from appliance.clock import SystemClock
from appliance.dicom.phantom import phantom_chest
from tests.support.corpus import Sendable, c_store
from tests.support.orthancs import orthanc_commands, start_orthanc
from tests.support.promises import settled
from tests.support.world import Modality, Unit, enrol, gateway_destination, make_unit, running_centre, wait_for

STARTS = 5
SEND_COUNT = 40
SAMPLE_S = 0.02
FILMS = {"film": 1, "film without noise": 15}
"""Pixels that are averaged along each axis: the second is coded to next to nothing and costs the coder most memory."""


@dataclass
class Memory:
    """Resident megabytes by process, as (RSS, PSS)."""

    by_process: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def rss(self) -> float:
        return sum(pair[0] for pair in self.by_process.values())

    @property
    def pss(self) -> float:
        return sum(pair[1] for pair in self.by_process.values())

    def as_result(self) -> dict[str, object]:
        return {
            "rss_mb": {name: round(pair[0], 1) for name, pair in self.by_process.items()},
            "rss_sum_mb": round(self.rss, 1),
            "pss_sum_mb": round(self.pss, 1),
        }


def run(folder: Path, say: Callable[[str], None]) -> dict[str, object]:
    """Seconds and megabytes for every Orthanc here."""
    results: dict[str, object] = {}
    for orthanc in orthanc_commands():
        name = Path(orthanc).name
        with running_centre(folder / name / "centre", orthanc) as centre:
            link = CuttableLink(centre.gateway_port)
            destination = gateway_destination(f"http://127.0.0.1:{link.port}")
            unit = make_unit(folder / name / "unit", orthanc, destination)
            enrol(unit, centre)
            ready_s, bare_s = [], []
            for number in range(STARTS):
                bare_s.append(_bare_start_s(folder / name / f"bare-{number}", orthanc))
                start_s = SystemClock().mono_s()
                unit.start()
                ready_s.append(SystemClock().mono_s() - start_s)
                if number < STARTS - 1:
                    unit.stop()
            try:
                memory = _states(unit, link, folder / name)
            finally:
                unit.stop()
                link.close()
        ready, bare = statistics.median(ready_s), statistics.median(bare_s)
        results[name] = {
            "ready_s": round(ready, 2),
            "orthanc_alone_s": round(bare, 2),
            "memory": {state: found.as_result() for state, found in memory.items()},
        }
        say(f"start {name}: ready in {ready:.2f} s, Orthanc alone {bare:.2f} s (goal: 5 s more)")
        for state, found in memory.items():
            parts = ", ".join(f"{process} {pair[0]:.0f}" for process, pair in found.by_process.items())
            say(f"memory {name}, {state}: {found.rss:.0f} MB RSS, {found.pss:.0f} MB PSS (goal < 200 MB): {parts}")
    return results


def _states(unit: Unit, link: CuttableLink, folder: Path) -> dict[str, Memory]:
    memory = {"idle after the start": _memory(unit)}
    modality = Modality(unit.config.dicom.port, size_bytes=2_000_000)
    with _peak(unit) as memory["receiving and delivering"]:
        modality.send(SEND_COUNT)
        wait_for(lambda: settled(unit, modality.told), "delivery")
    link.cut()
    for number, (name, averaged) in enumerate(FILMS.items()):
        film = _film(folder / f"{number}.dcm", number, averaged)
        with _peak(unit) as memory[f"coding a {name}, link away"]:
            assert c_store(film, unit.config.dicom.port) == 0
            wait_for(lambda uid=film.sop_instance_uid: _is_coded(unit, uid), f"the {name} to be coded", 180.0)  # type: ignore[misc]  # bound default
    wait_for(lambda: not _workers(unit), "the encoder's workers to end")
    memory["idle after work"] = _memory(unit)
    return memory


def _film(path: Path, seed: int, averaged: int) -> Sendable:
    """A 3000 x 2500 film with 12 bits."""
    film = phantom_chest(seed=seed)
    pixels = _averaged(_averaged(film.pixel_array.astype(np.float64), averaged, 0), averaged, 1)
    film.PixelData = pixels.round().astype("<u2").tobytes()
    film.save_as(path, enforce_file_format=True)
    uids = (str(film.SOPClassUID), str(film.SOPInstanceUID), str(film.file_meta.TransferSyntaxUID))
    return Sendable(path.name, path, *uids, fault="")


def _averaged(picture: NDArray[np.float64], count: int, axis: int) -> NDArray[np.float64]:
    """Each pixel the mean of ``count`` pixels along an axis; at the edges the last one counts again."""
    before, behind = [(0, 0), (0, 0)], [(0, 0), (0, 0)]
    before[axis], behind[axis] = (1, 0), (count // 2, count // 2)
    sums = np.pad(np.cumsum(np.pad(picture, behind, mode="edge"), axis=axis), before)
    size = picture.shape[axis]
    taken = (np.take(sums, range(at, at + size), axis=axis) for at in (count, 0))
    return (next(taken) - next(taken)) / count


def _is_coded(unit: Unit, sop_instance_uid: str) -> bool:
    line = re.compile(rf"sync\.encoder coded sop={re.escape(sop_instance_uid)} ")
    return bool(line.search(unit.log_file.read_text(encoding="utf-8", errors="replace")))


def _bare_start_s(folder: Path, orthanc: str) -> float:
    start_s = SystemClock().mono_s()
    with start_orthanc(orthanc, {}, folder) as handle:
        handle.wait_ready()
        return SystemClock().mono_s() - start_s


@contextmanager
def _peak(unit: Unit) -> Iterator[Memory]:
    """The sample with the largest RSS of all taken while the block lasts."""
    largest, over = Memory(), threading.Event()

    def watch() -> None:
        while not over.wait(SAMPLE_S):
            with suppress(OSError, TypeError):  # a process ended meanwhile
                now = _memory(unit)
                if now.rss > largest.rss:
                    largest.by_process = now.by_process

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield largest
    finally:
        over.set()
        watcher.join()


def _memory(unit: Unit) -> Memory:
    """Of every process but Orthanc; what a process started itself stands beside it."""
    assert unit.process is not None
    found = {"supervisor": _resident_mb(unit.process.pid)}
    for name, pid in unit.child_pids().items():
        if name != "orthanc":
            found[name] = _resident_mb(pid)
            for number, child in enumerate(sorted(_children(pid))):
                found[f"{name} child {number + 1}"] = _resident_mb(child)
    return Memory(found)


def _workers(unit: Unit) -> list[int]:
    return _children(unit.child_pids()["sync"])


def _children(pid: int) -> list[int]:
    """Whichever thread started them."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _resident_mb(pid: int) -> tuple[float, float]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    rss, pss = (int(re.search(rf"^{key}: +(\d+) kB", text, re.M)[1]) / 1024 for key in ("Rss", "Pss"))  # type: ignore[index]  # the kernel always prints both
    return rss, pss
