"""What the unit itself has found and nobody has dealt with yet."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.health.check import Level, Result, Subject

_LEVELS = {"notice": Level.NOTICE, "warning": Level.WARNING, "alarm": Level.ALARM}


def check(subject: Subject) -> Iterable[Result]:
    """One answer for each open finding, or one when there is none."""
    found = [
        Result("finding", _LEVELS.get(row.severity, Level.WARNING), row.sentence, "", {"kind": row.kind})
        for row in subject.reader.snapshot().findings
    ]
    return found or [Result("finding", Level.FINE, "Nothing was found that needs a person.")]
