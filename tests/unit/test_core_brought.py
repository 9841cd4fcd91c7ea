"""Receipts that came on a stick: proof for what waits, patience for what is under way, no way around the digest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.domain.values import Evidence, ItemState, OutboxItem, Receipt
from sync.core.effects import (
    CancelTransfer,
    KeepReceipt,
    MoveItem,
    NeedCandidates,
    NeedConfirmed,
    SettleBrought,
    StartVerification,
)
from sync.core.events import (
    CandidatesOffered,
    ConfirmedOffered,
    EpochSeen,
    ItemAccepted,
    ItemVerified,
    ReceiptBrought,
    SentOffered,
    TransferEnded,
    WorkArrived,
)
from tests.unit.test_core_engine import SHA, Story, item, moves, only, receipt


def brought(of: OutboxItem, proof: Receipt | None = None) -> ReceiptBrought:
    return ReceiptBrought(7, of, proof or receipt(of.item_id))


@pytest.mark.parametrize("state", [ItemState.PENDING, ItemState.HELD, ItemState.SENT, ItemState.REJECTED])
def test_brought_receipt_confirms_what_no_attempt_has(state: ItemState) -> None:
    waiting = item(1, state=state)
    effects = Story().hear(brought(waiting))
    assert only(effects, MoveItem) == MoveItem(1, state, ItemState.CONFIRMED, "brought", 0)
    assert only(effects, KeepReceipt) == KeepReceipt(1, receipt(1))
    assert only(effects, SettleBrought) == SettleBrought(7, 1, "confirmed")


@pytest.mark.parametrize(
    "proof",
    [
        receipt(2),
        replace(receipt(1), destination="south"),
        replace(receipt(1), sha256="b" * 64),
        replace(receipt(1), evidence=Evidence("wado", "b" * 64)),
        replace(receipt(1), evidence=Evidence("hearsay", SHA)),
    ],
)
def test_receipt_about_anything_else_is_settled_and_moves_nothing(proof: Receipt) -> None:
    effects = Story().hear(brought(item(1), proof))
    assert moves(effects) == []
    assert only(effects, SettleBrought).outcome.startswith("receipt-")


def test_receipt_for_what_is_confirmed_is_settled() -> None:
    effects = Story().hear(brought(item(1, state=ItemState.CONFIRMED)))
    assert [effect for effect in effects if not isinstance(effect, SettleBrought)] == []
    assert only(effects, SettleBrought).outcome == "known"


def test_item_under_way_is_left_to_its_attempt_and_confirmed_afterwards() -> None:
    story = Story(item(1))
    assert story.hear(brought(item(1, state=ItemState.ENCODING), receipt(2))) == []
    story.sending()
    assert story.hear(brought(item(1, state=ItemState.SENDING), receipt(2))) == [], "no proof, no reason to make way"
    assert story.hear(brought(item(1, state=ItemState.SENDING))) == [CancelTransfer(41)]
    assert story.hear(brought(item(1, state=ItemState.SENDING))) == [], "asked once"
    story.hear(ItemAccepted(41, 1))
    story.hear(TransferEnded(41, 1000))
    effects = story.hear(brought(item(1, state=ItemState.SENT)))
    assert moves(effects) == [(1, "confirmed")]
    assert story.hear(ItemVerified(1, receipt(1))) == [], "the answer of a verification that is of no use any more"


def test_attempt_that_made_way_is_not_begun_again_before_the_receipt_is_settled() -> None:
    story = Story(item(1), item(2))
    story.sending()
    story.hear(brought(item(1, state=ItemState.SENDING)))
    ended = story.hear(TransferEnded(41, 0))
    assert {item_id for item_id, _ in moves(ended)} == {1, 2}
    assert 1 in only(ended, NeedCandidates).skip_item_ids
    again = story.hear(CandidatesOffered("north", (item(1), item(2))))
    assert moves(again) == [(2, "encoding")]
    assert moves(story.hear(brought(item(1)))) == [(1, "confirmed")]
    assert story.engine.state.lanes["north"].brought == set()


def test_confirmed_item_is_not_asked_about_again() -> None:
    story = Story()
    story.hear(brought(item(1, state=ItemState.SENT)))
    effects = story.hear(SentOffered("north", ()))
    assert not [effect for effect in effects if isinstance(effect, StartVerification)]


def test_receipt_for_a_destination_without_a_lane_counts() -> None:
    elsewhere = replace(item(1), destination="taken-out")
    proof = replace(receipt(1), destination="taken-out")
    assert moves(Story().hear(brought(elsewhere, proof))) == [(1, "confirmed")]


def test_receipt_of_another_epoch_is_checked_when_the_centre_is_reached() -> None:
    story = Story()
    story.hear(EpochSeen("north", "e2"))
    story.hear(ConfirmedOffered("north", ()))
    assert story.hear(SentOffered("north", ())) == [], "both walks are at their ends"
    proof = replace(receipt(1), evidence=replace(receipt(1).evidence, epoch="e1"))
    effects = story.hear(brought(item(1), proof))
    assert only(effects, NeedConfirmed).epoch == "e2"


def test_told_again_after_a_restart_changes_nothing_twice() -> None:
    story = Story()
    story.hear(brought(item(1)))
    story.hear(WorkArrived())
    story.hear(CandidatesOffered("north", ()))
    again = story.hear(brought(item(1, state=ItemState.CONFIRMED)))
    assert moves(again) == []
