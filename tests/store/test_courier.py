"""What the store remembers of sticks, and of proofs that came back on one."""

from __future__ import annotations

import sqlite3

import pytest

from appliance.domain.values import Evidence, ItemState, LocalState, OutboxItem, Priority, Receipt
from appliance.store import courier
from appliance.store.connect import Store
from appliance.store.instances import set_local_state
from appliance.store.intake import keep_instances
from appliance.store.journal import read_journal
from appliance.store.links import note_epoch
from appliance.store.outbox import move_item, set_priority
from tests.store.made import made_kept, made_receipt, made_stamp


@pytest.fixture
def items(unit: Store) -> tuple[OutboxItem, ...]:
    """Two images of study 1 and two of study 2, the later one."""
    kept = [made_kept(n + 10 * study, study=study) for study in (1, 2) for n in (1, 2)]
    keep_instances(unit, made_stamp(), kept, ["gateway", "archive"], None)
    return courier.owed_items(unit, "gateway")


def confirm(unit: Store, item: OutboxItem) -> None:
    move_item(
        unit,
        made_stamp(),
        item.item_id,
        item.state,
        ItemState.CONFIRMED,
        "proved",
        attempt_count=1,
        receipt=made_receipt(item),
    )


def test_everything_without_a_receipt_is_owed_and_stat_comes_first(unit: Store, items: tuple[OutboxItem, ...]) -> None:
    assert [item.destination for item in items] == ["gateway"] * 4
    set_priority(unit, made_stamp(), [items[3].item_id], Priority.STAT, "x")
    confirm(unit, items[0])
    assert [item.item_id for item in courier.owed_items(unit, "gateway")] == [
        items[3].item_id,
        items[1].item_id,
        items[2].item_id,
    ]
    assert {item.study_instance_uid for item in courier.owed_items(unit, "gateway", ["1.2.3.2"])} == {"1.2.3.2"}


@pytest.mark.parametrize("state", [ItemState.HELD, ItemState.REJECTED])
def test_what_a_person_must_decide_stays_here(unit: Store, items: tuple[OutboxItem, ...], state: ItemState) -> None:
    move_item(unit, made_stamp(), items[0].item_id, ItemState.PENDING, state, "x", attempt_count=0)
    set_local_state(unit, made_stamp(), items[1].sop_instance_uid, LocalState.CORRUPT, "bit flip")
    assert [item.item_id for item in courier.owed_items(unit, "gateway")] == [item.item_id for item in items[2:]]
    assert courier.left_behind_count(unit, "gateway") == 2


def test_copy_is_noted_once_a_stick_and_told_in_the_journal(unit: Store, items: tuple[OutboxItem, ...]) -> None:
    carried = [(item.item_id, item.sha256) for item in items[:3]]
    courier.note_copies(unit, made_stamp(1), "aa", carried, "nurse")
    courier.note_copies(unit, made_stamp(2), "aa", carried, "nurse")
    courier.note_copies(unit, made_stamp(3), "bb", carried[:1], "nurse")
    confirm(unit, items[0])
    assert courier.known_sticks(unit) == (
        courier.StickRow("bb", "gateway", made_stamp(3).at, 1, 1, 0, 0),
        courier.StickRow("aa", "gateway", made_stamp(2).at, 3, 2, 2, 2),
    )
    assert courier.carried_item_ids(unit) == {item.item_id for item in items[:3]}
    assert courier.carried_item_ids(unit, without_stick="aa") == {items[0].item_id}
    assert [copy.confirmed for copy in courier.copies_on(unit, "aa")] == [True, False, False]
    told = [entry for entry in read_journal(unit, "1.2.3.1") if entry.event == courier.EXPORTED]
    assert [entry.detail for entry in told] == ["stick=aa images=2"] * 2 + ["stick=bb images=1"]
    assert {item.state for item in courier.owed_items(unit, "gateway")} == {ItemState.PENDING}


def test_copy_that_made_room_is_forgotten(unit: Store, items: tuple[OutboxItem, ...]) -> None:
    courier.note_copies(unit, made_stamp(), "aa", [(item.item_id, item.sha256) for item in items[:2]], "nurse")
    courier.forget_copies(unit, "aa", [items[0].item_id])
    assert [copy.item_id for copy in courier.copies_on(unit, "aa")] == [items[1].item_id]


