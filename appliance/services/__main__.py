"""``python -m appliance.services --config unit.toml``: MPPS and Storage Commitment, as long as they are wanted.

The supervisor holds the listening socket and starts this process when a device calls or a report is due; when neither
was so for a while it ends (exit code 0), and gives its memory back. Exit code 2: the configuration cannot be used, 3:
the port cannot be opened.
"""

from __future__ import annotations

import argparse
import ctypes
import logging
import math
import resource
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appliance.clock import Clock, SystemClock
from appliance.config import ConfigError, UnitConfig, load_unit
from appliance.lean import leave_out
from appliance.live import write_live
from appliance.logging import log
from appliance.services.activation import NAME, listen

if TYPE_CHECKING:
    from appliance.services.reports import Due
    from appliance.services.server import Server

EXIT_CONFIG = 2
EXIT_PORT = 3
LIVE_S = 1.0
STACK_BYTES = 1024 * 1024
"""Of a thread: three an association, and all count against the bound on memory."""
_M_ARENA_MAX = -8
"""Of mallopt(3)."""
ARENA_COUNT_MAX = 2
"""glibc gives a thread an arena of its own with 64 MiB of address space: five of them would use up the bound."""


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or Ctrl-C, or until nothing is wanted; see the module for the exit codes."""
    parser = argparse.ArgumentParser(prog="appliance.services", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="unit.toml")
    parser.add_argument("--listener-fd", type=int, default=-1, help="a listening socket that was handed down")
    arguments = parser.parse_args(argv)
    try:
        config = load_unit(arguments.config)
    except ConfigError as error:
        log("unit.services", "cannot start", why=error)
        return EXIT_CONFIG
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        listener = socket.socket(fileno=arguments.listener_fd) if arguments.listener_fd >= 0 else listen(config)
    except OSError as error:
        log("unit.services", "cannot start", port=config.services.port, why=error.strerror)
        return EXIT_PORT
    _bound(config)
    with listener:
        _run(config, listener, stop, SystemClock())
    return 0


def _bound(config: UnitConfig) -> None:
    """Memory; and what the libraries say, which may quote a patient's name."""
    memory_bytes_max = config.limits.services_memory_bytes_max
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    threading.stack_size(STACK_BYTES)
    c_library = ctypes.CDLL(None)
    if hasattr(c_library, "mallopt"):
        c_library.mallopt(_M_ARENA_MAX, ARENA_COUNT_MAX)
    leave_out("numpy")
    warnings.simplefilter("ignore")
    for library in ("pydicom", "pynetdicom"):
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)


def _run(config: UnitConfig, listener: socket.socket, stop: threading.Event, clock: Clock) -> None:
    from pynetdicom import _config

    from appliance.orthanc.background import start
    from appliance.services.desk import Desk
    from appliance.services.reports import Due, open_reporter
    from appliance.services.server import Server

    _config.LOG_HANDLER_LEVEL = "none"
    desk, due = Desk(), Due()
    server = Server(config, listener, desk, clock)
    log("unit.services", "started", port=config.services.port)
    ending = threading.Event()
    reporting = start("unit.services.reports", lambda: open_reporter(config, desk, due, clock), ending)
    server.accept()
    try:
        while not stop.wait(LIVE_S):
            write_live(config.run_dir, NAME, _facts(config, server, due, is_at_rest=False), clock)
            if _is_idle(config, server, due, clock.mono_s()):
                server.hold()
                if server.association_count == 0:
                    break
                server.accept()
    finally:
        server.close()
        ending.set()
        reporting.join()
    write_live(config.run_dir, NAME, _facts(config, server, due, is_at_rest=True), clock)
    log("unit.services", "stopped" if stop.is_set() else "rests")


def _is_idle(config: UnitConfig, server: Server, due: Due, now_mono_s: float) -> bool:
    """Whether there is nothing to do, and was nothing for a while."""
    idle_s_max = config.limits.services_idle_s_max
    is_left = server.left_mono_s is None or now_mono_s - server.left_mono_s >= idle_s_max
    return server.association_count == 0 and is_left and due.next_mono_s - now_mono_s > idle_s_max


def _facts(config: UnitConfig, server: Server, due: Due, *, is_at_rest: bool) -> dict[str, Any]:
    """For ``services.live.json``."""
    return {
        "is_at_rest": is_at_rest,
        "wake_mono_s": due.next_mono_s if math.isfinite(due.next_mono_s) else None,
        "open_request_count": due.open_request_count,
        "fill": {"service_connection_count": [server.association_count, config.limits.connection_count_max]},
    }


if __name__ == "__main__":
    sys.exit(main())
