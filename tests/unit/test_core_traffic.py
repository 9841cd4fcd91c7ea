"""What the engine hears of bytes, kinds of link, networks and clocks, and what comes of it."""

from __future__ import annotations

import math
from typing import TypeVar

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import LinkKind, TrafficClass
from sync.core.allowance import LinkRule
from sync.core.effects import CancelTransfer, Effect, NeedCandidates, NoteRate, NoteUsage, ProbeLink
from sync.core.events import (
    BytesMoved,
    CandidatesOffered,
    ClockSeen,
    DeadlineReached,
    ItemFailed,
    LinkChanged,
    LinkKindChanged,
    NetworkCameUp,
    RoundTripSeen,
    TransferEnded,
)
from sync.core.policy import Policy
from tests.unit.test_core_engine import Story, item

BUSY = Failure(FailureKind.TRANSIENT, "http-503", "The centre is busy.")
GONE = Failure(FailureKind.LINK, "unreachable", "The centre is not reachable.")
SIM_RULE = {LinkKind.SIM: LinkRule(budget_bytes_per_day=1_000)}
T = TypeVar("T")


def all_of(effects: list[Effect], kind: type[T]) -> list[T]:
    return [effect for effect in effects if isinstance(effect, kind)]


def clock(used: dict[LinkKind, int] | None = None, day: str = "2026-11-22") -> ClockSeen:
    return ClockSeen(1.7e9, day, 0.0, True, tuple((used or {}).items()))


def on_sim(*, policy: Policy | None = None) -> Story:
    story = Story(item(1), policy=policy or Policy(link_rules=SIM_RULE))
    story.hear(clock())
    story.hear(LinkKindChanged(LinkKind.SIM))
    story.sending()
    return story


def test_bytes_are_booked_on_the_day_and_kind_also_of_an_attempt_that_nobody_remembers() -> None:
    story = on_sim()
    for transfer_id in (41, 7):
        effects = story.hear(BytesMoved("north", transfer_id, 300, 0.5))
        assert all_of(effects, NoteUsage) == [NoteUsage(LinkKind.SIM, "2026-11-22", 300)]
    assert story.engine.state.allowance.used_bytes == {LinkKind.SIM: 600}


def test_bytes_on_a_link_without_a_budget_cost_the_store_nothing() -> None:
    story = Story(item(1), policy=Policy(link_rules=SIM_RULE))
    story.hear(LinkKindChanged(LinkKind.WIFI))
    assert all_of(story.hear(BytesMoved("north", 41, 300, 0.5)), NoteUsage) == []


def test_transfer_is_called_off_once_when_the_budget_is_used_up_and_tomorrow_is_another_day() -> None:
    story = on_sim()
    assert all_of(story.hear(BytesMoved("north", 41, 999, 0.5)), CancelTransfer) == []
    assert all_of(story.hear(BytesMoved("north", 41, 1, 0.5)), CancelTransfer) == [CancelTransfer(41)]
    assert all_of(story.hear(BytesMoved("north", 41, 500, 0.5)), CancelTransfer) == []
    ended = story.hear(TransferEnded(41, 1500))
    assert all_of(ended, NeedCandidates)[0].classes == (TrafficClass.STAT_PREVIEW, TrafficClass.STAT)
    assert all_of(story.hear(clock({LinkKind.SIM: 1500})), NeedCandidates) == []
    story.hear(CandidatesOffered("north", ()))
    (wanted,) = all_of(story.hear(clock(day="2026-11-23")), NeedCandidates)
    assert wanted.classes == tuple(TrafficClass)


def test_clock_brings_the_account_as_the_store_has_it() -> None:
    story = on_sim()
    story.hear(BytesMoved("north", 41, 300, 0.5))
    story.hear(clock({LinkKind.SIM: 900, LinkKind.WIFI: 5}))
    assert story.engine.state.allowance.used_bytes == {LinkKind.SIM: 900, LinkKind.WIFI: 5}
    story.hear(clock(day="2026-11-23"))
    assert story.engine.state.allowance.used_bytes == {}


def measured(story: Story, bytes_per_s: int) -> None:
    for _ in range(5):
        story.hear(BytesMoved("north", 41, 2 * bytes_per_s, 2.0))


def test_estimate_of_a_link_that_is_another_one_now_is_forgotten() -> None:
    story = on_sim(policy=Policy())
    measured(story, 10_000)
    story.hear(RoundTripSeen("north", 0.3))
    (note,) = all_of(story.hear(LinkKindChanged(LinkKind.WIFI)), NoteRate)
    assert note == NoteRate("north", None, None)
    assert all_of(story.hear(LinkKindChanged(LinkKind.WIFI)), NoteRate) == []


def test_estimate_survives_a_link_that_was_away_for_a_moment() -> None:
    story = on_sim(policy=Policy())
    measured(story, 10_000)
    before = story.engine.state.lanes["north"].rate.goodput
    assert before is not None
    story.hear(LinkKindChanged(LinkKind.WIFI))
    measured(story, 900_000)
    story.now += 29.0
    (note,) = all_of(story.hear(LinkKindChanged(LinkKind.SIM)), NoteRate)
    assert note.goodput == before
    story.now += 31.0
    (note,) = all_of(story.hear(LinkKindChanged(LinkKind.WIFI)), NoteRate)
    assert note.goodput is None


def test_nonsense_from_an_adapter_is_no_measurement() -> None:
    story = on_sim(policy=Policy())
    for link_bytes, duration_s in ((-5, 2.0), (100, -1.0), (100, math.nan), (100, math.inf)):
        assert all_of(story.hear(BytesMoved("north", 41, link_bytes, duration_s)), NoteRate) == []
    assert all_of(story.hear(RoundTripSeen("north", math.nan)), NoteRate) == []
    assert all_of(story.hear(BytesMoved("nowhere", 41, 10_000, 2.0)), NoteRate) == []


def down(failure_count: int) -> Story:
    """A link that failed so many times in a row; nothing is being tried now."""
    story = Story(item(1))
    for _ in range(failure_count):
        story.hear(LinkChanged("north", False, GONE))
    assert story.engine.state.lanes["north"].link.failure_count == failure_count
    return story


def test_network_that_comes_up_has_a_link_tried_at_once_and_forgets_its_failures() -> None:
    story = down(failure_count=9)
    story.now += 1.0
    assert story.hear(DeadlineReached()) == []
    assert ProbeLink("north") in story.hear(NetworkCameUp())
    assert story.hear(NetworkCameUp()) == []  # it is being tried
    story.hear(LinkChanged("north", False, GONE))
    deadline = story.engine.next_deadline()
    assert deadline is not None
    assert deadline - story.now <= story.engine.policy.limits.backoff_s_first


def test_network_that_comes_up_ends_the_waits_of_items_once_the_link_proves_good() -> None:
    story = Story(item(1), item(2))
    story.sending()
    story.hear(ItemFailed(41, 1, BUSY))
    story.hear(TransferEnded(41, 0, GONE))
    lane = story.engine.state.lanes["north"]
    assert 1 in lane.backoff
    story.hear(NetworkCameUp())
    assert 1 in lane.backoff
    story.hear(LinkChanged("north", True))
    assert 1 not in lane.backoff


def test_network_that_comes_up_disturbs_no_link_that_works() -> None:
    story = Story(item(1))
    story.sending()
    assert story.hear(NetworkCameUp()) == []
