"""The simulation's ``sync/runner.py``: event, handle, commit, act; and adapters that talk to the simulated centres.

No action starts before its commit. A commit that fails is either tried again with the same records while events wait,
or the engine is thrown away and built again from the store, as ``sync/runner.py`` does; the core bears both, and also
that the events of a moment are committed together.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, get_args

from appliance.domain.failure import Failure
from appliance.domain.values import ItemState, OutboxItem, Receipt
from sync.core.effects import (
    Action,
    CancelTransfer,
    Effect,
    MoveItem,
    NeedCandidates,
    NeedConfirmed,
    NeedSent,
    NoteEpoch,
    PrepareItems,
    ProbeLink,
    Record,
    StartTransfer,
    StartVerification,
)
from sync.core.events import (
    BytesMoved,
    CandidatesOffered,
    ConfirmedOffered,
    EpochSeen,
    Event,
    ItemAccepted,
    ItemFailed,
    ItemUnverified,
    ItemVerified,
    LinkChanged,
    LinkKindChanged,
    Prepared,
    PrepareFailed,
    RevisionWanted,
    SentOffered,
    StateLost,
    TransferEnded,
    VerificationEnded,
    WorkArrived,
)
from tests.simulation.centre import Answer, Centre, link_failure, permanent, transient
from tests.simulation.corrections import TOLD_S
from tests.simulation.gateway import Gateway
from tests.simulation.gateway_adapter import Talking

if TYPE_CHECKING:
    from tests.simulation.world import World

RECORDS: tuple[type, ...] = get_args(Record)
STALL_S = 30.0
CLOCK_S = 300.0


@dataclass(slots=True)
class RunnerModel:
    """One life of the sync process."""

    world: World
    events: deque[Event] = field(default_factory=deque)
    stuck: bool = False
    """A commit failed and is tried again later; or the start has not succeeded yet."""
    busy: bool = False
    started: bool = False
    telling: bool = False
    """Of revisions that are not moved on to yet; again in a moment."""
    retry_count: int = 0
    cancelled: set[int] = field(default_factory=set)
    epochs: dict[str, str] = field(default_factory=dict)
    """What each gateway was last heard to call its life."""

    @property
    def idle(self) -> bool:
        return self.started and not self.stuck and not self.events

    def recover(self) -> None:
        """Read what the last life left behind; an I/O error here is retried like any other."""
        if self.world.io_fails():
            self._again(self.recover)
            return
        self.started = True
        self.feed(LinkKindChanged(self.world.link_kind))
        self.tell_the_clock()
        self.feed(self.world.restarted_event())
        if self.world.runner is self:
            self.look_for_commands()
            self.look_for_revisions()

    def tell_the_clock(self) -> None:
        """Now and every few minutes: what it says, and what stands in the store of this day's bytes."""
        if self.world.runner is not self:
            return
        self._drain()
        if not self.stuck:
            self.world.check.nothing_is_forgotten()
            self.feed(self.world.clock_event())
        self.world.later(CLOCK_S, self.tell_the_clock)

    def hear_epoch(self, destination: str) -> None:
        """A gateway says in every answer which life it lives; passed on before anything else of that answer."""
        centre = self.world.centres[destination]
        if isinstance(centre, Gateway) and self.epochs.get(destination) != centre.epoch:
            self.epochs[destination] = centre.epoch
            self.feed(EpochSeen(destination, centre.epoch))

    def finds_good(self, found_sha256: str, wanted_sha256: str) -> bool:
        """As ``bytes_are_good`` below, for adapters in other modules."""
        return bytes_are_good(found_sha256, wanted_sha256)

    def look_for_commands(self) -> None:
        if not self.started:
            return
        self._drain()  # a command is read against rows that are up to date
        for command_id in list(self.world.store.open_commands):
            event = self.world.command_event(command_id)
            if event is not None and self.world.runner is self:
                self.feed(event)
                self._drain()

    def look_for_revisions(self) -> None:
        """Tell what is still about an earlier content, until nothing is."""
        if not self.started or self.world.runner is not self or self.telling:
            return
        for row in () if self.stuck else self.world.store.unrevised():
            self.feed(RevisionWanted(row.item, row.wanted_revision_id, "nurse"))
        if self.world.store.unrevised():
            self.telling = True
            self.world.later(TOLD_S, self._tell_revisions_again)

    def _tell_revisions_again(self) -> None:
        self.telling = False
        self.look_for_revisions()

    def _again(self, action: Callable[[], None]) -> None:
        self.retry_count += 1
        self.world.later(min(60.0, 0.5 * 2**self.retry_count), action)

    def feed(self, event: Event) -> None:
        """An event; those that come while a commit is stuck wait in line."""
        if not self.started or self.world.runner is not self:
            return
        self.events.append(event)
        if not self.world.batching:
            self._drain()
        elif len(self.events) == 1:
            self.world.later(0.01, self._drain)

    def _drain(self) -> None:
        if self.stuck or self.busy or self.world.runner is not self:
            return
        self.busy = True
        while self.events and not self.stuck and self.world.runner is self:
            self._turn()
        self.busy = False

    def _turn(self) -> None:
        """Handle one event, or all that came in this moment, and commit what comes of it."""
        effects: list[Effect] = []
        for _ in range(len(self.events) if self.world.batching else 1):
            effects += self._handle(self.events.popleft())
        self._commit(
            [effect for effect in effects if isinstance(effect, RECORDS)],
            [effect for effect in effects if not isinstance(effect, RECORDS)],
        )

    def _handle(self, event: Event) -> list[Effect]:
        world = self.world
        effects = world.engine.handle(event, world.now)
        world.traffic.told(event)
        if isinstance(event, WorkArrived):
            for row in world.store.rows.values():
                if row.notified_mono_s is None:
                    row.notified_mono_s = world.now
        world.check.event_handled(effects)
        return effects

    def _commit(self, records: Sequence[Effect], actions: Sequence[Effect]) -> None:
        world = self.world
        if world.cut_armed == "before-commit" and records:
            world.cut()
            return
        if records and world.io_fails():
            if world.rebuilding:
                world.start_over()
                return
            self.stuck = True
            self._again(lambda: self._commit_again(records, actions))
            return
        self.retry_count = 0
        lost = world.store.apply(records, world.wall_s(), world.clock_trusted)  # type: ignore[arg-type]  # split above
        for record in records:
            if isinstance(record, MoveItem):
                world.waiting_since[record.item_id] = world.now
            elif isinstance(record, NoteEpoch):  # what waited to be sent waits to be announced anew
                world.waiting_since.update(dict.fromkeys(world.store.waiting.get(record.destination, {}), world.now))
        world.check.committed(records)
        if world.cut_armed == "after-commit" and records:
            world.cut()
            return
        self.events.extendleft(StateLost(item) for item in reversed(lost))
        for action in actions:
            self._act(action)  # type: ignore[arg-type]  # split above

    def _commit_again(self, records: Sequence[Effect], actions: Sequence[Effect]) -> None:
        self.stuck = False
        self._commit(records, actions)
        self._drain()

    def _act(self, action: Action) -> None:
        match action:
            case NeedCandidates():
                self._offer_candidates(action)
            case NeedSent():
                self._offer_sent(action)
            case NeedConfirmed():
                self._offer_confirmed(action)
            case PrepareItems():
                for item in action.items:
                    self.world.later(self._read_s(item), lambda item=item: self._prepare(item))  # type: ignore[misc]  # as in World.run
            case StartTransfer():
                self.world.check.transfer_starts(action)
                if isinstance(self.world.centres[action.destination], Gateway):
                    Talking(self, action).next_item()
                else:
                    Sending(self, action).next_item()
            case StartVerification():
                self._verify(action)
            case CancelTransfer(transfer_id):
                self.cancelled.add(transfer_id)
            case ProbeLink(destination):
                self._probe(destination)

    def _read_s(self, item: OutboxItem) -> float:
        return self.world.rng.choice((0.0, 0.01)) + item.size_bytes / 5e7

    def _offer_candidates(self, action: NeedCandidates) -> None:
        if self.world.io_fails():
            self._again(lambda: self._offer_candidates(action))
            return
        store, destination, skip = self.world.store, action.destination, action.skip_item_ids
        items = store.candidates(
            destination, action.count, skip, action.least_tried_first, action.classes, action.announces
        )
        oldest = None
        if action.with_oldest:
            oldest = store.oldest_routine(destination, skip, action.classes, action.announces)
        self._soon(CandidatesOffered(destination, items, oldest))

    def _offer_sent(self, action: NeedSent) -> None:
        if self.world.io_fails():
            self._again(lambda: self._offer_sent(action))
            return
        self._soon(
            SentOffered(
                action.destination, self.world.store.sent_items(action.destination, action.count, action.after_item_id)
            )
        )

    def _offer_confirmed(self, action: NeedConfirmed) -> None:
        if self.world.io_fails():
            self._again(lambda: self._offer_confirmed(action))
            return
        items = self.world.store.confirmed_in_another_epoch(
            action.destination, action.epoch, action.after_item_id, action.count, self.world.evicted
        )
        self._soon(ConfirmedOffered(action.destination, items))

    def _soon(self, event: Event) -> None:
        """Deliver it after other things may have come in between."""
        self.world.later(self.world.rng.choice((0.0, 0.0, 0.02)), lambda: self.feed(event))

    def _prepare(self, item: OutboxItem) -> None:
        uid = item.sop_instance_uid
        if uid in self.world.unreadable:
            self.feed(PrepareFailed(item.item_id, transient("read-error")))
        elif not bytes_are_good(self.world.corrections.file_of(item), item.sha256):
            self.feed(PrepareFailed(item.item_id, permanent("digest-mismatch")))
        else:
            self.feed(Prepared(item.item_id))

    def _probe(self, destination: str) -> None:
        path, centre = self.world.paths[destination], self.world.centres[destination]

        def answer() -> None:
            if not path.up or centre.feels("portal"):
                self.feed(LinkChanged(destination, False, link_failure("unreachable")))
            else:
                self.hear_epoch(destination)
                self.feed(LinkChanged(destination, True))

        self.world.later(path.rtt_s, answer)

    def _verify(self, action: StartVerification) -> None:
        path = self.world.paths[action.destination]
        break_count = path.break_count

        def answer() -> None:
            failure: Failure | None = None
            looks: list[bool] = []
            for item in action.items:
                if not path.up or path.clogged or path.break_count != break_count:
                    failure = link_failure("verify-broken")
                    break
                self.hear_epoch(action.destination)
                looks.append(self._show(item))
            if looks and not any(looks) and any(item.state is ItemState.SENT for item in action.items):
                self.world.check.verification_found_nothing(action.destination)
            self.feed(VerificationEnded(action.verification_id, failure))

        self.world.later(path.rtt_s + 0.02 * len(action.items), answer)

    def _show(self, item: OutboxItem) -> bool:
        """Ask for one item and report; False when the centre answered that it lacks it."""
        earlier = self.world.store.earlier_digests(item)
        look = self.world.centres[item.destination].prove(item, self.world.now, earlier)
        if look.evidence is not None:
            receipt = Receipt(look.destination, look.sop_instance_uid, look.evidence.sha256, look.evidence)
            self.feed(ItemVerified(item.item_id, receipt))
        elif look.failure is not None:
            self.feed(ItemUnverified(item.item_id, look.failure, look.absent))
        return not look.absent


