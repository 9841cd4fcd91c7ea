"""``python -m appliance.quality``: what is done with a picture after it was kept, at low priority.

A thin process: it follows ``unit.db`` and writes rows; bytes of pictures meet only children with bounds.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from appliance.clock import Clock, SystemClock
from appliance.config import ConfigError, UnitConfig, load_unit
from appliance.live import write_live
from appliance.logging import log
from appliance.orthanc.background import start
from appliance.quality.steps import open_steps

EXIT_CONFIG = 2
NICE = 10
"""Reception, intake and sending come first; children inherit it."""
LIVE_S = 1.0


def run(config: UnitConfig, stop: threading.Event, clock: Clock) -> None:
    """Run every step until ``stop`` is set; a live line each second."""
    threads = {
        name: start(f"unit.quality.{name}", open_step, stop) for name, open_step in open_steps(config, clock).items()
    }
    while not stop.wait(LIVE_S):
        write_live(config.run_dir, "quality", {"steps": sorted(threads)}, clock)
    for thread in threads.values():
        thread.join()


def main() -> int:
    """Run until SIGTERM or Ctrl-C; 0 after a clean stop, 2 for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m appliance.quality", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="unit.toml")
    try:
        config = load_unit(parser.parse_args().config)
    except ConfigError as error:
        log("unit.quality", "cannot start", why=error)
        return EXIT_CONFIG
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    log("unit.quality", "started", unit=config.unit.name)
    run(config, stop, SystemClock())
    log("unit.quality", "stopped", unit=config.unit.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
