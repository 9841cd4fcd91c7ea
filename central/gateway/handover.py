"""Giving rebuilt files to the PACS, and having it prove that it holds them: the units' own adapters, used once more.

``sync.adapters`` speaks STOW-RS and C-STORE, knows which answers are final, and compares what is read back with what
was sent (``docs/decisions/0009-gateway-persistence.md``). Here are only the queue before it and the patience: while the
PACS cannot be reached everything waits, for ever; one file that it does not take waits alone.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.clock import Clock
from appliance.config import DestinationTable
from appliance.domain.failure import Failure, FailureKind
from appliance.domain.limits import LimitSet
from appliance.domain.values import Evidence
from appliance.logging import log
from central.gateway.replacing import Replacer
from central.limits import GatewayLimits
from sync.adapters.base import Attempt, Checked, Destination, SendItem, Sent
from sync.adapters.build import build
from sync.adapters.failures import Failed
from sync.core.retry import at_least_asked, backoff_s

CARRIER_COUNT = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: proof, or a failure, which says who can mend it."""

    evidence: Evidence | None = None
    failure: Failure | None = None
    absent: bool = False
    """Checked only: the PACS answered and does not hold it."""


@dataclass(slots=True)
class _Parcel:
    item: SendItem
    alone: bool
    done: asyncio.Future[Outcome]
    evidences: Sequence[Evidence] = ()


