"""The delivery loop and corrections: told until moved on, and room given back for what is not owed any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.domain.values import LocalState
from appliance.store.instances import set_local_state
from appliance.stored import revision_dir
from sync.core.events import RevisionWanted
from sync.revising import STRAY_S_MIN, SWEEP_S, Revising
from tests.store.made import EPOCH_S, HandClock
from tests.support.correcting import Desk, desk


@dataclass
class Turned:
    """A unit and the part of the loop that is looked at."""

    at: Desk
    clock: HandClock
    revising: Revising

    def turn(self, seconds: float) -> list[RevisionWanted]:
        self.clock.mono += seconds
        self.clock.wall += seconds
        return self.revising.turn()

    @property
    def files(self) -> set[str]:
        return {path.name for path in revision_dir(self.at.config).rglob("*") if path.is_file()}


@pytest.fixture
def turned(tmp_path: Path) -> Iterator[Turned]:
    with desk(tmp_path) as at:
        clock = HandClock()
        yield Turned(at, clock, Revising(at.config, at.db, clock))


def test_correction_is_told_again_until_its_duty_was_moved_on(turned: Turned) -> None:
    at = turned.at
    uid = at.picture(PatientID="X9")
    study = str(at.said(uid).StudyInstanceUID)
    assert turned.turn(2.0) == []
    at.actions.correct(study, {"PatientID": "X8"}, "typed wrongly", "amina")
    (told,) = turned.turn(2.0)
    assert (told.item.sop_instance_uid, told.revision_id, told.actor) == (uid, 1, "amina")
    assert turned.turn(0.1) == [], "not in a tight circle"
    assert turned.turn(2.0) == [told]
    at.sync()
    assert turned.turn(2.0) == []


@pytest.mark.fault(10)
def test_files_of_corrections_go_with_the_pixels_and_strays_after_a_day(turned: Turned) -> None:
    at = turned.at
    uid, kept = at.picture(study="1.2.3", PatientID="X9"), at.picture(study="1.2.4", PatientID="X9")
    for study in ("1.2.3", "1.2.4"):
        at.actions.correct(study, {"PatientID": "X8"}, "typed wrongly", "amina")
    gone, stays = at.path(uid).name, at.path(kept).name
    folder = revision_dir(at.config) / "ab"
    folder.mkdir(exist_ok=True)
    for name, age_s in (("fresh.part", 10.0), ("old.part", STRAY_S_MIN + 10.0)):
        (folder / name).write_bytes(b"half a file")
        os.utime(folder / name, (EPOCH_S - age_s, EPOCH_S - age_s))
    turned.turn(0.0)
    assert turned.files == {gone, stays, "fresh.part"}
    at.deliver()
    set_local_state(at.db, at.db.stamp(), uid, LocalState.EVICTED, "made room")
    turned.turn(SWEEP_S + 1.0)
    assert turned.files == {stays, "fresh.part"}
