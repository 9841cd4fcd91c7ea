"""``kill -9`` of every process of unit and centre in turn, at moments that follow from a seed.

A plan says at which step of the day, and how long after its beginning, which process dies. Processes that rest are
killed at steps that wake them.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.unit_day.stage import Stage

PAUSE_S_MAX = 0.4
APPEAR_S_MAX = 40.0
"""For a process that is just being started again, or that a step has yet to wake."""
UNIT = {
    "orthanc": "/orthanc/orthanc.json ",
    "intake": "appliance.orthanc.intake",
    "sync": "-m sync ",
    "quality": "appliance.quality ",
    "gatekeeper": "appliance.gatekeeper",
    "services": "appliance.services ",
    "encoder": "sync.encoder.worker ",
    "reader": "appliance.dicom.header_worker ",
    "checker": "appliance.quality.worker ",
}
CENTRE = {
    "pacs": "/centre/orthanc.json ",
    "gateway": "central.gateway ",
    "rebuilder": "central.gateway.worker ",
    "review": "central.review ",
}
"""What stands in each one's command line."""
SUPERVISORS = ("unit", "centre")
VICTIMS = (*UNIT, *CENTRE, *SUPERVISORS)
_EXAMS = ("examine", "wrong", "duplicate", "commit")
WHEN: Mapping[str, tuple[str, ...]] = {
    "services": ("examine", "wrong", "commit"),
    **dict.fromkeys(("encoder", "reader", "checker"), _EXAMS),
    **dict.fromkeys((*CENTRE, "centre"), ("link", "reject")),
}
"""Beginnings of the steps at which a process can be hit at work; any step for the others."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One death: ``victim`` dies ``after_s`` seconds after its step began, or after the death before."""

    step: str
    after_s: float
    victim: str


def plan(steps: Sequence[str], count: int, seed: int) -> list[Kill]:
    """So many deaths of each process, over all steps of the day."""
    chance = random.Random(seed)
    kills = []
    for victim in VICTIMS * count:
        fitting = [step for step in steps if step.startswith(WHEN.get(victim, ("",)))]
        kills.append(Kill(chance.choice(fitting), chance.random() * PAUSE_S_MAX, victim))
    chance.shuffle(kills)
    return kills


@dataclass(slots=True)
class Killer:
    """Carries a plan out beside the day.

    Attributes:
        done: What died, by victim.
        missed: Who could not be killed, because it did not run.
    """

    stage: Stage
    kills: Sequence[Kill]
    done: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    _pause: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def during(self, step: str) -> Iterator[None]:
        """The deaths of one step; the step ends when all of them are over."""
        deaths = self.stage.hand.submit(self._run, [kill for kill in self.kills if kill.step == step])
        try:
            yield
        finally:
            deaths.result()

    def _run(self, kills: Sequence[Kill]) -> None:
        for kill in kills:
            self._pause.wait(kill.after_s)
            if self._kill(kill.victim):
                self.done[kill.victim] = self.done.get(kill.victim, 0) + 1
            else:
                self.missed.append(f"{kill.victim} at {kill.step}")

    def _kill(self, victim: str) -> bool:
        if victim == "unit":
            self.stage.unit.kill_all()
            self.stage.unit.start()
            return True
        if victim == "centre":
            self.stage.centre.kill_all()
            self.stage.centre.start()
            return True
        of_unit = victim in UNIT
        process = self.stage.unit.process if of_unit else self.stage.centre.process
        assert process is not None
        word = {**UNIT, **CENTRE}[victim]
        for _ in range(round(APPEAR_S_MAX / 0.05)):
            found = [pid for pid, command in _descendants(process.pid) if word in f"{command} "]
            if found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(found[0], signal.SIGKILL)
                    return True
            self._pause.wait(0.05)
        return False


def _descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Ids and command lines of all processes below one."""
    for child in _children(pid):
        with contextlib.suppress(OSError):
            yield child, Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in task.read_text().split()]
    return found
