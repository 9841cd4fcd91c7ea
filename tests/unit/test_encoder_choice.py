"""The choice of effort: what comes out of it on known links, and what must hold on all of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.encoder.choice import (
    AHEAD_S_MIN,
    EFFORT_LAST_MILE,
    STAY_SHARE,
    YIELDS,
    Content,
    Situation,
    Yield,
    choose_effort,
    content_of,
    finish_s,
)

FILM = 6_200_000
NATIVE = YIELDS[Content.NATIVE]


def _chosen(
    rate_bytes_per_s: float | None, ready_bytes: int, waiting_bytes: int, *, is_awaited: bool = False, cores: int = 1
) -> int:
    situation = Situation(rate_bytes_per_s, ready_bytes, waiting_bytes, FILM, cores, is_awaited)
    return choose_effort(situation, NATIVE)


def test_lowest_effort_on_a_fast_link() -> None:
    assert _chosen(50e6 / 8, 0, FILM, is_awaited=True) == 1
    assert _chosen(50e6 / 8, 1_000_000, 200_000_000) == 1
    assert _chosen(1e9 / 8, 10_000_000, 200_000_000) == 1


def test_first_film_on_an_idle_link_is_coded_in_a_fraction_of_its_sending_time() -> None:
    for rate in (25_000.0, 125_000.0, 1_250_000.0):
        gives = NATIVE[_chosen(rate, 0, FILM, is_awaited=True)]
        assert FILM / gives.speed_bytes_per_s < 0.2 * FILM * gives.share / rate


def test_high_effort_on_a_slow_link_with_something_ready_to_send() -> None:
    assert _chosen(125_000.0, 1_000_000, 200_000_000) == 7


def test_high_effort_while_the_link_is_down() -> None:
    assert _chosen(None, 0, 200_000_000) == 7


def test_highest_effort_only_when_minutes_are_ready() -> None:
    rate = 25_000.0
    assert _chosen(rate, int(AHEAD_S_MIN * rate), 200_000_000) == EFFORT_LAST_MILE
    assert _chosen(rate, int(AHEAD_S_MIN * rate) - 1, 200_000_000) < EFFORT_LAST_MILE


def test_less_effort_when_the_link_would_wait_for_the_workers() -> None:
    rate = 1_250_000.0
    assert _chosen(rate, 1_000_000, 200_000_000) < _chosen(rate / 10, 1_000_000, 200_000_000)


def test_more_workers_allow_more_effort() -> None:
    rate = 2_500_000.0
    assert _chosen(rate, 1_000_000, 200_000_000, cores=4) > _chosen(rate, 1_000_000, 200_000_000)


def test_choice_stays_where_another_is_hardly_better() -> None:
    yields = {1: Yield(2e6, 0.2), 2: Yield(1e6, 0.2 * (1 - STAY_SHARE / 2))}
    situation = Situation(1e3, 10_000_000, 200_000_000, FILM)
    assert choose_effort(situation, yields) == 2
    assert choose_effort(situation, yields, previous=1) == 1
    assert choose_effort(situation, {**yields, 2: Yield(1e6, 0.15)}, previous=1) == 2


def test_previous_effort_that_is_not_allowed_any_more_is_left() -> None:
    assert choose_effort(Situation(125_000.0, 0, FILM, FILM), NATIVE, previous=EFFORT_LAST_MILE) < EFFORT_LAST_MILE


@pytest.mark.parametrize(
    ("uid", "content"),
    [
        ("1.2.840.10008.1.2", Content.NATIVE),
        ("1.2.840.10008.1.2.2", Content.NATIVE),
        ("1.2.840.10008.1.2.4.50", Content.JPEG),
        ("1.2.840.10008.1.2.4.90", Content.OTHER),
        ("", Content.OTHER),
    ],
)
def test_content_by_transfer_syntax(uid: str, content: Content) -> None:
    assert content_of(uid) is content


rates = st.floats(min_value=100, max_value=1e9)
sizes = st.integers(min_value=0, max_value=1 << 40)
situations = st.builds(
    Situation,
    rate_bytes_per_s=rates,
    ready_bytes=sizes,
    waiting_bytes=sizes,
    item_bytes=st.integers(min_value=1, max_value=1 << 31),
    worker_count=st.integers(min_value=1, max_value=16),
    is_awaited=st.booleans(),
)


@st.composite
def orderly_yields(draw: st.DrawFn) -> dict[int, Yield]:
    """Higher efforts are slower and code smaller, as ``choose_effort`` demands."""
    efforts = sorted(draw(st.sets(st.integers(min_value=1, max_value=9), min_size=1)))
    speeds = sorted(draw(st.lists(st.floats(1e4, 1e9), min_size=len(efforts), max_size=len(efforts))), reverse=True)
    shares = sorted(draw(st.lists(st.floats(1e-4, 1.0), min_size=len(efforts), max_size=len(efforts))), reverse=True)
    return {effort: Yield(speed, share) for effort, speed, share in zip(efforts, speeds, shares, strict=True)}


@given(situations, orderly_yields(), st.none() | st.integers(min_value=1, max_value=9))
def test_choice_is_one_of_the_efforts(situation: Situation, yields: dict[int, Yield], previous: int | None) -> None:
    assert choose_effort(situation, yields, previous) in yields


@given(situations, orderly_yields(), rates)
def test_faster_link_never_gets_a_higher_effort(
    situation: Situation, yields: dict[int, Yield], other_rate: float
) -> None:
    assert situation.rate_bytes_per_s is not None
    slow, fast = sorted((situation.rate_bytes_per_s, other_rate))
    on_slow = choose_effort(replace(situation, rate_bytes_per_s=slow), yields)
    on_fast = choose_effort(replace(situation, rate_bytes_per_s=fast), yields)
    # Where two efforts finish at the same moment but for rounding, either may be named.
    same = finish_s(replace(situation, rate_bytes_per_s=fast), yields[on_fast])
    other = finish_s(replace(situation, rate_bytes_per_s=fast), yields[min(on_slow, on_fast)])
    assert on_fast <= on_slow or other == pytest.approx(same, rel=1e-9)


@given(situations, orderly_yields())
def test_no_allowed_effort_would_finish_sooner(situation: Situation, yields: dict[int, Yield]) -> None:
    chosen = choose_effort(situation, yields)
    soonest = min(
        finish_s(situation, gives) for effort, gives in yields.items() if effort < EFFORT_LAST_MILE or effort == chosen
    )
    if chosen < EFFORT_LAST_MILE or len(yields) == 1:
        assert finish_s(situation, yields[chosen]) <= soonest


@given(situations, orderly_yields(), st.integers(min_value=1, max_value=9))
def test_staying_costs_at_most_its_share(situation: Situation, yields: dict[int, Yield], previous: int) -> None:
    kept, best = choose_effort(situation, yields, previous), choose_effort(situation, yields)
    assert finish_s(situation, yields[kept]) <= finish_s(situation, yields[best]) * (1 + STAY_SHARE) + 1e-9
