"""Power as people and the centre are told of it; values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Leaving(StrEnum):
    """Whether the unit is being made ready for power to go; no new study is taken meanwhile."""

    NO = ""
    READY = "ready"
    """A person switches it off once it says that power may go."""
    OFF = "off"
    """It switches itself off."""


@dataclass(frozen=True, slots=True)
class Battery:
    """Of the machine, or of the UPS it hangs on."""

    percent: int
    """0 to 100."""
    is_in_use: bool
    """Nothing feeds it: it runs down."""
    is_low: bool = False
    is_empty: bool = False
    """So low that the machine switches itself off within seconds."""
