"""The three loops of intake: the ledger (the truth), Orthanc's change log (a hint), and the scrub.

They run in threads with handles of their own and do not wait for each other: Orthanc being down never stops intake.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.dicom.header import HeaderReader
from appliance.health.clock_doubt import ClockWatch
from appliance.live import read_live, write_live
from appliance.orthanc.background import Worker, keep_doing, start
from appliance.orthanc.notices import Notices
from appliance.orthanc.rest import OrthancRest
from appliance.orthanc.scrub import Scrub
from appliance.orthanc.settings import ACCESS_FILE
from appliance.orthanc.take_in import TakeIn, destination_names
from appliance.orthanc.watch import Watch
from appliance.store.connect import open_door, open_door_reader, open_unit
from appliance.store.door import unindexed_count
from appliance.store.intake import ensure_destinations, queue_lifted

POLL_S = 0.05
LIVE_S = 1.0
SCRUB_NICE = 15


@dataclass
class Facts:
    """What the other loops last said; plain values, each written by one thread."""

    orthanc_reachable: bool = False
    change_log_seq: int = 0


@dataclass
class LedgerLoop:
    """Ledger first, then what the door says of refusals; a live line each second."""

    config: UnitConfig
    headers: HeaderReader
    take_in: TakeIn
    notices: Notices
    clock_watch: ClockWatch
    facts: Facts
    clock: Clock
    _live_mono_s: float = field(init=False, default=float("-inf"))

    def step(self) -> float:
        """As ``Worker.step``."""
        if self.take_in.is_news():
            self._take_all()
            self._speak()
        elif self.clock.mono_s() - self._live_mono_s >= LIVE_S:
            self.clock_watch.look()
            queue_lifted(self.take_in.unit, self.take_in.unit.stamp(), destination_names(self.config))
            gatekeeper = read_live(self.config.run_dir, "gatekeeper", self.clock)
            if gatekeeper and gatekeeper.get("receiving_count"):
                self.headers.warm()
            self._speak()
        return POLL_S

    def _take_all(self) -> None:
        is_refusing = self.notices.mirror()
        taken_count = 0
        while count := self.take_in.take():
            taken_count += count
            self._speak()
        if taken_count and not is_refusing:
            self.notices.room_is_back()

    def _speak(self) -> None:
        self._live_mono_s = self.clock.mono_s()
        seq = self.take_in.cursor.seq
        write_live(
            self.config.run_dir,
            "intake",
            {
                "backlog_count": unindexed_count(self.take_in.door, seq),
                "kept_id": seq,
                "orthanc_reachable": self.facts.orthanc_reachable,
                "change_log_seq": self.facts.change_log_seq,
            },
            self.clock,
        )


@dataclass
class WatchLoop:
    """The change log, telling the ledger's loop how Orthanc is."""

    watch: Watch
    facts: Facts

    def step(self) -> float:
        """As ``Worker.step``."""
        wait_s = self.watch.step()
        self.facts.orthanc_reachable = self.watch.reachable
        self.facts.change_log_seq = self.watch.seq
        return wait_s


@contextmanager
def open_ledger_loop(config: UnitConfig, facts: Facts, clock: Clock) -> Iterator[Worker]:
    """The ledger's loop over fresh handles; a destination that was added is owed what is still here.

    Raises:
        StoreError: If a database cannot be opened.
    """
    with ExitStack() as stack:
        unit = stack.enter_context(open_unit(config.unit_db, clock=clock))
        door = stack.enter_context(open_door_reader(config.door_db, clock=clock))
        headers = stack.enter_context(HeaderReader())
        ensure_destinations(unit, unit.stamp(), destination_names(config))
        yield LedgerLoop(
            config,
            headers,
            TakeIn(config, unit, door, headers),
            Notices(config, unit, door, headers),
            ClockWatch(unit, door, clock),
            facts,
            clock,
        )


@contextmanager
def open_watch_loop(config: UnitConfig, facts: Facts, clock: Clock) -> Iterator[Worker]:
    """The change log's loop over fresh handles; errors as ``open_ledger_loop``."""
    with ExitStack() as stack:
        unit = stack.enter_context(open_unit(config.unit_db, clock=clock))
        door = stack.enter_context(open_door_reader(config.door_db, clock=clock))
        headers = stack.enter_context(HeaderReader())
        yield WatchLoop(Watch(config, unit, door, headers, OrthancRest(config.run_dir / ACCESS_FILE)), facts)


@contextmanager
def open_scrub(config: UnitConfig, clock: Clock) -> Iterator[Worker]:
    """The scrub over fresh handles; errors as ``open_ledger_loop``."""
    with ExitStack() as stack:
        unit = stack.enter_context(open_unit(config.unit_db, clock=clock))
        door = stack.enter_context(open_door(config.door_db, clock=clock))
        # Linux keeps a niceness for each thread: the scrub gives way to everything else of ours.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), SCRUB_NICE)
        yield Scrub(config, unit, door)


def run(config: UnitConfig, stop: threading.Event, clock: Clock) -> None:
    """All three loops until ``stop`` is set."""
    facts = Facts()
    others = [
        start("unit.intake.watch", lambda: open_watch_loop(config, facts, clock), stop),
        start("unit.intake.scrub", lambda: open_scrub(config, clock), stop),
    ]
    keep_doing("unit.intake", lambda: open_ledger_loop(config, facts, clock), stop)
    for thread in others:
        thread.join()
    (config.run_dir / "intake.live.json").unlink(missing_ok=True)
