"""The Reports page's way to a real unit: the functions of ``qafila reports`` and ``qafila report --seen``."""

from __future__ import annotations

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.answers import UnitAnswer
from appliance.store.commands import open_unit
from tui.unit_reader import WRITE_WAIT_S, as_trouble

ANSWER_COUNT_MAX = 200


class UnitInbox:
    """Implements ``tui.services.Inbox``."""

    def __init__(self, config: UnitConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def answers(self) -> tuple[UnitAnswer, ...]:
        """As the protocol says."""
        from appliance.store.answers import list_answers
        from appliance.store.connect import open_reader

        with as_trouble(), open_reader(self._config.unit_db, clock=self._clock) as db:
            return list_answers(db, limit=ANSWER_COUNT_MAX)

    def acknowledge(self, answer_id: str, by: str) -> bool:
        """As the protocol says."""
        from appliance.store.answers import acknowledge

        with as_trouble(), open_unit(self._config.unit_db, wait_s=WRITE_WAIT_S, clock=self._clock) as db:
            return acknowledge(db, db.stamp(), answer_id, by)
