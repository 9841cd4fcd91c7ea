"""The simulation's model of the store against the real one: the same records, the same rows, refusals and journal."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import Evidence, ItemState, OutboxItem, Priority, Receipt
from appliance.store import outbox
from appliance.store.connect import Store, migrate, open_unit
from appliance.store.errors import StoreError
from appliance.store.intake import keep_instances
from appliance.store.revisions import (
    NewRevision,
    add_correction,
    earlier_digests,
    latest_content,
    undo_correction,
    undo_fault,
    unrevised,
)
from sync.core.effects import CloseTransfer, KeepReceipt, MoveItem, NoteFailure, OpenTransfer, Record, SetPriority
from sync.core.machine import TABLE, ItemEvent
from sync.records import apply_records
from tests.simulation.model_store import ModelStore, Refused
from tests.store.made import digest_of, made_kept, made_stamp

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
    records: list[Record] = [
        MoveItem(row.item.item_id, row.item.state, to, "revised", 0, revision_id=row.wanted_revision_id)
        for row in model.unrevised()
        if (to := TABLE.get((row.item.state, ItemEvent.REVISED))) is not None and rng.random() < 0.5
    ]
    for item_id in rng.sample(sorted(model.rows), 3):
        item = model.rows[item_id].item
        believed = item.state if rng.random() < 0.8 else rng.choice(list(ItemState))
        if any(isinstance(record, MoveItem) and record.item_id == item_id for record in records):
            continue
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
            _correct(rng, real, model)
            records = _draw(rng, model, step + 1)
            lost_in_model = model.apply(records, 0.0, clock_trusted=True)
            assert apply_records(real, records) == lost_in_model
            _assert_same(rng, real, model)
        journalled = real.rows(
            """SELECT subject_id, event, from_state, to_state FROM journal
                WHERE subject = 'item' AND (from_state <> to_state OR event = 'revised') AND from_state <> ''
                ORDER BY seq"""
        )
        assert [tuple(row) for row in journalled] == [
            (str(line.item_id), line.event, line.from_state, line.to_state) for line in model.journal
        ]


def _correct(rng: random.Random, real: Store, model: ModelStore) -> None:
    """A person corrects an image in both, or takes the latest correction back."""
    uid = rng.choice(sorted({row.item.sop_instance_uid for row in model.rows.values()}))
    row = next(row for row in model.rows.values() if row.item.sop_instance_uid == uid)
    if rng.random() < 0.3:
        found = latest_content(real, uid)
        assert found is not None
        sha256 = digest_of(f"revision {model.revision_id_last + 1}")
        made = NewRevision(uid, str(uuid4()), 5000, sha256, sha256, found[0].sha256)
        study = row.item.study_instance_uid
        add_correction(
            real,
            made_stamp(),
            kind="correct",
            study_instance_uid=study,
            before={},
            after={},
            reason="r",
            actor="nurse",
            revisions=[made],
        )
        model.revise(uid, sha256, 5000)
    elif rng.random() < 0.2 and row.wanted_revision_id:
        if not undo_fault(real, row.wanted_revision_id):
            undo_correction(real, made_stamp(), row.wanted_revision_id, "nurse")
        model.undo(uid)


def _assert_same(rng: random.Random, real: Store, model: ModelStore) -> None:
    assert outbox.load_items(real, sorted(model.rows)) == tuple(row.item for row in model.rows.values())
    assert [(one.item, one.revision_id) for one in unrevised(real, 99)] == [
        (row.item, row.wanted_revision_id) for row in model.unrevised()
    ]
    earlier = earlier_digests(real, sorted(model.rows))
    assert earlier == {
        number: model.earlier_digests(row.item) for number, row in model.rows.items() if row.item.revision_id
    }
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
