"""The way of the sign-in and of the page *People* to a real unit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.wording import told
from appliance.handed import SUPERVISOR
from appliance.store.commands import open_unit
from tui.reader import ReadTrouble
from tui.unit_reader import WRITE_WAIT_S, as_trouble

if TYPE_CHECKING:
    from appliance.store.connect import Store
    from appliance.store.people import Person, SignIn


class UnitPeople:
    """Implements ``tui.services.People``."""

    def __init__(self, config: UnitConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def everybody(self) -> tuple[Person, ...]:
        """As the protocol says; trouble while the supervisor of the first boot is not among them yet."""
        from appliance.store.connect import open_reader
        from appliance.store.people import list_people

        # Before the records, for it goes when it is in them; whoever may not look learns it from the records.
        is_awaited = os.access(self._config.handed_dir / SUPERVISOR, os.F_OK)
        with as_trouble(), open_reader(self._config.unit_db, clock=self._clock) as db:
            listed = list_people(db)
        if is_awaited and not listed:
            raise ReadTrouble(told("The first supervisor is being entered; nothing is shown until that is done."))
        return listed

    def sign_in(self, person_id: int, pin: str) -> SignIn:
        """As the protocol says."""
        from appliance.store.people import sign_in

        with as_trouble(), open_unit(self._config.unit_db, wait_s=WRITE_WAIT_S, clock=self._clock) as db:
            return sign_in(db, db.stamp(), person_id, pin)

    def add(self, name: str, role: str, pin: str, actor: str) -> Person:
        """As the protocol says."""
        from appliance.people import roster
        from appliance.store.people import Role

        with self._changing() as db:
            return roster.add(db, db.stamp(), name, Role(role), pin, actor)

    def change_pin(self, person: Person, pin: str, actor: str) -> None:
        """As the protocol says."""
        from appliance.people import roster

        with self._changing() as db:
            roster.change_pin(db, db.stamp(), person, pin, actor)

    def remove(self, person: Person, actor: str) -> None:
        """As the protocol says."""
        from appliance.people import roster

        with self._changing() as db:
            roster.remove(db, db.stamp(), person, actor)

    @contextmanager
    def _changing(self) -> Iterator[Store]:
        from appliance.people.roster import PeopleRefusedError

        with as_trouble(), open_unit(self._config.unit_db, wait_s=WRITE_WAIT_S, clock=self._clock) as db:
            try:
                yield db
            except PeopleRefusedError as refused:
                raise ReadTrouble(refused.sentence) from refused
