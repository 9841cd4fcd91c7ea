"""Corrections: what waits and what was proved is moved on, what is under way is stopped first, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.domain.values import ItemState, OutboxItem
from sync.core.effects import CancelTransfer, MoveItem, StartVerification
from sync.core.events import ItemAccepted, ItemVerified, RevisionWanted, TransferEnded
from tests.unit.test_core_engine import Story, item, moves, only, receipt


def revision(of: OutboxItem) -> RevisionWanted:
    return RevisionWanted(of, 5, "nurse")


@pytest.mark.parametrize(
    "state", [ItemState.PENDING, ItemState.READY, ItemState.SENT, ItemState.CONFIRMED, ItemState.REJECTED]
)
def test_correction_makes_whatever_no_attempt_has_wait_again(state: ItemState) -> None:
    before = replace(item(1, state=state), attempt_count=4)
    effects = Story().hear(revision(before))
    wanted = MoveItem(1, state, ItemState.PENDING, "revised", 0, actor="nurse", announced=False, revision_id=5)
    assert only(effects, MoveItem) == wanted


def test_correction_of_what_is_held_leaves_it_held() -> None:
    effects = Story().hear(revision(item(1, state=ItemState.HELD)))
    assert only(effects, MoveItem).to_state is ItemState.HELD
    assert only(effects, MoveItem).revision_id == 5


@pytest.mark.parametrize("state", [ItemState.ENCODING, ItemState.SENDING])
def test_row_that_an_attempt_has_is_left_to_it(state: ItemState) -> None:
    assert moves(Story().hear(revision(item(1, state=state)))) == []


def test_correction_heard_twice_moves_once() -> None:
    assert moves(Story().hear(revision(replace(item(1), revision_id=5)))) == []


def sending() -> tuple[Story, OutboxItem]:
    """A story in which item 1 is being sent, by transfer 41."""
    story = Story(item(1))
    story.sending()
    return story, replace(item(1), state=ItemState.SENDING)


def test_transfer_is_stopped_and_the_item_moved_on_when_it_is_over() -> None:
    story, one = sending()
    effects = story.hear(revision(one))
    assert only(effects, CancelTransfer) == CancelTransfer(41)
    assert moves(effects) == []
    assert moves(story.hear(TransferEnded(41, 0))) == [(1, ItemState.PENDING)]
    effects = story.hear(revision(replace(one, state=ItemState.PENDING)))
    assert only(effects, MoveItem).event == "revised"


def test_item_that_was_taken_meanwhile_is_moved_on_only_after_its_transfer() -> None:
    story, one = sending()
    story.hear(ItemAccepted(41, 1))
    sent = replace(one, state=ItemState.SENT)
    assert moves(story.hear(revision(sent))) == []
    story.hear(TransferEnded(41, 10))
    assert only(story.hear(revision(sent)), MoveItem).from_state is ItemState.SENT


def test_proof_of_the_old_content_that_comes_late_means_nothing() -> None:
    story, one = sending()
    story.hear(ItemAccepted(41, 1))
    effects = story.hear(TransferEnded(41, 10))
    assert [one.item_id for one in only(effects, StartVerification).items] == [1]
    story.hear(revision(replace(one, state=ItemState.SENT)))
    assert moves(story.hear(ItemVerified(1, receipt(1)))) == []
