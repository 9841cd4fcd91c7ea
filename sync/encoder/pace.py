"""What the service knows of link and backlog when a file's turn comes, and the effort that follows from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sync.adapters.base import SendItem
from sync.encoder.choice import Content, Situation, choose_effort, content_of
from sync.encoder.speeds import Speeds

PLAIN_JXL = 0
PLAIN_ZSTD = 9
_ZSTD = {PLAIN_JXL: PLAIN_ZSTD, 1: 3, 2: 6, 3: 9, 5: 15, 7: 19, 9: 19}
"""zstd levels that cost about as much time as the JPEG XL effort beside them."""


def zstd_of(jxl: int) -> int:
    """The zstd level that goes with a JPEG XL effort."""
    return _ZSTD[jxl]


class Pace:
    """Thread-safe. ``coded_bytes`` tells how long the pixel part of a file is if its parts are there, else ``None``."""

    def __init__(self, worker_count: int, coded_bytes: Callable[[str], int | None]) -> None:
        self._worker_count = worker_count
        self._coded_bytes = coded_bytes
        self._lock = threading.Lock()
        self._speeds = Speeds()
        self._last: dict[Content, int] = {}
        self._rate_bytes_per_s: float | None = None
        self._backlog_bytes = 0

    def note_link(self, rate_bytes_per_s: float | None, backlog_bytes: int) -> None:
        """What a destination said last."""
        with self._lock:
            is_known = rate_bytes_per_s is not None and rate_bytes_per_s > 0
            self._rate_bytes_per_s = rate_bytes_per_s if is_known else None
            self._backlog_bytes = max(0, backlog_bytes)

    def choose(self, item: SendItem, wishes: Sequence[SendItem], *, is_awaited: bool) -> int:
        """The JPEG XL effort for this file, now."""
        content = content_of(item.transfer_syntax_uid)
        ready_bytes = waiting_bytes = wished_bytes = 0
        for wish in wishes:
            wished_bytes += wish.size_bytes
            coded_bytes = self._coded_bytes(wish.sha256)
            if coded_bytes is None:
                waiting_bytes += wish.size_bytes
            else:
                ready_bytes += coded_bytes
        with self._lock:
            situation = Situation(
                rate_bytes_per_s=self._rate_bytes_per_s,
                ready_bytes=ready_bytes,
                waiting_bytes=waiting_bytes + max(0, self._backlog_bytes - wished_bytes),
                item_bytes=max(1, item.size_bytes),
                worker_count=self._worker_count,
                is_awaited=is_awaited,
            )
            yields = self._speeds.yields(content)
            if is_awaited:  # a case of its own, which says nothing about the next file
                return choose_effort(situation, yields)
            self._last[content] = choose_effort(situation, yields, self._last.get(content))
            return self._last[content]

    def expected_s(self, item: SendItem, effort: int) -> float:
        """Seconds that coding this file takes, as far as known; 0 for the plain way."""
        with self._lock:
            gives = self._speeds.yields(content_of(item.transfer_syntax_uid)).get(effort)
        return item.size_bytes / gives.speed_bytes_per_s if gives else 0.0

    def note_coded(self, item: SendItem, effort: int, coded_bytes: int, duration_s: float) -> None:
        """A file was coded."""
        with self._lock:
            content = content_of(item.transfer_syntax_uid)
            self._speeds.note(content, effort, item.size_bytes, coded_bytes, duration_s)
