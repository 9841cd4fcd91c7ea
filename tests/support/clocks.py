"""A clock that moves only when a test says so."""

from __future__ import annotations

import threading


class ManualClock:
    """Monotonic and wall seconds advance together; safe to read from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds = 1000.0

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._lock:
            self._seconds += seconds

    def mono_s(self) -> float:
        with self._lock:
            return self._seconds

    def wall_s(self) -> float:
        return 1_700_000_000.0 + self.mono_s()

    def boot_id(self) -> str:
        return "test-boot"
