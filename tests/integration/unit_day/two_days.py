"""The calm day and the day with kills, each to its end, and what is different between their ends."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

from tests.integration.unit_day.arriving import arrived, faults_of
from tests.integration.unit_day.day import Day
from tests.integration.unit_day.killing import Killer, plan
from tests.integration.unit_day.stage import open_stage
from tests.integration.unit_day.state import State, final_state


def calm_day(folder: Path, orthanc: str) -> State:
    """How a day ends on which everything goes at once."""
    with open_stage(folder, orthanc) as stage:
        day = Day(stage)
        for step in day.steps().values():
            step()
        return checked_state(day)


def day_with_kills(folder: Path, orthanc: str, count: int, seed: int) -> tuple[State, Killer]:
    """The same with so many deaths of each process."""
    with open_stage(folder, orthanc, again=True) as stage:
        day = Day(stage)
        steps = day.steps()
        killer = Killer(stage, plan(list(steps), count, seed))
        for name, step in steps.items():
            with killer.during(name):
                step()
        day.come_to_rest()
        gc.collect()  # so that what pynetdicom forgot to close is not another test's warning
        return checked_state(day), killer


def checked_state(day: Day) -> State:
    """The end of a day, at which everything is at the centre as it should be."""
    faults = {one.key: found for one in arrived(day) if (found := faults_of(one))}
    assert faults == {}
    return final_state(day)


def compare(one: Any, other: Any, path: str = "") -> list[str]:
    """Where two states differ, as paths with both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other}, key=str)
        return [line for key in keys for line in compare(one.get(key), other.get(key), f"{path}/{key}")]
    return [] if one == other else [f"{path}: {one!r} on the calm day, {other!r} on the other"]
