"""Corrections in the store: what is owed is the latest revision, and no proof outlives what it was about."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from appliance.domain.values import ItemState, LocalState
from appliance.store import instances, outbox, revisions
from appliance.store.connect import Store
from appliance.store.errors import StoreError
from appliance.store.intake import ensure_destinations, keep_instances
from appliance.store.retention import retained_instances
from appliance.store.revisions import NewRevision
from tests.store.made import digest_of, made_kept, made_receipt, made_stamp

STUDY, UID = "1.2.3.1", "1.2.3.1.9.1"


def kept(db: Store, *destinations: str) -> None:
    keep_instances(db, made_stamp(), [made_kept(1)], destinations or ("pacs",), None)


def corrected(db: Store, content: str = "right", *, made_from: str = "") -> int:
    """A correction of the one instance; the action's id."""
    found = revisions.latest_content(db, UID)
    assert found is not None
    digest = digest_of(content)
    made = NewRevision(UID, str(uuid.uuid4()), 1200, digest, digest, made_from or found[0].sha256)
    return revisions.add_correction(
        db,
        made_stamp(),
        kind="correct",
        study_instance_uid=STUDY,
        before={"PatientID": "P1"},
        after={"PatientID": "P2"},
        reason="typed wrongly",
        actor="amina",
        revisions=[made],
    )


def move(db: Store, from_state: ItemState, to_state: ItemState, event: str, item_id: int = 1) -> None:
    (item,) = outbox.load_items(db, [item_id])
    receipt = made_receipt(item) if to_state is ItemState.CONFIRMED else None
    lost = outbox.move_item(db, made_stamp(), item_id, from_state, to_state, event, attempt_count=0, receipt=receipt)
    assert lost is None


def moved_on(db: Store) -> None:
    """What the engine does about everything that is not about its latest revision."""
    for one in revisions.unrevised(db, 10):
        to_state = ItemState.HELD if one.item.state is ItemState.HELD else ItemState.PENDING
        outbox.move_item(
            db,
            made_stamp(),
            one.item.item_id,
            one.item.state,
            to_state,
            "revised",
            attempt_count=0,
            actor=one.actor,
            announced=False,
            revision_id=one.revision_id,
        )


def confirm(db: Store) -> None:
    way = ("chosen", "prepared", "started", "accepted", "verified")
    states = list(ItemState)[:6]
    for before, after, event in zip(states, states[1:], way, strict=False):
        move(db, before, after, event)


def test_item_is_about_the_latest_revision_once_it_was_moved_on(unit: Store) -> None:
    kept(unit)
    corrected(unit)
    (before,) = outbox.load_items(unit, [1])
    assert before.sha256 == made_kept(1).instance.sha256
    assert outbox.candidates(unit, "pacs", 5) == (), "it is moved on first"
    (one,) = revisions.unrevised(unit, 5)
    assert (one.revision_id, one.actor) == (1, "amina")
    moved_on(unit)
    (after,) = outbox.candidates(unit, "pacs", 5)
    assert (after.sha256, after.size_bytes, after.revision_id) == (digest_of("right"), 1200, 1)
    assert revisions.unrevised(unit, 5) == ()
    assert revisions.earlier_digests(unit, [1]) == {1: (before.sha256,)}
    assert instances.instances_of_items(unit, [1])[1].sha256 == after.sha256


def test_receipt_of_the_original_is_revoked_and_cannot_confirm_the_correction(unit: Store) -> None:
    kept(unit)
    (original,) = outbox.load_items(unit, [1])
    confirm(unit)
    corrected(unit)
    moved_on(unit)
    assert unit.value("SELECT count(*) FROM receipt WHERE revoked_at = ''") == 0
    with pytest.raises(StoreError, match="other bytes"):
        outbox.move_item(
            unit,
            made_stamp(),
            1,
            ItemState.PENDING,
            ItemState.CONFIRMED,
            "x",
            attempt_count=0,
            receipt=made_receipt(original),
        )
    confirm(unit)
    assert unit.value("SELECT sha256 FROM receipt WHERE revoked_at = ''") == digest_of("right")


def test_item_that_is_not_about_the_latest_is_not_taken_up(unit: Store) -> None:
    kept(unit)
    corrected(unit)
    lost = outbox.move_item(unit, made_stamp(), 1, ItemState.PENDING, ItemState.ENCODING, "chosen", attempt_count=0)
    assert lost is not None
    assert lost.state is ItemState.PENDING


def test_content_never_changes_under_an_attempt(unit: Store) -> None:
    kept(unit)
    move(unit, ItemState.PENDING, ItemState.SENDING, "started")
    corrected(unit)
    with pytest.raises(StoreError, match="only while it waits"):
        outbox.move_item(
            unit,
            made_stamp(),
            1,
            ItemState.SENDING,
            ItemState.SENT,
            "x",
            attempt_count=0,
            revision_id=1,
        )


