"""The gateway destination: see ``sync.adapters.base.Announcing`` and ``docs/reference/gateway-protocol.md``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from sync.adapters.gateway.attempted import Attempted
from sync.adapters.gateway.centre import Centre
from sync.adapters.gateway.connecting import Connector
from sync.adapters.gateway.expected import Expected
from sync.adapters.gateway.flow import Way
from sync.adapters.gateway.flows import Flows
from sync.adapters.gateway.known_rate import KnownRate
from sync.adapters.gateway.line import Line
from sync.adapters.gateway.manifest import Revisions
from sync.adapters.gateway.persistence import Persistence
from sync.adapters.gateway.proving import Proving
from sync.adapters.gateway.sending import Sending
from sync.adapters.gateway.session import Session
from sync.adapters.gateway.stream import Stream, Surroundings
from sync.adapters.gateway.tools import Tools
from sync.wire.answers import Acknowledgements, AcknowledgementsAnswer
from sync.wire.messages import Inbox
from sync.wire.notes import NotesAnswer, NotesRequest
from sync.wire.status import StatusReport

WEAK_STREAM_COUNT = 4
"""One stream fills a lossy link under bbr; under any other control several together come nearer to it."""

IDLE_FLOW_COUNT = 2
"""Of each use, kept open between two calls."""
_NOT_LET_IN = {"session-refused", "unit-revoked", "unit-copied"}


class Gateway:
    """See ``sync.adapters.base.Announcing``; calls may run at the same time and share connections that last."""

    def __init__(self, table: GatewayDestination, limits: LimitSet, clock: Clock, home: Home) -> None:
        self._table = table
        self._limits = limits
        self._clock = clock
        self._home = home
        self._lock = threading.Lock()
        self._made: _Made | None = None

    @property
    def name(self) -> str:
        return self._table.name

    @property
    def epoch(self) -> str:
        """As ``Announcing.epoch``; also what was heard in an earlier life of this process."""
        made = self._made
        return made.tools.centre.epoch if made is not None else ""

    def probe(self) -> Failure | None:
        """One small question with a session: proves way, certificate and enrolment. Goes on for some seconds, so that
        the end of a short outage is not slept through."""
        nothing = threading.Event()
        try:
            self._ready().centre.greet(Persistence(self._clock, nothing, s_max=timing.PROBE_PERSIST_S))
        except Failed as failed:
            if failed.failure.code in _NOT_LET_IN:
                self._forget()
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

    # --- what people say -------------------------------------------------------------------------------------------

    @property
    def inbox_head(self) -> int:
        """As ``Conversing.inbox_head``."""
        made = self._made
        return made.tools.centre.inbox_head if made is not None else 0

    def unit_id(self) -> str:
        """As ``Conversing.unit_id``.

        Raises:
            Failed: As ``_ready``.
        """
        return self._ready().centre.unit_id

    def read_answers(self, after: int, wait_s: float, cancel: threading.Event) -> Inbox:
        """As ``Conversing.read_answers``."""
        return self._ready().centre.read_answers(after, wait_s, self._once(cancel), cancel.is_set)

    def note_answers_seen(self, seq: int) -> None:
        """As ``Conversing.note_answers_seen``."""
        self._ready().centre.note_answers_seen(seq)

    def acknowledge(self, said: Acknowledgements, cancel: threading.Event) -> AcknowledgementsAnswer:
        """As ``Conversing.acknowledge``."""
        return self._ready().centre.acknowledge(said, self._once(cancel), cancel.is_set)

    def report(self, said: StatusReport, cancel: threading.Event) -> None:
        """As ``Conversing.report``."""
        self._ready().centre.report(said, self._once(cancel), cancel.is_set)

    def tell_notes(self, said: NotesRequest, cancel: threading.Event) -> NotesAnswer:
        """As ``Conversing.tell_notes``."""
        return self._ready().centre.tell_notes(said, self._once(cancel), cancel.is_set)

    def _once(self, cancel: threading.Event) -> Persistence:
        """The postman has a pause of its own after a failure: one call does not go on trying."""
        return Persistence(self._clock, cancel, s_max=0.0)

    def close(self) -> None:
        """Cut what runs."""
        self._forget()

    def _ready(self) -> Tools:
        """Made by the first call after enrolment, so that a unit can be enrolled while it runs.

        Raises:
            Failed: ``not-enrolled``, ``identity-unusable`` or ``settings``.
        """
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made.tools

    def _forget(self) -> None:
        """Connections, and who the unit is: it may be enrolled anew while it runs, and the next call reads that."""
        with self._lock:
            made, self._made = self._made, None
        if made is not None:
            made.close()

    def _make(self) -> _Made:
        table = self._table
        session = Session(self._home.identity_dir, table.name, self._limits.backoff_s_max)
        way = Way(table, self._limits, self._clock)
        connector = Connector(table, self._clock)
        flows = Flows(way, IDLE_FLOW_COUNT)
        centre = Centre(way, flows, session, self._clock, self._home.run_dir)
        congestion = sockets.congestion_of(table.congestion)
        count = table.flow_count or (1 if congestion == sockets.BBR else WEAK_STREAM_COUNT)
        attempted = Attempted(self._home.run_dir / f"centre-{table.name}.parts")
        around = Surroundings(
            connector=connector,
            token=centre.token,
            drop_token=centre.drop_token,
            on_heard=centre.hear,
            on_attempt=attempted.add,
            rate=KnownRate(self._home.run_dir, table.name, self._clock),
            is_bbr=congestion == sockets.BBR,
            limits=self._limits,
            clock=self._clock,
        )
        line = Line(is_trusting=count == 1)
        streams = [Stream(around, line, number) for number in range(count)]

        def wake_all() -> None:
            for stream in streams:
                stream.wake()

        line.on_change = wake_all
        log("sync.gateway", "ready", destination=table.name, congestion=congestion or "system", streams=count)
        for stream in streams:
            stream.start()
        tools = Tools(
            centre=centre,
            line=line,
            attempted=attempted,
            encoder=self._home.encoder,
            expected=Expected(),
            revisions=Revisions(self._clock.wall_s()),
            clock=self._clock,
        )
        return _Made(tools, flows, streams)


@dataclass(frozen=True, slots=True)
class _Made:
    """What runs for an enrolled unit."""

    tools: Tools
    flows: Flows
    streams: list[Stream]

    def close(self) -> None:
        """Cut what runs."""
        self.tools.line.close()
        for stream in self.streams:
            stream.close()
        self.flows.close()
