"""From what is known of link and wishes to an effort."""

from __future__ import annotations

from sync.encoder.choice import YIELDS, Content
from sync.encoder.pace import PLAIN_JXL, Pace, zstd_of
from sync.wire.effort import Effort
from tests.support.encoder_items import unread_item

FILM = 6_000_000
WISHES = [unread_item(number, size_bytes=FILM) for number in range(20)]


def test_every_effort_of_the_table_and_the_plain_one_has_a_zstd_level_that_the_wire_form_takes() -> None:
    for jxl in {PLAIN_JXL, *(effort for gives in YIELDS.values() for effort in gives)}:
        assert Effort(jxl=jxl, zstd=zstd_of(jxl)).jxl == jxl


def test_fast_link_gets_the_fastest_effort() -> None:
    pace = Pace(1, lambda _: None)
    pace.note_link(12_500_000.0, 20 * FILM)
    assert pace.choose(WISHES[0], WISHES, is_awaited=True) == 1
    assert pace.choose(WISHES[0], WISHES, is_awaited=False) == 1


def test_link_that_is_down_gets_more_effort_than_one_that_waits() -> None:
    pace = Pace(1, lambda _: None)
    pace.note_link(None, 20 * FILM)
    assert pace.choose(WISHES[0], WISHES, is_awaited=False) > pace.choose(WISHES[0], WISHES[:1], is_awaited=True)


def test_rate_of_nothing_is_no_rate() -> None:
    pace, unknown = Pace(1, lambda _: None), Pace(1, lambda _: None)
    pace.note_link(0.0, -5)
    assert pace.choose(WISHES[0], WISHES, is_awaited=False) == unknown.choose(WISHES[0], WISHES, is_awaited=False)


def test_parts_that_are_ready_leave_time_for_more_effort() -> None:
    ready = {wish.sha256: 800_000 for wish in WISHES[:10]}
    idle, ahead = Pace(1, lambda _: None), Pace(1, ready.get)
    for pace in (idle, ahead):
        pace.note_link(600_000.0, 20 * FILM)
    assert ahead.choose(WISHES[10], WISHES, is_awaited=False) >= idle.choose(WISHES[0], WISHES, is_awaited=False)
    assert ahead.choose(WISHES[10], WISHES, is_awaited=False) > ahead.choose(WISHES[10], WISHES[:11], is_awaited=True)


def test_backlog_beyond_the_wishes_counts() -> None:
    short, long = Pace(1, lambda _: None), Pace(1, lambda _: None)
    short.note_link(1_250_000.0, FILM)
    long.note_link(1_250_000.0, 1000 * FILM)
    only = WISHES[:1]
    assert long.choose(only[0], only, is_awaited=False) != short.choose(only[0], only, is_awaited=False)


def test_awaited_file_does_not_change_what_is_chosen_ahead() -> None:
    pace, other = Pace(1, lambda _: None), Pace(1, lambda _: None)
    for each in (pace, other):
        each.note_link(125_000.0, 20 * FILM)
    before = pace.choose(WISHES[0], WISHES, is_awaited=False)
    pace.choose(WISHES[0], WISHES[:1], is_awaited=True)
    assert pace.choose(WISHES[0], WISHES, is_awaited=False) == before


def test_expected_time_follows_what_was_measured() -> None:
    pace = Pace(1, lambda _: None)
    before_s = pace.expected_s(WISHES[0], 7)
    share = YIELDS[Content.NATIVE][7].share
    for _ in range(40):
        pace.note_coded(WISHES[0], 7, int(FILM * share), 10 * before_s)
    assert pace.expected_s(WISHES[0], 7) > 9 * before_s
    assert pace.expected_s(WISHES[0], PLAIN_JXL) == 0.0
