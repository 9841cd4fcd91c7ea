"""Says to every process that power is about to go: a live file that has to be said again and again.

Whoever says it may die: five seconds later the door is open again by itself.
"""

from __future__ import annotations

from pathlib import Path

from appliance.clock import Clock
from appliance.domain.power import Leaving
from appliance.live import read_live, write_live

NAME = "leaving"
SAY_S = 1.0
"""It is said again this often."""
STALE_S = 5.0


def say_leaving(run_dir: Path, leaving: Leaving, clock: Clock) -> None:
    """From now on, and for ``STALE_S``, no new study is taken."""
    write_live(run_dir, NAME, {"then": leaving.value}, clock)


def stay(run_dir: Path) -> None:
    """Power does not go after all."""
    (run_dir / f"{NAME}.live.json").unlink(missing_ok=True)


def read_leaving(run_dir: Path, clock: Clock) -> Leaving:
    """Whether power is about to go; what cannot be read counts as no."""
    facts = read_live(run_dir, NAME, clock, STALE_S)
    try:
        return Leaving(facts["then"]) if facts else Leaving.NO
    except (KeyError, ValueError):
        return Leaving.NO
