"""Whether the wall clock can be believed; nothing is decided by it, so a doubt is shown and nothing stops."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from appliance.clock import Clock
from appliance.store.connect import Store
from appliance.store.findings import clear_finding, note_finding

RELEASE_AT_S = 1_767_225_600.0
"""2026-01-01 UTC: this release did not exist before."""
AHEAD_S_MAX = 3 * 366 * 86_400.0
"""A unit that kept nothing for three years is less likely than a wrong clock."""
BEHIND_S_MAX = 60.0
STEP_S_MAX = 60.0
KIND = "clock-unverified"
SUBJECT = "clock"


def clock_doubt(wall_s: float, last_known_s: float | None, step_s: float) -> str:
    """Why the clock is not believed, or nothing.

    Args:
        wall_s: What it says now, seconds since the epoch.
        last_known_s: What it said at the last reception, if any.
        step_s: How far it moved against the monotonic clock since this process started.
    """
    if wall_s < RELEASE_AT_S:
        return "before-release"
    if abs(step_s) > STEP_S_MAX:
        return "stepped"
    if last_known_s is not None and wall_s < last_known_s - BEHIND_S_MAX:
        return "behind"
    if last_known_s is not None and wall_s > last_known_s + AHEAD_S_MAX:
        return "ahead"
    return ""


@dataclass
class ClockWatch:
    """Compares the clocks from time to time and keeps one finding true."""

    unit: Store
    door: Store
    clock: Clock
    _offset_s: float = field(init=False)
    _said: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._offset_s = self.clock.wall_s() - self.clock.mono_s()

    def look(self) -> None:
        """Raise or clear the finding when the answer changed.

        The last reception is that with the highest number, not the latest date: one exam under a clock that ran years
        ahead must not cast doubt on the right time for ever.
        """
        wall_s = self.clock.wall_s()
        last_at = self.door.value("SELECT received_at FROM kept ORDER BY kept_id DESC LIMIT 1")
        last_known_s = datetime.fromisoformat(last_at).timestamp() if last_at else None
        doubt = clock_doubt(wall_s, last_known_s, wall_s - self.clock.mono_s() - self._offset_s)
        if doubt == self._said:
            return
        self._said = doubt
        if not doubt:
            clear_finding(self.unit, kind=KIND, subject_id=SUBJECT, actor="intake")
            return
        note_finding(
            self.unit,
            kind=KIND,
            subject_id=SUBJECT,
            sentence="The unit's clock cannot be trusted: dates on this screen may be wrong. Pictures are kept and "
            "sent as always, and the dates inside them are not touched. Set the clock when you can.",
            severity="warning",
            detail=f"why={doubt}",
        )
