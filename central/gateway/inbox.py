"""What units are told: entries after a cursor, and waking whoever waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from appliance.logging import log
from central.gateway.problems import busy
from central.gateway.receipts import shown
from central.limits import GatewayLimits
from central.store.database import Database
from central.store.inbox import Entry, entries_after
from central.store.inbox import heads as heads_now
from sync.wire.messages import Inbox, InboxEntry

OTHERS_S = 1.0
"""How often waiting units are looked at for entries that another process wrote, as the review pages do."""


class Inboxes:
    """Long polls of this process."""

    def __init__(self, database: Database, limits: GatewayLimits) -> None:
        self._database = database
        self._limits = limits
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._heads: dict[str, int] = {}
        self._stopping = False
        self._looking: asyncio.Task[None] | None = None

    def head(self, unit_id: str, known: int) -> int:
        """The newest entry's number, as far as this process knows; ``known`` is what the request read."""
        return max(self._heads.get(unit_id, 0), known)

    def wake(self, heads: dict[str, int]) -> None:
        """Entries were committed: the new heads by unit."""
        for unit_id, head in heads.items():
            self._heads[unit_id] = max(head, self._heads.get(unit_id, 0))
            for event in self._waiting.get(unit_id, ()):
                event.set()

    def stop(self) -> None:
        """Answer all who wait."""
        self._stopping = True
        if self._looking is not None:
            self._looking.cancel()
        for events in self._waiting.values():
            for event in events:
                event.set()

    async def read(self, unit_id: str, epoch: str, after: int, wait_s: float, *, answers_only: bool = False) -> Inbox:
        """What comes after ``after``; when there is nothing yet, at most ``wait_s`` seconds later."""
        waiting = self._waiting.setdefault(unit_id, set())
        if wait_s > 0 and len(waiting) >= self._limits.waiting_count_per_unit_max:
            raise busy("This unit waits for its inbox several times already.", 1)
        event = asyncio.Event()
        waiting.add(event)
        if wait_s > 0 and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look_for_others())
        try:
            loop = asyncio.get_running_loop()
            deadline_s = loop.time() + min(wait_s, self._limits.wait_s_max)
            while True:
                event.clear()
                head, entries = await self._entries(unit_id, after, answers_only)
                self._heads[unit_id] = self.head(unit_id, head)
                left_s = deadline_s - loop.time()
                if entries or left_s <= 0 or self._stopping:
                    return Inbox(epoch=epoch, head=head, entries=tuple(map(shown_entry, entries)))
                with suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), left_s)
        finally:
            waiting.discard(event)
            if not waiting:
                self._waiting.pop(unit_id, None)

    async def _look_for_others(self) -> None:
        """One small query for all who wait, for as long as somebody does."""
        while self._waiting and not self._stopping:
            await asyncio.sleep(OTHERS_S)
            try:
                found = await self._database.reading(heads_now, list(self._waiting))
            except SQLAlchemyError as error:
                log("gateway.inbox", "cannot look", why=type(error).__name__)
                continue
            self.wake({unit_id: head for unit_id, head in found.items() if head > self._heads.get(unit_id, 0)})

    async def _entries(self, unit_id: str, after: int, answers_only: bool) -> tuple[int, list[Entry]]:
        count_max = self._limits.answer_count_max if answers_only else self._limits.inbox_entry_count_max
        return await self._database.reading(entries_after, unit_id, after, count_max, answers_only=answers_only)


def shown_entry(entry: Entry) -> InboxEntry:
    """As it goes to a unit."""
    return InboxEntry(
        seq=entry.seq,
        kind=entry.kind,
        study_instance_uid=entry.study_instance_uid,
        sop_instance_uid=entry.sop_instance_uid,
        sha256=entry.sha256,
        receipt=shown(entry.statement, entry.signature),
        text=entry.text,
        code=entry.code,
        body=entry.body,
    )


def heads_of(added: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The highest number by unit."""
    heads: dict[str, int] = {}
    for unit_id, seq in added:
        heads[unit_id] = max(seq, heads.get(unit_id, 0))
    return heads
