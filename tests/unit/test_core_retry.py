"""Back-off, jitter and the link: pure values over a given ``now``."""

from __future__ import annotations

import math

import pytest

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.limits import LimitSet
from appliance.domain.values import LinkState
from sync.core.effects import NoteLink, ProbeLink
from sync.core.link import Link
from sync.core.retry import BackoffList, Jitter, Why, at_least_asked, backoff_s

LIMITS = LimitSet()
BROKEN = Failure(FailureKind.LINK, "link-broken", "The connection broke.")


def test_backoff_doubles_up_to_the_cap_and_stays_there_for_ever() -> None:
    waits = [backoff_s(count, 2.0, 300.0, 1.0) for count in (1, 2, 3, 8, 9, 10, 10_000_000)]
    assert waits == [2.0, 4.0, 8.0, 256.0, 300.0, 300.0, 300.0]


def test_backoff_is_never_less_than_half_of_its_ceiling() -> None:
    assert backoff_s(1, 2.0, 300.0, 0.0) == 1.0


def test_jitter_repeats_for_one_seed_and_differs_between_seeds() -> None:
    first, again, other = Jitter(7), Jitter(7), Jitter(8)
    draws = [first.draw() for _ in range(1000)]
    assert draws == [again.draw() for _ in range(1000)]
    assert draws != [other.draw() for _ in range(1000)]
    assert all(0.0 <= draw < 1.0 for draw in draws)
    assert 0.45 < sum(draws) / len(draws) < 0.55


@pytest.mark.fault(43)
@pytest.mark.parametrize(
    ("asked_s", "wait_s"), [(None, 2.0), (1.0, 2.0), (60.0, 60.0), (1e9, 300.0), (-5.0, 2.0), (math.nan, 2.0)]
)
def test_retry_after_is_honoured_but_bounded(asked_s: float | None, wait_s: float) -> None:
    assert at_least_asked(2.0, asked_s, 300.0) == wait_s


def test_full_backoff_list_lets_the_item_go_that_is_due_first() -> None:
    waiting = BackoffList(2)
    waiting.add(1, 30.0, Why.FAILED)
    waiting.add(2, 10.0, Why.FAILED)
    waiting.add(3, 20.0, Why.FAILED)
    assert set(waiting) == {1, 3}
    assert waiting.earliest() == 20.0


def test_full_backoff_list_keeps_the_others_when_a_known_item_fails_again() -> None:
    waiting = BackoffList(2)
    waiting.add(1, 30.0, Why.FAILED)
    waiting.add(2, 10.0, Why.FAILED)
    waiting.add(1, 40.0, Why.FAILED)
    assert set(waiting) == {1, 2}


def test_wait_ends_at_its_deadline_and_not_before() -> None:
    waiting = BackoffList(8)
    waiting.add(1, 10.0, Why.FAILED)
    assert not waiting.expire(9.999)
    assert waiting.expire(10.0)
    assert len(waiting) == 0


def test_link_up_ends_only_waits_for_failures() -> None:
    waiting = BackoffList(8)
    for item_id, why in enumerate(Why):
        waiting.add(item_id, 10.0, why)
    assert waiting.release(Why.FAILED)
    assert len(waiting) == 2


def test_unknown_link_is_probed_at_once() -> None:
    assert Link("north").probe_if_due(0.0, LIMITS) == ProbeLink("north")


def test_unanswered_probe_is_repeated_after_the_longest_backoff() -> None:
    link = Link("north")
    link.probe_if_due(0.0, LIMITS)
    assert link.probe_if_due(299.0, LIMITS) is None
    assert link.probe_if_due(300.0, LIMITS) == ProbeLink("north")


def test_forty_wishes_at_once_make_one_probe() -> None:
    link = Link("north")
    link.probe_if_due(0.0, LIMITS)
    link.go_down(None, 1.0, LIMITS, Jitter(1))
    probes = []
    for _ in range(40):
        link.probe_soon(2.0)
        probes.append(link.probe_if_due(2.0, LIMITS))
    assert probes == [ProbeLink("north"), *[None] * 39]
    link.go_down(None, 3.0, LIMITS, Jitter(1))
    link.probe_soon(4.0)
    assert link.probe_if_due(4.0, LIMITS) == ProbeLink("north")


def test_link_probe_backs_off_and_starts_over_only_after_an_answer_for_an_item() -> None:
    link, jitter = Link("north"), Jitter(1)
    waits = []
    for _ in range(12):
        link.go_down(BROKEN, 0.0, LIMITS, jitter)
        waits.append(link.probe_mono_s)
        link.come_up(0.0)  # the probe gets through, the transfer does not
    assert waits[0] <= 2.0
    assert 150.0 <= waits[-1] <= 300.0
    link.answered(0.0)
    link.go_down(BROKEN, 0.0, LIMITS, jitter)
    assert link.probe_mono_s <= 2.0


def test_link_that_is_up_is_not_noted_twice() -> None:
    link = Link("north")
    assert link.come_up(0.0) == NoteLink("north", LinkState.UP, None, None)
    assert link.come_up(0.0) is None
