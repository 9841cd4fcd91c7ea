"""Brings what people at the centre said into ``unit.db``, and what became of it back; four threads for each gateway.

The third tells how the unit is, the fourth what was asked for of studies and what checks found.

An answer is committed before the cursor moves, in one transaction, and what is owed to the centre is told until it
answers: either side may be killed at any moment. Nothing here holds up delivery, and nothing of delivery holds it up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from appliance.answers.taking import take_in
from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.values import LinkKind
from appliance.logging import log
from appliance.store import answers, notes
from appliance.store.connect import Store, data_version, open_unit
from appliance.store.errors import StoreError
from sync.adapters.base import Conversing
from sync.adapters.failures import Failed
from sync.noting import study_notes
from sync.standing import PERIOD_S, PERIODS_S, standing
from sync.wire.answers import ACKNOWLEDGEMENT_COUNT_MAX, Acknowledgement, Acknowledgements, AckState
from sync.wire.notes import NOTES_COUNT_MAX, NotesRequest

LOOK_S = 1.0
"""The database and the hint of the inbox are looked at this often; both cost microseconds."""
PAUSE_S_FIRST = 1.0
PAUSE_S_MAX = 60.0
"""Between two tries while the centre cannot be reached."""
NOT_UNDERSTOOD_PAUSE_S = 3600.0
NOTES_PAUSES_S = {LinkKind.SIM: 10.0, LinkKind.SATELLITE: 60.0}
"""Between two tellings of notes: those of a study under examination change with every image."""
_NOT_UNDERSTOOD = ("not-gateway", "http-4xx")


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How a kind of link is asked: ``wait_s`` in the request itself, then ``pause_s`` without one."""

    wait_s: float
    pause_s: float


LIVELY = Rhythm(25.0, 0.0)
RHYTHMS = {LinkKind.SIM: Rhythm(25.0, 30.0), LinkKind.SATELLITE: Rhythm(0.0, 300.0)}
"""A request and its answer are some 900 bytes: 3 MB a day without a pause, 1.4 MB on a SIM, 0.3 MB over a satellite.
Every answer to something else tells of a new entry too, and ends the pause."""


@dataclass(slots=True)
class _Noted:
    """How far notes are told to one life of the centre: nothing up to the number is untold."""

    epoch: str = ""
    change_number: int = 0


