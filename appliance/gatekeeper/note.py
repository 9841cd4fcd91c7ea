"""``python -m appliance.gatekeeper.note --config unit.toml``: writes the findings on standard input, and ends.

Standard input is a JSON list of ``appliance.gatekeeper.findings.Finding``. Exit code 0 when all are durable, 1 when the
database could not take them (one sentence on standard error).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from appliance.config import ConfigError, load_unit
from appliance.store.connect import open_unit
from appliance.store.errors import StoreError
from appliance.store.findings import note_finding


def main(argv: list[str] | None = None) -> int:
    """Write all findings, each in its own transaction."""
    parser = argparse.ArgumentParser(prog="appliance.gatekeeper.note", description="Write findings of the gatekeeper.")
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args(argv)
    try:
        with open_unit(load_unit(arguments.config).unit_db) as db:
            for finding in json.load(sys.stdin):
                note_finding(db, **finding)
    except (ConfigError, StoreError) as error:
        print(f"findings were not written: {error}", file=sys.stderr)  # noqa: T201 - the message for people
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
