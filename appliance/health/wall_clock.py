"""Can the wall clock be believed? Delivery does not depend on it; dates people see, certificates and retention do."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.clock import Clock, utc_text
from appliance.domain.sentences import seconds_of
from appliance.health.check import Level, Result, Subject
from appliance.store.clock_marks import ClockMark, first_mark_of_boot, last_mark

BUILT_AT = "2026-11-01T00:00:00Z"
"""No clock that is right shows a time before this release was made; moved forward with each release."""
FUTURE_S_MAX = 10 * 365 * 86_400
STEP_S_MAX = 60.0
_HINT = "Set the clock, or connect the unit so that it can set itself; until then nothing is removed from this unit."


def check(subject: Subject) -> Iterable[Result]:
    """One answer: the worst that is known about the clock."""
    clock, db = subject.clock, subject.reader.unit_db
    return [judge(clock, last_mark(db), first_mark_of_boot(db, clock.boot_id()))]


def judge(clock: Clock, last: ClockMark | None, first_of_boot: ClockMark | None) -> Result:
    """The clock against the release, against what was recorded last, and against the clock that never steps."""
    now_s = clock.wall_s()
    shown = utc_text(now_s)
    built_s = seconds_of(BUILT_AT) or 0.0
    if now_s < built_s:
        return Result("clock", Level.ALARM, f"The clock shows {shown}, before this program was made.", _HINT)
    if now_s > built_s + FUTURE_S_MAX:
        return Result("clock", Level.ALARM, f"The clock shows {shown}, too far in the future.", _HINT)
    last_s = seconds_of(last.at) if last else None
    if last and last_s is not None and now_s < last_s - STEP_S_MAX:
        return Result("clock", Level.WARNING, f"The clock shows {shown}, before what was noted at {last.at}.", _HINT)
    step_s = _step_s(clock, first_of_boot)
    if abs(step_s) > STEP_S_MAX:
        sentence = f"The clock was set by {step_s:+.0f} s since this start of the unit."
        return Result("clock", Level.NOTICE, sentence, "Times noted before are off by as much.", {"step_s": step_s})
    return Result("clock", Level.FINE, f"The clock shows {shown}.")


def _step_s(clock: Clock, mark: ClockMark | None) -> float:
    """By how much the wall clock went faster than the monotonic one since ``mark``; 0 without one."""
    mark_s = seconds_of(mark.at) if mark else None
    if mark is None or mark_s is None:
        return 0.0
    return round((clock.wall_s() - mark_s) - (clock.mono_s() - mark.mono_s), 1)