class Postman:
    """The way back of one gateway.

    Args:
        config: The unit's configuration.
        destination: The gateway.
        clock: Stamps what is kept.
        stop: Set to end all threads.
        link_kind: What the unit's link is at present.
    """

    def __init__(
        self,
        config: UnitConfig,
        destination: Conversing,
        clock: Clock,
        stop: threading.Event,
        link_kind: Callable[[], LinkKind],
    ) -> None:
        self._config = config
        self._destination = destination
        self._clock = clock
        self._stop = stop
        self._link_kind = link_kind
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"{name}-{destination.name}", daemon=True)
            for name, work in (
                ("answers", self._read),
                ("acknowledgements", self._tell),
                ("standing", self._report),
                ("notes", self._tell_notes),
            )
        ]
        self._noted = _Noted()

    def start(self) -> None:
        """Begin; nothing is asked before the unit is enrolled."""
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float) -> None:
        """After ``stop``: wait for what runs."""
        for thread in self._threads:
            thread.join(timeout_s)

    def _run(self, work: Callable[[Store, Callable[[], None]], None]) -> None:
        """Do ``work`` for ever; a failure of link or store is said once and costs a pause that grows."""
        pause_s, said = PAUSE_S_FIRST, ""

        def went_well() -> None:
            nonlocal pause_s, said
            pause_s, said = PAUSE_S_FIRST, ""

        while not self._stop.is_set():
            try:
                with open_unit(self._config.unit_db, clock=self._clock) as store:
                    while not self._stop.is_set():
                        work(store, went_well)
            except Failed as failed:
                why = failed.failure.code
            except StoreError as error:
                why = error.kind.value
            else:
                return
            if why != said and not self._stop.is_set():
                said = why
                log("sync.postman", "pauses", destination=self._destination.name, why=why)
            self._pause(pause_s)
            pause_s = min(pause_s * 2, PAUSE_S_MAX)

    def _read(self, store: Store, went_well: Callable[[], None]) -> None:
        """One reading of the inbox, kept before the cursor moves."""
        destination, rhythm = self._destination, RHYTHMS.get(self._link_kind(), LIVELY)
        unit_id, epoch = destination.unit_id(), destination.epoch
        after = answers.cursor(store, destination.name, unit_id, epoch)
        inbox = destination.read_answers(after, rhythm.wait_s, self._stop)
        if inbox.epoch != epoch and after:
            return  # numbers of another life: everything is read again, and kept once
        up_to = inbox.entries[-1].seq if inbox.entries else max(after, inbox.head)
        if up_to > after:
            new = take_in(
                store, store.stamp(), self._config, destination.name, unit_id, inbox.epoch, inbox.entries, up_to
            )
            if new:
                log("sync.postman", "answers kept", destination=destination.name, count=new)
        destination.note_answers_seen(up_to)
        went_well()
        if rhythm.pause_s and not inbox.entries:
            self._pause(rhythm.pause_s)

    def _pause(self, pause_s: float) -> None:
        """Until a moment has passed, or the centre said in another answer that something came."""
        head, began_mono_s = self._destination.inbox_head, self._clock.mono_s()
        while self._clock.mono_s() - began_mono_s < pause_s and self._destination.inbox_head <= head:
            if self._stop.wait(min(LOOK_S, pause_s)):
                return

    def _tell(self, store: Store, went_well: Callable[[], None]) -> None:
        """All that is owed, then wait until the database changes or the centre begins another epoch."""
        destination = self._destination
        unit_id, version = destination.unit_id(), data_version(store)
        epoch = destination.epoch
        while owed := answers.untold(store, destination.name, unit_id, epoch, ACKNOWLEDGEMENT_COUNT_MAX):
            told = Acknowledgements(
                items=tuple(
                    Acknowledgement(
                        answer_id=one.answer_id, state=AckState(one.state), at=one.at, by=one.by, outcome=one.outcome
                    )
                    for one in owed
                )
            )
            epoch = destination.acknowledge(told, self._stop).epoch
            answers.note_told(store, [one.acknowledgement_id for one in owed], epoch)
        went_well()
        while not self._stop.wait(LOOK_S):
            if data_version(store) != version or destination.epoch not in ("", epoch):
                return

    def _report(self, store: Store, went_well: Callable[[], None]) -> None:
        """How the unit is, then wait; a centre of an earlier release does not know the question, and is left alone."""
        kind = self._link_kind()
        pause_s = PERIODS_S.get(kind, PERIOD_S)
        try:
            self._destination.report(
                standing(self._config, store, self._clock, self._destination.name, kind), self._stop
            )
        except OSError as error:
            log("sync.postman", "no report", why=type(error).__name__)
        except Failed as failed:
            if failed.failure.code not in _NOT_UNDERSTOOD:
                raise
            pause_s = NOT_UNDERSTOOD_PAUSE_S
        went_well()
        self._stop.wait(pause_s)

    def _tell_notes(self, store: Store, went_well: Callable[[], None]) -> None:
        """Notes that changed, of studies that the centre knows of; without any, wait until there may be some."""
        destination, noted = self._destination, self._noted
        unit_id, version, epoch = destination.unit_id(), data_version(store), destination.epoch
        if epoch != noted.epoch:
            noted.epoch, noted.change_number = epoch, 0
        uids, noted.change_number = notes.untold(
            store, destination.name, unit_id, epoch, noted.change_number, NOTES_COUNT_MAX
        )
        if not uids or not epoch:
            went_well()
            while data_version(store) == version and destination.epoch == epoch and not self._stop.wait(LOOK_S):
                pass
            return
        facts = [notes.study_facts(store, uid) for uid in uids]
        said = [study_notes(one, self._clock.wall_s()) for one in facts]
        pause_s = NOTES_PAUSES_S.get(self._link_kind(), LOOK_S)
        try:
            epoch = destination.tell_notes(NotesRequest(items=tuple(said)), self._stop).epoch
        except Failed as failed:
            if failed.failure.code not in _NOT_UNDERSTOOD:
                raise
            log("sync.postman", "notes not understood", destination=destination.name, why=failed.failure.code)
            pause_s = NOT_UNDERSTOOD_PAUSE_S
        else:
            told = [(one, words.revision) for one, words in zip(facts, said, strict=True)]
            notes.note_told(store, destination.name, unit_id, epoch, told)
        went_well()
        self._stop.wait(pause_s)
