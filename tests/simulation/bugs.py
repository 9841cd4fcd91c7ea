"""Planted bugs: small changes of the core or of the model around it that the simulation must notice.

Each is a context manager. ``PAIRS`` names layers that mask each other: one alone may go unnoticed because the other
still protects, both together must not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from appliance.domain.values import Evidence, ItemState, OutboxItem, Receipt
from sync.core import delivery, engine, link, machine, outcome, proving, schedule
from sync.core.effects import CancelTransfer, KeepReceipt, MoveItem
from sync.core.events import (
    CommandGiven,
    ItemAccepted,
    ItemUnverified,
    LinkChanged,
    PrepareFailed,
    Restarted,
    StateLost,
)
from sync.core.machine import ItemEvent
from sync.core.retention import may_evict
from sync.core.retry import BackoffList
from sync.core.state import Turn
from tests.simulation import model_store, runner, world
from tests.simulation.centre import transient
from tests.simulation.correction_bugs import (
    a_correction_leaves_it_confirmed,
    content_changes_under_an_attempt,
    proofs_of_the_old_content_are_still_asked_for,
    undo_takes_back_what_was_seen,
    what_comes_late_undoes_a_correction,
    what_is_confirmed_is_not_corrected,
)
from tests.simulation.gateway_bugs import (
    a_preview_that_cannot_be_made_blocks_its_item,
    a_proof_of_any_epoch_counts,
    absent_items_stay_announced,
    announced_counts_as_accepted,
    announced_stays_after_a_restore,
    another_epoch_is_remembered_and_nothing_is_asked_again,
    budgets_are_ignored,
    epochs_are_not_heard,
    gateway_keeps_nothing_of_a_cut_append,
    hours_are_ignored,
    hours_end_only_for_what_has_not_begun,
    idle_gateways_are_not_asked_for_their_epoch,
    it_is_always_the_turn_of_the_oldest,
    previews_wait_in_line,
    store_forgets_of_which_epoch_a_receipt_is,
    the_oldest_never_has_its_turn,
    used_bytes_are_not_kept,
    whole_images_go_before_previews,
)
from tests.simulation.model_store import ModelStore
from tests.simulation.planting import handler, nothing
from tests.simulation.runner import RunnerModel


@contextmanager
def accepted_counts_as_confirmed() -> Iterator[None]:
    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: ItemAccepted) -> None:
        original(turn, event)
        for effect in list(turn.effects):
            if isinstance(effect, MoveItem) and effect.to_state is ItemState.SENT:
                lane = next(lane for lane in turn.state.lanes.values() if any(b.accepted for b in lane.batches))
                item = lane.batches[0].accepted.pop()
                receipt = Receipt(item.destination, item.sop_instance_uid, item.sha256, Evidence("wado", item.sha256))
                turn.move(item, ItemEvent.VERIFIED)
                turn.emit(KeepReceipt(item.item_id, receipt))

    with handler(ItemAccepted, changed):
        yield


@contextmanager
def any_receipt_counts() -> Iterator[None]:
    with patch.object(proving, "receipt_fault", nothing):
        yield


@contextmanager
def store_takes_any_receipt() -> Iterator[None]:
    with patch.object(ModelStore, "_receipt_fits", lambda *_: True):
        yield


@contextmanager
def bytes_are_not_checked() -> Iterator[None]:
    with patch.object(runner, "bytes_are_good", lambda *_: True):
        yield


@contextmanager
def refused_items_are_dropped() -> Iterator[None]:
    original = Turn.move

    def changed(self: Turn, item: OutboxItem, event: ItemEvent, *rest: Any, **named: Any) -> OutboxItem:
        if event is ItemEvent.REFUSED:
            return item
        return original(self, item, event, *rest, **named)

    with patch.object(Turn, "move", changed):
        yield


@contextmanager
def sent_items_are_evicted() -> Iterator[None]:
    def changed(facts: Any, policy: Any) -> Any:
        if all(proof.state in (ItemState.SENT, ItemState.CONFIRMED) for proof in facts.proofs):
            return replace(may_evict(facts, policy), reasons=())
        return may_evict(facts, policy)

    with patch.object(world, "may_evict", changed):
        yield


@contextmanager
def evicted_without_a_second_look() -> Iterator[None]:
    def changed(facts: Any, policy: Any) -> Any:
        seen = tuple(replace(proof, recheck_age_s=0.0) for proof in facts.proofs)
        return may_evict(replace(facts, proofs=seen), policy)

    with patch.object(world, "may_evict", changed):
        yield


@contextmanager
def backup_horizon_is_ignored() -> Iterator[None]:
    hasty = replace(world.RETENTION, keep_s_min=0.0, backup_horizon_s=0.0)
    with patch.object(world, "RETENTION", hasty), patch.object(world, "BACKUP_AGE_S_MAX", 3000.0):
        yield


@contextmanager
def acts_before_the_commit() -> Iterator[None]:
    original = RunnerModel._commit

    def changed(self: RunnerModel, records: Sequence[Any], actions: Sequence[Any]) -> None:
        for action in actions:
            self._act(action)
        original(self, records, ())

    with patch.object(RunnerModel, "_commit", changed):
        yield


@contextmanager
def failed_items_do_not_wait() -> Iterator[None]:
    with patch.object(Turn, "put_off", nothing):
        yield


@contextmanager
def destinations_never_rest() -> Iterator[None]:
    with patch.object(outcome, "_set_pace", nothing):
        yield


@contextmanager
def probes_do_not_back_off() -> Iterator[None]:
    with patch.object(link, "backoff_s", lambda *_: 0.001):
        yield


@contextmanager
def lost_states_are_ignored() -> Iterator[None]:
    with handler(StateLost, nothing):
        yield


@contextmanager
def restart_leaves_items_half_way() -> Iterator[None]:
    with patch.object(engine, "_take_back", nothing):
        yield


@contextmanager
def back_off_never_ends() -> Iterator[None]:
    with patch.object(BackoffList, "expire", lambda *_: False):
        yield


@contextmanager
def absent_items_are_not_sent_again() -> Iterator[None]:
    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: ItemUnverified) -> None:
        original(turn, replace(event, absent=False))

    with handler(ItemUnverified, changed):
        yield


@contextmanager
def held_items_in_flight_are_forgotten() -> Iterator[None]:
    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: CommandGiven) -> None:
        original(turn, event)
        turn.state.wishes.clear()

    with handler(CommandGiven, changed):
        yield


@contextmanager
def scheduler_does_not_look_for_stat() -> Iterator[None]:
    original = schedule.choose

    def changed(candidates: Sequence[OutboxItem], limits: Any, announces: bool = False) -> tuple[OutboxItem, ...]:
        return original(sorted(candidates, key=lambda item: item.item_id)[:1], limits, announces)

    with patch.object(schedule, "choose", changed):
        yield


@contextmanager
def stat_does_not_overtake() -> Iterator[None]:
    with patch.object(delivery, "make_way", nothing):
        yield


@contextmanager
def runner_ignores_cancelling() -> Iterator[None]:
    original = RunnerModel._act

    def changed(self: RunnerModel, action: Any) -> None:
        if not isinstance(action, CancelTransfer):
            original(self, action)

    with patch.object(RunnerModel, "_act", changed):
        yield


@contextmanager
def a_move_is_not_journalled() -> Iterator[None]:
    original = ModelStore._move

    def changed(self: ModelStore, record: MoveItem, *rest: Any) -> bool:
        moved = original(self, record, *rest)
        if moved and record.event == ItemEvent.ABSENT:
            self.journal.pop()
        return moved

    with patch.object(ModelStore, "_move", changed):
        yield


@contextmanager
def an_io_error_ends_the_task() -> Iterator[None]:
    with patch.object(RunnerModel, "_again", nothing):
        yield


@contextmanager
def transfer_numbers_start_anew() -> Iterator[None]:
    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: Restarted) -> None:
        original(turn, replace(event, transfer_id_last=0))

    with handler(Restarted, changed):
        yield


@contextmanager
def any_retry_after_is_obeyed() -> Iterator[None]:
    def changed(delay_s: float, retry_after_s: float | None, max_s: float) -> float:
        return delay_s if retry_after_s is None else max(delay_s, retry_after_s)

    with patch("sync.core.state.at_least_asked", changed):
        yield


@contextmanager
def alarms_are_forgotten() -> Iterator[None]:
    with patch.object(delivery, "next_deadline", nothing):
        yield


@contextmanager
def a_released_item_skips_the_check() -> Iterator[None]:
    wrong = {**machine.TABLE, (ItemState.HELD, ItemEvent.RELEASE): ItemState.READY}
    with patch.object(machine, "TABLE", wrong):
        yield


@contextmanager
def restart_forgets_sent_items() -> Iterator[None]:
    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: Restarted) -> None:
        original(turn, event)
        for lane in turn.state.lanes.values():
            lane.proof.sent_maybe = False

    with handler(Restarted, changed):
        yield


@contextmanager
def link_up_forgets_sent_items() -> Iterator[None]:
    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: Any) -> None:
        lane = turn.state.lanes.get(event.destination)
        before = lane.proof.sent_maybe if lane else False
        original(turn, event)
        if lane:
            lane.proof.sent_maybe = before

    with handler(LinkChanged, changed):
        yield


@contextmanager
def damage_is_retried() -> Iterator[None]:
    """A damaged item is put back to wait instead of being set aside."""

    def changed(original: Callable[[Turn, Any], None], turn: Turn, event: Any) -> None:
        original(turn, replace(event, failure=transient(event.failure.code)))

    with handler(PrepareFailed, changed):
        yield


@contextmanager
def store_offers_without_urgency() -> Iterator[None]:
    def changed(
        self: ModelStore, destination: str, count: int, skip: Sequence[int], least_tried_first: bool, *_: Any
    ) -> tuple[OutboxItem, ...]:
        items = [row.item for item_id, row in self.waiting.get(destination, {}).items() if item_id not in skip]
        return tuple(sorted(items, key=model_store._age)[:count])

    with patch.object(ModelStore, "candidates", changed):
        yield


@dataclass(frozen=True, slots=True)
class Bug:
    """A planted bug, the rules of which one must break, and the first seed to look at: some bugs need a rare life."""

    plant: Callable[[], Any]
    rules: frozenset[str]
    seed: int = 0

    @property
    def name(self) -> str:
        return self.plant.__name__


def _bug(plant: Callable[[], Any], *rules: str, seed: int = 0) -> Bug:
    return Bug(plant, frozenset(rules), seed)


BUGS = (
    _bug(accepted_counts_as_confirmed, "confirmed"),
    _bug(any_receipt_counts, "raised"),
    _bug(bytes_are_not_checked, "wrong-bytes"),
    _bug(refused_items_are_dropped, "not-delivered", "act-before-commit", "illegal-move", "raised"),
    _bug(sent_items_are_evicted, "evicted"),
    _bug(evicted_without_a_second_look, "evicted"),
    _bug(backup_horizon_is_ignored, "lost"),
    _bug(acts_before_the_commit, "act-before-commit"),
    _bug(destinations_never_rest, "hot-loop"),
    _bug(probes_do_not_back_off, "hot-loop"),
    _bug(lost_states_are_ignored, "act-before-commit", "not-delivered", "command"),
    _bug(restart_leaves_items_half_way, "not-delivered"),
    _bug(back_off_never_ends, "not-delivered", "hot-loop"),
    _bug(absent_items_are_not_sent_again, "not-delivered", "confirmed"),
    _bug(held_items_in_flight_are_forgotten, "command"),
    _bug(stat_does_not_overtake, "stat-waits"),
    _bug(store_offers_without_urgency, "stat-waits", "hot-loop"),
    _bug(scheduler_does_not_look_for_stat, "stat-waits", "unseen"),
    _bug(runner_ignores_cancelling, "stat-waits"),
    _bug(a_move_is_not_journalled, "journal"),
    _bug(an_io_error_ends_the_task, "not-delivered", "command"),
    _bug(transfer_numbers_start_anew, "raised"),
    _bug(any_retry_after_is_obeyed, "not-delivered"),
    _bug(alarms_are_forgotten, "idle", "unseen"),
    _bug(a_released_item_skips_the_check, "illegal-move"),
    _bug(damage_is_retried, "not-delivered"),
    _bug(announced_counts_as_accepted, "not-delivered", "hot-loop", "confirmed", "unseen"),
    _bug(epochs_are_not_heard, "confirmed"),
    _bug(another_epoch_is_remembered_and_nothing_is_asked_again, "confirmed"),
    _bug(a_proof_of_any_epoch_counts, "confirmed"),
    _bug(store_forgets_of_which_epoch_a_receipt_is, "confirmed"),
    _bug(idle_gateways_are_not_asked_for_their_epoch, "confirmed"),
    _bug(announced_stays_after_a_restore, "unseen"),
    _bug(absent_items_stay_announced, "unseen"),
    _bug(a_preview_that_cannot_be_made_blocks_its_item, "not-delivered"),
    _bug(previews_wait_in_line, "unseen"),
    _bug(whole_images_go_before_previews, "unseen"),
    _bug(budgets_are_ignored, "budget"),
    _bug(used_bytes_are_not_kept, "budget"),
    _bug(hours_are_ignored, "hours"),
    _bug(hours_end_only_for_what_has_not_begun, "hours", "stat-waits"),
    _bug(the_oldest_never_has_its_turn, "starves"),
    _bug(it_is_always_the_turn_of_the_oldest, "stat-waits"),
    _bug(gateway_keeps_nothing_of_a_cut_append, "sent-again"),
    _bug(what_comes_late_undoes_a_correction, "outdated"),
    _bug(what_is_confirmed_is_not_corrected, "not-corrected"),
    _bug(a_correction_leaves_it_confirmed, "illegal-move", "raised"),
    _bug(content_changes_under_an_attempt, "act-before-commit", seed=322),
    _bug(proofs_of_the_old_content_are_still_asked_for, "raised", "idle"),
    _bug(undo_takes_back_what_was_seen, "not-delivered"),
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two layers that protect the same promise: without both, one of the rules must break."""

    first: Callable[[], Any]
    second: Callable[[], Any]
    rules: frozenset[str]

    @property
    def name(self) -> str:
        return f"{self.first.__name__}-and-{self.second.__name__}"

    @contextmanager
    def plant(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(self.first())
            stack.enter_context(self.second())
            yield


PAIRS = (
    Pair(any_receipt_counts, store_takes_any_receipt, frozenset({"confirmed"})),
    Pair(restart_forgets_sent_items, link_up_forgets_sent_items, frozenset({"not-delivered"})),
    Pair(failed_items_do_not_wait, destinations_never_rest, frozenset({"hot-loop"})),
)
"""The single layers of each pair that go unnoticed alone stand in ``MASKED``."""

MASKED = (
    store_takes_any_receipt,
    restart_forgets_sent_items,
    link_up_forgets_sent_items,
)
