"""When studies will be through: ranges that hold, grow with what is ahead, and keep the order of sending."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from appliance.domain.eta import Eta, Goodput, eta_of, eta_text
from appliance.domain.forecast import PREVIEW_BYTES_MAX, Forecast, Forecasts, Owed, WayOut, forecast
from appliance.domain.leave import Bar, Leave, Stop
from appliance.domain.values import LinkKind, LinkState, TrafficClass

STEADY = Goodput(90_000.0, 100_000.0, 110_000.0)
MEGABYTE = 1_000_000.0
UNIT_S = {"min": 60, "h": 3600, "day": 86_400, "days": 86_400}


def owed(name: str, megabytes: float = 1.0, *, stat: bool = False, at: float = 0.0, **counts: int) -> Owed:
    return Owed(name, stat, at, megabytes * MEGABYTE, **{"waiting_count": 1, **counts})


def way(*studies: Owed, goodput: Goodput | None = STEADY, state: LinkState = LinkState.UP, **leave: Leave) -> WayOut:
    return WayOut(
        True, state, goodput, {TrafficClass(name.replace("_", "-")): each for name, each in leave.items()}, studies
    )


def eta_of_study(forecasts: Forecasts, uid: str) -> Eta:
    eta = forecasts.by_study[uid].eta
    assert eta is not None
    return eta


def test_nothing_that_waits_has_no_forecast() -> None:
    assert forecast([]) == forecast([way()]) == Forecasts()


def test_study_waits_for_what_goes_before_it() -> None:
    told = forecast([way(owed("young", 9.9, at=2), owed("old", 9.9, at=1), owed("stat", 9.9, stat=True, at=3))])
    assert {uid: str(each) for uid, each in told.by_study.items()} == {
        "stat": "1-2 min",
        "old": "3-4 min",
        "young": "4-6 min",
    }
    assert told.queue == told.by_study["young"]


def test_previews_of_younger_studies_go_before_whole_files_at_worst() -> None:
    alone = eta_of_study(forecast([way(owed("old", at=1))]), "old")
    behind = eta_of_study(forecast([way(owed("old", at=1), owed("young", at=2, unannounced_count=50))]), "old")
    assert behind.low_s == alone.low_s
    assert behind.high_s == pytest.approx(alone.high_s + 50 * PREVIEW_BYTES_MAX / STEADY.low_bytes_per_s)


def test_study_is_through_when_the_slowest_destination_has_it() -> None:
    slow = Goodput(900.0, 1000.0, 1100.0)
    told = forecast([way(owed("a")), way(owed("a"), owed("b", at=1), goodput=slow)])
    assert eta_of_study(told, "a").high_s == pytest.approx(MEGABYTE / 900)
    unknown = forecast([way(owed("a")), way(owed("a"), state=LinkState.DOWN)])
    assert str(unknown.by_study["a"]) == str(unknown.queue) == "unknown - link down"


NIGHT = Stop(Bar.HOURS, LinkKind.SIM, hours="20:00-06:00", until="20:00")
USED_UP = Stop(Bar.BUDGET, LinkKind.SIM, 1_000_000)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (way(owed("a"), state=LinkState.DOWN), "link down"),
        (way(owed("a"), state=LinkState.UNKNOWN), "no contact yet"),
        (way(owed("a"), goodput=None), "nothing measured yet"),
        (way(owed("a"), goodput=Goodput(0.0, 0.0, 0.0)), "nothing measured yet"),
        (way(owed("a"), full=Leave(NIGHT)), "outside its hours until 20:00"),
        (way(owed("a"), full=Leave(USED_UP)), "budget of today used up"),
        (way(owed("a"), full=Leave(bytes_left=999_999)), "more than is left of today's budget"),
        (way(owed("a"), full=Leave(seconds_left=11.0)), "its hours end before"),
        (way(owed("a", waiting_count=0, held_count=1)), "waits for a person"),
        (way(owed("a", waiting_count=0, unproved_count=2)), "waits for the centre's proof"),
        (replace(way(owed("a")), is_configured=False), "its destination is not configured"),
    ],
)
def test_what_nobody_can_know_says_why(one: WayOut, why: str) -> None:
    told = forecast([one])
    assert str(told.by_study["a"]) == str(told.queue) == f"unknown - {why}"


def test_stat_study_goes_where_only_routine_ones_are_stopped() -> None:
    told = forecast([way(owed("stat", stat=True), owed("a"), full=Leave(NIGHT))])
    assert told.by_study["stat"].eta is not None
    assert told.by_study["a"].eta is None


def test_study_set_aside_does_not_hide_when_the_others_are_through() -> None:
    told = forecast([way(owed("a"), owed("b", waiting_count=0, held_count=1))])
    assert told.queue == told.by_study["a"]
    assert told.by_study["b"] == Forecast(why="waits for a person")


@pytest.mark.parametrize(
    ("eta", "words"),
    [
        (Eta(0.0, 59.0), "under a minute"),
        (Eta(20.0, 61.0), "up to 2 min"),
        (Eta(40 * 60, 60 * 60), "40-60 min"),
        (Eta(12 * 60, 14 * 60), "10-15 min"),
        (Eta(2 * 3600, 2.5 * 3600), "2-3 h"),
        (Eta(20 * 3600, 24 * 3600), "up to 1 day"),
        (Eta(30 * 3600, 70 * 3600), "1-3 days"),
        (Eta(120.0, 120.0), "about 2 min"),
    ],
)
def test_range_is_said_as_a_person_would(eta: Eta, words: str) -> None:
    assert eta_text(eta) == words


seconds = st.floats(0, 1e8)


@given(seconds, seconds)
def test_words_hold_the_range_and_no_more_than_a_step_beyond(one_s: float, other_s: float) -> None:
    low_s, high_s = sorted((one_s, other_s))
    words = eta_text(Eta(low_s, high_s))
    if words == "under a minute":
        assert high_s < 60
        return
    numbers, unit = [int(number) for number in re.findall(r"\d+", words)], UNIT_S[words.split()[-1]]
    assert (0 if words.startswith("up to") else numbers[0]) * unit <= low_s
    assert high_s <= numbers[-1] * unit <= max(2 * high_s, 120)


goodputs = st.tuples(*[st.floats(1.0, 1e8)] * 3).map(lambda three: Goodput(*sorted(three)))
backlogs = st.floats(0, 1e12)


@given(backlogs, backlogs, goodputs)
def test_eta_is_a_range_that_grows_with_the_backlog(one: float, other: float, goodput: Goodput) -> None:
    less, more = (eta_of(each, goodput) for each in sorted((one, other)))
    assert less is not None
    assert more is not None
    assert 0 <= less.low_s <= less.high_s
    assert less.low_s <= more.low_s
    assert less.high_s <= more.high_s


owed_studies = st.builds(
    Owed,
    st.just(""),
    st.booleans(),
    st.floats(0, 1e6),
    link_bytes=st.floats(0, 1e11),
    unannounced_count=st.integers(0, 1000),
    waiting_count=st.just(1),
)
lines = st.lists(owed_studies, min_size=1, max_size=12).map(
    lambda line: [replace(one, study_instance_uid=str(number)) for number, one in enumerate(line)]
)


def etas(line: Sequence[Owed], goodput: Goodput) -> dict[str, Eta]:
    told = forecast([way(*line, goodput=goodput)])
    return {one.study_instance_uid: eta_of_study(told, one.study_instance_uid) for one in line}


@given(lines, goodputs)
def test_stat_is_never_later_than_routine_and_older_never_than_younger(line: list[Owed], goodput: Goodput) -> None:
    told = etas(line, goodput)
    for one in line:
        for other in line:
            goes_before = (not one.stat, one.queued_at_s) < (not other.stat, other.queued_at_s)
            if goes_before:
                first, second = told[one.study_instance_uid], told[other.study_instance_uid]
                assert first.low_s <= second.low_s
                assert first.high_s <= second.high_s


@given(lines, owed_studies, goodputs)
def test_one_more_study_makes_nobody_earlier(line: list[Owed], more: Owed, goodput: Goodput) -> None:
    before, after = etas(line, goodput), etas([*line, replace(more, study_instance_uid="more")], goodput)
    for uid, eta in before.items():
        assert 0 <= eta.low_s <= eta.high_s
        assert after[uid].low_s >= eta.low_s * (1 - 1e-9)
        assert after[uid].high_s >= eta.high_s * (1 - 1e-9)


@given(lines, goodputs)
def test_queue_is_through_with_its_last_study(line: list[Owed], goodput: Goodput) -> None:
    told = forecast([way(*line, goodput=goodput)])
    assert told.queue is not None
    assert told.queue.eta is not None
    assert told.queue.eta.high_s == max(eta_of_study(told, one.study_instance_uid).high_s for one in line)


@given(lines, goodputs, goodputs)
def test_faster_link_is_never_later(line: list[Owed], goodput: Goodput, other: Goodput) -> None:
    assume(goodput.low_bytes_per_s <= other.low_bytes_per_s and goodput.high_bytes_per_s <= other.high_bytes_per_s)
    slow, fast = etas(line, goodput), etas(line, other)
    assert all(fast[uid].low_s <= slow[uid].low_s and fast[uid].high_s <= slow[uid].high_s for uid in slow)
