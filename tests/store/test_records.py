"""Commands, findings, the journal, and the unit's side of the door's ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import ItemState, LinkState
from appliance.store import door, journal, outbox, transfers
from appliance.store.commands import finish_command, give_command, open_commands, read_command
from appliance.store.connect import Store, open_door, write
from appliance.store.errors import StoreError
from appliance.store.findings import clear_finding, note_finding
from appliance.store.intake import keep_instances
from appliance.store.journal import read_journal
from tests.store.made import HandClock, digest_of, fresh_unit, made_kept, made_receipt, made_stamp

BUSY = Failure(FailureKind.TRANSIENT, "http-503", "The centre is busy.")


def test_command_waits_until_it_is_answered_once(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    command_id = give_command(unit, made_stamp(), "hold", "1.2.3.1", "technologist", "wrong patient")

    assert [c.command_id for c in open_commands(unit)] == [command_id]
    assert finish_command(unit, made_stamp(3), command_id, "The study waits.")
    assert not finish_command(unit, made_stamp(4), command_id, "Again.")
    assert open_commands(unit) == ()
    answered = read_command(unit, command_id)
    assert answered is not None
    assert (answered.outcome, answered.finished_at) == ("The study waits.", made_stamp(3).at)
    assert [e.event for e in read_journal(unit, "1.2.3.1") if e.subject == "command"] == ["hold", "hold"]


@pytest.mark.parametrize(("kind", "study"), [("delete", "1.2.3.1"), ("hold", "1.2.3.9")])
def test_command_that_cannot_be_meant_is_refused(unit: Store, kind: str, study: str) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)

    with pytest.raises(StoreError, match=r"there is no command|no study"):
        give_command(unit, made_stamp(), kind, study, "technologist")
    assert open_commands(unit) == ()


def test_finding_noted_every_second_is_journalled_once_and_reopens(tmp_path: Path) -> None:
    clock = HandClock()
    with fresh_unit(tmp_path, clock=clock) as unit:

        def note() -> bool:
            return note_finding(unit, kind="feed-lag", subject_id="kept", sentence="Wait.", severity="warning")

        assert [note(), note()] == [True, False]
        assert clear_finding(unit, kind="feed-lag", subject_id="kept")
        assert not clear_finding(unit, kind="feed-lag", subject_id="kept")
        clock.wall += 60
        assert note()

        assert unit.rows("SELECT found_at, cleared_at FROM finding") == [(made_stamp(60).at, "")]
        assert [e.to_state for e in read_journal(unit, "kept")] == ["warning", "cleared", "warning"]


def test_failure_noted_again_is_journalled_once(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    outbox.note_failure(unit, made_stamp(), 1, BUSY)
    outbox.note_failure(unit, made_stamp(), 1, BUSY)

    assert [e.event for e in read_journal(unit, "1")] == ["queued", "failure-noted"]


def test_link_is_journalled_when_its_state_changes(unit: Store) -> None:
    for state, failure in ((LinkState.DOWN, BUSY), (LinkState.DOWN, BUSY), (LinkState.UP, None)):
        transfers.note_link(unit, made_stamp(), "pacs", state, failure, None)

    assert [(e.from_state, e.to_state) for e in read_journal(unit, "pacs")] == [("unknown", "down"), ("down", "up")]


def test_move_keeps_the_failure_until_the_next_move_says_otherwise(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    columns = "SELECT failure_kind, failure_code, failure_sentence, attempt_count FROM outbox"
    outbox.move_item(
        unit, made_stamp(), 1, ItemState.PENDING, ItemState.REJECTED, "refused", attempt_count=4, failure=BUSY
    )
    assert unit.row(columns) == ("transient", "http-503", "The centre is busy.", 4)
    outbox.move_item(unit, made_stamp(), 1, ItemState.REJECTED, ItemState.PENDING, "retry", attempt_count=0)
    assert unit.row(columns) == ("", "", "", 0)


def test_move_of_an_unknown_item_is_refused(unit: Store) -> None:
    with pytest.raises(StoreError, match="no outbox item 7"):
        outbox.move_item(unit, made_stamp(), 7, ItemState.PENDING, ItemState.READY, "step", attempt_count=0)


def test_receipt_whose_evidence_is_about_other_bytes_confirms_nothing(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)
    (item,) = outbox.load_items(unit, [1])
    receipt = made_receipt(item)
    receipt = replace(receipt, evidence=replace(receipt.evidence, sha256="0" * 64))

    with pytest.raises(StoreError, match="evidence is about other bytes"):
        outbox.move_item(
            unit, made_stamp(), 1, item.state, ItemState.CONFIRMED, "proved", attempt_count=1, receipt=receipt
        )
    assert outbox.load_items(unit, [1]) == (item,)


def test_closing_an_attempt_twice_is_refused(unit: Store) -> None:
    transfers.open_transfer(unit, made_stamp(), 1, "pacs", 1)
    transfers.close_transfer(unit, made_stamp(), 1, bytes_sent=0, accepted_count=0, failure=BUSY)

    with pytest.raises(StoreError, match="transfer 1 is not open"):
        transfers.close_transfer(unit, made_stamp(), 1, bytes_sent=0, accepted_count=0, failure=BUSY)


def test_journal_is_followed_from_where_a_reader_stopped(unit: Store) -> None:
    for number in range(5):
        journal.append(unit, made_stamp(number), subject="unit", subject_id="u", event=f"e{number}")

    assert [e.event for e in read_journal(unit, after_seq=2, limit=2)] == ["e2", "e3"]
    assert [e.event for e in read_journal(unit, "u", after_seq=4)] == ["e4"]
    assert read_journal(unit, "someone-else") == ()


def test_journal_detail_is_cut_between_characters(unit: Store) -> None:
    journal.append(unit, made_stamp(), subject="unit", subject_id="u", event="e", detail="ق" * 2000)
    (entry,) = read_journal(unit)

    assert entry.detail == "ق" * (journal.DETAIL_BYTES_MAX // 2)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Store]:
    """``door.db`` with three kept blobs, the second removed as a duplicate of the first."""
    fresh_unit(tmp_path).close()
    with open_door(tmp_path / "door.db") as store:
        with write(store):
            for number, removed_at in ((1, ""), (1, "2027-01-15"), (2, "")):
                store.change(
                    """INSERT INTO kept (blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes, received_at,
                        boot_id, mono_s, removed_at) VALUES (?, ?, ?, ?, 10, '', 'boot-1', 1.5, ?)""",
                    (f"blob-{number}{removed_at}", f"1.2.{number}", digest_of("file"), digest_of("set"), removed_at),
                )
            for reason in ("disk-full", "disk-full", "conflict"):
                store.change("INSERT INTO refused (reason, status, refused_at) VALUES (?, 42752, 'now')", (reason,))
        yield store


def test_ledger_is_read_in_the_order_of_reception(ledger: Store) -> None:
    assert [row.kept_id for row in door.kept_after(ledger, 0)] == [1, 2, 3]
    assert [row.blob_uuid for row in door.kept_after(ledger, 2, 9)] == ["blob-2"]
    assert [row.kept_id for row in door.kept_of(ledger, "1.2.1")] == [1]
    assert door.unindexed_count(ledger, 1) == 1


def test_blob_without_a_line_was_never_acknowledged(ledger: Store) -> None:
    found = door.find_kept(ledger, "blob-1")

    assert found is not None
    assert (found.sop_instance_uid, found.mono_s) == ("1.2.1", 1.5)
    assert door.find_kept(ledger, "blob-9") is None


def test_refusals_are_counted_by_reason(ledger: Store) -> None:
    assert [(r.reason, r.status, r.count) for r in door.refused_counts(ledger)] == [
        ("conflict", 0xA700, 1),
        ("disk-full", 0xA700, 2),
    ]
    assert [r.reason for r in door.refused_counts(ledger, 2)] == ["conflict"]


def test_purge_is_permitted_by_name_and_twice_is_once(ledger: Store) -> None:
    door.permit_purge(ledger, made_stamp(), ["blob-1", "blob-2"])
    door.permit_purge(ledger, made_stamp(5), ["blob-1"])

    assert ledger.rows("SELECT blob_uuid, permitted_at FROM purge_permit ORDER BY 1") == [
        ("blob-1", made_stamp().at),
        ("blob-2", made_stamp().at),
    ]
