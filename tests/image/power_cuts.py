"""Power cuts on the real image in QEMU: ``python -m tests.image.power_cuts --cuts 100`` (``make image-power-cuts``).

A guest receives from a modality, delivers to a centre on its uplink, makes room and updates itself, on a disk that
loses what was not flushed (``losing_disk``). At random moments it is cut, a quarter of the times once more while it
starts. Each time it must come up by itself to a unit that answers, with everything that the modality was told. After
the last cut everything must arrive at the centre, with the modality's own pixels.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.image.enrolled import BOOT_S_MAX, look, version
from tests.image.losing_disk import Loss
from tests.image.machine import MODALITY_ADDRESS, TOP, WORK, Machine, missing
from tests.image.uplinked import TRIAL, Uplinked, centre_on_uplink
from tests.support.promises import centre_faults
from tests.support.world import Centre, Modality

BAD_RELEASE = 3
KINDS = {"reception": 8, "purge": 5, "update": 7}
"""How often each is drawn. Delivery goes on in all of them."""
CUT_AGAIN_SHARE = 0.25
BUSY_BOOTS_MAX = {"reception": 0.25, "purge": 0.15, "update": 1.5}
"""How long until the cut at most, in times of a start: so a slow machine is cut at the same steps as a fast one."""
HEAL_S_MAX = 1800.0


@dataclass(slots=True)
class Outcome:
    """What was found; ``faults`` empty means that every promise held."""

    cut_counts: dict[str, int] = field(default_factory=dict)
    lost_bytes: int = 0
    told_count: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def cut_count(self) -> int:
        return sum(self.cut_counts.values())


@dataclass(slots=True)
class Rig:
    """One guest through all its cuts; every random choice comes from ``chance``."""

    unit: Uplinked
    centre: Centre
    chance: random.Random
    say: Callable[[str], None]
    kinds: tuple[str, ...]
    """Those of ``KINDS`` that are drawn."""
    modality: Modality = field(
        default_factory=lambda: Modality(11112, size_bytes=400_000, host=MODALITY_ADDRESS, called_ae_title="QAFILA")
    )
    outcome: Outcome = field(default_factory=Outcome)
    tried: set[int] = field(default_factory=set)

    def first_boot(self, cuts: int) -> None:
        """Cut while the disk is locked and filled for the first time, then let it end."""
        machine = self.unit.machine
        for _ in range(cuts):
            begun_s = machine.wait_for(lambda: "qafila-firstboot" in machine.serial(), BOOT_S_MAX, "the first boot")
            threading.Event().wait(self.chance.random() * begun_s)
            self._cut("first boot")
            self.unit.start()
        self.unit.wait()
        self.unit.enrol(self.centre)

    def cycle(self) -> None:
        """Work, cut, perhaps cut again while starting, start, look."""
        kind = self.chance.choices(self.kinds, [KINDS[kind] for kind in self.kinds])[0]
        with self.modality.sending():
            if kind == "update":
                kind = self._begin_update() or "reception"
            elif kind == "purge":
                self.unit.machine.run("qafila evict --all >/dev/null 2>&1 &")
            boots = self.chance.random() * BUSY_BOOTS_MAX[kind.split(" ")[0]]
            threading.Event().wait(boots * self.unit.boot_s)
            self._cut(kind)
        while self.chance.random() < CUT_AGAIN_SHARE:
            self.unit.start()
            threading.Event().wait(self.chance.random() * self.unit.boot_s)
            self._cut("start")
        self.unit.start()
        self.unit.wait()
        release, faults = version(self.unit.machine), self._faults()
        self.outcome.faults += [f"cut {self.outcome.cut_count}: {fault}" for fault in faults]
        up = f"up after {self.unit.boot_s:.0f} s with release {release}"
        self.say(f"  {up}, {len(self.modality.told)} told; {faults or 'all there'}")

    def _begin_update(self) -> str:
        """The next release; a bad one once. Empty when there is none left."""
        installed = version(self.unit.machine)
        later = sorted(int(path.name.split("-")[1]) for path in TRIAL.glob("release-*"))
        wanted = [number for number in later if number > installed and number not in self.tried & {BAD_RELEASE}]
        if not wanted:
            return ""
        self.tried.add(wanted[0])
        self.unit.bring(wanted[0])
        return f"update to {wanted[0]}"

    def _cut(self, kind: str) -> None:
        self.unit.machine.cut()
        loss = self.chance.choice(list(Loss))
        done = self.unit.disk.settle(self.chance, loss)
        self.outcome.cut_counts[kind] = self.outcome.cut_counts.get(kind, 0) + 1
        self.outcome.lost_bytes += done.lost_bytes
        self.say(
            f"cut {self.outcome.cut_count} in {kind}: {done.flush_count} flushes, {done.unflushed_count} writes open, "
            f"{done.lost_bytes} bytes lost ({loss.value})"
        )

    def _faults(self) -> list[str]:
        """Everything that the modality was told is here, whole, or was confirmed by a centre that has it."""
        try:
            held = look(self.unit.machine)
        except AssertionError as damage:
            return [str(damage)]
        at_centre = self._at_centre()
        faults = [
            f"shown as delivered but not at the centre: {uid}"
            for uid, each in held.items()
            if each.is_confirmed and uid not in at_centre
        ]
        for told in tuple(self.modality.told):
            uid = told.sop_instance_uid[-12:]
            each = held.get(uid)
            if each is None:
                faults.append(f"acknowledged but unknown to the unit: {uid}")
            elif not each.is_whole and not (each.is_evicted and each.is_confirmed and uid in at_centre):
                faults.append(f"acknowledged but missing or damaged: {uid}")
        failed = self.unit.machine.run("systemctl --failed --no-legend --plain")
        return faults + ([f"failed services: {failed}"] if failed else [])

    def _at_centre(self) -> set[str]:
        return {uid[-12:] for uid in self.centre.holdings()}

    def heal(self) -> None:
        """Nothing more is cut: all of it arrives."""
        told = {each.sop_instance_uid[-12:] for each in self.modality.told}
        self.outcome.told_count = len(told)
        machine = self.unit.machine
        try:
            # The centre is asked first: looking costs an emulated guest more than delivering does.
            machine.wait_for(lambda: told <= self._at_centre(), HEAL_S_MAX, "everything is at the centre")
            machine.wait_for(
                lambda: told <= {uid for uid, each in look(self.unit.machine).items() if each.is_confirmed},
                HEAL_S_MAX,
                "everything is confirmed",
            )
        except (AssertionError, TimeoutError) as late:
            self.outcome.faults.append(str(late))
        self.outcome.faults += centre_faults(self.centre, self.modality.told)


def probe(unit: Uplinked, chance: random.Random) -> str:
    """The rig itself: what was synced must outlive a cut, and what was not must be lost; empty when it is so."""
    unit.machine.run("echo kept >/data/unit/synced && sync && echo lost >/data/unit/unsynced")
    unit.machine.cut()
    unit.disk.settle(chance, Loss.ALL)
    unit.start()
    unit.wait()
    found = unit.machine.run("cat /data/unit/synced; cat /data/unit/unsynced 2>/dev/null").split()
    return "" if found == ["kept"] else f"this rig does not lose what a power cut loses: {found}"


def run(
    folder: Path,
    namespace: str,
    cuts: int,
    first_boot_cuts: int,
    seed: int,
    seconds_max: float,
    say: Callable[[str], None],
    kinds: tuple[str, ...],
) -> Outcome:
    """Until ``cuts`` were made, or the time is over."""
    ends = time.monotonic() + seconds_max
    chance = random.Random(seed)
    with centre_on_uplink(folder / "centre") as (centre, authority):
        unit = Uplinked.fresh(folder / "guest", namespace, centre, authority)
        try:
            rig = Rig(unit, centre, chance, say, kinds)
            rig.first_boot(first_boot_cuts)
            if wrong := probe(unit, chance):
                raise SystemExit(wrong)
            say("the rig keeps what was synced and loses what was not")
            while rig.outcome.cut_count < cuts and time.monotonic() < ends:
                rig.cycle()
            rig.heal()
        finally:
            unit.machine.cut()
    return rig.outcome


def main() -> int:
    """0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.image.power_cuts", description=__doc__)
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--first-boot-cuts", type=int, default=3, help="of them, while the disk is made")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--minutes", type=float, default=24 * 60.0, help="end earlier, and say how many cuts there were"
    )
    parser.add_argument("--only", choices=list(KINDS), help="cut in nothing else (an update needs releases)")
    parser.add_argument("--namespace", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    reason = missing() or ("" if (TRIAL / "qafila_1.raw").exists() else "make image-releases builds what is needed")
    if reason:
        print(f"not run: {reason}")
        return 3
    if not arguments.namespace:
        machine = Machine(WORK, f"qafila-{os.getpid()}")
        with machine.surroundings():
            again = [sys.executable, "-m", "tests.image.power_cuts", *sys.argv[1:], "--namespace", machine.namespace]
            return subprocess.run(machine.inside(*again), check=False, cwd=TOP).returncode
    with tempfile.TemporaryDirectory(prefix="cuts-", dir=WORK, ignore_cleanup_errors=True) as folder:
        outcome = run(
            Path(folder),
            arguments.namespace,
            arguments.cuts,
            arguments.first_boot_cuts,
            arguments.seed,
            arguments.minutes * 60,
            lambda line: print(line, flush=True),
            (arguments.only,) if arguments.only else tuple(KINDS),
        )
    kinds = ", ".join(f"{count} in {kind}" for kind, count in sorted(outcome.cut_counts.items()))
    print(
        f"seed {arguments.seed}: {outcome.cut_count} cuts ({kinds}), {outcome.lost_bytes} bytes lost, "
        f"{outcome.told_count} acknowledgements checked, {len(outcome.faults)} faults"
    )
    for fault in outcome.faults:
        print(f"  {fault}")
    return 1 if outcome.faults else 0


if __name__ == "__main__":
    sys.exit(main())
