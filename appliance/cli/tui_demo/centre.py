"""The demo's centre: takes files at the speed of a bad mobile link, holds them in memory, and can be out of reach."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import Evidence
from sync.adapters.base import Attempt, Checked, SendItem, Sent

RATE_BYTES_PER_S = 120_000
STEP_S = 0.1
DOWN = Failure(FailureKind.TRANSIENT, "demo-link-down", "It is not reachable.")
ABSENT = Failure(FailureKind.TRANSIENT, "demo-absent", "The centre does not have it.")


class DemoCentre:
    """Implements ``sync.adapters.base.Destination``."""

    name = "centre"

    def __init__(self, rate_bytes_per_s: int = RATE_BYTES_PER_S) -> None:
        self._step_bytes = max(1, int(rate_bytes_per_s * STEP_S))
        self._holds: dict[str, str] = {}
        self.is_down = threading.Event()
        """Set while the vehicle is in a valley."""

    def probe(self) -> Failure | None:
        """As the protocol says."""
        return DOWN if self.is_down.is_set() else None

    def send(self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]) -> Failure | None:
        """As the protocol says."""
        for item in items:
            done = 0
            while done < item.size_bytes:
                if attempt.cancel.wait(STEP_S):
                    return None
                if self.is_down.is_set():
                    return DOWN
                done = min(done + self._step_bytes, item.size_bytes)
                attempt.on_progress(item.item_id, done)
            self._holds[item.sop_instance_uid] = hashlib.sha256(item.path.read_bytes()).hexdigest()
            on_result(Sent(item.item_id))
        return None

    def verify(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Checked], None]
    ) -> Failure | None:
        """As the protocol says."""
        for item in items:
            if self.is_down.is_set():
                return DOWN
            held = self._holds.get(item.sop_instance_uid)
            if held == item.sha256:
                on_result(Checked(item.item_id, evidence=Evidence("wado", held)))
            else:
                on_result(Checked(item.item_id, failure=ABSENT, absent=True))
        return None

    def close(self) -> None:
        """Nothing is held open."""
