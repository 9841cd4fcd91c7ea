"""From the door into the outbox, once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import ItemState, LocalState, Priority
from appliance.store import instances, outbox
from appliance.store.commands import give_command
from appliance.store.connect import Store
from appliance.store.errors import StoreError, StoreFault
from appliance.store.intake import FeedCursor, ensure_destinations, get_cursor, keep_instances, set_cursor
from appliance.store.journal import read_journal
from appliance.store.outbox import candidates, items_of_study, load_items, move_item, set_priority
from appliance.store.snapshot import read_study
from tests.store.made import made_kept, made_receipt, made_stamp


def test_new_instance_is_owed_to_every_destination_with_cursor_and_journal(unit: Store) -> None:
    result = keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs", "archive"], FeedCursor("kept", 17, "x", "y"))

    assert result.new == ("1.2.3.1.9.1",)
    assert [i.destination for i in items_of_study(unit, "1.2.3.1")] == ["pacs", "archive"]
    assert get_cursor(unit, "kept") == FeedCursor("kept", 17, "x", "y")
    events = [(e.subject, e.event, e.to_state) for e in read_journal(unit, "1.2.3.1")]
    assert events == [
        ("instance", "kept", "present"),
        ("item", "queued", "pending"),
        ("item", "queued", "pending"),
    ]


def test_same_instance_again_writes_nothing(unit: Store) -> None:
    row = made_kept(1)
    keep_instances(unit, made_stamp(), [row], ["pacs"], None)
    changes = unit.connection.total_changes
    again = keep_instances(unit, made_stamp(9), [row, made_kept(1, blob=77)], ["pacs"], None)

    assert again.known == ("1.2.3.1.9.1",) * 2
    assert unit.connection.total_changes == changes


@pytest.mark.fault(32)
def test_exact_duplicate_of_a_confirmed_instance_is_not_sent_again(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    item = candidates(unit, "pacs", 1)[0]
    receipt = made_receipt(item)
    move_item(unit, made_stamp(), 1, ItemState.PENDING, ItemState.CONFIRMED, "proved", attempt_count=1, receipt=receipt)
    keep_instances(unit, made_stamp(), [made_kept(1, blob=5)], ["pacs"], None)

    assert candidates(unit, "pacs", 9) == ()
    assert unit.value("SELECT count(*) FROM receipt") == unit.value("SELECT count(*) FROM instance") == 1


@pytest.mark.fault(30)
def test_same_uid_with_other_bytes_raises_an_alarm_and_changes_nothing_else(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    before = unit.rows("SELECT * FROM instance")
    result = keep_instances(unit, made_stamp(5), [made_kept(1, content="other", blob=2)], ["pacs"], None)

    assert result.conflicting == ("1.2.3.1.9.1",)
    assert unit.rows("SELECT * FROM instance") == before
    assert len(items_of_study(unit, "1.2.3.1")) == 1
    assert unit.rows("SELECT kind, subject_id, severity FROM finding") == [("sop-conflict", "1.2.3.1.9.1", "alarm")]


def test_same_data_set_in_another_file_is_known(unit: Store) -> None:
    """Two Orthanc versions write different file headers for one data set."""
    row = made_kept(1)
    keep_instances(unit, made_stamp(), [row], ["pacs"], None)
    other_file = replace(row, instance=replace(row.instance, sha256="e" * 64, blob_uuid="f" * 36))

    assert keep_instances(unit, made_stamp(), [other_file], ["pacs"], None).known == (row.instance.sop_instance_uid,)
    assert instances.find_instance(unit, row.instance.sop_instance_uid) == (row.instance, LocalState.PRESENT)


@pytest.mark.parametrize("state", [LocalState.MISSING, LocalState.CORRUPT])
def test_instance_that_was_lost_takes_the_new_copy(unit: Store, state: LocalState) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    instances.set_local_state(unit, made_stamp(), "1.2.3.1.9.1", state, "read error")
    copy = made_kept(1, blob=99)
    keep_instances(unit, made_stamp(5), [copy], ["pacs"], None)

    assert instances.find_instance(unit, "1.2.3.1.9.1") == (copy.instance, LocalState.PRESENT)
    assert read_journal(unit, "1.2.3.1.9.1")[-1].event == "came-back"


def test_first_header_is_believed_and_later_ones_only_fill_gaps(unit: Store) -> None:
    first, second = made_kept(1), made_kept(2)
    first = replace(first, study=replace(first.study, patient_id=""))
    second = replace(second, study=replace(second.study, patient_name="SOMEONE^ELSE", patient_id="P7"))
    keep_instances(unit, made_stamp(), [first, second], ["pacs"], None)
    found = read_study(unit, "1.2.3.1")

    assert found is not None
    assert (found[0].patient_name, found[0].patient_id) == ("DOE^1", "P7")


def test_later_instance_of_a_stat_study_is_stat(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    set_priority(unit, made_stamp(), [1], Priority.STAT, "technologist")
    keep_instances(unit, made_stamp(), [made_kept(2)], ["pacs"], None)

    assert {item.priority for item in candidates(unit, "pacs", 9)} == {Priority.STAT}


def test_instance_that_arrives_before_a_hold_or_release_is_carried_out_follows_it(unit: Store) -> None:
    """The picture under way decides when the wish is answered; minutes on a slow link."""
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    give_command(unit, made_stamp(1), "hold", "1.2.3.1", "nurse")
    keep_instances(unit, made_stamp(2), [made_kept(2)], ["pacs"], None)
    give_command(unit, made_stamp(3), "release", "1.2.3.1", "nurse")
    keep_instances(unit, made_stamp(4), [made_kept(3)], ["pacs"], None)

    assert [item.state for item in items_of_study(unit, "1.2.3.1")] == ["pending", "held", "pending"]


def test_later_instance_of_a_held_study_is_held(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1), made_kept(1, study=2)], ["pacs"], None)
    move_item(unit, made_stamp(), 1, ItemState.PENDING, ItemState.HELD, "hold", attempt_count=0, actor="technologist")
    keep_instances(unit, made_stamp(), [made_kept(2), made_kept(2, study=2)], ["pacs"], None)

    assert [item.state for item in load_items(unit, [3, 4])] == [ItemState.HELD, ItemState.PENDING]


@pytest.mark.fault(36)
def test_queue_keeps_the_order_of_arrival_when_the_clock_starts_in_1970(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    keep_instances(unit, made_stamp(-1.8e9, "boot-2"), [made_kept(2)], ["pacs"], None)
    keep_instances(unit, made_stamp(3e8, "boot-3"), [made_kept(3)], ["pacs"], None)
    keep_instances(unit, made_stamp(60, "boot-4"), [made_kept(4)], ["pacs"], None)

    assert [item.item_id for item in candidates(unit, "pacs", 9)] == [1, 2, 3, 4]


def test_destination_added_later_gets_what_is_still_on_this_disk(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(n) for n in (1, 2, 3)], ["pacs"], None)
    instances.set_local_state(unit, made_stamp(), "1.2.3.1.9.2", LocalState.MISSING, "read error")

    assert ensure_destinations(unit, made_stamp(), ["pacs", "archive"]) == 2
    assert ensure_destinations(unit, made_stamp(), ["pacs", "archive"]) == 0
    assert [i.sop_instance_uid[-1] for i in candidates(unit, "archive", 9)] == ["1", "3"]


def test_cursor_may_go_backwards_with_its_feed(unit: Store) -> None:
    set_cursor(unit, FeedCursor("changes", 26, "a", "b"))
    set_cursor(unit, FeedCursor("changes", 3, "c", "d"))

    assert get_cursor(unit, "changes") == FeedCursor("changes", 3, "c", "d")


def test_damaged_instance_is_marked_once_with_an_alarm(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs", "archive"], None)
    failure = Failure(FailureKind.PERMANENT, "digest-mismatch", "The stored picture is damaged.")
    for item in items_of_study(unit, "1.2.3.1"):
        outbox.note_damage(unit, made_stamp(), item.item_id, failure)

    assert unit.value("SELECT local_state FROM instance") == "corrupt"
    assert unit.rows("SELECT kind, sentence, severity FROM finding") == [
        ("damaged-here", "The stored picture is damaged.", "alarm")
    ]


def test_unsent_instance_is_never_evicted(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)

    with pytest.raises(StoreError, match="not confirmed everywhere") as caught:
        instances.set_local_state(unit, made_stamp(), "1.2.3.1.9.1", LocalState.EVICTED, "disk is full")

    assert caught.value.kind is StoreFault.REFUSED


def test_eviction_candidate_needs_every_destination(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs", "archive"], None)
    one, two = items_of_study(unit, "1.2.3.1")
    for item in (one, two):
        assert instances.eviction_candidates(unit) == ()
        move_item(
            unit,
            made_stamp(item.item_id),
            item.item_id,
            ItemState.PENDING,
            ItemState.CONFIRMED,
            "proved",
            attempt_count=1,
            receipt=made_receipt(item),
        )
    (candidate,) = instances.eviction_candidates(unit)

    assert candidate.item_ids == (1, 2)
    assert (candidate.receipt_at_youngest, candidate.checked_again_at_oldest) == (made_stamp(2).at, "")
    assert outbox.note_recheck(unit, made_stamp(50), 1, made_receipt(one))
    assert instances.eviction_candidates(unit)[0].checked_again_at_oldest == ""
    assert outbox.note_recheck(unit, made_stamp(60), 2, made_receipt(two))
    assert instances.eviction_candidates(unit)[0].checked_again_at_oldest == made_stamp(50).at


def test_receipt_for_other_bytes_makes_no_eviction_candidate(unit: Store) -> None:
    row = made_kept(1)
    keep_instances(unit, made_stamp(), [row], ["pacs"], None)
    item = candidates(unit, "pacs", 1)[0]
    move_item(
        unit,
        made_stamp(),
        1,
        ItemState.PENDING,
        ItemState.CONFIRMED,
        "proved",
        attempt_count=1,
        receipt=made_receipt(item),
    )
    instances.point_at_blob(unit, made_stamp(), replace(row.instance, sha256="e" * 64, blob_uuid="f" * 36))

    assert instances.eviction_candidates(unit) == ()
