"""``python -m tests.simulation --seeds N --start S``: run seeds; a failing one is printed with its shortest script."""

from __future__ import annotations

import argparse
import multiprocessing
import subprocess
import sys
import time
from collections.abc import Iterator

from tests.simulation.script import draw
from tests.simulation.shrink import broken_rule, shorten

CHUNK = 50


def run_chunk(seeds: range) -> list[tuple[int, str]]:
    """The seeds that fail, each with its broken rule."""
    found = []
    for seed in seeds:
        violation = broken_rule(draw(seed))
        if violation is not None:
            found.append((seed, violation.rule))
    return found


def report(seed: int, rule: str) -> str:
    """What a person needs to look into one failing seed."""
    shortest = shorten(draw(seed), rule)
    lines = [f"seed {seed} at commit {commit()} breaks {rule}", f"destinations {shortest.destinations}"]
    lines += [f"  {happening}" for happening in shortest.happenings]
    lines += [str(broken_rule(shortest)), f"keep it: add {seed} to tests/simulation/test_simulation.py REGRESSIONS"]
    return "\n".join(lines)


def commit() -> str:
    """The checked-out commit, with a mark when files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def chunks(start: int, seed_count: int) -> Iterator[range]:
    for first in range(start, start + seed_count, CHUNK):
        yield range(first, min(first + CHUNK, start + seed_count))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20_000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    given = parser.parse_args()
    began_mono_s = time.monotonic()
    failing: list[tuple[int, str]] = []
    with multiprocessing.Pool(given.jobs) as pool:
        for found in pool.imap_unordered(run_chunk, chunks(given.start, given.seeds)):
            failing += found
    for seed, rule in sorted(failing)[:3]:
        print(report(seed, rule))
    took_s = time.monotonic() - began_mono_s
    print(f"{given.seeds} seeds from {given.start}, {len(failing)} failing, {took_s:.0f} s, commit {commit()}")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
