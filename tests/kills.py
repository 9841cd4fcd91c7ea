"""``kill -9`` of every process of the unit at random moments: ``python -m tests.kills --count 100`` (``make kills``).

A modality sends all the time. Each kill must heal by itself, and at the end every promise is checked once for all that
the modality was ever told.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from tests.support.orthancs import orthanc_commands
from tests.support.promises import centre_faults, kept_faults, settled, shown_but_not_there
from tests.support.world import Modality, Unit, dicomweb_destination, echo, make_unit, running_centre, wait_for

VICTIMS = ("orthanc", "intake", "sync", "quality", "gatekeeper", "supervisor")
HEAL_S_MAX = 60.0
SETTLE_S_MAX = 300.0


def run_kills(
    folder: Path, orthanc: str, count: int, seed: int, say: Callable[[str], None] = lambda line: None
) -> tuple[int, list[str]]:
    """Kill each of the six processes ``count`` times; how many instances were promised, and every broken promise."""
    chance = random.Random(seed)
    plan = [victim for victim in VICTIMS for _ in range(count)]
    chance.shuffle(plan)
    pause = threading.Event()
    faults: list[str] = []
    with running_centre(folder / "centre", orthanc) as centre, contextlib.ExitStack() as stack:
        unit = make_unit(folder / "unit", orthanc, dicomweb_destination(centre.dicomweb_url))
        unit.start()
        stack.callback(unit.stop)
        modality = Modality(unit.config.dicom.port, size_bytes=24_000, seed=seed)
        with modality.sending():
            for number, victim in enumerate(plan):
                pause.wait(chance.choice([0.0, 0.05, 0.3]) + chance.random() * 0.5)
                _kill(unit, victim)
                faults += [f"kill {number} ({victim}): {fault}" for fault in shown_but_not_there(unit, centre)]
                told_before = len(modality.told)
                wait_for(lambda before=told_before: len(modality.told) > before, f"service after {victim}", HEAL_S_MAX)  # type: ignore[misc]  # bound default
                if number % 50 == 49:
                    say(f"{number + 1} kills, {len(modality.told)} instances acknowledged, {len(faults)} faults")
        wait_for(lambda: echo(unit.config.dicom.port), "the door")
        try:
            wait_for(lambda: settled(unit, modality.told), "every promised instance to be confirmed", SETTLE_S_MAX)
        except AssertionError as late:
            faults.append(str(late))
        faults += kept_faults(unit, modality.told) + centre_faults(centre, modality.told)
    return len(modality.told), faults


def _kill(unit: Unit, victim: str) -> None:
    if victim == "supervisor":
        unit.kill_all()
        unit.start()
        return
    # A machine that stood still for a while leaves stale facts behind: that is no fault of the unit.
    wait_for(lambda: unit.shows_children and victim in unit.child_pids(), f"{victim} to run")
    with contextlib.suppress(ProcessLookupError):
        os.kill(unit.child_pids()[victim], signal.SIGKILL)


def main() -> int:
    """Run for every Orthanc on this machine; 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="kills of each process")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--orthanc", action="append", help="command; default: every Orthanc found")
    arguments = parser.parse_args()
    failed = False
    for orthanc in arguments.orthanc or orthanc_commands():
        with tempfile.TemporaryDirectory(prefix="qafila-kills-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
            told_count, faults = run_kills(
                Path(folder), orthanc, arguments.count, arguments.seed, lambda line: print(line, flush=True)
            )
        kills = arguments.count * len(VICTIMS)
        print(f"{orthanc}: seed {arguments.seed}, {kills} kills, {told_count} instances promised, {len(faults)} faults")
        for fault in faults:
            print(f"  {fault}")
        failed = failed or bool(faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
