"""Going on over a link that comes and goes: which failures a call tries again itself, and for how long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from appliance.clock import Clock
from appliance.domain.failure import Failure
from sync.adapters.failures import Failed
from sync.adapters.gateway.timing import PERSIST_S, retry_pause_s

T = TypeVar("T")
_PASSING = {
    "name-unknown",
    "unreachable",
    "connect-timeout",
    "connection-lost",
    "stalled",
    "http-502",
    "http-504",
}
SHORT_WAIT_S_MAX = 5.0
"""A gateway that restarts asks for one second; longer wishes are the core's to honour."""


class Persistence:
    """Decides, after each failure of one call or connection, whether to go on; thread-safe.

    Args:
        clock: For its monotonic seconds.
        cancel: Wakes every pause.
        stopped: The call is over for another reason.
        s_max: How long to go on after the last sign of life.
    """

    def __init__(
        self,
        clock: Clock,
        cancel: threading.Event,
        stopped: Callable[[], bool] = lambda: False,
        s_max: float = PERSIST_S,
    ) -> None:
        self._clock = clock
        self._cancel = cancel
        self._stopped = stopped
        self._s_max = s_max
        self._lock = threading.Lock()
        self._failure_count = 0
        self._alive_mono_s = clock.mono_s()

    def alive(self) -> None:
        """Something was achieved: the time starts anew."""
        with self._lock:
            self._failure_count = 0
            self._alive_mono_s = self._clock.mono_s()

    def run(self, action: Callable[[], T]) -> T:
        """Call ``action``, which raises ``Failed``, until it succeeds.

        Raises:
            Failed: What it raised last, when that does not pass, or has not passed for ``s_max`` seconds, or the call
                was cancelled.
        """
        while True:
            try:
                done = action()
            except Failed as failed:
                if not self.goes_on(failed.failure):
                    raise
            else:
                self.alive()
                return done

    def goes_on(self, failure: Failure) -> bool:
        """After a failure: wait as long as is right, then ``True``; ``False`` when it is to be reported."""
        with self._lock:
            self._failure_count += 1
            tried_s = self._clock.mono_s() - self._alive_mono_s
            pause_s = retry_pause_s(self._failure_count)
        if tried_s >= self._s_max or self._over:
            return False
        if failure.code == "http-503":
            wait_s = failure.retry_after_s
            if wait_s is None or wait_s > SHORT_WAIT_S_MAX:
                return False
            pause_s = max(pause_s, wait_s)
        elif failure.code not in _PASSING:
            return False
        self._cancel.wait(pause_s)
        return not self._over

    @property
    def _over(self) -> bool:
        return self._cancel.is_set() or self._stopped()
