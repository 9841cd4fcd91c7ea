"""``python -m appliance.orthanc.intake``: what the door kept becomes studies and duties, within a second."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from appliance.clock import SystemClock
from appliance.config import ConfigError, load_unit
from appliance.logging import log
from appliance.orthanc.loops import run

EXIT_CONFIG = 2


def main() -> int:
    """Run until SIGTERM or Ctrl-C; 0 after a clean stop, 2 for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m appliance.orthanc.intake", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="unit.toml")
    try:
        config = load_unit(parser.parse_args().config)
    except ConfigError as error:
        log("unit.intake", "cannot start", why=error)
        return EXIT_CONFIG
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    log("unit.intake", "started", unit=config.unit.name)
    run(config, stop, SystemClock())
    log("unit.intake", "stopped", unit=config.unit.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
