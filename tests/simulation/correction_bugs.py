"""Planted bugs about corrections; see ``tests.simulation.bugs``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from appliance.domain.values import ItemState
from sync.core import machine, revising
from sync.core.events import RevisionWanted
from sync.core.machine import ItemEvent
from sync.core.state import Turn
from tests.simulation.gateway import Gateway
from tests.simulation.model_store import ModelStore
from tests.simulation.planting import handler, nothing


@contextmanager
def what_comes_late_undoes_a_correction() -> Iterator[None]:
    def begin(self: Gateway, uid: str, sha256: str, now: float) -> None:
        self.rebuilding[uid] = (sha256, now)

    def settle(self: Gateway, now: float) -> None:
        for uid, kept in self.rebuilding.items():
            self.held[uid] = kept
            self.before.setdefault(uid, []).append(kept)
        self.rebuilding.clear()

    with patch.object(Gateway, "_begin_rebuilding", begin), patch.object(Gateway, "settle", settle):
        yield


@contextmanager
def what_is_confirmed_is_not_corrected() -> Iterator[None]:
    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: RevisionWanted) -> None:
        if event.item.state is not ItemState.CONFIRMED:
            original(turn, event)

    with handler(RevisionWanted, changed):
        yield


@contextmanager
def a_correction_leaves_it_confirmed() -> Iterator[None]:
    wrong = {**machine.TABLE, (ItemState.CONFIRMED, ItemEvent.REVISED): ItemState.CONFIRMED}
    with patch.object(machine, "TABLE", wrong):
        yield


@contextmanager
def content_changes_under_an_attempt() -> Iterator[None]:
    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: RevisionWanted) -> None:
        lane = turn.state.lanes[event.item.destination]
        batches, lane.batches = lane.batches, []
        original(turn, event)
        lane.batches = batches

    with handler(RevisionWanted, changed):
        yield


@contextmanager
def proofs_of_the_old_content_are_still_asked_for() -> Iterator[None]:
    with patch.object(revising, "_forget", nothing):
        yield


@contextmanager
def undo_takes_back_what_was_seen() -> Iterator[None]:
    with patch.object(ModelStore, "_may_be_seen", lambda *_: False):
        yield
