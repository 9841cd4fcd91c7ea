"""What a health check is: a function of the unit that answers with levels, sentences and hints.

A check reads and never mends; one that cannot find out says ``unknown``, which is never good news.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.picture import UnitReader


class Level(StrEnum):
    """How bad it is; from ``unknown`` on somebody has to look."""

    FINE = "fine"
    NOTICE = "notice"
    UNKNOWN = "unknown"
    WARNING = "warning"
    ALARM = "alarm"

    @property
    def needs_person(self) -> bool:
        """Whether somebody has to look."""
        return self in (Level.UNKNOWN, Level.WARNING, Level.ALARM)


@dataclass(frozen=True, slots=True)
class Result:
    """One answer.

    Attributes:
        check: Stable name of what was looked at.
        level: How bad it is.
        sentence: What was found.
        hint: What to do now; empty when there is nothing to do.
        facts: Numbers behind the sentence, for ``--json``.
    """

    check: str
    level: Level
    sentence: str
    hint: str = ""
    facts: dict[str, int | float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """The unit that is looked at."""

    config: UnitConfig
    config_path: Path
    clock: Clock
    reader: UnitReader


Check = Callable[[Subject], Iterable[Result]]
