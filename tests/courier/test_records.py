"""A brought receipt from its row to the confirmed item: one transaction, or the row stays open."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.domain.values import Evidence, ItemState, OutboxItem, Priority, Receipt
from appliance.store import courier
from appliance.store.connect import Store
from appliance.store.intake import keep_instances
from appliance.store.journal import read_journal
from appliance.store.outbox import items_of_study, set_priority
from appliance.store.quality_holds import set_gate
from sync.core.effects import KeepReceipt, MoveItem, Record, SettleBrought
from sync.records import apply_records
from tests.store.made import fresh_unit, made_kept, made_stamp


@pytest.fixture
def unit(tmp_path: Path) -> Store:
    store = fresh_unit(tmp_path)
    keep_instances(store, made_stamp(), [made_kept(1)], ["gateway"], None)
    return store


def owed(unit: Store) -> OutboxItem:
    (item,) = items_of_study(unit, "1.2.3.1")
    return item


def taken(item: OutboxItem, brought_id: int, from_state: ItemState) -> list[Record]:
    proof = Receipt("gateway", item.sop_instance_uid, item.sha256, Evidence("gateway", item.sha256, epoch="e1"))
    return [
        MoveItem(item.item_id, from_state, ItemState.CONFIRMED, "brought", 0),
        KeepReceipt(item.item_id, proof),
        SettleBrought(brought_id, item.item_id, "confirmed"),
    ]


def brought(unit: Store, item: OutboxItem) -> int:
    proof = Receipt("gateway", item.sop_instance_uid, item.sha256, Evidence("gateway", item.sha256, epoch="e1"))
    courier.note_brought(unit, unit.stamp(), item.item_id, proof, "stick ab")
    return courier.open_brought(unit)[0].brought_id


def test_move_receipt_and_row_go_together(unit: Store) -> None:
    item = owed(unit)
    assert apply_records(unit, taken(item, brought(unit, item), ItemState.PENDING)) == []
    assert owed(unit).state is ItemState.CONFIRMED
    assert courier.open_brought(unit) == ()
    assert unit.value("SELECT outcome FROM brought_receipt") == "confirmed"
    last = read_journal(unit, "1.2.3.1")[-1]
    assert (last.event, last.from_state, last.to_state) == ("brought", "pending", "confirmed")
    unit.close()


def test_stick_is_offered_nothing_that_waits_for_its_check_unless_it_is_urgent(unit: Store) -> None:
    set_gate(unit, True)
    keep_instances(unit, made_stamp(1), [made_kept(2, study=2), made_kept(3, study=3)], ["gateway"], None)
    (urgent,) = items_of_study(unit, "1.2.3.3")
    set_priority(unit, made_stamp(2), [urgent.item_id], Priority.STAT, "nurse")
    offered = [item.study_instance_uid for item in courier.owed_items(unit, "gateway")]
    assert offered == ["1.2.3.3", "1.2.3.1"]
    assert courier.left_behind_count(unit, "gateway") == 1
    set_gate(unit, False)
    assert len(courier.owed_items(unit, "gateway")) == 3
    assert courier.left_behind_count(unit, "gateway") == 0
    unit.close()


def test_row_stays_open_when_the_item_had_moved_on(unit: Store) -> None:
    item = owed(unit)
    lost = apply_records(unit, taken(item, brought(unit, item), ItemState.SENT))
    assert [one.item_id for one in lost] == [item.item_id]
    assert owed(unit).state is ItemState.PENDING
    assert len(courier.open_brought(unit)) == 1
    unit.close()