def test_duty_to_a_destination_that_is_added_later_is_born_corrected(unit: Store) -> None:
    kept(unit)
    corrected(unit)
    ensure_destinations(unit, made_stamp(), ["pacs", "archive"])
    (item,) = outbox.candidates(unit, "archive", 5)
    assert (item.sha256, item.size_bytes) == (digest_of("right"), 1200)


def test_correction_made_from_an_older_content_is_refused_whole(unit: Store) -> None:
    kept(unit)
    original = made_kept(1).instance.sha256
    corrected(unit)
    with pytest.raises(StoreError, match="changed meanwhile"):
        corrected(unit, "other", made_from=original)
    assert unit.value("SELECT count(*) FROM correction") == 1


def test_original_row_never_changes(unit: Store) -> None:
    kept(unit)
    before = instances.find_instance(unit, UID)
    corrected(unit)
    moved_on(unit)
    assert instances.find_instance(unit, UID) == before


def test_undo_owes_what_was_there_before(unit: Store) -> None:
    kept(unit)
    first = corrected(unit, "first")
    second = corrected(unit, "second")
    moved_on(unit)
    with pytest.raises(StoreError, match="corrected-again"):
        revisions.undo_correction(unit, made_stamp(), first, "amina")
    revisions.undo_correction(unit, made_stamp(), second, "amina")
    moved_on(unit)
    assert outbox.load_items(unit, [1])[0].sha256 == digest_of("first")
    revisions.undo_correction(unit, made_stamp(), first, "amina")
    moved_on(unit)
    assert outbox.load_items(unit, [1])[0].sha256 == made_kept(1).instance.sha256
    assert corrected(unit, "third") > second
    moved_on(unit)
    assert outbox.load_items(unit, [1])[0].sha256 == digest_of("third")


@pytest.mark.parametrize("broken_off", [False, True])
def test_what_a_destination_may_have_seen_is_not_undone(unit: Store, broken_off: bool) -> None:
    kept(unit)
    action = corrected(unit)
    moved_on(unit)
    move(unit, ItemState.PENDING, ItemState.ENCODING, "chosen")
    move(unit, ItemState.ENCODING, ItemState.READY, "prepared")
    move(unit, ItemState.READY, ItemState.SENDING, "started")
    if broken_off:
        move(unit, ItemState.SENDING, ItemState.PENDING, "interrupted")
    with pytest.raises(StoreError, match="on-its-way"):
        revisions.undo_correction(unit, made_stamp(), action, "amina")


def test_corrected_twice_and_undone_once_is_still_known_to_have_been_sent(unit: Store) -> None:
    kept(unit)
    first = corrected(unit, "first")
    moved_on(unit)
    confirm(unit)
    second = corrected(unit, "second")
    moved_on(unit)
    revisions.undo_correction(unit, made_stamp(), second, "amina")
    moved_on(unit)
    with pytest.raises(StoreError, match="on-its-way"):
        revisions.undo_correction(unit, made_stamp(), first, "amina")


def test_only_an_item_sent_with_another_content_counts_as_sent_before(unit: Store) -> None:
    kept(unit)
    corrected(unit)
    moved_on(unit)
    confirm(unit)
    assert revisions.sent_before(unit, [1]) == set()
    corrected(unit, "again")
    moved_on(unit)
    assert revisions.sent_before(unit, [1]) == {1}


def test_pixels_do_not_leave_while_their_correction_is_not_delivered(unit: Store) -> None:
    kept(unit)
    confirm(unit)
    corrected(unit)
    assert instances.eviction_candidates(unit) == ()
    with pytest.raises(StoreError, match="not confirmed everywhere"):
        instances.set_local_state(unit, made_stamp(), UID, LocalState.EVICTED, "room")
    (row,) = retained_instances(unit, STUDY)
    assert row.sha256 == digest_of("right") != row.proofs[0].receipt_sha256
    moved_on(unit)
    confirm(unit)
    assert [one.sop_instance_uid for one in instances.eviction_candidates(unit)] == [UID]
    blob = unit.value("SELECT blob_uuid FROM revision")
    assert revisions.blobs_of_revisions(unit) == {blob: True}
    instances.set_local_state(unit, made_stamp(), UID, LocalState.EVICTED, "room")
    assert revisions.blobs_of_revisions(unit) == {blob: False}
    with pytest.raises(StoreError, match="changed meanwhile"):
        corrected(unit, "too late")


def test_spool_keeps_what_is_owed_of_a_correction(unit: Store) -> None:
    kept(unit)
    corrected(unit)
    moved_on(unit)
    asked = [digest_of("right"), made_kept(1).instance.sha256]
    assert instances.owed_digests(unit, asked) == {digest_of("right")}


@pytest.mark.parametrize("table", ["correction", "revision"])
def test_rows_of_corrections_stay(unit: Store, table: str, tmp_path: Path) -> None:
    kept(unit)
    corrected(unit)
    for change in (f"DELETE FROM {table}", f"UPDATE {table} SET action_id = 9"):
        with pytest.raises(Exception, match="never"):
            unit.connection.execute(change)
