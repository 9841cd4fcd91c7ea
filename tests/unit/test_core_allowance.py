"""Hours and budgets: what may travel over which kind of link, what waits and for what, and when that may change."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.leave import Bar, Leave, Stop, stop_reason, stop_sentence
from appliance.domain.values import LinkKind, TrafficClass
from sync.core.allowance import ALL, DAY_S, Allowance, Hours, LinkRule, Wall

STAT_PREVIEW, STAT, PREVIEW, FULL = TrafficClass
HOUR_S = 3600.0
NIGHT = Hours(20 * HOUR_S, 6 * HOUR_S, frozenset({FULL}))
SETTLE_S = 30.0

hours = st.builds(
    Hours,
    start_s=st.integers(0, 24 * 60).map(lambda minute: minute * 60.0),
    end_s=st.integers(0, 24 * 60).map(lambda minute: minute * 60.0),
    classes=st.frozensets(st.sampled_from(TrafficClass), min_size=1),
)
rules = st.builds(
    LinkRule,
    budget_bytes_per_day=st.integers(0, 3) | st.integers(0, 1 << 40),
    budget_classes=st.frozensets(st.sampled_from(TrafficClass)),
    hours=st.lists(hours, max_size=4).map(tuple),
)
rules_of_kinds = st.dictionaries(st.sampled_from(LinkKind), rules)


def wall(second_of_day: float, *, verified: bool = True, mono_s: float = 0.0) -> Wall:
    return Wall(mono_s, 1.7e9, "2026-11-22", second_of_day, verified)


def on_sim(rule: LinkRule, second_of_day: float = 0.0, **of_wall: bool) -> Allowance:
    return Allowance({LinkKind.SIM: rule}, LinkKind.SIM, wall=wall(second_of_day, **of_wall))


def test_kind_without_a_rule_may_be_used_for_everything() -> None:
    allowance = Allowance({LinkKind.SIM: LinkRule(budget_bytes_per_day=1)}, LinkKind.WIRED)
    allowance.spend(1_000_000)
    assert allowance.allowed(0.0) == ALL
    assert not allowance.counts
    assert allowance.next_edge(0.0) is None


def test_used_up_budget_stops_what_it_names_and_says_until_when() -> None:
    allowance = on_sim(LinkRule(budget_bytes_per_day=50_000_000))
    allowance.spend(49_999_999)
    assert allowance.allowed(0.0) == ALL
    allowance.spend(1)
    waits = allowance.waits(0.0)
    assert waits == dict.fromkeys((PREVIEW, FULL), Stop(Bar.BUDGET, LinkKind.SIM, 50_000_000))
    assert stop_sentence(waits[FULL]) == "Waits until tomorrow: today's 50 MB for the SIM are used up."
    assert stop_reason(waits[FULL]) == "budget of today used up"


def test_budget_of_one_kind_is_not_spent_by_another() -> None:
    allowance = Allowance({LinkKind.SIM: LinkRule(budget_bytes_per_day=10)}, LinkKind.WIFI)
    allowance.spend(100)
    allowance.change_to(LinkKind.SIM, 0.0, SETTLE_S)
    assert allowance.allowed(0.0) == ALL


@pytest.mark.parametrize(
    ("hour", "held"), [(19.999, False), (20, True), (23.5, True), (0, True), (5.999, True), (6, False), (12, False)]
)
def test_hours_that_span_midnight_hold_on_both_sides_of_it(hour: float, held: bool) -> None:
    allowance = on_sim(LinkRule(hours=(NIGHT,)), hour * HOUR_S)
    assert (FULL in allowance.allowed(0.0)) is held
    assert allowance.allowed(0.0) >= {STAT_PREVIEW, STAT, PREVIEW}


def test_what_waits_for_hours_is_told_all_of_them() -> None:
    noon = Hours(12 * HOUR_S, 13.5 * HOUR_S, frozenset({FULL}))
    allowance = on_sim(LinkRule(hours=(noon, NIGHT)), 15 * HOUR_S)
    waits = allowance.waits(0.0)
    assert waits.keys() == {FULL}
    assert stop_sentence(waits[FULL]) == "Waits for 12:00-13:30 or 20:00-06:00, its hours on the SIM."
    assert stop_reason(waits[FULL]) == "outside its hours until 20:00"


def test_hours_end_on_the_day_of_24_00_and_equal_ends_are_the_whole_day() -> None:
    until_midnight = Hours(20 * HOUR_S, DAY_S, frozenset({FULL}))
    assert until_midnight.hold(DAY_S - 0.001)
    assert not until_midnight.hold(0.0)
    assert Hours(0.0, 0.0, frozenset({FULL})).hold(12345.0)


@pytest.mark.fault(36)
def test_hours_do_not_apply_by_a_clock_that_nobody_believes_but_the_budget_does() -> None:
    allowance = on_sim(LinkRule(budget_bytes_per_day=10, hours=(NIGHT,)), 12 * HOUR_S, verified=False)
    assert allowance.allowed(0.0) == ALL
    assert allowance.next_edge(0.0) is None
    allowance.spend(10)
    assert allowance.allowed(0.0) == {STAT_PREVIEW, STAT}


def test_next_edge_is_where_hours_begin_or_end_next() -> None:
    allowance = on_sim(LinkRule(hours=(NIGHT,)), 19 * HOUR_S)
    assert allowance.next_edge(0.0) == HOUR_S
    assert allowance.next_edge(HOUR_S) == 11 * HOUR_S


def test_unit_at_the_edge_of_a_wifi_obeys_the_sim_without_a_break() -> None:
    allowance = on_sim(LinkRule(budget_bytes_per_day=10))
    allowance.spend(10)
    for second in range(0, 200, 10):
        kind = LinkKind.WIFI if second % 20 == 0 else LinkKind.SIM
        if kind is not allowance.kind:
            allowance.change_to(kind, float(second), SETTLE_S)
        assert allowance.allowed(float(second)) == {STAT_PREVIEW, STAT}


def test_link_that_became_another_is_free_once_it_has_settled_and_an_alarm_rings_then() -> None:
    allowance = on_sim(LinkRule(budget_bytes_per_day=10))
    allowance.spend(10)
    assert not allowance.change_to(LinkKind.WIFI, 100.0, SETTLE_S)
    assert FULL not in allowance.allowed(129.999)
    assert allowance.next_edge(100.0) == 130.0
    assert allowance.allowed(130.0) == ALL
    assert allowance.next_edge(130.0) is None


def test_link_that_comes_back_soon_is_the_same_and_one_that_comes_back_late_is_not() -> None:
    allowance = Allowance({}, LinkKind.WIFI)
    assert not allowance.change_to(LinkKind.SIM, 0.0, SETTLE_S)
    assert allowance.change_to(LinkKind.WIFI, 29.0, SETTLE_S)
    assert not allowance.change_to(LinkKind.SIM, 60.0, SETTLE_S)


def test_link_that_gets_a_name_at_last_does_not_go_on_to_obey_the_rule_for_unknown_ones() -> None:
    allowance = Allowance({LinkKind.UNKNOWN: LinkRule(hours=(NIGHT,))}, wall=wall(12 * HOUR_S))
    assert FULL not in allowance.allowed(0.0)
    allowance.change_to(LinkKind.WIRED, 0.0, SETTLE_S)
    assert allowance.allowed(0.0) == ALL


@given(rules=rules_of_kinds, kind=st.sampled_from(LinkKind), used=st.integers(0, 1 << 41), second=st.floats(0, DAY_S))
def test_everything_waits_with_a_sentence_or_may_go(
    rules: dict[LinkKind, LinkRule], kind: LinkKind, used: int, second: float
) -> None:
    allowance = Allowance(rules, kind, {kind: used}, wall(second))
    waits = allowance.waits(0.0)
    assert allowance.allowed(0.0) == ALL - waits.keys()
    assert all(stop_sentence(stop).startswith("Waits ") for stop in waits.values())
    assert {each for each, leave in allowance.leaves(0.0).items() if leave.stop} == waits.keys()


@given(rules=rules_of_kinds, kind=st.sampled_from(LinkKind), used=st.integers(0, 1 << 41), more=st.integers(0, 1 << 41))
def test_spending_never_allows_anything(rules: dict[LinkKind, LinkRule], kind: LinkKind, used: int, more: int) -> None:
    allowance = Allowance(rules, kind, {kind: used}, wall(0.0))
    before = allowance.allowed(0.0)
    allowance.spend(more)
    assert allowance.allowed(0.0) <= before


@given(
    rules=rules_of_kinds,
    changes=st.lists(st.tuples(st.sampled_from(LinkKind), st.floats(0, 60)), max_size=6),
    second=st.floats(0, DAY_S),
    share=st.floats(0, 1, exclude_max=True),
)
def test_nothing_changes_with_time_alone_before_the_next_edge(
    rules: dict[LinkKind, LinkRule], changes: list[tuple[LinkKind, float]], second: float, share: float
) -> None:
    allowance = Allowance(rules, LinkKind.WIRED, wall=wall(second))
    now = 0.0
    for kind, after_s in changes:
        now += after_s
        if kind is not allowance.kind:
            allowance.change_to(kind, now, SETTLE_S)
    edge = allowance.next_edge(now)
    assert edge is None or edge > now
    between = now + share * (min(edge, now + DAY_S) - now if edge is not None else DAY_S)
    if edge is None or edge - between > 0.001:  # seconds of the day are rounded to the millisecond
        assert allowance.allowed(between) == allowance.allowed(now)


@given(rules=rules_of_kinds, kinds=st.lists(st.sampled_from(LinkKind), max_size=5), second=st.floats(0, DAY_S))
def test_link_on_its_way_to_another_kind_may_do_no_more_than_either(
    rules: dict[LinkKind, LinkRule], kinds: list[LinkKind], second: float
) -> None:
    allowance = Allowance(rules, LinkKind.WIRED, wall=wall(second))
    for kind in kinds:
        left = allowance.kind
        if kind is left:
            continue
        allowance.change_to(kind, 0.0, SETTLE_S)
        of_both = [Allowance(rules, each, wall=wall(second)).allowed(0.0) for each in {left, kind} - {LinkKind.UNKNOWN}]
        assert allowance.allowed(0.0) <= frozenset.intersection(ALL, *of_both)


def test_leave_tells_what_is_left_of_budget_and_hours() -> None:
    evening = Hours(18 * HOUR_S, 20 * HOUR_S, frozenset({FULL}))
    allowance = on_sim(LinkRule(budget_bytes_per_day=100, hours=(NIGHT, evening)), 19 * HOUR_S)
    allowance.spend(30)
    assert allowance.leaves(0.0) == {PREVIEW: Leave(bytes_left=70), FULL: Leave(None, 70, 11 * HOUR_S)}
    assert Allowance({}, LinkKind.SIM).leaves(0.0) == {}


def test_hours_that_follow_each_other_round_the_clock_never_end() -> None:
    day = Hours(6 * HOUR_S, 20 * HOUR_S, frozenset({FULL}))
    assert on_sim(LinkRule(hours=(NIGHT, day)), 19 * HOUR_S).leaves(0.0) == {}
    assert on_sim(LinkRule(hours=(Hours(0.0, 0.0, ALL),)), 19 * HOUR_S).leaves(0.0) == {}


@given(rules=rules_of_kinds, kind=st.sampled_from(LinkKind), second=st.floats(0, DAY_S, exclude_max=True))
def test_leave_ends_when_it_says(rules: dict[LinkKind, LinkRule], kind: LinkKind, second: float) -> None:
    allowance = Allowance(rules, kind, wall=wall(second))
    for each, leave in allowance.leaves(0.0).items():
        if leave.stop is None and leave.seconds_left < DAY_S:
            assert each in allowance.allowed(leave.seconds_left - 0.002)
            assert each not in allowance.allowed(leave.seconds_left + 0.002) or leave.bytes_left < 1
