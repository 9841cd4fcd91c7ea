"""The threads of one call that brings parts: some flows carry what its own thread adds, until all is reported.

A call that is cancelled returns at once. A flow that waits for the answer to its last append goes on doing so alone,
so that its connection can be used again; what it hears then is told to nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from appliance.domain.failure import Failure, FailureKind
from sync.adapters.base import Attempt, SendItem, Sent
from sync.adapters.failures import Failed
from sync.adapters.gateway.cargo import Cargo, Part
from sync.adapters.gateway.carrying import Carrier
from sync.adapters.gateway.persistence import Persistence
from sync.adapters.gateway.tally import Tally
from sync.adapters.gateway.tools import Tools


class Shipment:
    """One call of ``send`` or ``announce``.

    Attributes:
        cargo: Parts to bring.
        tally: What is reported.
    """

    def __init__(
        self,
        tools: Tools,
        items: Sequence[SendItem],
        attempt: Attempt,
        on_result: Callable[[Sent], None],
        *,
        urgent: bool = False,
    ) -> None:
        self.tally = Tally(items, attempt, on_result)
        self.cargo = Cargo(tools.overlap_bytes, self.tally.stopped)
        self.persistence = Persistence(tools.clock, attempt.cancel, self.tally.stopped)
        self._flow_count = tools.flow_count
        self._carrier = Carrier(
            centre=tools.centre,
            flows=tools.flows,
            cargo=self.cargo,
            courtesy=tools.courtesy,
            # Its own, so that manifests that get through do not hide bodies that never do.
            persistence=Persistence(tools.clock, attempt.cancel, self.tally.stopped),
            stopped=self.tally.stopped,
            on_moved=self.tally.moved,
            urgent=urgent,
            backoff_s_max=tools.limits.backoff_s_max,
        )
        self._lock = threading.Lock()
        self._holders = 1
        self._parts: list[Part] = []

    def run(self, tell: Callable[[], None]) -> Failure | None:
        """Carry while ``tell`` adds parts, then until every item is reported.

        Args:
            tell: Runs in the caller's thread; what it raises as ``Failed`` ends the attempt.
        """
        self._holders += self._flow_count
        for number in range(self._flow_count):
            threading.Thread(target=self._carry, name=f"gateway-carry-{number}", daemon=True).start()
        try:
            tell()
            self.cargo.is_whole()
            self.tally.wait()
        except Failed as failed:
            self.tally.fail(failed.failure)
        finally:
            self.tally.close()
            self.cargo.wake()
            self._let_go()
        return self.tally.failure

    def add(self, parts: Sequence[Part]) -> None:
        """Parts to bring; their sources are closed when nobody needs them any more."""
        with self._lock:
            self._parts += parts
        self.cargo.add(parts)

    def _carry(self) -> None:
        try:
            while (part := self.cargo.take()) is not None:
                try:
                    self._carrier.bring(part)
                except Failed as failed:
                    self._failed(part, failed.failure)
                else:
                    if part.complete or part.not_needed:
                        self.tally.arrived(part.info.sha256)
                finally:
                    self.cargo.arrived(part)
        except Exception as error:
            self.tally.fail_with(error)
        finally:
            self._let_go()

    def _failed(self, part: Part, failure: Failure) -> None:
        if failure.kind is FailureKind.LINK:
            self.tally.fail(failure)
            self.cargo.wake()
            return
        self.tally.lost(part.info.sha256, failure)

    def _let_go(self) -> None:
        with self._lock:
            self._holders -= 1
            parts = self._parts if self._holders == 0 else []
        for part in parts:
            part.source.close()
