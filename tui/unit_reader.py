"""The screen's reader over a real unit; every error of the store becomes a sentence for the person in front of it."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.sentences import database_trouble, database_unreadable
from appliance.domain.snapshot import Snapshot
from appliance.picture import UnitReader
from appliance.store.commands import StoreError, give_command, open_unit
from appliance.store.snapshot import read_journal, read_study
from tui.reader import ReadTrouble, StudyDetail

WRITE_WAIT_S = 5.0
"""A person waits for the answer to a key; after this they are told that another program is writing."""


class StoreReader:
    """Implements ``tui.reader.Reader``."""

    def __init__(self, config: UnitConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._polling = UnitReader(config, clock)

    def poll(self) -> Snapshot | None:
        """As the protocol says; keeps one connection open between calls."""
        with _as_trouble():
            return self._polling.poll()

    def study(self, study_instance_uid: str) -> StudyDetail | None:
        """As the protocol says; opens its own connection, for it runs in a thread of its own."""
        with _as_trouble(), UnitReader(self._config, self._clock) as reader:
            in_flight = reader.live_facts().in_flight_bytes_by_item
            found = read_study(reader.unit_db, study_instance_uid, in_flight)
            journal = read_journal(reader.unit_db, study_instance_uid)
        return StudyDetail(*found, tuple(reversed(journal))) if found else None

    def give(self, kind: str, study_instance_uid: str, reason: str) -> None:
        """As the protocol says."""
        with _as_trouble(), open_unit(self._config.unit_db, wait_s=WRITE_WAIT_S, clock=self._clock) as db:
            give_command(db, db.stamp(), kind, study_instance_uid, _actor(), reason)

    def close(self) -> None:
        """As the protocol says."""
        self._polling.close()


@contextmanager
def _as_trouble() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise ReadTrouble(f"{database_unreadable(error.kind)} {database_trouble(error.kind)}") from error


def _actor() -> str:
    try:
        return f"screen:{getpass.getuser()}"
    except (KeyError, OSError):
        return "screen"
