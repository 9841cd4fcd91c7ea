"""What the engine remembers: small records, one lane a destination, each bounded by a named limit.

Only items in flight and ids in back-off are here; everything that waits is in the store.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from appliance.domain.failure import Failure
from appliance.domain.values import ItemState, LinkKind, OutboxItem, Priority, TrafficClass
from sync.core.allowance import Allowance
from sync.core.effects import CancelTransfer, Effect, MoveItem, Step
from sync.core.link import Link
from sync.core.machine import UNDER_WAY, ItemEvent, move
from sync.core.policy import Policy
from sync.core.rate import RateEstimator
from sync.core.retry import BackoffList, Jitter, Why, at_least_asked, backoff_s


@dataclass(slots=True)
class Batch:
    """Items on their way together: first prepared, then, once ``transfer_id`` is set, sent.

    ``items`` holds those without an outcome yet, in the order of sending, each with its present state.
    """

    items: dict[int, OutboxItem]
    step: Step = Step.FULL
    beside: bool = False
    """Previews that began while something else was under way."""
    epoch: str = ""
    """The centre's when it started."""
    aged: bool = False
    """An old routine item that goes before STAT ones; it makes way only once it got further."""
    moved: bool = False
    """Some bytes of it went over the link."""
    transfer_id: int | None = None
    yielding: bool = False
    """It was asked to make way; what it still holds goes back to wait."""
    accepted: list[OutboxItem] = field(default_factory=list)
    announced_count: int = 0
    asked_waits_s: list[float] = field(default_factory=list)
    """The times that the destination named when it did not take an item."""
    failed_count: int = 0

    @property
    def asked_to_wait_s(self) -> float | None:
        """What the destination wants when it said so for every item it did not take; then it means itself."""
        return min(self.asked_waits_s) if 0 < len(self.asked_waits_s) == self.failed_count else None

    @property
    def stat(self) -> bool:
        return all(item.priority is Priority.STAT for item in self.items.values())

    @property
    def traffic_class(self) -> TrafficClass:
        """That of its least urgent item."""
        if self.step is Step.ANNOUNCE:
            return TrafficClass.STAT_PREVIEW if self.stat else TrafficClass.PREVIEW
        return TrafficClass.STAT if self.stat else TrafficClass.FULL

    @property
    def fruitful(self) -> bool:
        """The destination took or learned something."""
        return bool(self.accepted or self.announced_count)

    @property
    def prepared(self) -> bool:
        """Every item's bytes were read back, and nothing was sent yet."""
        waits_for_bytes = any(item.state is ItemState.ENCODING for item in self.items.values())
        return self.transfer_id is None and not waits_for_bytes

    def ask_to_yield(self) -> CancelTransfer | None:
        """Stop before the next item; the action to take, if there is one."""
        if self.yielding:
            return None
        self.yielding = True
        return None if self.transfer_id is None else CancelTransfer(self.transfer_id)


@dataclass(slots=True)
class Proof:
    """The asking for proof at one destination; one verification at a time, beside the transfers."""

    running_id: int | None = None
    running: dict[int, OutboxItem] = field(default_factory=dict)
    """Asked about and not answered yet."""
    fruitful: bool = False
    """The running verification settled at least one item."""
    proved_count: int = 0
    absent_count: int = 0
    """Of the running verification."""
    fresh: dict[int, OutboxItem] = field(default_factory=dict)
    """Just accepted; asked about first. What does not fit in is found by the walk."""
    stale_maybe: bool = False
    """The store may hold ``confirmed`` items whose receipt is of an earlier epoch of the centre."""
    stale_after_item_id: int = 0
    """How far the walk through those is."""
    walked_stale: bool = False
    """The last page was of that walk; the two take turns."""
    recheck: tuple[OutboxItem, ...] = ()
    """Confirmed items to be proved once more before eviction; a later wish replaces it."""
    after_item_id: int = 0
    """How far the walk through all ``sent`` items is."""
    asked: bool = False
    sent_maybe: bool = False
    """The store may hold ``sent`` items."""
    rest_until_mono_s: float = -math.inf
    fruitless_count: int = 0


@dataclass(slots=True)
class Lane:
    """Everything about one destination; lanes never wait for each other."""

    destination: str
    link: Link
    backoff: BackoffList
    announces: bool = False
    epoch: str = ""
    """What the centre called its life when it was last heard of."""
    turn_count: int = 0
    """Transfers started since the last one that had its turn because of its age, those of previews beside another not
    counted."""
    rate: RateEstimator = field(default_factory=RateEstimator)
    moved_mono_s: float = -math.inf
    """When bytes were last told of."""
    rates_left: dict[LinkKind, RateEstimator] = field(default_factory=dict)
    """What was measured on kinds of links that the present one was before, should it come back soon."""
    batches: list[Batch] = field(default_factory=list)
    asked: bool = False
    """``NeedCandidates`` is not answered yet."""
    brought: set[int] = field(default_factory=set)
    """Items whose attempt makes way for a receipt that a stick brought; no new attempt before that was settled."""
    revised: set[int] = field(default_factory=set)
    """Items corrected while ``asked``: what the answer says of them may be about the bytes before."""
    work: bool = True
    """The store may hold waiting items that were not offered yet."""
    request_count: int = 0
    rest_until_mono_s: float = -math.inf
    again_after_rest: bool = False
    """Something was offered that might have gone if the destination did not rest."""
    fruitless_count: int = 0
    """Transfers in a row in which nothing was accepted."""
    lost_count: int = 0
    """Verifications in a row that found accepted items absent and proved none."""
    proof: Proof = field(default_factory=Proof)

    def batch_of(self, item_id: int) -> Batch | None:
        """The batch that holds this item without an outcome."""
        return next((batch for batch in self.batches if item_id in batch.items), None)

    def in_flight(self) -> Iterator[int]:
        """Ids of all items in a batch."""
        for batch in self.batches:
            yield from batch.items


