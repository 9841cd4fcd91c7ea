"""EIO, ENOSPC and EROFS in the unit's system calls at random moments: ``python -m tests.disk_errors --count 100``.

(``make disk-errors``.) The whole unit runs and a modality sends all the time. strace attaches to one of the unit's
processes, makes chosen calls fail once or for a short while, and lets go. After each the unit must serve again by
itself, and at the end every promise is checked once for all that the modality was ever told.

A stored file that could not be read waits until a person asks again (fault row 17); at the end the run plays that
person, with the command that people have.
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
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from appliance.live import read_live
from appliance.store.commands import give_command
from appliance.store.connect import open_unit
from tests.support.orthancs import orthanc_commands
from tests.support.promises import centre_faults, kept_faults, settled, shown_but_not_there
from tests.support.strace import injected, missing_for_injection
from tests.support.world import CLOCK, Modality, Unit, dicomweb_destination, echo, make_unit, running_centre, wait_for

HEAL_S_MAX = 90.0
PROCESSES = frozenset({"orthanc", "intake", "sync", "quality", "gatekeeper"})
"""Those that always run; services come when they are wanted."""
SETTLE_S_MAX = 300.0
STRIKE_S_MAX = 20.0
"""How long strace waits for a call to fail; some processes are idle at that moment."""
LAST_S_MAX = 0.8
"""How long a lasting fault lasts."""
FULL, BROKEN, READ_ONLY = "ENOSPC", "EIO", "EROFS"


@dataclass(frozen=True, slots=True)
class Aim:
    """Which calls of which process fail, on which files below the data folder (any file when there is none).

    The victim ``recovery`` is the supervisor with all that it starts while Orthanc, just killed, is started again.
    """

    victim: str
    calls: str
    errors: tuple[str, ...]
    files: tuple[str, ...] = ()
    nth_max: int = 7
    """The call that fails is at most the so manieth of its thread; a program's start alone opens hundreds of files."""

    @property
    def name(self) -> str:
        where = "blob folders" if self.files == _FOLDERS else ", ".join(self.files) or "any file"
        return f"{self.victim}: {self.calls} on {where}"


_WRITES = "write,pwrite64,writev"
_FLUSHES = "fsync,fdatasync"
_NAMES = "rename,renameat,renameat2,mkdir,mkdirat,unlink,unlinkat"
_FOLDERS = tuple(f"blobs/{number:02x}" for number in range(256))

AIMS = (
    Aim("orthanc", "write", (FULL, BROKEN, READ_ONLY)),
    Aim("orthanc", "openat", (FULL, BROKEN, READ_ONLY)),
    Aim("orthanc", _NAMES, (FULL, BROKEN, READ_ONLY)),
    Aim("orthanc", _FLUSHES, (FULL, BROKEN, READ_ONLY)),
    Aim("orthanc", "fsync", (BROKEN,), _FOLDERS),
    Aim("orthanc", f"{_WRITES},ftruncate", (FULL, BROKEN, READ_ONLY), ("door.db-wal", "door.db-shm")),
    Aim("orthanc", _FLUSHES, (FULL, BROKEN), ("door.db-wal", "door.db")),
    Aim("orthanc", f"{_WRITES},ftruncate", (FULL, BROKEN), ("orthanc/index-wal", "orthanc/index")),
    Aim("orthanc", _FLUSHES, (FULL, BROKEN), ("orthanc/index-wal",)),
    Aim("intake", f"{_WRITES},ftruncate", (FULL, BROKEN, READ_ONLY), ("unit.db-wal", "unit.db-shm")),
    Aim("intake", _FLUSHES, (FULL, BROKEN), ("unit.db-wal", "unit.db")),
    Aim("intake", "openat", (FULL, BROKEN)),
    Aim("intake", _WRITES, (FULL, BROKEN)),
    Aim("intake", "pread64,read", (BROKEN,)),
    Aim("sync", f"{_WRITES},ftruncate", (FULL, BROKEN, READ_ONLY), ("unit.db-wal", "unit.db-shm")),
    Aim("sync", _FLUSHES, (FULL, BROKEN), ("unit.db-wal", "unit.db")),
    Aim("sync", "openat", (FULL, BROKEN)),
    Aim("sync", _WRITES, (FULL, BROKEN)),
    Aim("sync", "pread64,read", (BROKEN,)),
    Aim("recovery", "openat", (FULL, BROKEN), nth_max=400),
    Aim("recovery", f"{_WRITES},{_FLUSHES},{_NAMES}", (FULL, BROKEN, READ_ONLY)),
    Aim("recovery", "pread64,read", (BROKEN,), nth_max=400),
    Aim("gatekeeper", f"{_WRITES},{_FLUSHES},openat,{_NAMES}", (FULL, BROKEN, READ_ONLY)),
)


