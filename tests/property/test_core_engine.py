"""Any events in any order, also nonsense: the engine never raises, never moves illegally, never runs in a circle."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.limits import LimitSet
from appliance.domain.values import Evidence, ItemState, LinkKind, OutboxItem, Priority, Receipt, TrafficClass
from sync.core.allowance import Hours, LinkRule
from sync.core.effects import CloseTransfer, MoveItem, OpenTransfer, StartTransfer, Step
from sync.core.engine import Engine
from sync.core.events import (
    BytesMoved,
    CandidatesOffered,
    ClockSeen,
    CommandGiven,
    DeadlineReached,
    Event,
    ItemAccepted,
    ItemAnnounced,
    ItemFailed,
    ItemUnverified,
    ItemVerified,
    LinkChanged,
    LinkKindChanged,
    NetworkCameUp,
    Prepared,
    PrepareFailed,
    RecheckWanted,
    Restarted,
    RoundTripSeen,
    SentOffered,
    StateLost,
    TransferEnded,
    VerificationEnded,
    WorkArrived,
)
from sync.core.machine import ItemEvent, move
from sync.core.policy import Policy

SHA = "a" * 64
LIMITS = LimitSet(transfer_item_count_max=3, announce_item_count_max=3, candidate_count_max=4, backoff_item_count_max=4)
RULES = {
    LinkKind.SIM: LinkRule(budget_bytes_per_day=1000),
    LinkKind.SATELLITE: LinkRule(hours=(Hours(0.0, 3600.0, frozenset({TrafficClass.FULL, TrafficClass.PREVIEW})),)),
}
digests = st.sampled_from([SHA, "b" * 64])
small = st.integers(min_value=0, max_value=5)
names = st.sampled_from(["north", "south", "nowhere"])
failures = st.builds(
    Failure,
    st.sampled_from(FailureKind),
    st.just("code"),
    st.just("A sentence."),
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
)
maybe_failures = st.one_of(st.none(), failures)
items = st.builds(
    OutboxItem,
    item_id=small,
    destination=names,
    state=st.sampled_from(ItemState),
    sop_instance_uid=st.just("1.2.3"),
    study_instance_uid=st.sampled_from(["1", "2"]),
    priority=st.sampled_from(Priority),
    size_bytes=st.integers(min_value=1, max_value=1 << 33),
    sha256=digests,
    queued_at_s=st.floats(min_value=0, max_value=2e9),
    attempt_count=st.integers(min_value=0, max_value=10_000),
    announced=st.booleans(),
)
lists = st.lists(items, max_size=6).map(tuple)
receipts = st.builds(
    Receipt,
    names,
    st.just("1.2.3"),
    st.sampled_from([SHA, "b" * 64]),
    st.builds(Evidence, st.just("wado"), st.just(SHA)),
)
kinds = st.sampled_from(["hold", "release", "retry", "stat", "routine", "reject", "dance"])
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Restarted, lists, st.just(("north", "south")), small),
    st.builds(CandidatesOffered, names, lists),
    st.builds(SentOffered, names, lists),
    st.just(WorkArrived()),
    st.builds(Prepared, small),
    st.builds(PrepareFailed, small, failures),
    st.builds(ItemAccepted, small, small),
    st.builds(ItemFailed, small, small, failures),
    st.builds(TransferEnded, small, small, maybe_failures),
    st.builds(ItemVerified, small, receipts),
    st.builds(ItemUnverified, small, failures, st.booleans()),
    st.builds(VerificationEnded, small, maybe_failures),
    st.builds(RecheckWanted, names, lists),
    st.builds(LinkChanged, names, st.booleans(), maybe_failures),
    st.builds(CommandGiven, small, kinds, lists, st.just("nurse")),
    st.builds(StateLost, items),
    st.builds(ItemAnnounced, small, small),
    st.builds(BytesMoved, names, small, st.integers(-1, 3000), st.floats(allow_nan=True, allow_infinity=True)),
    st.builds(RoundTripSeen, names, st.floats(allow_nan=True, allow_infinity=True)),
    st.builds(LinkKindChanged, st.sampled_from(LinkKind)),
    st.just(NetworkCameUp()),
    st.builds(
        ClockSeen,
        st.floats(min_value=0, max_value=4e9),
        st.sampled_from(["2026-11-22", "2026-11-23"]),
        st.floats(min_value=0, max_value=86_400, exclude_max=True),
        st.booleans(),
        st.lists(st.tuples(st.sampled_from(LinkKind), st.integers(0, 2000)), max_size=2).map(tuple),
    ),
)


class AnyOrder(RuleBasedStateMachine):
    """The world knows nothing of what the engine asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.engine = Engine(Policy(limits=LIMITS, jitter_seed=1, announcing=frozenset({"south"}), link_rules=RULES))
        self.now = 0.0
        self.open_transfers: set[int] = set()
        self.transfer_id_last = 0

    @initialize()
    def start(self) -> None:
        self.feed(Restarted((), ("north", "south")))
        self.feed(LinkChanged("north", True))

    def feed(self, event: Event) -> None:
        for effect in self.engine.handle(event, self.now):
            self.check(effect)
        if isinstance(event, Restarted):
            self.open_transfers.clear()

    def check(self, effect: Any) -> None:
        match effect:
            case MoveItem():
                assert move(effect.from_state, ItemEvent(effect.event)) is effect.to_state
            case OpenTransfer(transfer_id):
                assert transfer_id > self.transfer_id_last
                self.transfer_id_last = transfer_id
                self.open_transfers.add(transfer_id)
            case StartTransfer(transfer_id, destination, sent):
                assert transfer_id in self.open_transfers
                assert 0 < len(sent) <= LIMITS.transfer_item_count_max
                assert {item.state for item in sent} == {ItemState.SENDING}
                assert {item.destination for item in sent} == {destination}
            case CloseTransfer(transfer_id):
                assert transfer_id in self.open_transfers
                self.open_transfers.discard(transfer_id)

    @rule(event=events, wait_s=st.floats(min_value=0, max_value=1000))
    def anything_happens(self, event: Event, wait_s: float) -> None:
        self.now += wait_s
        self.feed(event)

    @rule(offered=lists, destination=st.sampled_from(["north", "south"]))
    def good_candidates_are_offered(self, offered: tuple[OutboxItem, ...], destination: str) -> None:
        self.feed(LinkChanged(destination, True))
        self.feed(WorkArrived())
        self.feed(CandidatesOffered(destination, offered))
        for item in offered:
            self.feed(Prepared(item.item_id))

    @rule()
    def alarm_rings(self) -> None:
        deadline = self.engine.next_deadline()
        if deadline is not None:
            self.now = max(self.now, deadline)
            self.feed(DeadlineReached())

    @invariant()
    def alarm_moves_on_once_it_rang(self) -> None:
        self.feed(DeadlineReached())
        deadline = self.engine.next_deadline()
        assert deadline is None or deadline > self.now

    @invariant()
    def memory_is_bounded(self) -> None:
        for lane in self.engine.state.lanes.values():
            steps = [batch.step for batch in lane.batches]
            assert steps.count(Step.FULL) <= self.engine.policy.transfer_count_per_destination_max
            places = self.engine.policy.announce_count_per_destination_max if lane.announces else 0
            assert steps.count(Step.ANNOUNCE) <= places
            assert max((len(batch.items) for batch in lane.batches), default=0) <= LIMITS.transfer_item_count_max
            assert len(lane.rates_left) <= len(LinkKind)
            assert len(lane.backoff) <= LIMITS.backoff_item_count_max
            assert len(lane.proof.fresh) <= LIMITS.candidate_count_max
        assert set(self.engine.state.wishes) <= {
            item_id for lane in self.engine.state.lanes.values() for item_id in lane.in_flight()
        }
        assert {wish.command_id for wish in self.engine.state.wishes.values()} == set(self.engine.state.commands)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