class Handover:
    """The way to one PACS."""

    def __init__(
        self,
        table: DestinationTable,
        limits: GatewayLimits,
        clock: Clock,
        work_dir: Path,
        replacer: Replacer | None = None,
    ) -> None:
        """``replacer`` takes out of the PACS what corrections replace; without one it may keep what it had."""
        self._limits = limits
        self._replacer = replacer
        self._destination: Destination = build(table, LimitSet(), clock, work_dir)
        self._waiting: list[_Parcel] = []
        self._wake = asyncio.Event()
        self._cancel = threading.Event()
        self._failure_count = 0
        self._carriers: list[asyncio.Task[None]] = []
        self._random = random.Random()

    @property
    def name(self) -> str:
        """What receipts call the PACS."""
        return self._destination.name

    @property
    def replaces(self) -> bool:
        """Whether a correction can take the place of what the PACS holds."""
        return self._replacer is not None

    def start(self) -> None:
        """Begin to carry."""
        self._carriers = [asyncio.create_task(self._carry()) for _ in range(CARRIER_COUNT)]

    async def stop(self) -> None:
        """Cut what runs; nothing is lost by it."""
        self._cancel.set()
        self._destination.close()
        for carrier in self._carriers:
            carrier.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)

    async def deliver(self, item: SendItem, *, alone: bool, evidences: Sequence[Evidence] = ()) -> Outcome:
        """Store and prove one file; returns when there is an outcome for it, however long the PACS is away.

        ``evidences`` are what the PACS showed of contents that the item replaces; such an item goes alone.
        """
        alone = alone or bool(item.replaces)
        parcel = _Parcel(item, alone, asyncio.get_running_loop().create_future(), evidences)
        self._waiting.append(parcel)
        self._wake.set()
        try:
            return await parcel.done
        finally:
            if parcel in self._waiting:
                self._waiting.remove(parcel)

    async def prove(self, items: Sequence[SendItem]) -> dict[int, Outcome]:
        """Have the PACS prove once more that it holds these files; asked once, without patience."""
        if not items:
            return {}
        return await asyncio.to_thread(self._attempt, items, store=False)

    async def _carry(self) -> None:
        while True:
            batch = self._next_batch()
            if not batch:
                self._wake.clear()
                await self._wake.wait()
                continue
            try:
                await self._deliver(batch)
            except Exception as error:  # adapters raise nothing; if one does, its files wait and the others go on
                log("gateway.handover", "fault", why=type(error).__name__)
                for parcel in batch:
                    if not parcel.done.done():
                        parcel.done.set_result(Outcome(failure=_unanswered()))

    def _next_batch(self) -> list[_Parcel]:
        if not self._waiting:
            return []
        if self._waiting[0].alone:
            return [self._waiting.pop(0)]
        batch = [parcel for parcel in self._waiting if not parcel.alone][: self._limits.handover_item_count_max]
        for parcel in batch:
            self._waiting.remove(parcel)
        return batch

    async def _deliver(self, batch: list[_Parcel]) -> None:
        correction = batch[0] if len(batch) == 1 and batch[0].item.replaces else None
        if correction is not None and self._replacer is not None:
            outcomes = await asyncio.to_thread(self._replace, self._replacer, correction)
        else:
            outcomes = await asyncio.to_thread(self._attempt, [parcel.item for parcel in batch], store=True)
        unreached = [
            parcel
            for parcel in batch
            if (failure := outcomes[parcel.item.item_id].failure) is not None and failure.kind is FailureKind.LINK
        ]
        for parcel in batch:
            if parcel not in unreached and not parcel.done.done():
                parcel.done.set_result(outcomes[parcel.item.item_id])
        if len(unreached) < len(batch):
            self._failure_count = 0
        if unreached:
            await self._wait_for_pacs(unreached, outcomes)

    async def _wait_for_pacs(self, unreached: list[_Parcel], outcomes: dict[int, Outcome]) -> None:
        """A PACS that answers when asked and breaks off at a file is not away: the file waits alone then."""
        failure = outcomes[unreached[0].item.item_id].failure
        assert failure is not None
        if await asyncio.to_thread(self._destination.probe) is None:
            for parcel in unreached:
                if not parcel.done.done():
                    parcel.done.set_result(outcomes[parcel.item.item_id])
            return
        self._failure_count += 1
        limits = self._limits
        own_s = backoff_s(self._failure_count, limits.backoff_s_first, limits.backoff_s_max, self._random.random())
        pause_s = at_least_asked(own_s, failure.retry_after_s, limits.backoff_s_max)
        log("gateway.handover", "PACS away", why=failure.code, count=self._failure_count, next_try_s=f"{pause_s:.1f}")
        await asyncio.sleep(pause_s)
        self._waiting[:0] = [parcel for parcel in unreached if not parcel.done.done()]
        self._wake.set()

    def _replace(self, replacer: Replacer, correction: _Parcel) -> dict[int, Outcome]:
        """Blocking: the correction in the place of what it replaces; every step may be done twice."""
        item = correction.item
        try:
            replacer.make_room(item, correction.evidences)
            outcome = self._attempt([item], store=True)[item.item_id]
            if outcome.evidence is not None:
                replacer.settled(item)
            elif outcome.failure is not None and outcome.failure.kind is FailureKind.PERMANENT:
                replacer.put_back(item)
        except Failed as failed:
            outcome = Outcome(failure=failed.failure)
        return {item.item_id: outcome}

    def _attempt(self, items: Sequence[SendItem], *, store: bool) -> dict[int, Outcome]:
        """Blocking: store and prove; every item has an outcome."""
        attempt = Attempt(self._cancel, lambda item_id, byte_count: None)
        outcomes: dict[int, Outcome] = {}
        stored = list(items)
        if store:
            sent: dict[int, Sent] = {}
            broke = self._destination.send(items, attempt, lambda one: sent.update({one.item_id: one}))
            stored = []
            for item in items:
                one = sent.get(item.item_id)
                if one is not None and one.failure is None:
                    stored.append(item)
                else:
                    outcomes[item.item_id] = Outcome(failure=broke or _unanswered() if one is None else one.failure)
        checked: dict[int, Checked] = {}
        broke = self._destination.verify(stored, attempt, lambda one: checked.update({one.item_id: one}))
        for item in stored:
            proof = checked.get(item.item_id)
            if proof is None:
                outcomes[item.item_id] = Outcome(failure=broke or _unanswered())
            else:
                outcomes[item.item_id] = Outcome(proof.evidence, proof.failure, proof.absent)
        return outcomes


def _unanswered() -> Failure:
    return Failure(FailureKind.TRANSIENT, "unanswered", "The PACS gave no answer about this picture.")
