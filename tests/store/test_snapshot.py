"""What people are shown, from a connection that cannot write."""

from __future__ import annotations

import pytest

from appliance.domain.eta import Goodput
from appliance.domain.failure import Failure, FailureKind
from appliance.domain.snapshot import PowerState, Snapshot, StudyState
from appliance.domain.values import ItemState, LinkState, LocalState
from appliance.store import instances, links, transfers
from appliance.store.connect import Store, write
from appliance.store.findings import clear_finding, note_finding
from appliance.store.intake import keep_instances
from appliance.store.outbox import load_items, move_item
from appliance.store.snapshot import LiveFacts, read_queue, read_snapshot, read_study, search_studies
from tests.store.made import made_kept, made_receipt, made_stamp

POWER = PowerState(safe=False, receiving_count=1, unindexed_count=2)
BUSY = Failure(FailureKind.TRANSIENT, "http-503", "The centre is busy.")
REFUSED = Failure(FailureKind.PERMANENT, "http-409", "The centre refuses this picture.")

S = ItemState


def picture_of(db: Store, *, today_iso: str = "2027-01-15", in_flight: dict[int, int] | None = None) -> Snapshot:
    live = LiveFacts(POWER, 10, 20, in_flight or {})
    return read_snapshot(db, made_stamp(99), live, unit_name="unit-01", today_iso=today_iso)


def put(db: Store, item_id: int, state: ItemState, failure: Failure | None = None) -> None:
    """Bring an item into ``state`` at once, with its receipt where it needs one."""
    (item,) = load_items(db, [item_id])
    receipt = made_receipt(item) if state is S.CONFIRMED else None
    move_item(db, made_stamp(1), item_id, item.state, state, "put", attempt_count=1, failure=failure, receipt=receipt)


@pytest.mark.parametrize(
    ("states", "shown", "percent"),
    [
        ((S.PENDING, S.PENDING), StudyState.QUEUED, 0),
        ((S.CONFIRMED, S.PENDING), StudyState.QUEUED, 50),
        ((S.ENCODING, S.PENDING), StudyState.SENDING, 0),
        ((S.READY, S.CONFIRMED), StudyState.SENDING, 50),
        ((S.SENDING, S.SENT), StudyState.SENDING, 50),
        ((S.SENT, S.SENT), StudyState.SENT, 99),
        ((S.SENT, S.CONFIRMED), StudyState.SENT, 99),
        ((S.CONFIRMED, S.CONFIRMED), StudyState.COMPLETE, 100),
        ((S.HELD, S.CONFIRMED), StudyState.HELD, 50),
        ((S.REJECTED, S.CONFIRMED), StudyState.SET_ASIDE, 50),
        ((S.REJECTED, S.HELD), StudyState.SET_ASIDE, 0),
    ],
)
def test_study_shows_its_worst_state_and_100_percent_only_when_complete(
    unit: Store, states: tuple[ItemState, ...], shown: StudyState, percent: int
) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1), made_kept(2)], ["pacs"], None)
    for item_id, state in enumerate(states, 1):
        if state is not S.PENDING:
            put(unit, item_id, state)
    (row,) = picture_of(unit).studies

    assert (row.state, row.percent) == (shown, percent)


def test_study_without_a_destination_is_only_captured_and_not_safe(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1)], [], None)
    picture = picture_of(unit)

    assert (picture.studies[0].state, picture.studies[0].percent) == (StudyState.CAPTURED, 0)
    assert (picture.unsafe_study_count, picture.only_here_study_count) == (1, 1)


def test_study_confirmed_at_one_of_two_destinations_is_not_safe_but_not_only_here(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1, size_bytes=600)], ["pacs", "archive"], None)
    put(unit, 1, S.CONFIRMED)
    picture = picture_of(unit)

    assert picture.studies[0].state is StudyState.QUEUED
    assert (picture.unsafe_study_count, picture.unsafe_instance_count, picture.unsafe_bytes) == (1, 1, 600)
    assert picture.only_here_study_count == 0


def test_progress_tells_bytes_and_the_sentence_that_needs_a_person(unit: Store) -> None:
    rows = [made_kept(n, size_bytes=100 * n) for n in (1, 2, 3)]
    keep_instances(unit, made_stamp(), rows, ["pacs"], None)
    put(unit, 1, S.SENDING, BUSY)
    put(unit, 2, S.REJECTED, REFUSED)
    put(unit, 3, S.CONFIRMED)
    (progress,) = picture_of(unit, in_flight={1: 40, 3: 300, 99: 7}).studies[0].progress

    assert (progress.bytes_total, progress.bytes_confirmed, progress.bytes_in_flight) == (600, 300, 40)
    assert progress.failure_sentence == "The centre refuses this picture."
    assert progress.count(S.REJECTED) == 1


def test_snapshot_shows_todays_and_all_unfinished_studies_stat_first(unit: Store) -> None:
    for study in (1, 2, 3, 4):
        keep_instances(unit, made_stamp(study), [made_kept(study, study=study)], ["pacs"], None)
    put(unit, 1, S.CONFIRMED)
    put(unit, 3, S.CONFIRMED)
    with write(unit):
        unit.change("UPDATE study SET priority = 'stat' WHERE study_instance_uid = '1.2.3.2'")

    assert [row.study_instance_uid[-1] for row in picture_of(unit).studies] == ["2", "4", "3", "1"]
    tomorrow = picture_of(unit, today_iso="2027-01-16")
    assert [row.study_instance_uid[-1] for row in tomorrow.studies] == ["2", "4"]
    assert tomorrow.study_count == 4


