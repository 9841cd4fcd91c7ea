"""The loop that joins the pure engine to the store and the adapters: event, handle, commit, act, wait.

Records of one turn are committed in one transaction before any action of that turn starts (invariant 3). Whatever makes
a commit fail - a full disk, an I/O error, a locked database - the engine's memory is thrown away and built again from
the store: there is one way to begin, and it is exercised all the time.
"""

from __future__ import annotations

import queue
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence

from appliance.clock import Clock, local_day
from appliance.config import UnitConfig
from appliance.domain.leave import leave_facts
from appliance.domain.values import ItemState, OutboxItem, Priority
from appliance.live import write_live
from appliance.logging import log
from appliance.store import commands, courier, instances, intake, links, outbox, transfers
from appliance.store.connect import Store, data_version, open_unit
from appliance.store.errors import StoreError
from appliance.store.findings import clear_finding, note_finding, open_subjects
from appliance.store.rejections import items_of_command
from appliance.store.revisions import earlier_digests, sent_before
from appliance.store.studies import known_studies
from appliance.stored import stored_path
from sync.adapters.base import Announcing, Destination, SendItem
from sync.adapters.network import Network
from sync.ahead import ReadAhead
from sync.configured import kind_of, rules_of
from sync.core.effects import (
    Action,
    Effect,
    NeedCandidates,
    NeedConfirmed,
    NeedSent,
    PrepareItems,
    StartTransfer,
    StartVerification,
)
from sync.core.engine import Engine
from sync.core.events import (
    CandidatesOffered,
    ClockSeen,
    CommandGiven,
    ConfirmedOffered,
    DeadlineReached,
    Event,
    LinkKindChanged,
    NetworkCameUp,
    ReceiptBrought,
    Restarted,
    SentOffered,
    StateLost,
    WorkArrived,
)
from sync.core.policy import Policy
from sync.encoder.service import EncoderService
from sync.eviction import Eviction, clock_is_trusted
from sync.hands import Hands
from sync.records import apply_records, split
from sync.revising import Revising

WAIT_S_MAX = 0.2
"""The store is asked for news (``PRAGMA data_version``, microseconds) at least this often."""
REBUILD_S_FIRST = 0.5
REBUILD_S_MAX = 30.0
LIVE_S = 1.0
CLOCK_S = 60.0
"""The engine hears of the wall clock this often: hours and budgets know a step of it within a minute."""
BROUGHT_S = 1.0
BROUGHT_COUNT = 64
"""Brought receipts are looked for this often, so many in one transaction."""
TURN_EVENT_COUNT_MAX = 256
FORSAKEN = "destination-removed"


class Runner:
    """Runs delivery for one unit until ``stop`` is set.

    Args:
        config: The unit's configuration.
        destinations: One adapter for each configured destination.
        clock: The only clock.
        stop: Set to end; running attempts are cancelled and their items re-offered at the next start.
        encoder: Told what will be sent next, for the destinations that take parts.
        network: Says what is known of the unit's way to the world; never blocks.
    """

    def __init__(
        self,
        config: UnitConfig,
        destinations: Sequence[Destination],
        clock: Clock,
        stop: threading.Event,
        encoder: EncoderService | None = None,
        network: Callable[[], Network] = Network,
    ) -> None:
        self._config = config
        self._clock = clock
        self._stop = stop
        self._encoder = encoder
        self._network = network
        self._destinations = {d.name: d for d in destinations}

    def run(self) -> None:
        """Deliver until stopped; a failing store pauses delivery, it never ends it (fault row 19)."""
        pause_s = REBUILD_S_FIRST
        while not self._stop.is_set():
            try:
                with open_unit(self._config.unit_db) as store:
                    life = _Life(self._config, store, self._destinations, self._clock, self._encoder, self._network)
                    try:
                        life.begin()
                        pause_s = REBUILD_S_FIRST
                        while not self._stop.is_set():
                            life.turn()
                    finally:
                        life.end()
            except StoreError as error:
                log("sync.runner", "store failed, starting over", why=error, pause_s=pause_s)
                self._stop.wait(pause_s)
                pause_s = min(pause_s * 2, REBUILD_S_MAX)


