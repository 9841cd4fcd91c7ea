"""``python -m sync --config unit.toml``: the delivery process; the composition root of runner, adapters and store."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from appliance.clock import SystemClock
from appliance.config import ConfigError, GatewayDestination, load_unit
from appliance.lean import leave_out
from appliance.logging import log

STOP_S = 3.0
"""How long what is asked of a centre may hold up the end."""


def main() -> int:
    """Deliver until SIGTERM; 0 after a clean stop, 3 when the configuration cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m sync", description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    arguments = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        config = load_unit(arguments.config)
        leave_out("rich", "pygments")  # httpx takes them for its command line: 6 MB resident
        from sync.adapters.base import Conversing
        from sync.adapters.build import Home, build
        from sync.adapters.network import NetworkWatch
        from sync.configured import kind_of
        from sync.encoder.entry import spool_folder
        from sync.postman import Postman
        from sync.runner import Runner

        clock = SystemClock()
        work_dir = config.data_dir / "sync"
        work_dir.mkdir(mode=0o700, exist_ok=True)
        encoder = home = None
        if any(isinstance(table, GatewayDestination) for table in config.destination):
            from sync.encoder.lane import receiving_at
            from sync.encoder.service import EncoderService

            door = receiving_at(config.run_dir, clock)
            encoder = EncoderService(spool_folder(config.data_dir), config.limits, clock, is_receiving=door)
            home = Home(config.identity_dir, config.run_dir, encoder)
        destinations = [build(table, config.limits, clock, work_dir, home) for table in config.destination]
    except (ConfigError, OSError) as error:
        sys.stderr.write(f"sync: {error}\n")
        return 3
    log("sync", "started", destinations=len(destinations))
    watch = NetworkWatch()
    postmen = [
        Postman(config, each, clock, stop, lambda: kind_of(config.network, watch.network.kind))
        for each in destinations
        if isinstance(each, Conversing)
    ]
    for postman in postmen:
        postman.start()
    Runner(config, destinations, clock, stop, encoder, lambda: watch.network).run()
    watch.close()
    for destination in destinations:
        destination.close()
    for postman in postmen:
        postman.join(STOP_S)
    if encoder is not None:
        encoder.close()
    log("sync", "stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
