"""The link's rate as the last connection found it, so that the next one need not find it by overshooting.

Kept for some minutes of this boot, also across a restart of the process; never more than a starting point.
"""

from __future__ import annotations

import threading
from pathlib import Path

from appliance.clock import Clock
from appliance.live import read_live, write_live
from sync.adapters.gateway.pacer import FORGET_S

_KEY = "bytes_per_s"
WORTH_TELLING_RATIO = 0.1


class KnownRate:
    """Of one destination; thread-safe."""

    def __init__(self, run_dir: Path, name: str, clock: Clock) -> None:
        self._run_dir = run_dir
        self._name = f"rate-{name}"
        self._clock = clock
        self._lock = threading.Lock()
        facts = read_live(run_dir, self._name, clock, FORGET_S)
        value = facts.get(_KEY) if facts else None
        self._rate = float(value) if isinstance(value, int | float) else 0.0
        self._noted_mono_s = clock.mono_s()

    @property
    def bytes_per_s(self) -> float:
        """0 when nothing is known, or no more."""
        with self._lock:
            return self._rate if self._clock.mono_s() - self._noted_mono_s < FORGET_S else 0.0

    def note(self, bytes_per_s: float) -> None:
        """A connection found this; 0 says nothing."""
        if bytes_per_s <= 0:
            return
        with self._lock:
            changed = abs(bytes_per_s - self._rate) > WORTH_TELLING_RATIO * self._rate
            stale = self._clock.mono_s() - self._noted_mono_s > FORGET_S / 10
            self._rate, self._noted_mono_s = bytes_per_s, self._clock.mono_s()
        if changed or stale:
            write_live(self._run_dir, self._name, {_KEY: int(bytes_per_s)}, self._clock)
