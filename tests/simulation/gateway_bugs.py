"""Planted bugs about gateways: previews, epochs, link rules, ageing; see ``tests.simulation.bugs``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from appliance.domain.values import OutboxItem, Receipt, TrafficClass
from sync.core import delivery, engine, link, outcome, proving, schedule, verify
from sync.core.allowance import Allowance, Hours
from sync.core.effects import NoteUsage, Step
from sync.core.events import (
    EpochSeen,
    ItemAccepted,
    ItemAnnounced,
)
from sync.core.machine import ItemEvent
from sync.core.state import Batch, Lane, Turn
from tests.simulation import gateway_adapter
from tests.simulation.model_store import ModelStore
from tests.simulation.planting import handler, nothing


@contextmanager
def announced_counts_as_accepted() -> Iterator[None]:
    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: ItemAnnounced) -> None:
        for lane in turn.state.lanes.values():
            for batch in lane.batches:
                if batch.transfer_id == event.transfer_id:
                    batch.step = Step.FULL
        engine._HANDLERS[ItemAccepted](turn, ItemAccepted(event.transfer_id, event.item_id))

    with handler(ItemAnnounced, changed):
        yield


@contextmanager
def epochs_are_not_heard() -> Iterator[None]:
    with handler(EpochSeen, nothing):
        yield


@contextmanager
def another_epoch_is_remembered_and_nothing_is_asked_again() -> Iterator[None]:
    with patch.object(proving, "_ask_for_stale", lambda _, lane: setattr(lane.proof, "stale_maybe", False)):
        yield


@contextmanager
def a_proof_of_any_epoch_counts() -> Iterator[None]:
    def changed(item: OutboxItem, receipt: Receipt, epoch: str = "") -> Any:
        return verify.receipt_fault(item, receipt)

    with patch.object(proving, "receipt_fault", changed):
        yield


@contextmanager
def store_forgets_of_which_epoch_a_receipt_is() -> Iterator[None]:
    def changed(self: ModelStore, destination: str, *_: Any) -> tuple[OutboxItem, ...]:
        return ()

    with patch.object(ModelStore, "confirmed_in_another_epoch", changed):
        yield


@contextmanager
def idle_gateways_are_not_asked_for_their_epoch() -> Iterator[None]:
    with patch("sync.core.state.Link", lambda destination, _: link.Link(destination)):
        yield


@contextmanager
def announced_stays_after_a_restore() -> Iterator[None]:
    def changed(self: ModelStore, destination: str, epoch: str) -> None:
        self.epochs[destination] = epoch

    with patch.object(ModelStore, "_note_epoch", changed):
        yield


@contextmanager
def absent_items_stay_announced() -> Iterator[None]:
    original = Turn.move

    def changed(self: Turn, item: OutboxItem, event: ItemEvent, *rest: Any, **named: Any) -> OutboxItem:
        if event is ItemEvent.ABSENT:
            named["announced"] = None
        return original(self, item, event, *rest, **named)

    with patch.object(Turn, "move", changed):
        yield


@contextmanager
def a_preview_that_cannot_be_made_blocks_its_item() -> Iterator[None]:
    with patch.object(outcome, "_announcing_given_up", nothing):
        yield


@contextmanager
def previews_wait_in_line() -> Iterator[None]:
    may_begin = delivery._may_begin

    def changed(turn: Turn, lane: Lane, item: OutboxItem) -> bool:
        return may_begin(turn, lane, item) and (item.announced or not lane.batches)

    with patch.object(delivery, "_may_begin", changed):
        yield


@contextmanager
def whole_images_go_before_previews() -> Iterator[None]:
    upside_down = {**schedule.RANK, TrafficClass.FULL: 2, TrafficClass.PREVIEW: 3}
    with patch.object(schedule, "RANK", upside_down):
        yield


@contextmanager
def budgets_are_ignored() -> Iterator[None]:
    with patch.object(Allowance, "spend", nothing):
        yield


@contextmanager
def used_bytes_are_not_kept() -> Iterator[None]:
    original = ModelStore.apply

    def changed(self: ModelStore, records: Sequence[Any], *rest: Any) -> list[OutboxItem]:
        return original(self, [record for record in records if not isinstance(record, NoteUsage)], *rest)

    with patch.object(ModelStore, "apply", changed):
        yield


@contextmanager
def hours_are_ignored() -> Iterator[None]:
    with patch.object(Hours, "hold", lambda *_: True):
        yield


@contextmanager
def hours_end_only_for_what_has_not_begun() -> Iterator[None]:
    original = Batch.ask_to_yield

    def changed(self: Batch) -> Any:
        return None if self.transfer_id is not None and not self.stat else original(self)

    with patch.object(Batch, "ask_to_yield", changed):
        yield


@contextmanager
def the_oldest_never_has_its_turn() -> Iterator[None]:
    with patch.object(delivery, "_overtakes", lambda *_: False):
        yield


@contextmanager
def it_is_always_the_turn_of_the_oldest() -> Iterator[None]:
    with patch.object(delivery, "_is_turn_of_oldest", lambda *_: True):
        yield


@contextmanager
def gateway_keeps_nothing_of_a_cut_append() -> Iterator[None]:
    def cut_short(self: gateway_adapter.Append, now: float) -> int:
        return int(max(0.0, now - self.started_s - self.path.rtt_s) * self.path.rate_bytes_per_s)

    with patch.object(gateway_adapter.Append, "cut_short", cut_short):
        yield