@dataclass(frozen=True, slots=True)
class Wish:
    """A hold or rejection that takes effect when the running attempt has reported on the item."""

    event: ItemEvent
    command_id: int
    actor: str


@dataclass(slots=True)
class OpenCommand:
    """A command some of whose items are still in flight."""

    command_id: int
    kind: str
    open_count: int = 0
    done_count: int = 0
    missed_count: int = 0


@dataclass(slots=True)
class EngineState:
    """All of it; a new process starts with an empty one and hears ``Restarted``."""

    jitter: Jitter
    allowance: Allowance
    lanes: dict[str, Lane] = field(default_factory=dict)
    allowed_last: frozenset[TrafficClass] = frozenset()
    """What might travel when the last event was handled."""
    edge_mono_s: float | None = None
    """When the hours of the present link may allow or forbid something next."""
    transfer_id_last: int = 0
    verification_id_last: int = 0
    wishes: dict[int, Wish] = field(default_factory=dict)
    """By item id; only for items in flight."""
    commands: dict[int, OpenCommand] = field(default_factory=dict)


@dataclass(slots=True)
class Turn:
    """The handling of one event: the state to change and the effects to collect."""

    policy: Policy
    state: EngineState
    now: float
    effects: list[Effect] = field(default_factory=list)

    @property
    def allowed(self) -> frozenset[TrafficClass]:
        """What may travel now."""
        return self.state.allowance.allowed(self.now)

    def emit(self, effect: Effect | None) -> None:
        """Add an effect, if there is one."""
        if effect is not None:
            self.effects.append(effect)

    def move(
        self,
        item: OutboxItem,
        event: ItemEvent,
        failure: Failure | None = None,
        charged: bool = False,
        actor: str = "sync",
        announced: bool | None = None,
    ) -> OutboxItem:
        """The item after ``event``, and the record of it when its state changed.

        ``charged`` counts an attempt; ``announced`` says that the centre knows of it now, or that it must be told anew.

        Raises:
            IllegalMove: If the table has no such row.
        """
        state = move(item.state, event)
        attempt_count = item.attempt_count + charged
        if state is not item.state:
            self.emit(MoveItem(item.item_id, item.state, state, event.value, attempt_count, failure, actor, announced))
        announced = item.announced if announced is None else announced
        return replace(item, state=state, attempt_count=attempt_count, announced=announced)

    def put_off(self, lane: Lane, item: OutboxItem, why: Why, retry_after_s: float | None = None) -> None:
        """Let an item that failed wait for its own deadline."""
        limits = self.policy.limits
        delay_s = backoff_s(item.attempt_count, limits.backoff_s_first, limits.backoff_s_max, self.state.jitter.draw())
        until = self.now + at_least_asked(delay_s, retry_after_s, limits.backoff_s_max)
        lane.backoff.add(item.item_id, until, Why.ASKED if retry_after_s is not None else why)

    def link_failed(self, lane: Lane, failure: Failure | None) -> None:
        """Put an up link down; a link that is down already is not charged twice for one break."""
        if lane.link.up:
            self.emit(lane.link.go_down(failure, self.now, self.policy.limits, self.state.jitter))


def rest(turn: Turn, lane: Lane, failure_count: int, asked_s: float | None) -> None:
    """Start nothing at this destination for a while; short enough that one bad study does not block the rest."""
    limits = turn.policy.limits
    draw = turn.state.jitter.draw()
    delay_s = backoff_s(failure_count, limits.backoff_s_first, limits.fruitless_rest_s_max, draw)
    delay_s = at_least_asked(delay_s, asked_s, limits.backoff_s_max)
    lane.rest_until_mono_s = max(lane.rest_until_mono_s, turn.now + delay_s)


def new_lane(destination: str, policy: Policy) -> Lane:
    """A lane of which nothing is known; it is probed at once."""
    backoff = BackoffList(policy.limits.backoff_item_count_max)
    announces = destination in policy.announcing
    link = Link(destination, policy.limits.idle_probe_s if announces else math.inf)
    return Lane(destination, link, backoff, announces=announces)


def unowned(item: OutboxItem) -> bool:
    """Whether the row is in a state that only a running attempt of ours may leave it in."""
    return item.state in UNDER_WAY
