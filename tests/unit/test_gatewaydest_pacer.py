"""What helps bbr on a thin long link, as pure decisions."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sync.adapters.gateway.pacer import PACE, RENEW_S, Advice, Pacer, Seen

RATE = 250_000.0
STARTING = Seen(RATE, shortest_s=0.65, round_trip_s=0.65, is_starting=True, is_busy=True)
QUEUED = replace(STARTING, round_trip_s=0.9)
CRUISING = replace(STARTING, is_starting=False)

seen = st.builds(
    Seen,
    rate_bytes_per_s=st.floats(0, 1e8),
    shortest_s=st.floats(0, 5),
    round_trip_s=st.floats(0, 20),
    is_starting=st.booleans(),
    is_busy=st.booleans(),
)


def test_first_start_is_free_until_a_queue_is_seen_and_growth_has_ended() -> None:
    pacer = Pacer()
    assert pacer.begin(0.0) == Advice(0.0, renew=True)
    assert pacer.look(0.1, STARTING) is None
    assert pacer.look(1.0, STARTING) is None
    advice = pacer.look(2.0, QUEUED)
    assert advice is not None and not advice.renew
    assert 0 < advice.cap_bytes_per_s <= RATE


def test_known_rate_bounds_the_very_first_byte() -> None:
    assert Pacer(RATE).begin(0.0) == Advice(RATE * PACE, renew=True)


def test_bound_is_lifted_once_bbr_knows_the_rate() -> None:
    pacer = Pacer(RATE)
    pacer.begin(0.0)
    assert pacer.look(0.7, CRUISING) == Advice(0.0)
    assert pacer.rate_bytes_per_s == RATE


def test_bbr_is_begun_anew_before_it_would_look_for_the_empty_path() -> None:
    pacer = Pacer(RATE)
    pacer.begin(0.0)
    pacer.look(0.7, CRUISING)
    assert pacer.look(RENEW_S - 0.1, CRUISING) is None
    assert pacer.look(RENEW_S, CRUISING) == Advice(RATE * PACE, renew=True)


def test_path_that_became_longer_is_left_to_bbr() -> None:
    pacer = Pacer(RATE)
    pacer.begin(0.0)
    pacer.look(0.7, CRUISING)
    assert pacer.look(RENEW_S, replace(CRUISING, round_trip_s=5.0)) is None


def test_link_that_became_faster_is_found_anew_without_a_bound() -> None:
    pacer = Pacer(RATE)
    pacer.begin(0.0)
    pacer.look(0.7, CRUISING)
    assert pacer.look(2.0, replace(CRUISING, rate_bytes_per_s=2 * RATE)) == Advice(0.0, renew=True)


def test_connection_at_rest_is_left_alone_and_starts_bounded_after_it() -> None:
    pacer = Pacer(RATE)
    pacer.begin(0.0)
    pacer.look(0.7, CRUISING)
    assert pacer.look(50.0, replace(CRUISING, is_busy=False)) is None
    assert pacer.begin(60.0) == Advice(RATE * PACE, renew=True)
    assert pacer.begin(60.1) is None


@given(st.lists(st.tuples(st.floats(0.01, 3.0), seen), max_size=60), st.floats(0, 1e8))
def test_bound_never_chokes_what_arrives(looks: list[tuple[float, Seen]], known: float) -> None:
    pacer = Pacer(known)
    now = 0.0
    arrived = known
    pacer.begin(now)
    for step, what in looks:
        now += step
        arrived = max(arrived, what.rate_bytes_per_s)
        advice = pacer.look(now, what)
        if advice is not None and advice.cap_bytes_per_s:
            least = min([what.rate_bytes_per_s, pacer.rate_bytes_per_s or what.rate_bytes_per_s])
            assert least * PACE * 0.999 <= advice.cap_bytes_per_s <= arrived * 1.6
