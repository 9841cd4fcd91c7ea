"""Reads every kept blob, and every correction, again, slowly, so that a flipped bit is found within seven days.

It starts anew where it stopped, and a blob that cannot be read holds up no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance.config import UnitConfig, blob_path
from appliance.logging import log
from appliance.orthanc.damage import Damage, judge_digest, judge_error, judge_size, pieces, record
from appliance.orthanc.scrub_revisions import read_revisions
from appliance.store.connect import Store
from appliance.store.door import KeptRow, kept_after
from appliance.store.intake import FeedCursor, get_cursor, set_cursor

FEED = "scrub"
PASS_S_MAX = 2 * 86_400
"""A pass takes at most so long of running time: within seven days also on a unit that runs eight hours a day."""
RATE_BYTES_PER_S_MIN = 1024 * 1024
PAUSE_S = 6 * 3600.0
"""Between two passes; a small stock is not read all the time."""
PAGE_COUNT = 64


@dataclass
class Scrub:
    """One pass after another; used by one thread. ``step`` reads one piece, so stopping takes no longer than that."""

    config: UnitConfig
    unit: Store
    door: Store
    _work: Iterator[float] = field(init=False)

    def __post_init__(self) -> None:
        self._work = self._passes()

    def step(self) -> float:
        """As ``Worker.step``."""
        return next(self._work)

    def _passes(self) -> Iterator[float]:
        while True:
            rate_bytes_per_s = self._rate_bytes_per_s()
            seq = get_cursor(self.unit, FEED).seq
            while rows := kept_after(self.door, seq, PAGE_COUNT):
                for row in rows:
                    if not row.removed_at:
                        yield from self._read(row, rate_bytes_per_s)
                    seq = row.kept_id
                set_cursor(self.unit, FeedCursor(FEED, seq, rows[-1].blob_uuid))
            set_cursor(self.unit, FeedCursor(FEED, 0, "", self.unit.stamp().at))
            yield from read_revisions(self.config, self.unit, rate_bytes_per_s)
            log("unit.intake", "scrub pass ended", kept_id=seq)
            yield PAUSE_S

    def _rate_bytes_per_s(self) -> float:
        kept_bytes = self.door.value("SELECT coalesce(sum(size_bytes), 0) FROM kept WHERE removed_at = ''")
        revised_bytes = self.unit.value("SELECT coalesce(sum(size_bytes), 0) FROM revision WHERE undone_at = ''")
        return max(RATE_BYTES_PER_S_MIN, (int(kept_bytes) + int(revised_bytes)) / PASS_S_MAX)

    def _read(self, row: KeptRow, rate_bytes_per_s: float) -> Iterator[float]:
        damage: Damage | None = judge_size(self.config, row)
        if damage is None:
            digest = hashlib.sha256()
            try:
                for piece in pieces(blob_path(self.config.blob_dir, row.blob_uuid)):
                    digest.update(piece)
                    yield len(piece) / rate_bytes_per_s
                damage = judge_digest(row, digest.hexdigest())
            except OSError as error:
                damage = judge_error(row, error)
        record(self.config, self.unit, self.door, row, damage)