def test_snapshot_carries_the_facts_of_running_processes(unit: Store, reader: Store) -> None:
    picture = picture_of(reader)

    assert (picture.power, picture.disk_free_bytes, picture.disk_total_bytes) == (POWER, 10, 20)
    assert (picture.unit_name, picture.taken_at, picture.last_sync_at) == ("unit-01", made_stamp(99).at, "")


def test_link_shows_its_measured_goodput_and_the_next_try(unit: Store) -> None:
    for number in (1, 2):
        transfers.open_transfer(unit, made_stamp(number), number, "pacs", 1)
        transfers.close_transfer(
            unit, made_stamp(number + 4), number, bytes_sent=1000 * number, accepted_count=1, failure=None
        )
    transfers.note_link(unit, made_stamp(10), "pacs", LinkState.DOWN, BUSY, 30.0)
    links.note_rate(unit, made_stamp(11), "pacs", Goodput(2000, 3000, 4000), 0.5)
    (link,) = picture_of(unit).links

    assert (link.state, link.failure_sentence) == (LinkState.DOWN, "The centre is busy.")
    assert link.rate_bytes_per_s == 3000
    assert link.next_try_at == made_stamp(40).at
    assert picture_of(unit).last_sync_at == made_stamp(6).at


def test_rate_does_not_compare_the_clocks_of_two_boots(unit: Store) -> None:
    transfers.open_transfer(unit, made_stamp(50), 1, "pacs", 1)
    transfers.close_transfer(unit, made_stamp(1, "boot-2"), 1, bytes_sent=1000, accepted_count=1, failure=None)

    assert unit.value("SELECT duration_s FROM transfer") == 0


def test_attempts_left_open_by_a_power_cut_are_closed_at_the_next_start(unit: Store) -> None:
    transfers.open_transfer(unit, made_stamp(), 1, "pacs", 1)

    assert transfers.close_interrupted_transfers(unit, made_stamp(9)) == 1
    assert transfers.close_interrupted_transfers(unit, made_stamp(9)) == 0
    assert transfers.transfer_id_last(unit) == 1
    assert unit.value("SELECT failure_code FROM transfer") == "interrupted"


def test_findings_show_the_gravest_first_until_they_are_cleared(unit: Store) -> None:
    for severity, subject in (("notice", "a"), ("alarm", "b"), ("warning", "c")):
        note_finding(unit, kind="k", subject_id=subject, sentence="Look.", severity=severity)  # type: ignore[arg-type] # a Literal from a tuple
    clear_finding(unit, kind="k", subject_id="c")

    assert [row.subject_id for row in picture_of(unit).findings] == ["b", "a"]


def test_read_study_lists_instances_with_their_items_and_proof(unit: Store, reader: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(1), made_kept(2)], ["pacs", "archive"], None)
    put(unit, 1, S.CONFIRMED)
    instances.set_local_state(unit, made_stamp(), "1.2.3.1.9.2", LocalState.MISSING, "read error")
    found = read_study(reader, "1.2.3.1")

    assert found is not None
    study, rows = found
    assert (study.instance_count, study.on_disk_count) == (2, 1)
    assert [(item.destination, item.state, item.proof) for item in rows[0].items] == [
        ("pacs", S.CONFIRMED, "wado"),
        ("archive", S.PENDING, ""),
    ]
    assert rows[1].local_state is LocalState.MISSING
    assert read_study(reader, "1.2.3.4") is None


def test_queue_is_in_order_and_leaves_out_what_is_confirmed(unit: Store) -> None:
    keep_instances(unit, made_stamp(), [made_kept(n) for n in (1, 2, 3)], ["pacs"], None)
    put(unit, 1, S.CONFIRMED)
    put(unit, 2, S.REJECTED, REFUSED)

    assert [(row.item_id, row.failure_code) for row in read_queue(unit)] == [(2, "http-409"), (3, "")]
    assert [row.item_id for row in read_queue(unit, with_confirmed=True)] == [1, 2, 3]
    assert [row.item_id for row in read_queue(unit, 1)] == [2]
    assert read_queue(unit, destination="archive") == ()


def test_archive_is_searched_by_page_from_the_newest(unit: Store) -> None:
    rows = [made_kept(n, study=n) for n in range(1, 6)]
    keep_instances(unit, made_stamp(), rows, ["pacs"], None)
    first, goes_on = search_studies(unit, "doe", limit=3)
    second, end = search_studies(unit, "doe", before_instance_id=goes_on, limit=3)

    assert [row.patient_id for row in first + second] == ["P5", "P4", "P3", "P2", "P1"]
    assert end is None


@pytest.mark.parametrize(("text", "found"), [("P2", 1), ("A3", 1), ("%", 0), ("_", 0), ("1.2.3.1", 1), ("", 3)])
def test_search_takes_its_text_literally(unit: Store, text: str, found: int) -> None:
    keep_instances(unit, made_stamp(), [made_kept(n, study=n) for n in (1, 2, 3)], ["pacs"], None)

    assert len(search_studies(unit, text)[0]) == found
