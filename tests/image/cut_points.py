"""One update, cut at many points: ``python -m tests.image.cut_points --points 20`` (``make image-cut-points``).

A guest that keeps studies installs a release with a later database, and then starts it for the first time; all it
writes is on record (``losing_disk``). For each of the points a disk is made as a cut there would have left it. What
starts from it must come up by itself, in one of the two releases, with everything that its modality was told, its
databases sound and no service failed. After some of them the update goes on, and must end in the new release.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydicom import dcmread

from tests.image.enrolled import CREDENTIALS, NO_SCREEN, look, send, version, wait_until_good
from tests.image.losing_disk import Cut, LosingDisk, Loss
from tests.image.machine import WORK, Machine, missing, tool
from tests.image.stick import INSTALL_S_MAX, bring, is_updating
from tests.image.uplinked import TRIAL

OLD, NEW = 1, 2
STUDY_COUNT = 3
FINISH_SHARE = 0.15
"""Of the cuts in an installation, how many are followed to the end of the update."""
BESIDE_ENTRIES = 3
"""How far from a flush a point beside one is."""


@dataclass(frozen=True, slots=True)
class Point:
    """One cut: in which phase, after how many entries of its record, and how much is lost."""

    phase: str
    entry_count: int
    loss: Loss
    seed: int
    goes_on: bool


@dataclass(slots=True)
class Recorded:
    """The guest whose work is recorded; its disk is changed only by ``keep``."""

    machine: Machine
    disk: LosingDisk
    told: set[str] = field(default_factory=set)

    @classmethod
    def fresh(cls, folder: Path) -> Recorded:
        """The old release on an empty disk, not started yet."""
        machine = Machine.fresh(TRIAL / f"qafila_{OLD}.raw", folder, CREDENTIALS)
        disk = LosingDisk(folder)
        machine.blockdev, machine.kernel = disk.blockdev("disk"), NO_SCREEN
        return cls(machine, disk)

    def start(self) -> None:
        self.disk.prepare(tool(self.machine.folder, "qemu-img"))
        self.machine.start()

    def receive(self) -> None:
        """Studies that the modality is told are kept."""
        for number in range(STUDY_COUNT):
            path = self.machine.folder / f"{number}.dcm"
            assert send(self.machine, path) == 0
            self.told.add(str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)[-12:])

    def stop(self) -> None:
        """With everything flushed."""
        self.machine.run("sync")
        self.machine.cut()

    def keep(self) -> None:
        """What is on record is on the disk now."""
        self.disk.settle(random.Random(0), Loss.ALL)


def chosen(chance: random.Random, phase: str, flushes: list[int], begins: int, ends: int, count: int) -> list[Point]:
    """Half of the points lie anywhere in the record, half beside a flush, where an order of writes would show."""
    beside = [flush for flush in flushes if begins <= flush < ends] or [begins]
    places = [chance.randint(begins, ends) for _ in range(count - count // 2)]
    places += [min(ends, chance.choice(beside) + chance.randrange(BESIDE_ENTRIES)) for _ in range(count // 2)]
    seeds = [chance.randrange(2**32) for _ in places]
    losses = [chance.choice(list(Loss)) for _ in places]
    going_on = [phase == "installation" and chance.random() < FINISH_SHARE for _ in places]
    return [Point(phase, *each) for each in zip(sorted(places), losses, seeds, going_on, strict=True)]


def tried(recorded: Recorded, point: Point, folder: Path) -> tuple[str, list[str]]:
    """Start from the disk of one point: what was seen, and what is wrong."""
    folder.mkdir()
    try:
        cut = recorded.disk.branch(folder, random.Random(point.seed), point.loss, point.entry_count)
        shutil.copy(recorded.machine.folder / "vars.fd", folder / "vars.fd")
        machine = replace(
            recorded.machine, folder=folder, namespace=f"qafila-{os.getpid()}-{folder.name}", blockdev="", process=None
        )
        with machine.surroundings():
            machine.start()
            seen, faults = _looked_at(machine, recorded.told, point)
        return f"{_words(point, cut)}; {seen}", faults
    except (AssertionError, OSError, RuntimeError, TimeoutError) as error:
        return _words(point, None), [str(error)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _looked_at(machine: Machine, told: set[str], point: Point) -> tuple[str, list[str]]:
    boot_s = wait_until_good(machine)
    release = version(machine)
    seen = f"up after {boot_s:.0f} s with release {release}"
    faults = _faults(machine, told)
    if release not in (OLD, NEW) or (point.phase == "migration" and release != NEW):
        faults.append(f"release {release} runs")
    if point.goes_on and release == OLD and machine.run("test -e /data/update/incoming/complete && echo yes"):
        machine.wait_for(lambda: not is_updating(machine), INSTALL_S_MAX, "the update goes on to its end")
        machine.run("sync")
        machine.cut()
        machine.start()
        wait_until_good(machine)
        seen += f", and then with release {version(machine)}"
        faults += [] if version(machine) == NEW else ["the update did not go on"]
        faults += _faults(machine, told)
    return seen, faults


def _faults(machine: Machine, told: set[str]) -> list[str]:
    held = look(machine)
    faults = [f"acknowledged but not whole here: {uid}" for uid in told if not (uid in held and held[uid].is_whole)]
    failed = machine.run("systemctl --failed --no-legend --plain")
    return faults + ([f"failed services: {failed}"] if failed else [])


def _words(point: Point, cut: Cut | None) -> str:
    lost = f", {cut.unflushed_count} writes open, {cut.lost_bytes} bytes lost" if cut else ""
    return f"{point.phase}, entry {point.entry_count} ({point.loss.value}{lost})"


def run(folder: Path, count: int, seed: int, at_once: int, say: Callable[[str], None]) -> list[str]:
    """All points of both phases; what was wrong with them."""
    chance = random.Random(seed)
    recorded = Recorded.fresh(folder / "recorded")
    faults: list[str] = []

    def try_all(points: list[Point]) -> None:
        with ThreadPoolExecutor(at_once) as pool:
            folders = [folder / f"{points[0].phase}-{number}" for number in range(len(points))]
            for number, (said, wrong) in enumerate(
                pool.map(lambda each: tried(recorded, *each), zip(points, folders, strict=True)), 1
            ):
                say(f"{number}: {said}: {'; '.join(wrong) or 'all there'}")
                faults.extend(f"{said}: {each}" for each in wrong)

    with recorded.machine.surroundings():
        began = time.monotonic()
        recorded.start()
        wait_until_good(recorded.machine)
        recorded.receive()
        recorded.stop()
        recorded.keep()
        recorded.start()
        wait_until_good(recorded.machine)
        begins = recorded.disk.entry_count()
        came = bring(recorded.machine, TRIAL / f"release-{NEW}")
        assert came == "success", recorded.machine.run(
            "journalctl -b --no-pager -n 60 -u 'qafila-update' -u 'qafila-stick@*'"
        )
        recorded.stop()
        flushes, ends = recorded.disk.flushes(), recorded.disk.entry_count()
        say(f"the installation is on record after {time.monotonic() - began:.0f} s: {ends - begins} entries")
        try_all(chosen(chance, "installation", flushes, begins, ends, count))
        recorded.keep()
        recorded.start()
        wait_until_good(recorded.machine)
        assert version(recorded.machine) == NEW
        recorded.stop()
        flushes, ends = recorded.disk.flushes(), recorded.disk.entry_count()
        say(f"the first start of release {NEW} is on record: {ends} entries")
        try_all(chosen(chance, "migration", flushes, 0, ends, count))
    return faults


def main() -> int:
    """0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.image.cut_points", description=__doc__)
    parser.add_argument("--points", type=int, default=20, help="of each phase")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=2, help="guests that run side by side")
    arguments = parser.parse_args()
    reason = missing() or ("" if (TRIAL / f"release-{NEW}").exists() else "make image-releases builds what is needed")
    if reason:
        print(f"not run: {reason}")
        return 3
    with tempfile.TemporaryDirectory(prefix="points-", dir=WORK, ignore_cleanup_errors=True) as folder:
        faults = run(
            Path(folder), arguments.points, arguments.seed, arguments.at_once, lambda line: print(line, flush=True)
        )
    print(f"seed {arguments.seed}: {2 * arguments.points} cuts, {len(faults)} faults")
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
