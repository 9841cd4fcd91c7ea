"""What people are told: two check marks mean proof, an estimate is a range, and power may go only when it is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain import sentences
from appliance.domain.eta import Eta
from appliance.domain.forecast import Forecast
from appliance.domain.snapshot import FindingRow, LinkRow, PowerState, StudyState
from appliance.domain.values import ItemState, JournalEntry, LinkState
from appliance.store.errors import StoreFault
from tests.support.snapshots import DAY, LINK_DOWN, LINK_UP, NOW_S, snapshot, study


def test_two_check_marks_stand_for_complete_and_for_nothing_else() -> None:
    marked = {state for state in StudyState if "✓✓" in sentences.study_state(replace(DAY[0], state=state))}
    assert marked == {StudyState.COMPLETE}
    assert {state for state in ItemState if "✓✓" in sentences.item_state(state)} == {ItemState.CONFIRMED}


def test_every_state_has_a_mark_and_a_word_of_its_own() -> None:
    words = {sentences.study_state(replace(DAY[0], state=state), short=True) for state in StudyState}
    assert len(words) == len(StudyState)
    assert len({sentences.item_state(state) for state in ItemState}) == len(ItemState)


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (15_300_000, "15.3 MB"),
        (999_950, "1.0 MB"),
        (2 * 10**11, "200 GB"),
    ],
)
def test_size_is_said_in_decimal_units(size_bytes: int, words: str) -> None:
    assert sentences.size(size_bytes) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (5, "under 1 min"),
        (120, "1-3 min"),
        (50 * 60, "40-70 min"),
        (3 * 3600, "2-4 h"),
        (10 * 86_400, "8-13 days"),
    ],
)
def test_estimate_is_a_rounded_range(seconds: float, words: str) -> None:
    assert sentences.duration_range(seconds) == words


@given(st.floats(min_value=0, max_value=1e9))
def test_estimate_range_holds_the_estimate(seconds: float) -> None:
    words = sentences.duration_range(seconds)
    unit_s = {"min": 60, "h": 3600, "days": 86_400}[words.split()[-1]]
    if words.startswith("under"):
        assert seconds <= int(words.split()[1]) * unit_s
    else:
        low, high = (int(part) for part in words.split()[0].split("-"))
        assert low * unit_s <= seconds <= high * unit_s


def test_eta_is_the_forecast_of_the_queue() -> None:
    assert sentences.eta(snapshot(links=(LINK_UP,))) == "20-40 min"
    assert sentences.eta(snapshot(links=(LINK_DOWN,))) == "unknown - link down"
    assert sentences.eta(snapshot((DAY[5],))) == "nothing waits"
    assert sentences.eta(replace(snapshot(), forecast=None)) == "unknown - no centre is told to take it yet"


def test_study_says_when_it_is_through_or_why_nobody_knows() -> None:
    soon = replace(DAY[1], forecast=Forecast(Eta(250.0, 400.0)))
    assert sentences.study_eta(soon) == "4-7 min"
    assert sentences.why_waiting(soon, (LINK_UP,), 2) == "Waits behind 2 studies. At the centre in 4-7 min."
    later = replace(DAY[1], forecast=Forecast(why="outside its hours until 20:00"))
    assert (
        sentences.why_waiting(later, (LINK_UP,), 0) == "Next to go. Nobody knows when: outside its hours until 20:00."
    )
    assert sentences.study_eta(replace(DAY[5], forecast=Forecast(Eta(0.0, 1.0)))) == ""


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2026-11-22T09:19:40Z", "just now"),
        ("2026-11-22T09:12:00Z", "8 min ago"),
        ("2026-11-22T01:12:00Z", "8 h ago"),
        ("2026-11-12T01:12:00Z", "10 days ago"),
        ("", ""),
        ("no time", ""),
    ],
)
def test_age_is_said_in_one_unit(at: str, words: str) -> None:
    assert sentences.age(at, NOW_S) == words


def test_time_in_the_future_is_said_to_be_a_changed_clock_not_an_age() -> None:
    assert (
        sentences.last_sync("2036-11-22T09:12:00Z", NOW_S, UTC) == "last sync 2036-11-22 09:12 (the clock has changed)"
    )


def test_times_are_shown_in_the_zone_of_the_unit() -> None:
    assert sentences.clock_time("2026-11-22T09:12:00Z", timezone(timedelta(hours=1)), NOW_S) == "10:12"


@pytest.mark.parametrize(
    ("power", "words"),
    [
        (PowerState(True, 0, 0), "✓ Safe to power off"),
        (PowerState(False, 1, 0), "✖ Do not power off - receiving from 1 device"),
        (PowerState(False, 2, 3), "✖ Do not power off - receiving from 2 devices, filing 3 images"),
        (PowerState(False, 0, 0), "✖ Do not power off - writing"),
        (PowerState(True, 0, 0, known=False), "✖ Do not power off - the unit's programs do not answer"),
    ],
)
def test_power_line_says_safe_only_when_it_is_known(power: PowerState, words: str) -> None:
    assert sentences.power_line(power) == words


def test_link_that_is_down_is_said_with_what_is_safe_and_what_to_do() -> None:
    said = sentences.link_line(LINK_DOWN, 12, NOW_S, UTC, hint="or press F5")
    assert said == (
        "centre: The centre is not reachable. Nothing is lost: 12 studies are stored here. "
        "Keep working; next try 09:22, or press F5."
    )


def test_queue_order_is_stat_then_oldest_then_what_waits_for_a_person() -> None:
    rows = (
        study(1, "A", StudyState.QUEUED, minute=30),
        study(2, "B", StudyState.HELD, minute=1, stat=True),
        study(3, "C", StudyState.QUEUED, minute=40, stat=True),
        study(4, "D", StudyState.SENT, minute=10),
        study(5, "E", StudyState.COMPLETE, minute=0),
    )
    assert [row.patient_name for row in sentences.unsent(rows)] == ["C", "D", "A", "B"]


@pytest.mark.parametrize("state", [state for state in StudyState if state is not StudyState.COMPLETE])
@pytest.mark.parametrize("link", [LINK_UP, LINK_DOWN])
def test_every_study_that_is_not_complete_has_a_reason(state: StudyState, link: LinkRow) -> None:
    assert sentences.why_waiting(study(1, "A", state), (link,), 0).endswith(".")


def test_reason_of_a_study_set_aside_is_the_destination_s_own_sentence() -> None:
    said = sentences.why_waiting(DAY[3], (LINK_UP,), 0)
    assert said.startswith("The centre does not accept this kind of image. The other studies go on")


def test_status_names_what_would_be_lost_with_the_unit() -> None:
    segments = sentences.status_segments(snapshot(), NOW_S, UTC)
    assert segments[:2] == ("5 studies not yet safe at the centre", "only on this unit: 4 studies")


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("links", [(), (LINK_UP,), (LINK_DOWN,), (LINK_UP, replace(LINK_DOWN, destination="other"))])
def test_status_parts_fit_the_screen_they_are_for(links: tuple[LinkRow, ...], short: bool) -> None:
    segments = sentences.status_segments(snapshot(links=links), NOW_S, UTC, short=short)
    assert all(len(segment) <= (40 if short else 80) for segment in segments)


def test_person_is_needed_for_a_study_set_aside_and_for_a_warning_but_not_for_a_notice() -> None:
    notice = FindingRow(1, "k", "s", "Good to know.", "notice", "")
    assert sentences.needs_person(snapshot((DAY[3],), findings=()))
    assert sentences.needs_person(snapshot((DAY[5],), findings=(replace(notice, severity="warning"),)))
    assert not sentences.needs_person(snapshot((DAY[5], DAY[1]), findings=(notice,), links=(LINK_DOWN,)))


@pytest.mark.parametrize("fault", list(StoreFault))
def test_every_fault_of_the_store_is_said_with_what_is_safe_and_what_to_do(fault: StoreFault) -> None:
    assert sentences.database_unreadable(fault).endswith(".")
    assert "not touched" in sentences.database_trouble(fault) and sentences.database_trouble(fault).endswith(".")


def test_link_state_without_contact_never_sounds_connected() -> None:
    unknown = replace(LINK_UP, state=LinkState.UNKNOWN)
    assert "connected" not in sentences.link_line(unknown, 1, NOW_S, UTC)
    assert sentences.link_summary((LINK_UP, unknown)) == "link: no contact yet"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [("sending", "sent", "accepted sending → sent"), ("", "given", "accepted → given"), ("", "", "accepted")],
)
def test_journal_line_says_the_move_there_was(before: str, after: str, words: str) -> None:
    assert sentences.journal_move(JournalEntry(1, "", "item", "1", "accepted", before, after, "sync", "")) == words
