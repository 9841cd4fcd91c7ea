"""Why somebody has to look at a unit, in sentences for whoever administers the centre."""

from __future__ import annotations

from appliance.domain.sentences import size
from central.fleet.judging import Alarm, Standing


def sentences_of(unit: Standing) -> list[str]:
    """What is the matter, and what to do; of a copied key the gateway's own alarm tells, with its time."""
    say = {Alarm.UNHEARD: _unheard, Alarm.UNSENT: _unsent, Alarm.DISK: _disk, Alarm.CLOCK: _clock}
    return [say[alarm](unit) for alarm in unit.alarms if alarm in say]


def _unheard(unit: Standing) -> str:
    since = "since it was enrolled" if unit.silent_s is None else f"for {span(unit.silent_s)}"
    return f"Nothing was heard of it {since}. Call the unit: is it switched on, has it a link?"


def _unsent(unit: Standing) -> str:
    oldest = span(unit.oldest_unsent_s)
    return (
        f"Its oldest image that is not safe here is {oldest} old. Find the unit a better link, or take a stick there."
    )


def _disk(unit: Standing) -> str:
    report = unit.row.report
    free = f", {size(report.disk_free_bytes)} are free" if report is not None else ""
    return f"Its disk is filling up{free}. Bring what waits there to the centre: it makes room for what has arrived."


def _clock(unit: Standing) -> str:
    report, ahead_s = unit.row.report, unit.clock_ahead_s or 0.0
    off = f"{span(abs(ahead_s))} {'ahead' if ahead_s > 0 else 'behind'}" if abs(ahead_s) >= 1 else ""
    doubt = "it doubts it itself" if report is not None and report.clock_doubt else ""
    why = ", ".join(part for part in (off, doubt) if part)
    return f"Its clock is not right ({why}). Set it at the unit: studies carry its time."


def span(seconds: float) -> str:
    """A time span in the largest unit that says enough."""
    for unit_s, word in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit_s:
            return f"{round(seconds / unit_s)} {word}"
    return f"{round(seconds)} s"
