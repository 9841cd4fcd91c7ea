"""The world of one run: virtual clock, power, disk, people, paths and centres around the real engine.

Time jumps from one thing that happens to the next. What is in memory goes with the power; what is in ``store``,
``blobs`` and the centres stays. ``runner.py`` beside this is the part that plays ``sync/runner.py``.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import replace

from appliance.domain.limits import KIB, MIB, LimitSet
from appliance.domain.values import ItemState, LinkKind, LocalState, OutboxItem, Priority
from sync.core.engine import Engine
from sync.core.events import (
    ClockSeen,
    CommandGiven,
    DeadlineReached,
    Event,
    LinkChanged,
    LinkKindChanged,
    NetworkCameUp,
    RecheckWanted,
    Restarted,
    WorkArrived,
)
from sync.core.policy import Policy
from sync.core.retention import EvictionFacts, ProofFacts, RetentionPolicy, may_evict
from tests.simulation.centre import OTHER, Centre, Path, link_failure
from tests.simulation.checkers import Checkers, Violation
from tests.simulation.corrections import Corrections
from tests.simulation.gateway import Gateway
from tests.simulation.gateway_adapter import Append
from tests.simulation.model_store import ModelStore, Row
from tests.simulation.runner import RunnerModel
from tests.simulation.script import SCRIPT_S, Happening, Script
from tests.simulation.traffic import TrafficChecks, link_rule

LIMITS = LimitSet(
    transfer_item_count_max=4,
    transfer_bytes_max=4 * MIB,
    candidate_count_max=8,
    backoff_item_count_max=8,
    announce_item_count_max=6,
    aging_s=600.0,
    aging_turn_period=4,
    idle_probe_s=600.0,
)
"""Small, so that a run with a few dozen items meets every bound."""
HEALING_S_MAX = 3 * 3600.0
STEP_COUNT_MAX = 100_000
LOOK_STEP_COUNT = 16
"""Steps between two looks whether all is done; looking costs more than a step."""
RETENTION = RetentionPolicy(keep_s_min=600.0, backup_horizon_s=300.0, recheck_age_s_max=60.0)
BACKUP_AGE_S_MAX = RETENTION.backup_horizon_s
"""What the centre declared and keeps to."""
RATES = (1e6, 1e6, 50e3)
SIZES = (40 * KIB, 300 * KIB, MIB, 9 * MIB)


class World:
    """One run; ``run()`` raises ``Violation`` when a promise breaks."""

    def __init__(self, script: Script, limits: LimitSet = LIMITS, rate_bytes_per_s: float | None = None) -> None:
        self.script = script
        self.rng = random.Random(script.seed ^ 0x5EED)
        self.policy = Policy(
            limits=limits,
            jitter_seed=script.seed,
            announcing=frozenset(script.gateways),
            link_rules={rule.kind: link_rule(rule) for rule in script.rules},
        )
        self.now = 0.0
        self.store = ModelStore()
        self.blobs: dict[str, str] = {}
        self.flipped: set[str] = set()
        self.evicted: set[str] = set()
        self.unreadable: set[str] = set()
        self.owed_count = 0
        self.sent_at: dict[int, float] = {}
        self.waiting_since: dict[int, float] = {}
        self.centres = {
            name: Gateway(name, self.rng) if name in script.gateways else Centre(name, self.rng)
            for name in script.destinations
        }
        self.appends: dict[int, Append] = {}
        """Those on their way, of any gateway."""
        self.link_kind = LinkKind.UNKNOWN
        self.clogged_ever = False
        self.start_over_count = 0
        self.rate_bytes_per_s = rate_bytes_per_s or self.rng.choice(RATES)
        self.paths = {name: Path(rate_bytes_per_s=self.rate_bytes_per_s) for name in script.destinations}
        self.batching = self.rng.random() < 0.5
        self.rebuilding = self.rng.random() < 0.5
        self.powered = False
        self.boot = 0
        self.cut_armed = ""
        self.io_error_share = 0.0
        self.io_trouble_until = -1e9
        self.clock_step_s = 0.0
        self.clock_trusted = True
        self.healed = False
        self.study_count = 0
        self.command_id_last = 0
        self.engine = Engine(self.policy)
        self.runner = RunnerModel(self)
        self.check = Checkers(self)
        self.traffic = TrafficChecks(self)
        self.corrections = Corrections(self)
        self.step_count = 0
        self._heap: list[tuple[float, int, int, Callable[[], None]]] = []
        self._order = 0

    # time

    def later(self, delay_s: float, action: Callable[[], None], survives_cut: bool = False) -> None:
        """Let something happen; what belongs to the unit's memory does not outlive its boot."""
        self._order += 1
        heapq.heappush(self._heap, (self.now + delay_s, self._order, -1 if survives_cut else self.boot, action))

    def wall_s(self) -> float:
        return 1.7e9 + self.now + self.clock_step_s

    def run(self) -> None:
        """Live through the script, heal, and see everything delivered."""
        for happening in self.script.happenings:
            self.later(happening.at_s, lambda h=happening: self.happen(h), survives_cut=True)  # type: ignore[misc]  # mypy cannot infer a lambda with a default
        self.later(SCRIPT_S, self.heal, survives_cut=True)
        for after_s in (900.0, 3600.0, 5400.0):
            self.later(SCRIPT_S + after_s, self.people_tidy_up, survives_cut=True)
        self.boot_up()
        deadline_s = SCRIPT_S + HEALING_S_MAX
        while self.now < deadline_s and not (self.healed and self.is_done()):
            for _ in range(LOOK_STEP_COUNT):
                self.step()
        self.check.nothing_lost()
        self.check.all_delivered()

    def step(self) -> None:
        """Jump to whatever comes next."""
        self.step_count += 1
        if self.step_count > STEP_COUNT_MAX:
            raise Violation("hot-loop", f"{self.step_count} steps and still not done")
        alarm_s = self.engine.next_deadline() if self.runner.idle else None
        top_s = self._heap[0][0] if self._heap else float("inf")
        if alarm_s is not None and alarm_s < top_s:
            if alarm_s > self.now:
                self.now = alarm_s
            self.runner.feed(DeadlineReached())
        elif self._heap:
            self.now, _, boot, action = heapq.heappop(self._heap)
            if boot in (-1, self.boot):
                action()
        else:
            self.now = float("inf")  # nothing will ever happen again

    # the unit's power

    def boot_up(self) -> None:
        """Power comes, or the process is started again."""
        self.boot += 1
        self.powered = True
        self.new_life()
        self.runner.recover()

    def new_life(self) -> None:
        """A new engine that knows nothing yet, and a runner whose forerunner is not heard any more."""
        self.engine = Engine(replace(self.policy, jitter_seed=self.policy.jitter_seed + self.boot))
        self.runner = RunnerModel(self)
        self.traffic.new_life()

    def start_over(self) -> None:
        """The runner throws its engine away, because a commit failed, and begins anew after a pause."""
        self.start_over_count += 1
        self.new_life()
        self.later(self.rng.choice((0.5, 2.0, 30.0)), self.runner.recover)

    def restarted_event(self) -> Restarted:
        """What the store says at a start."""
        for row in self.store.rows.values():
            row.notified_mono_s = self.now
        epochs = tuple(self.store.epochs.items())
        return Restarted(self.store.under_way(), self.script.destinations, self.store.transfer_id_last, epochs)

    def clock_event(self) -> ClockSeen:
        """What the unit's clock says, and what stands in its store of this day."""
        wall_s = self.wall_s()
        day = str(int(wall_s // 86_400))
        used = tuple((kind, count) for (booked, kind), count in self.store.usage.items() if booked == day)
        return ClockSeen(wall_s, day, wall_s % 86_400.0, self.clock_trusted, used)

    def cut(self) -> None:
        """The power goes at this very moment."""
        self.cut_armed = ""
        self.powered = False
        self.boot += 1  # whatever was scheduled in memory is void
        self.runner = RunnerModel(self)
        for append in self.appends.values():
            self.traffic.was_cut(append.gateway.name)
            self.traffic.bytes_moved(append.action, append.item, append.cut_short(self.now))
        self.appends.clear()
        self.later(self.rng.choice((0.5, 5.0, 60.0)), self.boot_up, survives_cut=True)
        self.check.nothing_lost()

    def io_fails(self) -> bool:
        if self.io_error_share and self.rng.random() < self.io_error_share:
            self.io_trouble_until = self.now + 400.0  # the runner may back off that long
            return True
        return False

    def io_troubled_recently(self) -> bool:
        return self.now < self.io_trouble_until

    # what happens

    def happen(self, happening: Happening) -> None:
        """Carry out one line of the script."""
        getattr(self, "_on_" + happening.kind.replace("-", "_"))(happening)

    def _until(self, happening: Happening, undo: Callable[[], None]) -> None:
        self.later(max(0.0, happening.until_s - self.now), undo, survives_cut=True)

    def _on_arrive(self, happening: Happening) -> None:
        priority = Priority.STAT if happening.name == "stat" else Priority.ROUTINE
        self.study_count += 1
        study = f"1.2.{self.study_count}"
        if not self.powered:  # nothing is acknowledged without power; the modality sends again
            self.later(30.0, lambda: self._on_arrive(happening), survives_cut=True)
            return
        for number in range(int(happening.number)):
            uid = f"{study}.{number}"
            sha256 = f"{self.study_count:032x}{number:032x}"
            self.blobs[uid] = sha256
            size_bytes = self.rng.choice(SIZES)
            for destination in self.script.destinations:
                self.owed_count += 1
                item = OutboxItem(
                    item_id=self.owed_count,
                    destination=destination,
                    state=ItemState.PENDING,
                    sop_instance_uid=uid,
                    study_instance_uid=study,
                    priority=priority,
                    size_bytes=size_bytes,
                    sha256=sha256,
                    queued_at_s=self.wall_s(),
                )
                self.store.add(item)
        self.later(self.rng.choice((0.0, 0.3)), lambda: self.runner.feed(WorkArrived()))
        if self.rng.random() < 0.2:  # the modality sends it twice: kept once, but the feed stirs
            self.later(self.rng.uniform(0.0, 60.0), lambda: self.runner.feed(WorkArrived()))

    def _on_down(self, happening: Happening) -> None:
        path = self.paths[happening.destination]
        path.set_up(False)
        if self.rng.random() < 0.5:
            self.runner.feed(LinkChanged(happening.destination, False, link_failure("carrier")))
        self._until(happening, lambda: self._link_returns(happening.destination))

    def _link_returns(self, destination: str) -> None:
        self.paths[destination].set_up(True)
        if self.rng.random() < 0.5:
            self.runner.feed(LinkChanged(destination, True))

    def _on_slow(self, happening: Happening) -> None:
        path = self.paths[happening.destination]
        path.rate_bytes_per_s, path.rtt_s = 20_000.0, 3.0
        self._until(happening, lambda: self._full_speed(path))

    def _full_speed(self, path: Path) -> None:
        path.rate_bytes_per_s, path.rtt_s, path.clogged = max(1e6, self.rate_bytes_per_s), 0.05, False

    def _on_clog(self, happening: Happening) -> None:
        path = self.paths[happening.destination]
        path.clogged = self.clogged_ever = True
        self._until(happening, lambda: self._full_speed(path))

    def _on_flap(self, happening: Happening) -> None:
        path = self.paths[happening.destination]
        if self.now >= happening.until_s:
            path.set_up(True)
            return
        if path.up:
            path.set_up(False)
        else:
            self._link_returns(happening.destination)
        self.later(happening.number, lambda: self._on_flap(happening), survives_cut=True)

    def _on_kind(self, happening: Happening) -> None:
        """The unit drives out of the hospital's Wi-Fi, or the dish is unfolded."""
        self.link_kind = LinkKind(happening.name)
        self.runner.feed(LinkKindChanged(self.link_kind))
        self.runner.feed(NetworkCameUp())

    def _on_stat_stream(self, happening: Happening) -> None:
        if self.now < happening.until_s:
            self._on_arrive(Happening(self.now, "arrive", name="stat", number=1))
            self.later(happening.number, lambda: self._on_stat_stream(happening), survives_cut=True)

    def _on_mood(self, happening: Happening) -> None:
        moods = self.centres[happening.destination].moods
        moods[happening.name] = happening.number

        def over() -> None:
            moods.pop(happening.name, None)

        self._until(happening, over)

    def _on_poison(self, happening: Happening) -> None:
        if self.blobs:
            uid = list(self.blobs)[int(happening.number * len(self.blobs))]
            self.centres[happening.destination].poisons[uid] = happening.name

    def _on_centre_crash(self, happening: Happening) -> None:
        self.centres[happening.destination].crash()

    def _on_centre_restore(self, happening: Happening) -> None:
        age_s = happening.number * BACKUP_AGE_S_MAX
        self.centres[happening.destination].restore(self.now, age_s)

    def _on_cut(self, happening: Happening) -> None:
        if happening.name != "now":
            self.cut_armed = happening.name
        elif self.powered:
            self.cut()

    def _on_io_error(self, happening: Happening) -> None:
        self.io_error_share = happening.number

        def over() -> None:
            self.io_error_share = 0.0

        self._until(happening, over)

    def _on_flip(self, happening: Happening) -> None:
        present = [uid for uid in self.blobs if uid not in self.evicted]
        if present:
            uid = present[int(happening.number * len(present))]
            self.blobs[uid] = OTHER
            self.flipped.add(uid)

    def _on_read_error(self, happening: Happening) -> None:
        if self.blobs:
            uid = list(self.blobs)[int(happening.number * len(self.blobs))]
            self.unreadable.add(uid)
            self.later(200.0, lambda: self.unreadable.discard(uid), survives_cut=True)

    def _on_clock(self, happening: Happening) -> None:
        self.clock_step_s += happening.number
        self.clock_trusted = False

        def right_again() -> None:
            self.clock_step_s, self.clock_trusted = 0.0, True

        self.later(900.0, right_again, survives_cut=True)

    def _on_correct(self, happening: Happening) -> None:
        self.corrections.correct(happening)

    def _on_undo(self, happening: Happening) -> None:
        self.corrections.undo(happening)

    def _on_command(self, happening: Happening) -> None:
        if not self.study_count:
            return
        study = f"1.2.{1 + int(happening.number * self.study_count)}"
        self.give_command(happening.name, study)

    def give_command(self, kind: str, study: str) -> None:
        """A person writes a command row; the runner finds it, now or after its next start."""
        self.command_id_last += 1
        self.store.open_commands[self.command_id_last] = (kind, study)
        self.runner.look_for_commands()

    def command_event(self, command_id: int) -> Event | None:
        """The open command with its items as the store has them now."""
        if command_id not in self.store.open_commands:
            return None
        kind, study = self.store.open_commands[command_id]
        return CommandGiven(command_id, kind, self.store.of_study(study), "nurse")

    # eviction

    def _on_evict(self, happening: Happening) -> None:
        """What the runner's housekeeping does: remove what may go, have the rest looked at again."""
        if not self.powered:
            return
        wanted: dict[str, list[OutboxItem]] = {}
        for uid in list(self.blobs):
            rows = [row for row in self.store.rows.values() if row.item.sop_instance_uid == uid]
            if may_evict(self.eviction_facts(uid, rows), RETENTION).allowed:
                self.check.evicted(uid)
                self.evicted.add(uid)
                del self.blobs[uid]
                self.corrections.evicted(uid)
            else:
                for row in (row for row in rows if row.item.state is ItemState.CONFIRMED):
                    wanted.setdefault(row.item.destination, []).append(row.item)
        for destination, items in wanted.items():
            self.rng.shuffle(items)
            self.runner.feed(RecheckWanted(destination, tuple(items)))
        if happening.name != "again" and wanted:
            self.later(20.0, lambda: self._on_evict(replace(happening, name="again")))

    def eviction_facts(self, uid: str, rows: list[Row]) -> EvictionFacts:
        """As ``ProofFacts`` asks: an age counts only between two moments at which the clock was trusted."""
        return EvictionFacts(
            sha256=self.store.wanted_sha256(rows[0]),
            local_state=LocalState.CORRUPT if any(row.damaged for row in rows) else LocalState.PRESENT,
            kept_age_s=self.wall_s() - min(row.item.queued_at_s for row in rows),
            clock_trusted=self.clock_trusted,
            proofs=tuple(
                ProofFacts(
                    destination=row.item.destination,
                    state=row.item.state,
                    receipt_sha256=row.receipt.sha256 if row.receipt else "",
                    receipt_age_s=self.wall_s() - row.receipt_at_s if row.receipt_clock_trusted else None,
                    recheck_age_s=None if row.rechecked_at_s is None else self.wall_s() - row.rechecked_at_s,
                    epoch_at_receipt=row.receipt_epoch,
                    epoch_now=self.store.epochs.get(row.item.destination, ""),
                )
                for row in rows
            ),
        )

    # healing

    def heal(self) -> None:
        """All trouble ends: power, links, disk and centres are well."""
        self.healed = True
        self.io_error_share, self.cut_armed = 0.0, ""
        self.link_kind = LinkKind.WIRED
        self.runner.feed(LinkKindChanged(self.link_kind))
        self.unreadable.clear()
        digests = {row.item.sop_instance_uid: self.store.wanted_sha256(row) for row in self.store.rows.values()}
        for name, centre in self.centres.items():
            centre.heal(digests, self.now)
            self.paths[name].set_up(True)
            self._full_speed(self.paths[name])
        self.people_tidy_up()

    def people_tidy_up(self) -> None:
        """The operator releases what is held and has tried again what was set aside for a reason that is gone."""
        for study in range(1, self.study_count + 1):
            items = self.store.of_study(f"1.2.{study}")
            if any(item.state is ItemState.HELD for item in items):
                self.give_command("release", f"1.2.{study}")
            if any(
                item.state is ItemState.REJECTED and not self.is_settled(self.store.rows[item.item_id])
                for item in items
            ):
                self.give_command("retry", f"1.2.{study}")

    def is_settled(self, row: Row) -> bool:
        """Delivered, or set aside for good because the bytes here are damaged."""
        if row.item.state is ItemState.CONFIRMED:
            return True
        is_damaged = row.damaged and row.item.sop_instance_uid in self.flipped and not row.wanted_revision_id
        return row.item.state is ItemState.REJECTED and is_damaged

    def is_done(self) -> bool:
        """Nothing is left to do."""
        return (
            not self.store.open_commands
            and not self.store.unrevised()
            and all(self.is_settled(row) and not self.is_stale(row) for row in self.store.rows.values())
        )

    def is_stale(self, row: Row) -> bool:
        """Confirmed by an earlier life of a gateway, which has to say it again as long as the file is here."""
        centre = self.centres[row.item.destination]
        return (
            isinstance(centre, Gateway)
            and row.item.state is ItemState.CONFIRMED
            and row.receipt_epoch != centre.epoch
            and row.item.sop_instance_uid not in self.evicted
            and not row.damaged
        )


def simulate(script: Script) -> World:
    """Run it to the end.

    Raises:
        Violation: When a promise broke; anything else the core raises counts as one too.
    """
    world = World(script)
    try:
        world.run()
    except Violation:
        raise
    except Exception as error:
        raise Violation("raised", f"{type(error).__name__}: {error}") from error
    return world
