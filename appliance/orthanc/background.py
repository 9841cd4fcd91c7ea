"""A loop that does not die: each failure is logged, waited out and tried again with everything opened anew.

After an I/O error a database handle is not used again: what it did not write may never be written, so it is closed and
the truth is read back from the medium.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from appliance.logging import log

RETRY_S_FIRST = 0.1
RETRY_S_MAX = 5.0


class Worker(Protocol):
    """One duty of a background loop."""

    def step(self) -> float:
        """Do what is due; seconds until the next step, on the monotonic clock."""
        ...


def keep_doing(name: str, open_worker: Callable[[], AbstractContextManager[Worker]], stop: threading.Event) -> None:
    """Open a worker and let it step until ``stop`` is set; on any error close it, wait with back-off and open anew."""
    retry_s = RETRY_S_FIRST
    while not stop.is_set():
        try:
            with open_worker() as worker:
                wait_s = worker.step()
                retry_s = RETRY_S_FIRST
                while not stop.wait(wait_s):
                    wait_s = worker.step()
        except Exception as error:
            # Of a bug only type and place are logged: the text of an error may quote a value, hence a patient.
            place = traceback.extract_tb(error.__traceback__)[-1]
            why = getattr(error, "kind", None) or getattr(error, "strerror", None) or ""
            log(name, "failed", error=type(error).__name__, why=why, at=f"{place.name}:{place.lineno}", retry_s=retry_s)
            stop.wait(retry_s)
            retry_s = min(2 * retry_s, RETRY_S_MAX)


def start(
    name: str, open_worker: Callable[[], AbstractContextManager[Worker]], stop: threading.Event
) -> threading.Thread:
    """``keep_doing`` in a thread of its own."""
    thread = threading.Thread(target=keep_doing, args=(name, open_worker, stop), name=name)
    thread.start()
    return thread
