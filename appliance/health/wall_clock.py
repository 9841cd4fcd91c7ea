"""Can the wall clock be believed? Delivery does not depend on it; dates people see, certificates and retention do."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.clock import Clock, utc_text
from appliance.domain.sentences import seconds_of
from appliance.domain.wording import told
from appliance.health.check import Level, Result, Subject
from appliance.health.clock_doubt import clock_doubt
from appliance.store.clock_marks import ClockMark, first_mark_of_boot, last_mark

_DOUBTS = {
    "before-release": told("before this program was made"),
    "stepped": told("but it was set by more than a minute since the unit was started"),
    "behind": told("before the time of what was noted last"),
    "ahead": told("years after what was noted last"),
}
_HINT = told(
    "Set the clock, or connect the unit so that it can set itself; until then nothing is removed from this unit."
)


def check(subject: Subject) -> Iterable[Result]:
    """One answer."""
    clock, db = subject.clock, subject.reader.unit_db
    return [judge(clock, last_mark(db), first_mark_of_boot(db, clock.boot_id()))]


def judge(clock: Clock, last: ClockMark | None, first_of_boot: ClockMark | None) -> Result:
    """The clock against the release, against the journal's last line, and against the clock that never steps."""
    now_s = clock.wall_s()
    step_s = _step_s(clock, first_of_boot)
    doubt = clock_doubt(now_s, seconds_of(last.at) if last else None, step_s)
    facts: dict[str, int | float | str] = {"doubt": doubt, "step_s": step_s}
    if doubt:
        sentence = told("The clock shows {time}, {doubt}.", time=utc_text(now_s), doubt=_DOUBTS[doubt])
        return Result("clock", Level.WARNING, sentence, _HINT, facts)
    return Result("clock", Level.FINE, told("The clock shows {time}.", time=utc_text(now_s)), "", facts)


def _step_s(clock: Clock, mark: ClockMark | None) -> float:
    """By how much the wall clock went faster than the monotonic one since ``mark``; 0 without one."""
    mark_s = seconds_of(mark.at) if mark else None
    if mark is None or mark_s is None:
        return 0.0
    return round((clock.wall_s() - mark_s) - (clock.mono_s() - mark.mono_s), 1)