def test_proof_waits_once_until_it_is_settled(unit: Store, items: tuple[OutboxItem, ...]) -> None:
    item = items[0]
    evidence = Evidence("gateway", item.sha256, "d" * 64, "p" * 64, (("pacs", "centre"),), epoch="e1")
    receipt = Receipt("gateway", item.sop_instance_uid, item.sha256, evidence)
    assert courier.note_brought(unit, made_stamp(), item.item_id, receipt, "aa")
    assert not courier.note_brought(unit, made_stamp(), item.item_id, receipt, "aa")
    (waiting,) = courier.open_brought(unit)
    assert (waiting.item_id, waiting.receipt) == (item.item_id, receipt)
    courier.settle_brought(unit, made_stamp(1), waiting.brought_id, "confirmed")
    assert courier.open_brought(unit) == ()
    assert courier.note_brought(unit, made_stamp(2), item.item_id, receipt, "aa")


def test_proof_is_never_rewritten_nor_deleted(unit: Store, items: tuple[OutboxItem, ...]) -> None:
    courier.note_brought(unit, made_stamp(), items[0].item_id, made_receipt(items[0]), "aa")
    for change in ("UPDATE brought_receipt SET sha256 = replace(sha256, 'a', 'b')", "DELETE FROM brought_receipt"):
        with pytest.raises(sqlite3.IntegrityError, match=r"rewritten|never deleted"):
            unit.connection.execute(change)


def test_instance_is_found_for_its_destination_alone(unit: Store, items: tuple[OutboxItem, ...]) -> None:
    assert courier.item_of(unit, "gateway", items[0].sop_instance_uid) == items[0]
    assert courier.item_of(unit, "nowhere", items[0].sop_instance_uid) is None
    assert courier.item_of(unit, "gateway", "9.9") is None


def proof(item: OutboxItem, at: str, epoch: str = "e1") -> Receipt:
    evidence = Evidence("gateway", item.sha256, detail=(("verified_at", at),), epoch=epoch)
    return Receipt(item.destination, item.sop_instance_uid, item.sha256, evidence)


def test_what_the_centre_took_back_is_remembered_with_its_time(unit: Store, items: tuple[OutboxItem, ...]) -> None:
    item, other = items[0], items[1]
    assert courier.revoked_proof_at(unit, item.item_id) == ""
    for one, at in ((item, "2026-11-25T10:00:00Z"), (other, "")):
        receipt = proof(one, at) if at else made_receipt(one)
        move_item(
            unit, made_stamp(), one.item_id, one.state, ItemState.CONFIRMED, "x", attempt_count=1, receipt=receipt
        )
        assert courier.revoked_proof_at(unit, one.item_id) == ""
        move_item(unit, made_stamp(), one.item_id, ItemState.CONFIRMED, ItemState.PENDING, "absent", attempt_count=1)
    assert courier.revoked_proof_at(unit, item.item_id) == "2026-11-25T10:00:00Z"
    assert courier.revoked_proof_at(unit, other.item_id) > "2026-11-25T10:00:00Z"


def test_newest_proof_is_that_of_the_epoch_last_heard_of(unit: Store, items: tuple[OutboxItem, ...]) -> None:
    assert courier.newest_proof(unit, "gateway") == ("", "")
    note_epoch(unit, made_stamp(), "gateway", "e2")
    for one, at, epoch in ((items[0], "2026-11-25T12:00:00Z", "e1"), (items[1], "2026-11-25T11:00:00Z", "e2")):
        move_item(
            unit,
            made_stamp(),
            one.item_id,
            one.state,
            ItemState.CONFIRMED,
            "x",
            attempt_count=1,
            receipt=proof(one, at, epoch),
        )
    assert courier.newest_proof(unit, "gateway") == ("e2", "2026-11-25T11:00:00Z")


def test_damage_here_is_known(unit: Store, items: tuple[OutboxItem, ...]) -> None:
    assert not courier.is_damaged_here(unit, items[0].item_id)
    set_local_state(unit, made_stamp(), items[0].sop_instance_uid, LocalState.CORRUPT, "bit flip")
    assert courier.is_damaged_here(unit, items[0].item_id)
