"""Make a failing run short: drop happenings as long as the same rule still breaks."""

from __future__ import annotations

from dataclasses import replace

from tests.simulation.checkers import Violation
from tests.simulation.script import Script
from tests.simulation.world import simulate


def broken_rule(script: Script) -> Violation | None:
    """The promise that breaks, or ``None``."""
    try:
        simulate(script)
    except Violation as violation:
        return violation
    return None


def shorten(script: Script, rule: str, run_count_max: int = 400) -> Script:
    """The shortest script found that breaks the same rule; halves first, then single happenings."""
    happenings = list(script.happenings)
    size, run_count = max(1, len(happenings) // 2), 0
    while size and run_count < run_count_max:
        start, dropped = 0, False
        while start < len(happenings) and run_count < run_count_max:
            fewer = happenings[:start] + happenings[start + size :]
            run_count += 1
            violation = broken_rule(replace(script, happenings=tuple(fewer)))
            if violation is not None and violation.rule == rule:
                happenings, dropped = fewer, True
            else:
                start += size
        if not dropped:
            size //= 2
    return replace(script, happenings=tuple(happenings))
