"""Which items go together and first, and which statements count as proof."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.domain.limits import LimitSet
from appliance.domain.values import Evidence, ItemState, OutboxItem, Priority, Receipt
from sync.core.schedule import choose
from sync.core.verify import receipt_fault

LIMITS = LimitSet(transfer_item_count_max=4, transfer_bytes_max=100)
SHA = "a" * 64


def item(item_id: int, study: str = "1", size_bytes: int = 10, priority: Priority = Priority.ROUTINE) -> OutboxItem:
    return OutboxItem(
        item_id=item_id,
        destination="north",
        state=ItemState.PENDING,
        sop_instance_uid=f"1.2.{item_id}",
        study_instance_uid=study,
        priority=priority,
        size_bytes=size_bytes,
        sha256=SHA,
        queued_at_s=float(item_id),
    )


def ids(chosen: tuple[OutboxItem, ...]) -> list[int]:
    return [each.item_id for each in chosen]


def test_nothing_is_chosen_from_nothing() -> None:
    assert choose([], LIMITS) == ()


def test_stat_goes_alone_and_first_wherever_it_stands_in_the_list() -> None:
    candidates = [item(1), item(2), item(3, "2", priority=Priority.STAT), item(4)]
    assert ids(choose(candidates, LIMITS)) == [3]


def test_items_of_the_oldest_study_stay_together() -> None:
    candidates = [item(1, "a"), item(2, "b"), item(3, "a"), item(4, "b"), item(5, "a")]
    assert ids(choose(candidates, LIMITS)) == [1, 3, 5, 2]


def test_batch_is_bounded_by_count() -> None:
    assert len(choose([item(number) for number in range(9)], LIMITS)) == 4


def test_batch_is_bounded_by_bytes_and_filled_with_what_still_fits() -> None:
    candidates = [item(1, size_bytes=60), item(2, size_bytes=60), item(3, size_bytes=40)]
    assert ids(choose(candidates, LIMITS)) == [1, 3]


def test_item_above_the_bound_goes_alone_when_its_turn_comes() -> None:
    assert ids(choose([item(1, size_bytes=1000), item(2)], LIMITS)) == [1]
    assert ids(choose([item(2), item(1, size_bytes=1000)], LIMITS)) == [2]


def receipt(destination: str = "north", uid: str = "1.2.1", sha256: str = SHA, evidence: str = SHA) -> Receipt:
    return Receipt(destination, uid, sha256, Evidence("wado", evidence))


def test_receipt_about_the_same_bytes_is_proof() -> None:
    assert receipt_fault(item(1), receipt()) is None


@pytest.mark.fault(39)
@pytest.mark.fault(45)
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (receipt(destination="south"), "receipt-destination"),
        (receipt(uid="1.2.2"), "receipt-instance"),
        (receipt(sha256="b" * 64), "receipt-digest"),
        (receipt(evidence="b" * 64), "receipt-evidence"),
        (replace(receipt(), evidence=Evidence("hope", SHA)), "receipt-method"),
    ],
)
def test_receipt_about_anything_else_is_no_proof(wrong: Receipt, code: str) -> None:
    fault = receipt_fault(item(1), wrong)
    assert fault is not None
    assert fault.code == code


def test_item_without_a_digest_is_never_proved() -> None:
    assert receipt_fault(replace(item(1), sha256=""), receipt(sha256="")) is not None
