"""``python -m tests.fuzz`` (``make fuzz``): every parser in turn, in processes that may die, until time is up.

A crash prints the target, its seed, and the shortest bytes that do it, and ends the run with 1. Run the same with
``--only TARGET --seed N``.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from appliance.clock import SystemClock
from tests.fuzz.running import fuzz
from tests.fuzz.targets import TARGETS

EXAMPLE_COUNT = 5000
MEMORY_BYTES_MAX = 2 << 30
CLOCK = SystemClock()


def run_here(name: str, seed: int, last: Path) -> int:
    """One target in this process; 0 when nothing was found."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    descriptor = os.open(last, os.O_WRONLY)

    def note(data: bytes) -> None:
        # Never truncated: opening a file anew for each example takes longer than most examples.
        os.pwrite(descriptor, len(data).to_bytes(8, "little") + data, 0)

    try:
        print(fuzz(TARGETS[name], seed, EXAMPLE_COUNT, note))
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def run_child(name: str, seed: int) -> tuple[int, str]:
    """One target in a process of its own: how many examples it took, and what was found."""
    with tempfile.NamedTemporaryFile(prefix="qafila-fuzz-") as last:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz",
            "--here",
            "--only",
            name,
            "--seed",
            str(seed),
            "--last",
            last.name,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return int(done.stdout), ""
        noted = Path(last.name).read_bytes()
        example = noted[8 : 8 + int.from_bytes(noted[:8], "little")].hex()
        return (
            0,
            f"{name} --seed {seed} ended with {done.returncode}\nlast example: {example[:4000]}\n{done.stderr[-8000:]}",
        )


def main() -> int:
    """Fuzz until the time is up or something is found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", choices=sorted(TARGETS), help="this target alone")
    parser.add_argument("--seed", type=int, help="this seed alone, once")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--last", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        return run_here(arguments.only, arguments.seed, arguments.last)
    names = [arguments.only] if arguments.only else sorted(TARGETS)
    first_seed = secrets.randbelow(1 << 32) if arguments.seed is None else arguments.seed
    seeds = itertools.count(first_seed) if arguments.seed is None else [first_seed]
    deadline_mono_s = CLOCK.mono_s() + arguments.seconds
    run_count: Counter[str] = Counter()
    taken_count: Counter[str] = Counter()
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for seed in seeds:
            left = [name for name in names if CLOCK.mono_s() < deadline_mono_s]
            for name, (taken, found) in zip(left, pool.map(run_child, left, [seed] * len(left)), strict=True):
                if found:
                    print(found)
                    return 1
                run_count[name] += EXAMPLE_COUNT
                taken_count[name] += taken
            if CLOCK.mono_s() >= deadline_mono_s:
                break
    for name in names:
        print(f"{name:24} {run_count[name]:8} examples, {taken_count[name]:8} of them sound")
    print(f"no crash in {sum(run_count.values())} examples from seed {first_seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
