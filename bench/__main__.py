"""``python -m bench [NAME...]``: runs the measurements and prints one JSON object last."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = (
    "decision",
    "encoder",
    "footprint",
    "loopback",
    "outbox_latency",
    "quality",
    "reception",
    "registration",
    "screen",
    "wire",
    "worklist",
)


def main() -> int:
    """Run what was asked for, or everything; results are on a real disk, never on tmpfs."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in NAMES]:
        parser.error(f"there is no measurement {unknown[0]!r}; there are {', '.join(NAMES)}")
    results: dict[str, object] = {"commit": _commit(), "machine": platform.machine(), "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="qafila-bench-", dir="/var/tmp") as place:
        for name in arguments.names or NAMES:
            module = importlib.import_module(f"bench.{name}")
            results[name] = module.run(Path(place) / name, lambda line: print(line, flush=True))
    print(json.dumps(results))
    return 0


def _commit() -> str:
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
