"""A calm day, and one with kills that must end in the same state: ``python -m tests.integration.unit_day``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.integration.unit_day.killing import VICTIMS
from tests.integration.unit_day.two_days import calm_day, compare, day_with_kills
from tests.support.orthancs import orthanc_commands


def main() -> int:
    """For every Orthanc found here; 0 when both days end alike, 1 when not, 3 when there is no Orthanc."""
    parser = argparse.ArgumentParser(prog="python -m tests.integration.unit_day", description=__doc__)
    parser.add_argument("--kills", type=int, default=3, help="of each process")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--orthanc", action="append", help="command; default: every Orthanc found")
    arguments = parser.parse_args()
    failed = False
    orthancs = arguments.orthanc or orthanc_commands()
    for orthanc in orthancs:
        with tempfile.TemporaryDirectory(prefix="qafila-day-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
            calm = calm_day(Path(folder) / "calm", orthanc)
            killed, killer = day_with_kills(Path(folder) / "killed", orthanc, arguments.kills, arguments.seed)
        differences = compare(calm, killed)
        count = sum(killer.done.values())
        print(f"{orthanc}: seed {arguments.seed}, {count} kills of {len(VICTIMS)} processes, {differences or 'alike'}")
        for line in killer.missed:
            print(f"  not killed: {line}")
        failed = failed or bool(differences)
    return 1 if failed else 0 if orthancs else 3


if __name__ == "__main__":
    sys.exit(main())
