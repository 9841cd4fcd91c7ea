"""The gateway destination: see ``sync.adapters.base.Announcing`` and ``docs/reference/gateway-protocol.md``."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

from appliance.clock import Clock
from appliance.config import GatewayDestination
from appliance.domain.failure import Failure
from appliance.domain.limits import LimitSet
from appliance.logging import log
from sync.adapters.base import Attempt, Checked, SendItem, Sent
from sync.adapters.build import Home
from sync.adapters.failures import Failed
from sync.adapters.gateway import sockets, timing
from sync.adapters.gateway.announcing import Announcing
from sync.adapters.gateway.cargo import OVERLAP_BYTES
from sync.adapters.gateway.centre import Centre
from sync.adapters.gateway.courtesy import Courtesy
from sync.adapters.gateway.expected import Expected
from sync.adapters.gateway.flow import Way
from sync.adapters.gateway.flows import Flows
from sync.adapters.gateway.manifest import Revisions
from sync.adapters.gateway.persistence import Persistence
from sync.adapters.gateway.proving import Proving
from sync.adapters.gateway.sending import Sending
from sync.adapters.gateway.session import Session
from sync.adapters.gateway.tools import Tools

STRONG = "bbr"
"""Fills a lossy link with one flow; any other control is helped by several at once."""

_NOT_LET_IN = {"session-refused", "unit-revoked", "unit-copied"}


class Gateway:
    """See ``sync.adapters.base.Announcing``; calls may run at the same time and share connections that last."""

    def __init__(self, table: GatewayDestination, limits: LimitSet, clock: Clock, home: Home) -> None:
        self._table = table
        self._limits = limits
        self._clock = clock
        self._home = home
        self._lock = threading.Lock()
        self._tools: Tools | None = None
        self._closed = False

    @property
    def name(self) -> str:
        return self._table.name

    @property
    def epoch(self) -> str:
        """As ``Announcing.epoch``; also what was heard in an earlier life of this process."""
        tools = self._tools
        return tools.centre.epoch if tools is not None else ""

    def probe(self) -> Failure | None:
        """One small question with a session: proves way, certificate and enrolment. Goes on for some seconds, so that
        the end of a short outage is not slept through."""
        nothing = threading.Event()
        try:
            self._ready().centre.greet(Persistence(self._clock, nothing, s_max=timing.PROBE_PERSIST_S))
        except Failed as failed:
            if failed.failure.code in _NOT_LET_IN:
                self._forget_identity()
            return failed.failure
        return None

    def send(self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]) -> Failure | None:
        """As ``Destination.send``; cancelling takes effect within a slice of 16 KiB, and loses nothing."""
        try:
            return Sending(self._ready(), items, attempt, on_result).run()
        except Failed as failed:
            return failed.failure

    def announce(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Sent], None]
    ) -> Failure | None:
        """As ``Announcing.announce``."""
        try:
            return Announcing(self._ready(), items, attempt, on_result).run()
        except Failed as failed:
            return failed.failure

    def verify(
        self, items: Sequence[SendItem], attempt: Attempt, on_result: Callable[[Checked], None]
    ) -> Failure | None:
        """As ``Destination.verify``; waits some seconds for receipts that are on their way."""
        try:
            return Proving(self._ready(), items, attempt, on_result).run()
        except Failed as failed:
            return failed.failure

    def close(self) -> None:
        """Cut what runs."""
        with self._lock:
            self._closed = True
            tools = self._tools
        if tools is not None:
            tools.flows.close()

    def _ready(self) -> Tools:
        """Made by the first call after enrolment, so that a unit can be enrolled while it runs.

        Raises:
            Failed: ``not-enrolled``, ``identity-unusable`` or ``settings``.
        """
        with self._lock:
            if self._tools is None:
                self._tools = self._make()
            return self._tools

    def _forget_identity(self) -> None:
        """The unit may be enrolled anew while it runs: the next call reads who it is."""
        with self._lock:
            tools, self._tools = self._tools, None
        if tools is not None:
            tools.flows.close()

    def _make(self) -> Tools:
        table = self._table
        session = Session(self._home.identity_dir, table.name, self._limits.backoff_s_max)
        way = Way(table, self._limits, self._clock)
        flows = Flows(way, table.flow_count)
        congestion = sockets.congestion_of(table.congestion)
        log("sync.gateway", "ready", destination=table.name, congestion=congestion or "system", flows=table.flow_count)
        return Tools(
            centre=Centre(way, flows, session, self._clock, self._home.run_dir),
            flows=flows,
            encoder=self._home.encoder,
            courtesy=Courtesy(),
            expected=Expected(),
            revisions=Revisions(self._clock.wall_s()),
            limits=self._limits,
            clock=self._clock,
            flow_count=table.flow_count,
            overlap_bytes=OVERLAP_BYTES if congestion == STRONG else math.inf,
        )
