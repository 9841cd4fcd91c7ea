"""Whose turn it is to make room: nobody's wish is kept waiting by another that cannot be fulfilled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest

from appliance.config import RetentionTable, UnitConfig
from appliance.domain.limits import LimitSet
from appliance.domain.values import Evidence, Receipt
from appliance.orthanc.rest import OrthancRest
from appliance.store.commands import give_command, open_commands, read_command
from appliance.store.connect import Store, open_unit
from appliance.store.intake import keep_instances
from appliance.store.outbox import note_recheck
from sync.core.events import Event, RecheckWanted
from sync.eviction import ASK_S_MAX, REMOVE_PAGE_COUNT, Eviction
from tests.store.made import EPOCH_S, HandClock
from tests.support.unit_store import DESTINATION, confirm, kept, made_unit, study_uid

BLOCKED, OTHER = 0, 1
"""Two studies; one instance of the first is never confirmed."""


@dataclass
class Stage:
    """A unit that is short of room, and who was asked about at the centre."""

    config: UnitConfig
    store: Store
    clock: HandClock
    asked: list[str] = field(default_factory=list)

    def eviction(self) -> Eviction:
        return Eviction(self.config, self.store, self.clock, self._note)

    def _note(self, event: Event) -> None:
        assert isinstance(event, RecheckWanted)
        self.asked += [item.study_instance_uid for item in event.items]

    def turn(self, eviction: Eviction, count: int) -> None:
        for _ in range(count):
            self.clock.mono += 1.0
            eviction.turn()

    def look_again(self, study_instance_uid: str, count: int) -> None:
        """The centre proves the first ``count`` instances of a study once more."""
        rows = self.store.rows(
            "SELECT item_id, sop_instance_uid, sha256 FROM outbox JOIN instance USING (instance_id)"
            " WHERE study_instance_uid = ? ORDER BY item_id LIMIT ?",
            (study_instance_uid, count),
        )
        for item_id, uid, sha256 in rows:
            receipt = Receipt(DESTINATION, uid, sha256, Evidence("wado", sha256))
            note_recheck(self.store, self.store.stamp(), item_id, receipt)

    def keep(self, study: int, number: int) -> None:
        """One more instance of a study."""
        first = kept(study, self.store.stamp())
        more = replace(
            first.instance,
            sop_instance_uid=f"{study_uid(study)}.1.{number}",
            blob_uuid=f"00000000-0000-0000-000{study}-{number:012}",
        )
        keep_instances(self.store, self.store.stamp(), [replace(first, instance=more)], [DESTINATION], None)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    config = msgspec.structs.replace(
        made_unit(tmp_path, 2, now_s=EPOCH_S - 1000.0),
        retention=RetentionTable(keep_days_min=0, backup_horizon_days=0),
        limits=LimitSet(free_bytes_warn=1 << 60),
    )
    clock = HandClock()
    with open_unit(config.unit_db, clock=clock) as store:
        yield Stage(config, store, clock)


def test_study_between_the_images_of_one_that_must_stay_has_its_turn(stage: Stage) -> None:
    stage.keep(BLOCKED, 2)
    for study in (BLOCKED, OTHER):
        confirm(stage.store, stage.store.stamp(), study_uid(study))
    stage.keep(BLOCKED, 3)
    stage.clock.wall += 60.0
    stage.turn(stage.eviction(), 5)
    assert study_uid(OTHER) in stage.asked


def test_wish_of_a_person_goes_before_one_of_ours_that_gets_no_answer(stage: Stage) -> None:
    for study in (BLOCKED, OTHER):
        confirm(stage.store, stage.store.stamp(), study_uid(study))
    stage.clock.wall += 60.0
    eviction = stage.eviction()
    stage.turn(eviction, 2)
    assert set(stage.asked) == {study_uid(0)}
    give_command(stage.store, stage.store.stamp(), "evict", study_uid(1), "test")
    eviction.ask(open_commands(stage.store)[0])
    stage.turn(eviction, 1)
    assert stage.asked[-1] == study_uid(1)


def test_wish_that_gets_further_is_not_given_up(stage: Stage) -> None:
    stage.keep(OTHER, 2)
    confirm(stage.store, stage.store.stamp(), study_uid(OTHER))
    stage.clock.wall += 60.0
    give_command(stage.store, stage.store.stamp(), "evict", study_uid(OTHER), "test")
    eviction = stage.eviction()
    eviction.ask(open_commands(stage.store)[0])
    stage.turn(eviction, 1)
    stage.clock.mono += ASK_S_MAX - 10.0
    stage.look_again(study_uid(OTHER), 1)
    stage.turn(eviction, 20)
    assert open_commands(stage.store), "given up although one of two had been looked at"
    stage.turn(eviction, int(ASK_S_MAX) + 1)
    assert not open_commands(stage.store)


def test_big_study_leaves_page_by_page_so_that_the_engine_never_waits_long(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[str] = []
    monkeypatch.setattr(OrthancRest, "delete", lambda _, orthanc_id: deleted.append(orthanc_id))
    for number in range(2, 21):
        stage.keep(OTHER, number)
    confirm(stage.store, stage.store.stamp(), study_uid(OTHER))
    stage.clock.wall += 60.0
    stage.look_again(study_uid(OTHER), 20)
    stage.clock.wall += 1.0
    command_id = give_command(stage.store, stage.store.stamp(), "evict", study_uid(OTHER), "test")
    eviction = stage.eviction()
    eviction.ask(open_commands(stage.store)[0])
    counts = []
    while open_commands(stage.store):
        before = len(deleted)
        stage.turn(eviction, 1)
        counts.append(len(deleted) - before)
    assert sum(counts) == 20
    assert max(counts) <= REMOVE_PAGE_COUNT
    answered = read_command(stage.store, command_id)
    assert answered is not None
    assert answered.outcome.startswith("20 pictures")
