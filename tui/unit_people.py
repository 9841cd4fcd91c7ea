"""The sign-in's way to a real unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.store.commands import open_unit
from tui.unit_reader import WRITE_WAIT_S, as_trouble

if TYPE_CHECKING:
    from appliance.store.people import Person, SignIn


class UnitPeople:
    """Implements ``tui.services.People``."""

    def __init__(self, config: UnitConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def everybody(self) -> tuple[Person, ...]:
        """As the protocol says."""
        from appliance.store.connect import open_reader
        from appliance.store.people import list_people

        with as_trouble(), open_reader(self._config.unit_db, clock=self._clock) as db:
            return list_people(db)

    def sign_in(self, person_id: int, pin: str) -> SignIn:
        """As the protocol says."""
        from appliance.store.people import sign_in

        with as_trouble(), open_unit(self._config.unit_db, wait_s=WRITE_WAIT_S, clock=self._clock) as db:
            return sign_in(db, db.stamp(), person_id, pin)
