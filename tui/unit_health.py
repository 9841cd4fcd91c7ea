"""The Unit page's way to a real unit: the checks of ``qafila doctor``, each asked by itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.picture import UnitReader
from appliance.store.devices import last_sent_at
from tui.services import UnitFacts
from tui.unit_reader import as_trouble

if TYPE_CHECKING:
    from appliance.health.check import Result


class UnitHealth:
    """Implements ``tui.services.Health``."""

    def __init__(self, config: UnitConfig, config_path: Path, clock: Clock) -> None:
        self._config = config
        self._config_path = config_path
        self._clock = clock

    def facts(self) -> UnitFacts:
        """As the protocol says."""
        with as_trouble(), UnitReader(self._config, self._clock) as reader:
            sent = last_sent_at(reader.unit_db)
        devices = tuple((one.ae_title, sent.get(one.ae_title, "")) for one in self._config.modality)
        try:
            release = version("qafila")
        except PackageNotFoundError:
            release = "-"
        return UnitFacts(self._config.unit.name, release, devices)

    def checks(self) -> tuple[str, ...]:
        """As the protocol says."""
        from appliance import health

        return health.CHECKS

    def look(self, check: str) -> tuple[Result, ...]:
        """As the protocol says."""
        from appliance import health
        from appliance.health.check import Subject

        with UnitReader(self._config, self._clock) as reader:
            return health.examine_one(check, Subject(self._config, self._config_path, self._clock, reader))
