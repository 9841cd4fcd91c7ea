"""The measured rate: the odd sample changes nothing, a lasting change is believed, and what is shown stands still."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.core.rate import CHANGE_SHARE, SAMPLE_COUNT, SPREAD_SHARE_MIN, RateEstimator, SteadyMedian

rates = st.floats(1.0, 1e9)
BELIEVED_COUNT = SAMPLE_COUNT // 2 + 1


def measured(*bytes_per_s: float) -> RateEstimator:
    estimator = RateEstimator()
    for each in bytes_per_s:
        estimator.moved(int(each * 2), 2.0)
    return estimator


def typical(estimator: RateEstimator) -> float:
    assert estimator.goodput is not None
    return estimator.goodput.typical_bytes_per_s


def test_nothing_is_known_before_a_second_was_measured() -> None:
    estimator = RateEstimator()
    assert not estimator.moved(5_000, 0.4)
    assert not estimator.moved(5_000, 0.4)
    assert estimator.goodput is None
    assert estimator.moved(5_000, 0.4)
    assert typical(estimator) == pytest.approx(15_000 / 1.2)


def test_socket_buffer_that_fills_at_once_is_no_megabyte_a_second() -> None:
    estimator = RateEstimator()
    for _ in range(20):
        estimator.moved(2_000_000, 0.001)
        estimator.moved(0, 19.999)
    assert typical(estimator) == pytest.approx(100_000)


def test_one_burst_and_one_pause_do_not_move_the_estimate() -> None:
    estimator = measured(*[100_000] * 6)
    assert not estimator.moved(100_000_000, 2.0)
    assert not estimator.moved(0, 2.0)
    assert typical(estimator) == 100_000


@pytest.mark.parametrize("factor", [0.1, 10.0])
def test_lasting_change_is_believed_after_half_of_the_samples(factor: float) -> None:
    estimator = measured(*[100_000] * SAMPLE_COUNT)
    news = [estimator.moved(int(200_000 * factor), 2.0) for _ in range(BELIEVED_COUNT)]
    assert news == [False] * (BELIEVED_COUNT - 1) + [True]
    assert typical(estimator) == pytest.approx(100_000 * factor)


def test_estimate_stands_while_the_link_wavers_within_a_fifth() -> None:
    estimator = measured(100_000)
    wavering = [100_000 * (1 + CHANGE_SHARE * share) for share in (0.9, -0.9) * 20]
    assert not any(estimator.moved(int(2 * each), 2.0) for each in wavering)


def test_range_holds_the_middle_half_of_what_was_measured() -> None:
    estimator = measured(*[40_000, 50_000, 100_000, 150_000, 160_000] * 2)
    assert estimator.goodput is not None
    assert estimator.goodput.low_bytes_per_s <= 50_000
    assert estimator.goodput.high_bytes_per_s >= 100_000


@pytest.mark.parametrize("sample", [(-1, 2.0), (10, -2.0), (10, math.nan), (10, math.inf)])
def test_nonsense_is_ignored(sample: tuple[int, float]) -> None:
    estimator = measured(100_000)
    before = estimator.goodput
    assert not estimator.moved(*sample)
    assert estimator.goodput == before


def test_link_that_stands_still_is_measured_as_nothing() -> None:
    estimator = measured(*[100_000] * 3, *[0.0] * SAMPLE_COUNT)
    assert typical(estimator) == 0.0


@given(st.lists(st.tuples(st.integers(0, 1 << 40), st.floats(0.0, 3600.0)), max_size=40))
def test_published_range_is_always_one(samples: list[tuple[int, float]]) -> None:
    estimator = RateEstimator()
    for link_bytes, duration_s in samples:
        before = estimator.goodput
        is_news = estimator.moved(link_bytes, duration_s)
        after = estimator.goodput
        assert is_news or after == before
        if after is not None:
            assert 0 <= after.low_bytes_per_s <= after.typical_bytes_per_s <= after.high_bytes_per_s < math.inf
            assert after.low_bytes_per_s <= after.typical_bytes_per_s * (1 - SPREAD_SHARE_MIN) + 1e-9


@given(st.lists(rates, min_size=1, max_size=60))
def test_estimate_is_within_a_fifth_of_the_median_of_the_last_samples(samples: list[float]) -> None:
    steady = SteadyMedian()
    for sample in samples:
        steady.add(sample)
    last = sorted(samples[-SAMPLE_COUNT:])
    middle = len(last) // 2
    median = last[middle] if len(last) % 2 else (last[middle - 1] + last[middle]) / 2
    assert steady.value is not None
    assert abs(median - steady.value) <= CHANGE_SHARE * steady.value * (1 + 1e-9)


@given(st.lists(rates, min_size=1, max_size=60))
def test_estimate_lies_among_what_was_measured(samples: list[float]) -> None:
    steady = SteadyMedian()
    for sample in samples:
        steady.add(sample)
        low, high = steady.quartiles()
        assert min(samples) <= low <= high <= max(samples)
    assert steady.value is not None
    assert min(samples) <= steady.value <= max(samples)


def test_round_trip_is_published_when_it_changed() -> None:
    estimator = RateEstimator()
    assert estimator.round_trip(0.6)
    assert not estimator.round_trip(0.65)
    assert not estimator.round_trip(math.nan)
    assert not estimator.round_trip(-1.0)
    assert estimator.round_trip_s == 0.6
