"""What the journal remembers of both clocks, for finding out whether the wall clock was stepped."""

from __future__ import annotations

from dataclasses import dataclass

from appliance.store.connect import Store

ROW_COUNT = 10_000
"""How far back the first line of a boot is looked for."""


@dataclass(frozen=True, slots=True)
class ClockMark:
    """One journal line's time on both clocks."""

    at: str
    boot_id: str
    mono_s: float


def last_mark(db: Store) -> ClockMark | None:
    """The newest journal line, or ``None`` in an empty journal."""
    row = db.row("SELECT at, boot_id, mono_s FROM journal ORDER BY seq DESC LIMIT 1")
    return ClockMark(*row) if row else None


def first_mark_of_boot(db: Store, boot_id: str) -> ClockMark | None:
    """The oldest of the last ``ROW_COUNT`` journal lines that was written in this boot."""
    row = db.row(
        """SELECT at, boot_id, mono_s FROM journal
            WHERE seq > (SELECT max(seq) FROM journal) - ? AND boot_id = ? ORDER BY seq LIMIT 1""",
        (ROW_COUNT, boot_id),
    )
    return ClockMark(*row) if row else None
