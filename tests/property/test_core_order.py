"""Nothing starves: the engine over a queue that a test fills as it likes, with urgent studies that never stop coming.

The destination takes everything, one append at a time where it resumes; which of the running transfers comes next is
drawn, and so is what arrives meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.domain.limits import LimitSet
from appliance.domain.values import ItemState, OutboxItem, Priority, TrafficClass
from sync.core.effects import (
    CancelTransfer,
    Effect,
    MoveItem,
    NeedCandidates,
    NeedSent,
    PrepareItems,
    ProbeLink,
    StartTransfer,
    StartVerification,
    Step,
)
from sync.core.engine import Engine
from sync.core.events import (
    BytesMoved,
    CandidatesOffered,
    ClockSeen,
    Event,
    ItemAccepted,
    ItemAnnounced,
    LinkChanged,
    Prepared,
    Restarted,
    SentOffered,
    TransferEnded,
    VerificationEnded,
    WorkArrived,
)
from sync.core.policy import Policy
from sync.core.schedule import RANK, class_of

WALL_S = 1_700_000_000.0
APPEND_S = 8.0


@dataclass
class Running:
    """A transfer under way, and whether it was asked to stop."""

    action: StartTransfer
    left: deque[OutboxItem]
    cancelled: bool = False


@dataclass
class World:
    """The store, the clock and one destination.

    Attributes:
        appends: What each item still takes, by item id.
        started: Every transfer, in order.
        urgent_waited: For each of ``started``: STAT items waited for a place of the same kind when it began.
    """

    announces: bool
    limits: LimitSet
    clock_verified: bool = True
    rows: dict[int, OutboxItem] = field(default_factory=dict)
    appends: dict[int, int] = field(default_factory=dict)
    running: dict[int, Running] = field(default_factory=dict)
    started: list[StartTransfer] = field(default_factory=list)
    urgent_waited: list[bool] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        announcing = frozenset({"north"}) if self.announces else frozenset()
        self.engine = Engine(Policy(limits=self.limits, announcing=announcing))
        self.feed(ClockSeen(WALL_S, "2026-11-22", 0.0, self.clock_verified))
        self.feed(Restarted((), ("north",)))
        self.feed(LinkChanged("north", True))

    def arrive(self, stat: bool, age_s: float = 0.0, append_count: int = 1) -> int:
        """One more item, a study of its own, that came ``age_s`` ago."""
        item_id = len(self.rows) + 1
        priority = Priority.STAT if stat else Priority.ROUTINE
        queued_at_s = WALL_S + self.now - age_s
        uid = f"1.{item_id}"
        self.rows[item_id] = OutboxItem(
            item_id, "north", ItemState.PENDING, uid, uid, priority, 1000, "a" * 64, queued_at_s
        )
        self.appends[item_id] = append_count
        self.feed(WorkArrived())
        return item_id

    def feed(self, event: Event) -> None:
        waiting = deque([event])
        while waiting:
            for effect in self.engine.handle(waiting.popleft(), self.now):
                waiting += self.react(effect)

    def react(self, effect: Effect) -> list[Event]:
        match effect:
            case MoveItem():
                row = self.rows[effect.item_id]
                assert row.state is effect.from_state
                announced = row.announced if effect.announced is None else effect.announced
                self.rows[effect.item_id] = replace(row, state=effect.to_state, announced=announced)
            case NeedCandidates():
                return [self.offer(effect)]
            case NeedSent():
                return [SentOffered("north", ())]
            case PrepareItems():
                return [Prepared(item.item_id) for item in effect.items]
            case ProbeLink():
                return [LinkChanged("north", True)]
            case StartVerification():
                return [VerificationEnded(effect.verification_id)]
            case StartTransfer():
                self.started.append(effect)
                self.urgent_waited.append(self.has_urgent_waiting(effect.step))
                self.running[effect.transfer_id] = Running(effect, deque(effect.items))
            case CancelTransfer():
                if effect.transfer_id in self.running:
                    self.running[effect.transfer_id].cancelled = True
        return []

    def waiting(self) -> list[OutboxItem]:
        free = [row for row in self.rows.values() if row.state in (ItemState.PENDING, ItemState.READY)]
        return sorted(free, key=lambda row: (RANK[class_of(row, self.announces)], row.queued_at_s, row.item_id))

    def has_urgent_waiting(self, step: Step) -> bool:
        full_only = step is Step.FULL
        return any(
            row.priority is Priority.STAT and (row.announced or not self.announces or not full_only)
            for row in self.waiting()
        )

    def offer(self, asked: NeedCandidates) -> CandidatesOffered:
        skip = set(asked.skip_item_ids)
        rows = [row for row in self.waiting() if row.item_id not in skip]
        routine = [row for row in rows if row.priority is Priority.ROUTINE]
        oldest = min(routine, key=lambda row: (row.queued_at_s, row.item_id), default=None)
        return CandidatesOffered("north", tuple(rows[: asked.count]), oldest if asked.with_oldest else None)

    def append(self, choice: int) -> None:
        """One append, or one preview, of one of the running transfers."""
        running = list(self.running.values())[choice % len(self.running)]
        transfer_id = running.action.transfer_id
        self.now += APPEND_S
        item = running.left[0]
        self.feed(BytesMoved("north", transfer_id, 1000, APPEND_S))
        if running.action.step is Step.ANNOUNCE:
            running.left.popleft()
            self.feed(ItemAnnounced(transfer_id, item.item_id))
        else:
            self.appends[item.item_id] -= 1
            if self.appends[item.item_id] == 0:
                running.left.popleft()
                self.feed(ItemAccepted(transfer_id, item.item_id))
        stops = running.cancelled and (self.announces or item not in running.left)
        if not running.left or stops:
            del self.running[transfer_id]
            self.feed(TransferEnded(transfer_id, 1000))

    def done(self, item_id: int) -> bool:
        return self.rows[item_id].state in (ItemState.SENT, ItemState.CONFIRMED)


limit_sets = st.builds(
    LimitSet,
    aging_turn_period=st.integers(2, 8),
    transfer_item_count_max=st.integers(1, 4),
    announce_item_count_max=st.integers(1, 4),
    candidate_count_max=st.integers(1, 6),
)
choices = st.lists(st.integers(0, 5), min_size=1, max_size=20)
OLD_S = 5 * 3600.0


def cycle(drawn: list[int]) -> Iterator[int]:
    while True:
        yield from drawn


@settings(max_examples=60, deadline=None)
@given(limits=limit_sets, announces=st.booleans(), verified=st.booleans(), drawn=choices, stat_count=st.integers(0, 30))
def test_urgent_only_queue_is_served_by_age_and_ends(
    limits: LimitSet, announces: bool, verified: bool, drawn: list[int], stat_count: int
) -> None:
    world = World(announces, limits, verified)
    for number in range(stat_count):
        world.arrive(stat=True, age_s=float(stat_count - number))
    turns = cycle(drawn)
    for _ in range(2 * stat_count):
        if world.running:
            world.append(next(turns))
    assert all(map(world.done, world.rows))
    assert not world.running
    whole = [item.item_id for action in world.started if action.step is Step.FULL for item in action.items]
    assert announces or whole == sorted(whole)  # of two previews under way at once either may come through first


def test_empty_queue_asks_once_and_sleeps() -> None:
    world = World(announces=True, limits=LimitSet())
    assert world.started == []
    deadline = world.engine.next_deadline()
    assert deadline is not None
    assert deadline >= world.limits.idle_probe_s  # only to hear whether the centre lives another life


@settings(max_examples=60, deadline=None)
@given(
    limits=limit_sets,
    announces=st.booleans(),
    kinds=st.lists(st.tuples(st.booleans(), st.integers(1, 3)), max_size=30),
    drawn=choices,
)
def test_full_queue_without_arrivals_goes_class_by_class(
    limits: LimitSet, announces: bool, kinds: list[tuple[bool, int]], drawn: list[int]
) -> None:
    world = World(announces, replace(limits, aging_s=1e9))
    for number, (stat, append_count) in enumerate(kinds):
        world.arrive(stat, age_s=float(len(kinds) - number), append_count=append_count)
    turns = cycle(drawn)
    for _ in range(4 * sum(count + 1 for _, count in kinds)):
        if world.running:
            world.append(next(turns))
    assert all(map(world.done, world.rows))
    for action, urgent_waited in zip(world.started, world.urgent_waited, strict=True):
        stat = all(item.priority is Priority.STAT for item in action.items)
        assert len({item.priority for item in action.items}) == 1
        assert stat or not urgent_waited


@settings(max_examples=80, deadline=None)
@given(
    limits=limit_sets,
    announces=st.booleans(),
    verified=st.booleans(),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    bursts=st.lists(st.integers(1, 3), min_size=1, max_size=10),
    drawn=choices,
)
def test_old_routine_items_get_through_a_stream_of_urgent_ones_that_never_ends(
    limits: LimitSet, announces: bool, verified: bool, sizes: list[int], bursts: list[int], drawn: list[int]
) -> None:
    world = World(announces, limits, verified)
    for _ in range(limits.aging_turn_period):
        world.arrive(stat=True)
    routine = [world.arrive(False, OLD_S + number, size) for number, size in enumerate(sizes)]
    turns, arrivals = cycle(drawn), cycle(bursts)
    # Each append of an old item, and its preview, costs a turn; a turn of STAT is at most so many appends.
    step_count = (sum(sizes) + len(sizes) + 1) * (limits.aging_turn_period + 2) * 2 * limits.transfer_item_count_max
    for _ in range(step_count):
        if all(map(world.done, routine)):
            break
        if sum(1 for row in world.waiting() if row.priority is Priority.STAT) < 8:
            for _ in range(next(arrivals)):
                world.arrive(stat=True)
        world.append(next(turns))
    assert all(map(world.done, routine))


@settings(max_examples=60, deadline=None)
@given(limits=limit_sets, announces=st.booleans(), bursts=st.lists(st.integers(1, 3), min_size=1), drawn=choices)
def test_ageing_costs_urgent_ones_no_more_than_its_share(
    limits: LimitSet, announces: bool, bursts: list[int], drawn: list[int]
) -> None:
    world = World(announces, limits)
    for _ in range(8):
        world.arrive(stat=True)
    for number in range(50):
        world.arrive(False, OLD_S + number, append_count=3)
    turns, arrivals = cycle(drawn), cycle(bursts)
    for _ in range(150):
        if sum(1 for row in world.waiting() if row.priority is Priority.STAT) < 8:
            for _ in range(next(arrivals)):
                world.arrive(stat=True)
        world.append(next(turns))
    overtaking = [
        number
        for number, action in enumerate(world.started)
        if world.urgent_waited[number] and action.items[0].priority is Priority.ROUTINE
    ]
    assert all(len(world.started[number].items) == 1 for number in overtaking)
    assert len(overtaking) <= len(world.started) / limits.aging_turn_period + 1


@pytest.mark.parametrize("announces", [False, True])
def test_young_routine_item_waits_for_all_urgent_ones(announces: bool) -> None:
    world = World(announces, LimitSet(aging_turn_period=2))
    for _ in range(20):
        world.arrive(stat=True)
    young = world.arrive(False, age_s=60.0)
    while any(row.priority is Priority.STAT and not world.done(item_id) for item_id, row in world.rows.items()):
        assert not world.done(young)
        world.append(0)


def test_every_class_has_its_rank() -> None:
    assert sorted(RANK, key=lambda each: RANK[each]) == list(TrafficClass)
