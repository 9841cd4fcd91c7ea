"""The encoder of a unit: one for all destinations of a process, over one spool folder.

Lanes of work, each a thread with a worker process that runs while there is something to do: one or more that work ahead
and stand back for everything else on the machine, one for parts that a destination waits for, and one for previews that
somebody waits for, so that a first look never stands behind a long loop.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from appliance.clock import Clock
from appliance.domain.limits import LimitSet
from appliance.logging import log
from sync.adapters.base import SendItem
from sync.encoder.base import EncodedFile, EncodeError, PreviewFile
from sync.encoder.board import Board, Kind
from sync.encoder.child import WORKER, Worker, WorkerSpec
from sync.encoder.lane import Lane
from sync.encoder.maker import PREVIEW_S, Maker
from sync.encoder.manners import Manner
from sync.encoder.pace import Pace
from sync.encoder.spool import Spool, SpoolBounds

TAKE_OVER_S_MIN = 2.0
"""Work ahead that should end sooner is waited for: what it did would be lost."""
_CANCEL_LOOK_S = 0.1

_T = TypeVar("_T")


class EncoderService:
    """``sync.encoder.base.Encoder``, with worker processes and a spool on disk.

    Args:
        folder: The spool; no other process may use it.
        limits: Bounds, those that begin with ``encoder_`` and ``free_bytes_warn``.
        clock: The only clock.
        is_receiving: Whether the door takes pictures in at this moment: then nothing is made ahead.
        free_bytes: What is free on the spool's disk; asked of the disk when not given.
        core_count: Processors of this machine; asked when not given.
        command: How a worker is started; replaced in tests.

    Raises:
        OSError: If the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        limits: LimitSet,
        clock: Clock,
        *,
        is_receiving: Callable[[], bool] = lambda: False,
        free_bytes: Callable[[], int] | None = None,
        core_count: int | None = None,
        command: Sequence[str] = WORKER,
    ) -> None:
        bounds = SpoolBounds(
            limits.encoder_spool_bytes_max, limits.encoder_spool_entry_count_max, limits.free_bytes_warn
        )
        self._spool = Spool(folder, bounds, free_bytes)
        worker_count = max(1, min(limits.encoder_worker_count_max, (core_count or os.cpu_count() or 1) - 1))
        self._pace = Pace(worker_count, self._ready_bytes)
        lock = threading.RLock()
        self._work, self._done = threading.Condition(lock), threading.Condition(lock)
        self._is_closed = False
        self._board = Board(self._is_made)
        maker = Maker(self._spool, self._pace, limits, clock)

        def lane(kind: Kind | None, manner: Manner) -> Lane:
            worker = Worker(WorkerSpec(manner, limits.encoder_memory_bytes_max, command), clock)
            return Lane(kind, self._board, self._work, self._done, maker, worker, limits, clock, is_receiving)

        self._ahead = [lane(None, Manner.IDLE) for _ in range(worker_count)]
        self._lanes = [*self._ahead, lane(Kind.PARTS, Manner.PROMPT), lane(Kind.PREVIEW, Manner.PROMPT)]
        for each in self._lanes:
            each.start()

    # --- for destinations ------------------------------------------------------------------------------------------

    def want(self, items: Sequence[SendItem]) -> None:
        """Make these ahead, in this order; replaces the wishes before. Returns at once."""
        with self._work:
            self._board.want(items)
            self._spool.wish({item.sha256: rank for rank, item in enumerate(self._board.wishes)})
            self._work.notify_all()

    def preview(self, item: SendItem, cancelled: Callable[[], bool]) -> PreviewFile | None:
        """Block until the preview is made; ``None`` when none can be made, for whatever reason, or when cancelled."""
        try:
            found = self._awaited(Kind.PREVIEW, item, cancelled, lambda: self._spool.preview(item.sha256))
        except EncodeError:
            return None
        return found.file if found is not None else None

    def encoded(self, item: SendItem, cancelled: Callable[[], bool]) -> EncodedFile | None:
        """Block until the parts are made; ``None`` when cancelled.

        Raises:
            EncodeError: If they cannot be made.
        """
        return self._awaited(Kind.PARTS, item, cancelled, lambda: self._spool.offer(item.sha256))

    def ready(self, item: SendItem) -> bool:
        """Whether ``encoded`` would answer without work."""
        return self._spool.has_parts(item.sha256)

    def coded_bytes(self, sha256: str) -> int | None:
        """How long the pixel part of a file is, once known; 0 for one without pixels."""
        record = self._spool.record(sha256)
        return record.pixels_bytes if record else None

    def forget(self, sha256: str) -> None:
        """The file was delivered: its parts may go."""
        self._spool.forget(sha256)

    def note_link(self, rate_bytes_per_s: float | None, backlog_bytes: int) -> None:
        """What the link does, for the choice of effort; what was said last counts."""
        self._pace.note_link(rate_bytes_per_s, backlog_bytes)

    def close(self) -> None:
        """End the workers; what is made stays for the next start."""
        with self._work:
            self._is_closed = True
            self._done.notify_all()
        for lane in self._lanes:
            lane.close()
        self._spool.close()

    # --- for the process that owns it ------------------------------------------------------------------------------

    def purge_unowed(self, find_owed: Callable[[Sequence[str]], set[str]]) -> int:
        """Remove what is kept of files that nobody will ask for any more; how many those were.

        Args:
            find_owed: Those of the given digests that are still owed to a destination.
        """
        digests = self._spool.digests()
        unowed = set(digests) - find_owed(digests)
        for sha256 in unowed:
            self._spool.purge(sha256)
        if unowed:
            log("sync.encoder", "purged", count=len(unowed))
        return len(unowed)

    def worker_pids(self) -> list[int]:
        """Of the worker processes that run now; for measurements and tests."""
        return [pid for lane in self._lanes if (pid := lane.worker.pid) is not None]

    # --- inside ----------------------------------------------------------------------------------------------------

    def _awaited(
        self, kind: Kind, item: SendItem, cancelled: Callable[[], bool], look: Callable[[], _T | None]
    ) -> _T | None:
        if (found := look()) is not None:
            return found
        with self._work:
            demand = self._board.demand(kind, item)
        try:
            while not cancelled():
                if (found := look()) is not None:
                    return found
                with self._work:
                    if self._is_closed:
                        return None
                    if demand.failure is None:
                        self._take_over(kind, item)
                        self._work.notify_all()  # what was made may have turned out torn, and is wanted again
                        self._done.wait(_CANCEL_LOOK_S)
                if demand.failure is not None:
                    raise EncodeError(demand.failure)
            return None
        finally:
            with self._work:
                self._board.withdraw(demand)

    def _take_over(self, kind: Kind, item: SendItem) -> None:
        """Break off what is made ahead where a start anew, not out of idle time and with less effort, ends sooner."""
        for lane in self._ahead:
            if lane.job is None or lane.job.key != (kind, item.sha256):
                continue
            anew_s = PREVIEW_S
            if kind is Kind.PARTS:
                anew_s = self._pace.expected_s(item, self._pace.choose(item, self._board.wishes, is_awaited=True))
            if lane.remaining_s() > TAKE_OVER_S_MIN + anew_s:
                lane.worker.interrupt()

    def _is_made(self, kind: Kind, sha256: str) -> bool:
        return self._spool.has_parts(sha256) if kind is Kind.PARTS else self._spool.has_preview(sha256)

    def _ready_bytes(self, sha256: str) -> int | None:
        return self.coded_bytes(sha256) if self._spool.has_parts(sha256) else None
