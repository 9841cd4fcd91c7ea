"""The flows of one destination, kept from call to call: whoever takes one owns it until it is given back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from sync.adapters.gateway.flow import Flow, Way


class Use(StrEnum):
    """What a flow is for; a long poll must hold up nothing else."""

    TALK = "talk"
    POLL = "poll"


class Flows:
    """Idle flows by use; thread-safe."""

    def __init__(self, way: Way, keep_count: int) -> None:
        """``keep_count``: idle flows of one use that are kept; surplus ones are closed."""
        self._way = way
        self._keep_count = keep_count
        self._lock = threading.Lock()
        self._idle: dict[Use, list[Flow]] = {use: [] for use in Use}
        self._busy: set[Flow] = set()
        self._closed = False

    @contextmanager
    def taken(self, use: Use) -> Iterator[Flow]:
        """The flow that was used last, for its connection is the likeliest to live; or a new one.

        Raises:
            Failed: As ``Way.client``.
        """
        with self._lock:
            flow = self._idle[use].pop() if self._idle[use] else None
        if flow is None:
            flow = Flow(self._way, use.value)
        with self._lock:
            self._busy.add(flow)
        try:
            yield flow
        finally:
            self._give_back(use, flow)

    def close(self) -> None:
        """Cut what runs, close the rest; flows that are still held are closed when they are given back."""
        with self._lock:
            self._closed = True
            idle = [flow for flows in self._idle.values() for flow in flows]
            for flows in self._idle.values():
                flows.clear()
            for flow in self._busy:
                flow.cut()
        for flow in idle:
            flow.close()

    def _give_back(self, use: Use, flow: Flow) -> None:
        with self._lock:
            self._busy.discard(flow)
            keep = not self._closed and len(self._idle[use]) < self._keep_count
            if keep:
                self._idle[use].append(flow)
        if not keep:
            flow.close()
