"""What is learned from measurements, and what no measurement can break."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.encoder.choice import YIELDS, Content
from sync.encoder.speeds import Speeds

FILM = 6_000_000


def test_slow_machine_is_learned_for_all_efforts_of_its_kind_and_no_other() -> None:
    speeds = Speeds()
    fast = YIELDS[Content.NATIVE]
    for _ in range(60):
        speeds.note(Content.NATIVE, 7, FILM, int(FILM * fast[7].share), 4 * FILM / fast[7].speed_bytes_per_s)
    for effort, gives in speeds.yields(Content.NATIVE).items():
        assert gives.speed_bytes_per_s == pytest.approx(fast[effort].speed_bytes_per_s / 4, rel=0.01)
        assert gives.share == pytest.approx(fast[effort].share, rel=0.01)
    assert speeds.yields(Content.JPEG) == YIELDS[Content.JPEG]


def test_one_odd_measurement_moves_little() -> None:
    speeds = Speeds()
    speeds.note(Content.NATIVE, 1, FILM, FILM // 7, 3600.0)
    expected = YIELDS[Content.NATIVE][1].speed_bytes_per_s
    assert speeds.yields(Content.NATIVE)[1].speed_bytes_per_s > expected / 3


@pytest.mark.parametrize(
    ("effort", "original_bytes", "coded_bytes", "duration_s"),
    [(0, FILM, FILM, 1.0), (4, FILM, FILM, 1.0), (1, 1000, 100, 1.0), (1, FILM, 0, 1.0), (1, FILM, FILM, 0.0)],
)
def test_what_says_nothing_is_not_learned(
    effort: int, original_bytes: int, coded_bytes: int, duration_s: float
) -> None:
    speeds = Speeds()
    speeds.note(Content.NATIVE, effort, original_bytes, coded_bytes, duration_s)
    assert speeds.yields(Content.NATIVE) == YIELDS[Content.NATIVE]


measurements = st.tuples(
    st.sampled_from(Content),
    st.integers(min_value=0, max_value=9),
    st.integers(min_value=0, max_value=1 << 31),
    st.integers(min_value=0, max_value=1 << 31),
    st.floats(min_value=0, max_value=1e6),
)


@given(st.lists(measurements, max_size=40))
def test_higher_effort_is_never_faster_nor_larger_whatever_was_measured(
    noted: list[tuple[Content, int, int, int, float]],
) -> None:
    speeds = Speeds()
    for each in noted:
        speeds.note(*each)
    for content in Content:
        yields = speeds.yields(content)
        for low, high in pairwise(sorted(yields)):
            assert 0 < yields[high].speed_bytes_per_s < yields[low].speed_bytes_per_s
            assert 0 < yields[high].share < yields[low].share