@dataclass(slots=True)
class Outcome:
    """What was done and found; ``faults`` empty means that every promise held."""

    struck: Counter[str] = field(default_factory=Counter)
    """Injections that made at least one call fail, by aim."""
    call_count: int = 0
    """System calls that failed."""
    restart_count: int = 0
    unit_start_count: int = 0
    """How often the supervisor itself ended and was started again."""
    retried_study_count: int = 0
    told_count: int = 0
    faults: list[str] = field(default_factory=list)


def run_disk_errors(
    folder: Path,
    orthanc: str,
    count: int,
    seed: int,
    aims: tuple[Aim, ...] = AIMS,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Inject ``count`` times, aim after aim; every random choice comes from ``seed``."""
    chance = random.Random(seed)
    pause = threading.Event()
    outcome = Outcome()
    with running_centre(folder / "centre", orthanc) as centre, contextlib.ExitStack() as stack:
        unit = make_unit(folder / "unit", orthanc, dicomweb_destination(centre.dicomweb_url))
        unit.start()
        stack.callback(unit.stop)
        modality = Modality(unit.config.dicom.port, size_bytes=24_000, seed=seed)
        with modality.sending():
            for number in range(count):
                aim = aims[number % len(aims)]
                wait_for(lambda: unit.ready and unit.child_pids().keys() >= PROCESSES, "every process to run")
                pause.wait(chance.random() * 0.3)
                what = _strike(folder / "strace.log", unit, aim, chance, outcome)
                outcome.faults += [f"{number} ({what}): {fault}" for fault in shown_but_not_there(unit, centre)]
                if unit.process is None or unit.process.poll() is not None:
                    outcome.unit_start_count += 1
                    unit.start()  # as systemd does
                told_before = len(modality.told)
                wait_for(lambda before=told_before: len(modality.told) > before, f"service after {what}", HEAL_S_MAX)  # type: ignore[misc]  # bound default
                if number % len(AIMS) == len(AIMS) - 1:
                    say(f"{number + 1} injections, {outcome.call_count} calls failed, {len(modality.told)} promised")
        wait_for(lambda: echo(unit.config.dicom.port), "the door")
        try:
            wait_for(lambda: _asked_again(unit, outcome) or settled(unit, modality.told), "delivery", SETTLE_S_MAX)
        except AssertionError as late:
            outcome.faults.append(f"{late}: {_unsettled(unit)}")
        outcome.faults += kept_faults(unit, modality.told) + centre_faults(centre, modality.told)
        outcome.restart_count = sum(_start_counts(unit).values()) - len(unit.child_pids())
        outcome.told_count = len(modality.told)
        unit.stop()
        outcome.faults += [f"left behind: {path.name}" for path in unit.config.blob_dir.rglob("*.part")]
    return outcome


def _strike(trace: Path, unit: Unit, aim: Aim, chance: random.Random, outcome: Outcome) -> str:
    """Make calls of one process fail, once or for a while, and let go; what was done."""
    error = chance.choice(aim.errors)
    when = chance.choice(["1", str(chance.randrange(2, aim.nth_max + 1)), "1+"])
    paths = [unit.config.data_dir / name for name in aim.files]
    children = unit.child_pids()
    assert unit.process is not None
    process_id = children.get(aim.victim, unit.process.pid)
    trace.write_bytes(b"")
    attached = injected(process_id, f"{aim.calls}:error={error}:when={when}", log=trace, paths=paths)
    with contextlib.suppress(AssertionError), attached:  # nothing to attach to when it was just being started again
        if aim.victim == "recovery":
            with contextlib.suppress(ProcessLookupError):  # it had just died of an earlier fault
                os.kill(children["orthanc"], signal.SIGKILL)
        with contextlib.suppress(AssertionError):  # it was idle, or died of it
            wait_for(lambda: _is_struck(trace, aim, process_id), "a call to fail", STRIKE_S_MAX)
        if when == "1+":
            threading.Event().wait(chance.random() * LAST_S_MAX)
    failed_count = _read(trace).count("INJECTED")
    outcome.call_count += failed_count
    if failed_count:
        outcome.struck[aim.name] += 1
    return f"{aim.name} {error} when={when}"


def _is_struck(trace: Path, aim: Aim, process_id: int) -> bool:
    """Whether a call of the victim failed; of recovery that is one of what the supervisor started, not its own."""
    failed = [line for line in _read(trace).splitlines() if "INJECTED" in line]
    return any(aim.victim != "recovery" or not line.startswith(f"{process_id} ") for line in failed)


def _read(trace: Path) -> str:
    return trace.read_text(encoding="utf-8", errors="replace")


def _asked_again(unit: Unit, outcome: Outcome) -> bool:
    """Retry, as a person would, what waits for one; always false."""
    with open_unit(unit.config.unit_db) as db:
        studies = db.rows(
            """SELECT DISTINCT study_instance_uid FROM instance JOIN outbox USING (instance_id)
                WHERE state = 'rejected' AND study_instance_uid NOT IN
                    (SELECT study_instance_uid FROM command WHERE finished_at = '')"""
        )
        for (study_instance_uid,) in studies:
            give_command(db, db.stamp(), "retry", study_instance_uid, "test", "the disk was mended")
    outcome.retried_study_count += len(studies)
    return False


def _unsettled(unit: Unit) -> list[tuple[object, ...]]:
    """Why, for the message."""
    return unit.query(
        """SELECT i.sop_instance_uid, i.local_state, o.state, o.failure_code FROM instance AS i
            JOIN outbox AS o USING (instance_id) WHERE o.state <> 'confirmed' LIMIT 5"""
    )


def _start_counts(unit: Unit) -> dict[str, int]:
    facts = read_live(unit.config.run_dir, "unit", CLOCK)
    return {name: row["start_count"] for name, row in facts["children"].items()} if facts else {}


def main() -> int:
    """Run for every Orthanc on this machine; 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.disk_errors", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="injections")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--orthanc", action="append", help="command; default: every Orthanc found")
    arguments = parser.parse_args()
    if reason := missing_for_injection():
        print(f"not run: {reason}")
        return 3
    failed = False
    for orthanc in arguments.orthanc or orthanc_commands():
        with tempfile.TemporaryDirectory(prefix="qafila-disk-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
            outcome = run_disk_errors(
                Path(folder),
                orthanc,
                arguments.count,
                arguments.seed,
                say=lambda line: print(line, flush=True),
            )
        print(
            f"{orthanc}: seed {arguments.seed}, {arguments.count} injections of which {outcome.struck.total()} struck, "
            f"{outcome.call_count} calls failed, {outcome.restart_count} restarts, "
            f"{outcome.unit_start_count} of the whole unit, {outcome.retried_study_count} "
            f"retries by a person, {outcome.told_count} instances promised, {len(outcome.faults)} faults"
        )
        for name, struck_count in sorted(outcome.struck.items()):
            print(f"  {struck_count:4} {name}")
        for fault in outcome.faults:
            print(f"  {fault}")
        failed = failed or bool(outcome.faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
