"""The outbox against a model of dictionaries, over the real file: whatever is done in whatever order, they agree."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from appliance.domain.snapshot import PowerState, StudyState
from appliance.domain.values import ItemState, LocalState, OutboxItem, Priority
from appliance.store import instances, intake, outbox
from appliance.store.connect import Store, open_unit, write
from appliance.store.errors import StoreError, StoreFault
from appliance.store.journal import read_journal
from appliance.store.snapshot import LiveFacts, read_snapshot
from tests.store.made import fresh_unit, made_kept, made_receipt, made_stamp

STUDIES = st.integers(1, 3)
SIZES = st.sampled_from((10, 500, 500, 2_000))
UNPROVED = [state for state in ItemState if state is not ItemState.CONFIRMED]
LIVE = LiveFacts(PowerState(safe=True, receiving_count=0, unindexed_count=0), 1, 2)


@dataclass
class ModelItem:
    item_id: int
    uid: str
    study: str
    destination: str
    size_bytes: int
    batch: int
    state: ItemState
    stat: bool


class OutboxMachine(RuleBasedStateMachine):
    """Rules are what processes do; invariants are what people and the engine are told."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="qafila-outbox-"))
        self.db: Store = fresh_unit(self.folder)
        self.destinations = ["pacs"]
        self.items: dict[int, ModelItem] = {}
        self.sizes: dict[str, int] = {}
        self.stat_studies: set[str] = set()
        self.number = 0
        self.batch = 0

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.db.close()
            shutil.rmtree(self.folder)

    @rule(study=STUDIES, size_bytes=SIZES, count=st.integers(1, 3), duplicate=st.booleans(), jump_s=st.integers(-9, 9))
    def intake(self, study: int, size_bytes: int, count: int, duplicate: bool, jump_s: int) -> None:
        """A batch from the door, while the wall clock may run backwards."""
        numbers = range(self.number + 1, self.number + count + 1)
        self.number += count
        rows = [made_kept(n, study=study, size_bytes=size_bytes) for n in numbers]
        given = [*rows, *rows] if duplicate else rows
        intake.keep_instances(self.db, made_stamp(jump_s), given, self.destinations, intake.FeedCursor("k", self.batch))
        self.batch += 1
        for row in rows:
            self.sizes[row.instance.sop_instance_uid] = size_bytes
            for destination in self.destinations:
                self._born(row.instance.sop_instance_uid, row.instance.study_instance_uid, destination, size_bytes)

    @precondition(lambda self: len(self.destinations) == 1)
    @rule()
    def add_destination(self) -> None:
        self.destinations.append("archive")
        held = {item.study for item in self.items.values() if item.state is ItemState.HELD}
        here = {item.uid: item for item in self.items.values() if item.destination == "pacs"}
        intake.ensure_destinations(self.db, made_stamp(), self.destinations)
        for uid, item in here.items():
            self._born(uid, item.study, "archive", item.size_bytes, held=item.study in held)
        self.batch += 1

    @precondition(lambda self: self.items)
    @rule(data=st.data(), to_state=st.sampled_from(UNPROVED), claimed=st.sampled_from(ItemState))
    def move(self, data: st.DataObject, to_state: ItemState, claimed: ItemState) -> None:
        """Only a move from the state the row really has is applied."""
        item = self._any(data)
        lost = outbox.move_item(self.db, made_stamp(), item.item_id, claimed, to_state, "step", attempt_count=3)
        if claimed is item.state:
            assert lost is None
            item.state = to_state
        else:
            assert lost is not None
            assert lost.state is item.state

    @precondition(lambda self: any(i.state is not ItemState.CONFIRMED for i in self.items.values()))
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        item = self._any(data, [i for i in self.items.values() if i.state is not ItemState.CONFIRMED])
        (stored,) = outbox.load_items(self.db, [item.item_id])
        self._confirm(item.item_id, item.state, made_receipt(stored).sha256)
        item.state = ItemState.CONFIRMED

    @precondition(lambda self: any(i.state is not ItemState.CONFIRMED for i in self.items.values()))
    @rule(data=st.data())
    def confirm_with_a_lie(self, data: st.DataObject) -> None:
        """A receipt about other bytes confirms nothing, and neither does none."""
        item = self._any(data, [i for i in self.items.values() if i.state is not ItemState.CONFIRMED])
        with pytest.raises(StoreError) as caught:
            self._confirm(item.item_id, item.state, "0" * 64)
        assert caught.value.kind is StoreFault.REFUSED
        with pytest.raises(StoreError, match="a receipt belongs"):
            outbox.move_item(
                self.db, made_stamp(), item.item_id, item.state, ItemState.CONFIRMED, "step", attempt_count=1
            )

    @precondition(lambda self: self.items)
    @rule(data=st.data(), priority=st.sampled_from(Priority))
    def prioritise(self, data: st.DataObject, priority: Priority) -> None:
        study = self._any(data).study
        ids = [item.item_id for item in self.items.values() if item.study == study]
        outbox.set_priority(self.db, made_stamp(), ids, priority, "technologist")
        for item_id in ids:
            self.items[item_id].stat = priority is Priority.STAT
        (self.stat_studies.add if priority is Priority.STAT else self.stat_studies.discard)(study)

    @precondition(lambda self: self.items)
    @rule(data=st.data())
    def fail_in_the_middle(self, data: st.DataObject) -> None:
        """A turn of the engine whose commit fails leaves nothing of any of its records."""
        item = self._any(data)
        with pytest.raises(ZeroDivisionError), write(self.db):
            outbox.move_item(self.db, made_stamp(), item.item_id, item.state, ItemState.HELD, "hold", attempt_count=9)
            raise ZeroDivisionError

    @rule()
    def restart(self) -> None:
        self.db.close()
        self.db = open_unit(self.folder / "unit.db")

    @invariant()
    def candidates_come_in_the_order_of_urgency(self) -> None:
        for destination in self.destinations:
            waiting = [
                item
                for item in self.items.values()
                if item.destination == destination and item.state in (ItemState.PENDING, ItemState.READY)
            ]
            waiting.sort(key=lambda item: (not item.stat, item.batch, item.size_bytes, item.item_id))
            expected = [item.item_id for item in waiting]
            assert _ids(outbox.candidates(self.db, destination, 100)) == expected
            assert _ids(outbox.candidates(self.db, destination, 2, expected[:1])) == expected[1:3]
            least_tried = outbox.candidates(self.db, destination, 100, least_tried_first=True)
            assert sorted(_ids(least_tried)) == sorted(expected)

    @invariant()
    def nothing_unfinished_is_forgotten(self) -> None:
        middle = (ItemState.ENCODING, ItemState.READY, ItemState.SENDING)
        assert _ids(outbox.unfinished(self.db)) == [i.item_id for i in self.items.values() if i.state in middle]
        for destination in self.destinations:
            expected = [
                i.item_id for i in self.items.values() if i.state is ItemState.SENT and i.destination == destination
            ]
            assert _ids(outbox.sent_after(self.db, destination, 0, 100)) == expected
            assert _ids(outbox.sent_after(self.db, destination, 2, 1)) == [i for i in expected if i > 2][:1]

    @invariant()
    def journal_tells_how_each_item_came_to_its_state(self) -> None:
        told: dict[str, str] = {}
        for entry in read_journal(self.db, limit=100_000):
            if entry.subject == "item":
                assert entry.from_state == told.get(entry.subject_id, "")
                told[entry.subject_id] = entry.to_state
        assert told == {str(i.item_id): i.state.value for i in self.items.values()}

    @invariant()
    def every_confirmed_item_and_no_other_has_a_standing_receipt(self) -> None:
        standing = {row[0] for row in self.db.rows("SELECT item_id FROM receipt WHERE revoked_at = ''")}
        assert standing == {i.item_id for i in self.items.values() if i.state is ItemState.CONFIRMED}

    @invariant()
    def snapshot_counts_what_is_not_safe(self) -> None:
        picture = read_snapshot(self.db, made_stamp(), LIVE, unit_name="unit-01", today_iso="2027")
        unsafe = {i.uid for i in self.items.values() if i.state is not ItemState.CONFIRMED}
        safe_somewhere = {i.uid for i in self.items.values() if i.state is ItemState.CONFIRMED}
        study_of = {i.uid: i.study for i in self.items.values()}
        unsafe_studies = {study_of[uid] for uid in unsafe}
        assert picture.unsafe_instance_count == len(unsafe)
        assert picture.unsafe_bytes == sum(self.sizes[uid] for uid in unsafe)
        assert picture.unsafe_study_count == len(unsafe_studies)
        assert picture.only_here_study_count == len({study_of[uid] for uid in self.sizes.keys() - safe_somewhere})
        complete = {row.study_instance_uid for row in picture.studies if row.state is StudyState.COMPLETE}
        assert complete == set(study_of.values()) - unsafe_studies
        assert all((row.percent == 100) == (row.state is StudyState.COMPLETE) for row in picture.studies)

    @invariant()
    def only_what_is_safe_may_leave_the_disk(self) -> None:
        unsafe = {i.uid for i in self.items.values() if i.state is not ItemState.CONFIRMED}
        offered = {candidate.sop_instance_uid for candidate in instances.eviction_candidates(self.db)}
        assert offered == self.sizes.keys() - unsafe
        for uid in unsafe:
            with pytest.raises(StoreError, match="not confirmed everywhere"):
                instances.set_local_state(self.db, made_stamp(), uid, LocalState.EVICTED, "room")

    def _born(self, uid: str, study: str, destination: str, size_bytes: int, held: bool | None = None) -> None:
        if held is None:
            held = any(i.study == study and i.state is ItemState.HELD for i in self.items.values())
        item_id = len(self.items) + 1
        state = ItemState.HELD if held else ItemState.PENDING
        stat = study in self.stat_studies
        self.items[item_id] = ModelItem(item_id, uid, study, destination, size_bytes, self.batch, state, stat)

    def _confirm(self, item_id: int, from_state: ItemState, sha256: str) -> None:
        (stored,) = outbox.load_items(self.db, [item_id])
        receipt = made_receipt(replace(stored, sha256=sha256))
        outbox.move_item(
            self.db,
            made_stamp(),
            item_id,
            from_state,
            ItemState.CONFIRMED,
            "proved",
            attempt_count=1,
            receipt=receipt,
        )

    def _any(self, data: st.DataObject, items: Iterable[ModelItem] | None = None) -> ModelItem:
        return data.draw(st.sampled_from(list(self.items.values() if items is None else items)))


def _ids(items: Iterable[OutboxItem]) -> list[int]:
    return [item.item_id for item in items]


OutboxMachine.TestCase.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOutboxAgreesWithItsModel = OutboxMachine.TestCase