class _Life:
    """One engine over one open store; ends at the first failed commit.

    Late events of its threads go to its own queue, which nobody reads any more: they cannot reach the next engine.
    """

    def __init__(
        self,
        config: UnitConfig,
        store: Store,
        destinations: Mapping[str, Destination],
        clock: Clock,
        encoder: EncoderService | None,
        network: Callable[[], Network],
    ) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._network = network
        self._network_seen = network()
        self._inbox: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._hands = Hands(destinations, self._inbox.put, clock)
        policy = Policy(
            limits=config.limits,
            jitter_seed=_seed(config, clock),
            announcing=frozenset(name for name, each in destinations.items() if isinstance(each, Announcing)),
            link_rules=rules_of(config.link),
        )
        self._engine = Engine(policy)
        self._eviction = Eviction(config, store, clock, self._inbox.put)
        self._revising = Revising(config, store, clock)
        gateways = [name for name, each in destinations.items() if isinstance(each, Announcing)]
        ahead_count = config.limits.encoder_ahead_count_max
        self._ahead = ReadAhead(store, clock, encoder, gateways, ahead_count, self._files) if encoder else None
        self._gateways = frozenset(gateways)
        self._given_command_ids: set[int] = set()
        self._seen_version = -1
        self._live_mono_s = float("-inf")
        self._clock_told_mono_s = self._brought_mono_s = float("-inf")

    def begin(self) -> None:
        names = tuple(d.name for d in self._config.destination)
        stamp = self._store.stamp()
        intake.ensure_destinations(self._store, stamp, names)
        transfers.close_interrupted_transfers(self._store, stamp)
        restarted = Restarted(
            unfinished=outbox.unfinished(self._store),
            destinations=names,
            transfer_id_last=transfers.transfer_id_last(self._store),
            epochs=tuple(links.epochs(self._store).items()),
        )
        self._handle([LinkKindChanged(kind_of(self._config.network, self._network_seen.kind))])
        self._tell_the_clock()
        self._handle([restarted])
        self._name_forsaken(names)

    def turn(self) -> None:
        """Wait for events at most until the engine's next deadline, then handle all that came, then look for news."""
        events = self._wait()
        deadline_mono_s = self._engine.next_deadline()
        if deadline_mono_s is not None and self._clock.mono_s() >= deadline_mono_s:
            events.append(DeadlineReached())
        if events:
            self._handle(events)
        if self._clock.mono_s() - self._clock_told_mono_s >= CLOCK_S:
            self._tell_the_clock()
        self._look_at_network()
        self._look_for_news()
        self._offer_brought()
        if wanted := self._revising.turn():
            self._handle(wanted)
        if self._ahead is not None:
            self._ahead.turn()
        self._eviction.turn()
        self._show()

    def end(self) -> None:
        self._hands.cancel_all()

    def _tell_the_clock(self) -> None:
        """Alone in its turn: what was used must stand in the store before it is read."""
        self._clock_told_mono_s = self._clock.mono_s()
        wall_s = self._clock.wall_s()
        day, second = local_day(wall_s)
        used = tuple(links.usage_of(self._store, day).items())
        self._handle([ClockSeen(wall_s, day, second, clock_is_trusted(self._store), used)])

    def _look_at_network(self) -> None:
        seen, self._network_seen = self._network_seen, self._network()
        if self._network_seen.kind is not seen.kind:
            self._handle([LinkKindChanged(kind_of(self._config.network, self._network_seen.kind))])
        if self._network_seen.up_count != seen.up_count:
            self._handle([NetworkCameUp()])

    def _name_forsaken(self, names: Sequence[str]) -> None:
        """Items owed to a destination that was taken out of the configuration wait for ever: a person must know."""
        forsaken = {name: count for name, count in outbox.owed_counts(self._store).items() if name not in names}
        for name, count in forsaken.items():
            note_finding(
                self._store,
                kind=FORSAKEN,
                subject_id=name,
                sentence=f"{count} pictures are owed to {name}, which is no longer in the configuration. They stay on "
                "this unit. Tell the administrator, who can add the destination again.",
                severity="warning",
            )
        for name in open_subjects(self._store, FORSAKEN):
            if name not in forsaken:
                clear_finding(self._store, kind=FORSAKEN, subject_id=name, actor="sync")

    def _wait(self) -> list[Event]:
        wait_s = WAIT_S_MAX
        if (deadline_mono_s := self._engine.next_deadline()) is not None:
            wait_s = min(wait_s, max(0.0, deadline_mono_s - self._clock.mono_s()))
        events: list[Event] = []
        try:
            events.append(self._inbox.get(timeout=wait_s))
            while len(events) < TURN_EVENT_COUNT_MAX:
                events.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        return events

    def _look_for_news(self) -> None:
        """What other processes wrote since the last look: new instances, a person's commands.

        A command's items are read when all before it is committed: the engine would take a row that moved since for
        one that is out of the wish's reach.
        """
        version = data_version(self._store)
        if version == self._seen_version:
            return
        self._seen_version = version
        self._handle([WorkArrived()])
        waiting = commands.open_commands(self._store)
        self._given_command_ids &= {command.command_id for command in waiting}
        for command in waiting:
            if command.command_id in self._given_command_ids:
                continue
            self._given_command_ids.add(command.command_id)
            if command.kind == "evict":
                self._eviction.ask(command)
                continue
            items, kind = items_of_command(self._store, command)
            self._handle([CommandGiven(command.command_id, kind, items, command.actor, command.reason)])

    def _offer_brought(self) -> None:
        """Receipts that came on a stick, told again until the engine is done with them."""
        now = self._clock.mono_s()
        if now - self._brought_mono_s < BROUGHT_S:
            return
        self._brought_mono_s = now
        brought = courier.open_brought(self._store, BROUGHT_COUNT)
        items = {item.item_id: item for item in outbox.load_items(self._store, [one.item_id for one in brought])}
        if brought:
            self._handle([ReceiptBrought(one.brought_id, items[one.item_id], one.receipt) for one in brought])

    def _handle(self, events: Sequence[Event]) -> None:
        """Handle events until the store has nothing more to answer: commit each round, then act."""
        waiting = list(events)
        while waiting:
            effects: list[Effect] = []
            for event in waiting:
                effects += self._engine.handle(event, self._clock.mono_s())
            records, actions = split(effects)
            lost = apply_records(self._store, records)
            waiting = [StateLost(item) for item in lost]
            for action in actions:
                waiting += self._act(action)

    def _act(self, action: Action) -> list[Event]:
        """Start an action; what the store itself can answer is answered at once."""
        match action:
            case NeedCandidates():
                offered = outbox.candidates(
                    self._store,
                    action.destination,
                    action.count,
                    action.skip_item_ids,
                    least_tried_first=action.least_tried_first,
                    classes=action.classes,
                    announces=action.announces,
                )
                return [CandidatesOffered(action.destination, offered, self._oldest(action))]
            case NeedSent():
                found = outbox.sent_after(self._store, action.destination, action.after_item_id, action.count)
                return [SentOffered(action.destination, found)]
            case NeedConfirmed():
                found = outbox.confirmed_in_another_epoch(
                    self._store, action.destination, action.epoch, action.after_item_id, action.count
                )
                return [ConfirmedOffered(action.destination, found)]
            case PrepareItems() | StartTransfer() | StartVerification():
                self._hands.start(action, self._files(action.items))
            case _:
                self._hands.start(action, {})
        return []

    def _oldest(self, action: NeedCandidates) -> OutboxItem | None:
        if not action.with_oldest:
            return None
        return outbox.oldest_routine(
            self._store, action.destination, action.skip_item_ids, classes=action.classes, announces=action.announces
        )

    def _files(self, items: Sequence[OutboxItem]) -> dict[int, SendItem]:
        found = instances.instances_of_items(self._store, [item.item_id for item in items])
        stat_ids = {item.item_id for item in items if item.priority is Priority.STAT}
        proved_ids = {item.item_id for item in items if item.state is ItemState.CONFIRMED}
        studies = known_studies(self._store, list({instance.study_instance_uid for instance in found.values()}))
        replaces = self._replaced(items)
        carried_ids = courier.carried_among(self._store, list(found))
        return {
            item_id: SendItem(
                item_id=item_id,
                sop_instance_uid=instance.sop_instance_uid,
                sop_class_uid=instance.sop_class_uid,
                study_instance_uid=instance.study_instance_uid,
                series_instance_uid=instance.series_instance_uid,
                transfer_syntax_uid=instance.transfer_syntax_uid,
                size_bytes=instance.size_bytes,
                sha256=instance.sha256,
                path=stored_path(self._config, instance),
                stat=item_id in stat_ids,
                study=studies[instance.study_instance_uid].header,
                study_received_at=studies[instance.study_instance_uid].first_received_at,
                study_instance_count=studies[instance.study_instance_uid].instance_count,
                proved=item_id in proved_ids,
                replaces=replaces.get(item_id, ()),
                carried=item_id in carried_ids,
            )
            for item_id, instance in found.items()
        }

    def _replaced(self, items: Sequence[OutboxItem]) -> dict[int, tuple[str, ...]]:
        """What each destination may hold of an item from before its correction; a gateway may have it from a stick."""
        revised = [item for item in items if item.revision_id]
        if not revised:
            return {}
        earlier = earlier_digests(self._store, [item.item_id for item in revised])
        may_hold = sent_before(self._store, list(earlier))
        may_hold |= {item.item_id for item in revised if item.destination in self._gateways}
        return {item_id: digests for item_id, digests in earlier.items() if item_id in may_hold}

    def _show(self) -> None:
        now = self._clock.mono_s()
        if now - self._live_mono_s >= LIVE_S:
            self._live_mono_s = now
            facts = {
                "in_flight": self._hands.in_flight(),
                "link_kind": self._engine.state.allowance.kind,
                "leave": leave_facts(self._engine.leaves(now)),
            }
            write_live(self._config.run_dir, "sync", facts, self._clock)


def _seed(config: UnitConfig, clock: Clock) -> int:
    """Another one at every start, so that units that came up together do not stay in step."""
    return zlib.crc32(f"{config.unit.name} {clock.boot_id()} {clock.mono_s()}".encode())
