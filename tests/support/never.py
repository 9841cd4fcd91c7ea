"""An event for code that waits between tries: it is never set, and waiting for it takes no time."""

from __future__ import annotations

import threading


class _Never(threading.Event):
    def wait(self, timeout: float | None = None) -> bool:
        return False


def never() -> threading.Event:
    """A stop that nobody asks for."""
    return _Never()
