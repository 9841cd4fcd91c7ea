"""Tells the engine of corrections until it has moved every duty on, and gives room back that revisions took.

A row of ``revision`` is the standing order, so nothing is remembered here: what is not moved on yet is found again at
every look, whatever died meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from appliance.clock import Clock
from appliance.config import UnitConfig
from appliance.logging import log
from appliance.orthanc.blobs import PARTIAL_SUFFIX
from appliance.store.connect import Store, write
from appliance.store.revisions import blobs_of_revisions, unrevised
from appliance.stored import revision_dir
from sync.core.events import RevisionWanted

LOOK_S = 1.0
COUNT = 64
"""Told at a time; the engine waits meanwhile."""
SWEEP_S = 600.0
STRAY_S_MIN = 86_400.0
"""A file without a row is being made, or its maker died; after a day it is the latter."""


class Revising:
    """One for each open store."""

    def __init__(self, config: UnitConfig, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._folder = revision_dir(config)
        self._look_mono_s = self._sweep_mono_s = float("-inf")

    def turn(self) -> list[RevisionWanted]:
        """What to tell the engine now; at most one look a second. Raises ``StoreError`` as the store does."""
        now = self._clock.mono_s()
        if now >= self._sweep_mono_s:
            self._sweep_mono_s = now + SWEEP_S
            self._sweep()
        if now < self._look_mono_s:
            return []
        self._look_mono_s = now + LOOK_S
        found = unrevised(self._store, COUNT)
        return [RevisionWanted(one.item, one.revision_id, one.actor or "sync") for one in found]

    def _sweep(self) -> None:
        """Remove revisions of instances whose pixels left this unit, and what no action ever vouched for."""
        files = list(_files(self._folder))
        if not files:
            return
        with write(self._store):  # an action that puts its file and its row in place waits for us, and we for it
            rows = blobs_of_revisions(self._store)
            for path in files:
                is_wanted = rows.get(path.name)
                if is_wanted is False or (is_wanted is None and self._age_s(path) >= STRAY_S_MIN):
                    path.unlink(missing_ok=True)
                    log("sync.revising", "file removed", blob=path.name.removesuffix(PARTIAL_SUFFIX))

    def _age_s(self, path: Path) -> float:
        try:
            return self._clock.wall_s() - path.stat().st_mtime
        except OSError:
            return 0.0


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for fan in folder.iterdir():
            yield from fan.iterdir() if fan.is_dir() else ()
