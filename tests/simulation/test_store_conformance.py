"""The simulation's model of the store against the real one: the same records, the same rows, refusals and journal."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import Evidence, ItemState, OutboxItem, Priority, Receipt
from appliance.store import outbox
from appliance.store.connect import Store, migrate, open_unit
from appliance.store.errors import StoreError
from appliance.store.intake import keep_instances
from sync.core.effects import CloseTransfer, KeepReceipt, MoveItem, NoteFailure, OpenTransfer, Record, SetPriority
from sync.core.machine import TABLE
from sync.records import apply_records
from tests.simulation.model_store import ModelStore, Refused
from tests.store.made import made_kept, made_stamp

DESTINATIONS = ("north", "south")
FAILURE = Failure(FailureKind.TRANSIENT, "http-503", "The centre is busy.")


def _filled(folder: Path) -> tuple[Store, ModelStore]:
    """Both stores with the same items."""
    migrate(folder / "unit.db", folder / "door.db")
    real, model = open_unit(folder / "unit.db"), ModelStore()
    kept = [made_kept(number, study=1 + number % 3, size_bytes=1000 + number % 2) for number in range(1, 9)]
    keep_instances(real, made_stamp(), kept, DESTINATIONS, None)
    for item in outbox.load_items(real, range(1, 100)):
        model.add(item)
    assert len(model.rows) == 16
    return real, model


def _draw(rng: random.Random, model: ModelStore, transfer_id: int) -> list[Record]:
    """A few records as the core makes them, now and then from a state that the row is not in."""
    records: list[Record] = []
    for item_id in rng.sample(sorted(model.rows), 3):
        item = model.rows[item_id].item
        believed = item.state if rng.random() < 0.8 else rng.choice(list(ItemState))
        moves = [(event, to) for (state, event), to in TABLE.items() if state is believed and to is not state]
        event, to = rng.choice(moves)
        failure = rng.choice((None, FAILURE))
        records.append(MoveItem(item_id, believed, to, event, item.attempt_count + 1, failure))
        if to is ItemState.CONFIRMED:
            records.append(KeepReceipt(item_id, _receipt(item)))
    if rng.random() < 0.3:
        priority = rng.choice(list(Priority))
        # A person's command is about a study; the store then marks the study as well.
        study = rng.choice(sorted({row.item.study_instance_uid for row in model.rows.values()}))
        records.append(SetPriority(tuple(item.item_id for item in model.of_study(study)), priority, "nurse"))
    if rng.random() < 0.3:
        records.append(NoteFailure(rng.choice(sorted(model.rows)), FAILURE))
    if rng.random() < 0.3:
        records.append(OpenTransfer(transfer_id, "north", (1,)))
        records.append(CloseTransfer(transfer_id, 10, 0, None))
    return records


def _receipt(item: OutboxItem) -> Receipt:
    return Receipt(item.destination, item.sop_instance_uid, item.sha256, Evidence("wado", item.sha256))


@pytest.mark.parametrize("seed", range(8))
def test_model_and_store_agree_on_random_records(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    real, model = _filled(tmp_path)
    with real:
        for step in range(60):
            records = _draw(rng, model, step + 1)
            lost_in_model = model.apply(records, 0.0, clock_trusted=True)
            assert apply_records(real, records) == lost_in_model
            _assert_same(rng, real, model)
        journalled = real.rows(
            """SELECT subject_id, event, from_state, to_state FROM journal
                WHERE subject = 'item' AND from_state <> to_state AND from_state <> '' ORDER BY seq"""
        )
        assert [tuple(row) for row in journalled] == [
            (str(line.item_id), line.event, line.from_state, line.to_state) for line in model.journal
        ]


def _assert_same(rng: random.Random, real: Store, model: ModelStore) -> None:
    assert outbox.load_items(real, sorted(model.rows)) == tuple(row.item for row in model.rows.values())
    skip = tuple(rng.sample(sorted(model.rows), 3))
    for destination in DESTINATIONS:
        for least_tried_first in (False, True):
            offered = outbox.candidates(real, destination, 4, skip, least_tried_first=least_tried_first)
            assert offered == model.candidates(destination, 4, skip, least_tried_first)
        after = rng.randrange(8)
        assert outbox.sent_after(real, destination, after, 3) == model.sent_items(destination, 3, after)


@pytest.mark.parametrize("fault", ["no-receipt", "other-digest", "other-instance", "other-destination"])
def test_model_and_store_both_refuse_confirmed_without_proof(fault: str, tmp_path: Path) -> None:
    real, model = _filled(tmp_path)
    with real:
        item = model.rows[1].item
        way: list[Record] = [
            MoveItem(1, ItemState.PENDING, ItemState.ENCODING, "chosen", 0),
            MoveItem(1, ItemState.ENCODING, ItemState.READY, "prepared", 0),
            MoveItem(1, ItemState.READY, ItemState.SENDING, "started", 0),
            MoveItem(1, ItemState.SENDING, ItemState.SENT, "accepted", 0),
        ]
        assert apply_records(real, way) == model.apply(way, 0.0, clock_trusted=True) == []
        wrong = {
            "other-digest": replace(item, sha256="b" * 64),
            "other-instance": replace(item, sop_instance_uid="1.9"),
            "other-destination": replace(item, destination="south"),
        }
        records: list[Record] = [MoveItem(1, ItemState.SENT, ItemState.CONFIRMED, "verified", 0)]
        if fault in wrong:
            records.append(KeepReceipt(1, _receipt(wrong[fault])))
        with pytest.raises(StoreError):
            apply_records(real, records)
        with pytest.raises(Refused):
            model.apply(records, 0.0, clock_trusted=True)
        assert outbox.load_items(real, (1,))[0].state is ItemState.SENT
