"""When the services process is wanted: a device waits at its port, or a report is due. Small: the supervisor loads it.

pydicom and pynetdicom take 45 MB, and most units need them for minutes a day; so the supervisor holds the listening
socket, as systemd would, and the process ends when it has nothing to do. A device that calls waits a second longer.
"""

from __future__ import annotations

import select
import socket

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.live import read_live
from appliance.logging import log
from appliance.store.commitments import open_requests
from appliance.store.connect import open_reader
from appliance.store.errors import StoreError

NAME = "services"
_BACKLOG = 32


def listen(config: UnitConfig) -> socket.socket:
    """The listening socket on loopback.

    Raises:
        OSError: If the port is in use.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind(("127.0.0.1", config.services.port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


class Activation:
    """Asked several times a second by the supervisor while the process rests."""

    def __init__(self, config: UnitConfig, listener: socket.socket, clock: Clock) -> None:
        self._run_dir = config.run_dir
        self._clock = clock
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        self._is_owed = _is_owed(config)

    def is_wanted(self) -> bool:
        """Whether to start it now; what it said when it went to rest counts only within one boot."""
        if self._poll.poll(0):
            return True
        facts = read_live(self._run_dir, NAME, self._clock, stale_s=float("inf"))
        if facts is None or not facts.get("is_at_rest"):
            return self._is_owed
        wake_mono_s = facts.get("wake_mono_s")
        return wake_mono_s is not None and self._clock.mono_s() >= float(wake_mono_s)


def _is_owed(config: UnitConfig) -> bool:
    """Whether a report is owed from before this start; a database in trouble is looked at by the process itself."""
    try:
        with open_reader(config.unit_db) as db:
            return bool(open_requests(db))
    except StoreError as error:
        log("unit.run", "services start, for their database cannot be read", why=error.kind)
        return True