def bytes_are_good(found_sha256: str, wanted_sha256: str) -> bool:
    """The check before every transfer; a planted bug turns it off."""
    return found_sha256 == wanted_sha256


@dataclass(slots=True)
class Sending:
    """One running transfer."""

    runner: RunnerModel
    action: StartTransfer
    position: int = 0
    bytes_sent: int = 0
    accepted_count: int = 0

    def next_item(self) -> None:
        """Begin with the next item, unless told to stop."""
        world, action = self.runner.world, self.action
        if self.position == len(action.items) or action.transfer_id in self.runner.cancelled:
            self._end(None)
            return
        path = world.paths[action.destination]
        item = action.items[self.position]
        found_sha256 = world.corrections.file_of(item)
        if not bytes_are_good(found_sha256, item.sha256):  # they rotted after they were prepared
            self.runner.feed(ItemFailed(action.transfer_id, item.item_id, transient("digest-mismatch")))
            self._go_on()
            return
        world.check.item_is_sent(item, found_sha256, action)
        break_count = path.break_count
        if path.clogged:
            world.later(STALL_S, lambda: self._end(link_failure("stalled")))
            return
        duration_s = path.rtt_s + item.size_bytes / path.rate_bytes_per_s
        world.later(duration_s, lambda: self._arrived(item, break_count))

    def _arrived(self, item: OutboxItem, break_count: int) -> None:
        world = self.runner.world
        path, centre = world.paths[self.action.destination], world.centres[self.action.destination]
        assert isinstance(centre, Centre)
        broken = not path.up or path.break_count != break_count
        if broken and world.rng.random() < 0.5:
            self._end(link_failure())
            return
        answer = centre.receive(item, item.sha256, world.now)
        world.sent_at[item.item_id] = world.now
        if broken:
            self._end(link_failure())  # the centre has it, its reply is lost
        elif answer.silent:
            world.later(STALL_S, lambda: self._timed_out(item))
        else:
            self._answered(item, answer)

    def _timed_out(self, item: OutboxItem) -> None:
        transfer_id, world = self.action.transfer_id, self.runner.world
        self.runner.feed(ItemFailed(transfer_id, item.item_id, transient("timeout")))
        if world.rng.random() < 0.5:  # the answer comes after we gave up
            world.later(world.rng.uniform(0.0, 20.0), lambda: self.runner.feed(ItemAccepted(transfer_id, item.item_id)))
        self._go_on()

    def _answered(self, item: OutboxItem, answer: Answer) -> None:
        transfer_id = self.action.transfer_id
        if answer.ends_attempt is not None:
            self._end(answer.ends_attempt)
            return
        if answer.failure is not None:
            self.runner.feed(ItemFailed(transfer_id, item.item_id, answer.failure))
        else:
            self.accepted_count += 1
            self.bytes_sent += item.size_bytes
            moved = BytesMoved(self.action.destination, transfer_id, item.size_bytes, 1.0)
            self.runner.feed(moved)
            self.runner.feed(ItemAccepted(transfer_id, item.item_id))
            if answer.twice:
                self.runner.feed(ItemAccepted(transfer_id, item.item_id))
        self._go_on()

    def _go_on(self) -> None:
        self.position += 1
        if self.runner.world.runner is self.runner:  # else the power went while we reported
            self.next_item()

    def _end(self, failure: Failure | None) -> None:
        action, world = self.action, self.runner.world
        if not self.accepted_count and action.transfer_id not in self.runner.cancelled:
            world.check.transfer_was_fruitless(action.destination)
        self.runner.feed(TransferEnded(action.transfer_id, self.bytes_sent, failure))
