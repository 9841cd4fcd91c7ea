"""The screen's reader over a real unit; every error of the store becomes a sentence for the person in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.sentences import database_trouble, database_unreadable
from appliance.domain.snapshot import Snapshot
from appliance.domain.wording import joined
from appliance.picture import UnitReader
from appliance.store.commands import StoreError, give_command, open_unit
from appliance.store.snapshot import read_journal
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
        with as_trouble():
            return self._polling.poll()

    def study(self, study_instance_uid: str) -> StudyDetail | None:
        """As the protocol says; opens its own connection, for it runs in a thread of its own."""
        from appliance.store import matching, people, quality, rejections, revisions

        with as_trouble(), UnitReader(self._config, self._clock) as reader:
            found, db = reader.study(study_instance_uid), reader.unit_db
            if found is None:
                return None
            match = matching.find_match(db, study_instance_uid)
            return StudyDetail(
                *found,
                tuple(reversed(read_journal(db, study_instance_uid))),
                quality.findings_of_study(db, study_instance_uid),
                revisions.corrections_of(db, study_instance_uid),
                {one.sop_instance_uid: one.reason_code for one in rejections.rejected(db, study_instance_uid)},
                match.exception if match else "",
                {one.actor: one.name for one in people.list_people(db)},
            )

    def give(self, kind: str, study_instance_uid: str, reason: str, actor: str) -> None:
        """As the protocol says."""
        with as_trouble(), open_unit(self._config.unit_db, wait_s=WRITE_WAIT_S, clock=self._clock) as db:
            give_command(db, db.stamp(), kind, study_instance_uid, actor, reason)

    def close(self) -> None:
        """As the protocol says."""
        self._polling.close()


@contextmanager
def as_trouble() -> Iterator[None]:
    """Errors of the store as sentences for the person in front of it."""
    try:
        yield
    except StoreError as error:
        raise ReadTrouble(joined(" ", (database_unreadable(error.kind), database_trouble(error.kind)))) from error
