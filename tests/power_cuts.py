"""Power cuts on the whole unit with a real Orthanc: ``python -m tests.power_cuts --cuts 200`` (``make power-cuts``).

A unit works on a disk of the rig while a modality sends; at random moments the block device is cloned. Each clone is
what the unit would find after a power cut at that moment: it is mounted, a unit is started on it, some of them are cut
again while they start, and then every promise is checked against what the modality had been told before the cut.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.orthancs import orthanc_commands
from tests.support.power import Disk, missing_for_power_cuts, mounted_disk, new_disk, power_pool
from tests.support.promises import centre_faults, kept_faults, settled, shown_but_not_there
from tests.support.world import (
    Centre,
    Modality,
    Told,
    Unit,
    dicomweb_destination,
    make_unit,
    running_centre,
    wait_for,
)

SETTLE_S_MAX = 120.0
CUT_AGAIN_SHARE = 0.25
SMALL_DISK = "[limits]\nfree_bytes_floor = 16_777_216\nfree_bytes_stat_only = 0\nfree_bytes_warn = 0\n"
"""The default floors are larger than the disk of the rig."""


@dataclass(frozen=True, slots=True)
class Cut:
    """One moment: the disk as it was, and what the modality had been told before."""

    image: Path
    told: tuple[Told, ...]


@dataclass(slots=True)
class Outcome:
    """What was found; ``faults`` empty means that every promise held."""

    cut_count: int = 0
    cut_again_count: int = 0
    told_count: int = 0
    faults: list[str] = field(default_factory=list)


def run_power_cuts(
    folder: Path, orthanc: str, cut_count: int, seed: int, say: Callable[[str], None] = lambda line: None
) -> Outcome:
    """Cut ``cut_count`` times and check each; every random choice comes from ``seed``."""
    chance = random.Random(seed)
    outcome = Outcome()
    with power_pool(folder) as pool, running_centre(folder / "centre", orthanc) as centre:
        cuts = _collect(folder, pool, centre, orthanc, cut_count, chance)
        say(f"{len(cuts)} cuts taken, {len(cuts[-1].told)} instances acknowledged; now checking each")
        known_good: set[str] = set()
        for number, cut in enumerate(cuts):
            faults = _check(folder / f"check-{number}", pool, centre, orthanc, cut, chance, outcome, known_good)
            outcome.cut_count += 1
            outcome.told_count += len(cut.told)
            outcome.faults += [f"cut {number} (seed {seed}): {fault}" for fault in faults]
            if faults or number % 20 == 19:
                say(f"{number + 1} cuts checked, {len(outcome.faults)} faults {'; '.join(faults)}")
    return outcome


def _collect(
    folder: Path, pool: Path, centre: Centre, orthanc: str, cut_count: int, chance: random.Random
) -> list[Cut]:
    pause = threading.Event()
    cuts: list[Cut] = []
    with new_disk(pool, "live.img", folder / "live") as disk:
        unit = make_unit(
            folder / "unit", orthanc, dicomweb_destination(centre.dicomweb_url), disk.folder / "unit", SMALL_DISK
        )
        unit.start()
        try:
            with Modality(
                unit.config.dicom.port, size_bytes=24_000, seed=chance.randrange(1 << 30)
            ).sending() as modality:
                wait_for(lambda: len(modality.told) >= 3, "the modality to be served")
                for number in range(cut_count):
                    pause.wait(chance.choice([0.0, 0.01, 0.1, 0.4]) + chance.random() * 0.3)
                    told = tuple(modality.told)
                    cuts.append(Cut(disk.cut(f"cut-{number}.img"), told))
        finally:
            unit.stop()
    return cuts


def _check(
    folder: Path,
    pool: Path,
    centre: Centre,
    orthanc: str,
    cut: Cut,
    chance: random.Random,
    outcome: Outcome,
    known_good: set[str],
) -> list[str]:
    """Start a unit on the clone and compare; the clone is removed when nothing is wrong with it."""
    image = cut.image
    if chance.random() < CUT_AGAIN_SHARE:
        outcome.cut_again_count += 1
        image = _cut_again_while_starting(folder / "again", centre, orthanc, image, chance)
    with _unit_on(folder, centre, orthanc, image) as unit:
        faults = shown_but_not_there(unit, centre)
        unit.start()
        try:
            wait_for(lambda: settled(unit, cut.told), "every promised instance to be confirmed", SETTLE_S_MAX)
        except AssertionError as late:
            faults.append(str(late))
        faults += kept_faults(unit, cut.told) + centre_faults(centre, cut.told, known_good)
    if not faults:
        cut.image.unlink()
        if image != cut.image:
            image.unlink()
    return faults


def _cut_again_while_starting(folder: Path, centre: Centre, orthanc: str, image: Path, chance: random.Random) -> Path:
    """A second cut in the middle of recovery or start; everything acknowledged before the first must still be there."""
    with _unit_on(folder, centre, orthanc, image) as unit, contextlib.ExitStack() as stack:
        unit.start(wait=False)
        stack.callback(unit.kill_all)
        threading.Event().wait(chance.random() * 6.0)
        clone = image.with_name(f"again-{image.name}")
        return Disk(folder / "disk", image).cut(clone.name)


@contextlib.contextmanager
def _unit_on(folder: Path, centre: Centre, orthanc: str, image: Path) -> Iterator[Unit]:
    with mounted_disk(image, folder / "disk") as disk:
        unit = make_unit(folder, orthanc, dicomweb_destination(centre.dicomweb_url), disk.folder / "unit", SMALL_DISK)
        try:
            yield unit
        finally:
            unit.kill_all()  # the clone is thrown away, so nobody waits for a clean stop


def main() -> int:
    """Run for every Orthanc on this machine; 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.power_cuts", description=__doc__)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--orthanc", action="append", help="command; default: every Orthanc found")
    arguments = parser.parse_args()
    if reason := missing_for_power_cuts():
        print(f"not run: {reason}")
        return 3
    failed = False
    for orthanc in arguments.orthanc or orthanc_commands():
        with tempfile.TemporaryDirectory(prefix="qafila-cuts-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
            outcome = run_power_cuts(
                Path(folder), orthanc, arguments.cuts, arguments.seed, lambda line: print(line, flush=True)
            )
        print(
            f"{orthanc}: seed {arguments.seed}, {outcome.cut_count} cuts ({outcome.cut_again_count} cut again while "
            f"starting), {outcome.told_count} acknowledgements checked, {len(outcome.faults)} faults"
        )
        for fault in outcome.faults:
            print(f"  {fault}")
        failed = failed or bool(outcome.faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
