"""Which instances share a STOW-RS request."""

from __future__ import annotations

from pathlib import Path

from sync.adapters.base import SendItem
from sync.adapters.dicomweb import GROUP_BYTES_MAX, groups


def item(item_id: int, study: str, size_bytes: int) -> SendItem:
    return SendItem(item_id, f"1.{item_id}", "1.2", study, "1.3", "1.2.840.10008.1.2", size_bytes, "", Path("x"))


def ids(items: list[SendItem]) -> list[list[int]]:
    return [[each.item_id for each in group] for group in groups(items)]


def test_small_instances_of_one_study_share_a_request_and_order_is_kept() -> None:
    assert ids([item(1, "a", 10), item(2, "a", 10), item(3, "b", 10), item(4, "a", 10)]) == [[1, 2], [3], [4]]


def test_a_large_instance_goes_alone() -> None:
    large = GROUP_BYTES_MAX + 1
    assert ids([item(1, "a", 10), item(2, "a", large), item(3, "a", 10)]) == [[1], [2], [3]]


def test_a_group_never_exceeds_its_bound() -> None:
    third = GROUP_BYTES_MAX // 3
    assert ids([item(n, "a", third) for n in range(1, 8)]) == [[1, 2, 3], [4, 5, 6], [7]]


def test_nothing_to_send_is_no_request() -> None:
    assert ids([]) == []
