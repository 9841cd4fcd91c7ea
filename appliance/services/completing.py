"""Looks which studies have become complete; a step of the quality process, so that it goes on while services rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.domain.completion import CompletionRules, completion_of
from appliance.logging import log
from appliance.orthanc.background import Worker
from appliance.store.completion import mark_complete, open_studies, study_facts
from appliance.store.connect import Store, open_unit

POLL_S = 1.0
ACTOR = "completion"


class Completing:
    """A ``Worker``; open studies are few, so all of them are looked at each time."""

    def __init__(self, unit: Store, rules: CompletionRules) -> None:
        self._unit = unit
        self._rules = rules

    def step(self) -> float:
        """As ``Worker.step``."""
        for study_instance_uid in open_studies(self._unit):
            now = self._unit.stamp()
            why = completion_of(study_facts(self._unit, study_instance_uid, now), self._rules)
            if why is not None:
                mark_complete(self._unit, now, study_instance_uid, why, actor=ACTOR)
                log("unit.completion", "complete", study=study_instance_uid, why=why)
        return POLL_S


@contextmanager
def open_completing(config: UnitConfig, clock: Clock) -> Iterator[Worker]:
    """The step over a fresh handle.

    Raises:
        StoreError: If the database cannot be opened.
    """
    table = config.completion
    rules = CompletionRules(table.quiet_s, table.quiet_s_by_modality, table.step_quiet_s)
    with open_unit(config.unit_db, clock=clock) as unit:
        yield Completing(unit, rules)
