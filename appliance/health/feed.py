"""How far intake is behind the door: what was kept but is not yet queued for delivery."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.clock import Clock
from appliance.domain.sentences import counted
from appliance.health.check import Level, Result, Subject
from appliance.picture import LEDGER_FEED
from appliance.store.door import KeptRow, kept_after, unindexed_count
from appliance.store.intake import get_cursor

LAG_S_WARN = 30.0
BATCH_COUNT = 256


def check(subject: Subject) -> Iterable[Result]:
    """One answer."""
    filed_kept_id = get_cursor(subject.reader.unit_db, LEDGER_FEED).seq
    waiting = unindexed_count(subject.reader.door_db, filed_kept_id)
    rows = [row for row in kept_after(subject.reader.door_db, filed_kept_id, BATCH_COUNT) if not row.removed_at]
    return [judge(waiting, rows[0] if rows else None, subject.clock)]


def judge(waiting_count: int, oldest: KeptRow | None, clock: Clock) -> Result:
    """Images of another boot have waited too long by definition: intake reads the ledger at its start."""
    facts: dict[str, int | float | str] = {"waiting_count": waiting_count}
    if not waiting_count or oldest is None:
        return Result("feed", Level.FINE, "Everything the door kept is queued.", "", facts)
    images = counted(waiting_count, "image", "images")
    same_boot = oldest.boot_id == clock.boot_id()
    if same_boot and clock.mono_s() - oldest.mono_s <= LAG_S_WARN:
        return Result("feed", Level.FINE, f"{images} being queued.", "", facts)
    sentence = f"{images} kept safely but not queued for delivery for too long."
    return Result("feed", Level.WARNING, sentence, "See whether intake runs; it goes on where it stopped.", facts)
