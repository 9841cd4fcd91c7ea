"""What is made next: demands before wishes, urgent ones first, each file once."""

from __future__ import annotations

import pytest

from appliance.domain.failure import FailureKind
from sync.encoder.board import GIVEN_UP, NO_ROOM, Board, Job, Key, Kind
from sync.encoder.failures import FAILURES
from tests.support.encoder_items import unread_item

A, B, C = (unread_item(number) for number in (1, 2, 3))
URGENT = unread_item(4, stat=True)


class Stage:
    """A board over a set of what is made."""

    def __init__(self) -> None:
        self.made: set[Key] = set()
        self.board = Board(lambda kind, sha256: (kind, sha256) in self.made)

    def take(self, kind: Kind | None) -> Job:
        job = self.board.take(kind)
        assert job is not None
        return job

    def do(self, kind: Kind | None) -> Key:
        """Take the next job and finish it well."""
        job = self.take(kind)
        self.made.add(job.key)
        self.board.finish(job)
        return job.key


def test_wishes_are_made_in_their_order_each_preview_before_its_parts() -> None:
    stage = Stage()
    stage.board.want([B, A, B])
    assert [stage.do(None) for _ in range(4)] == [
        (Kind.PREVIEW, B.sha256),
        (Kind.PARTS, B.sha256),
        (Kind.PREVIEW, A.sha256),
        (Kind.PARTS, A.sha256),
    ]
    assert stage.board.take(None) is None
    assert not stage.board.has_wishes()


def test_new_wishes_replace_the_old_ones() -> None:
    stage = Stage()
    stage.board.want([A])
    stage.board.want([B])
    assert stage.take(None).item is B


def test_what_is_made_is_not_made_again() -> None:
    stage = Stage()
    stage.made = {(Kind.PREVIEW, A.sha256)}
    stage.board.want([A])
    assert stage.take(None).kind is Kind.PARTS


def test_urgent_demand_overtakes_older_ones() -> None:
    stage = Stage()
    for item in (A, B, URGENT):
        stage.board.demand(Kind.PARTS, item)
    assert [stage.do(Kind.PARTS)[1] for _ in range(3)] == [URGENT.sha256, A.sha256, B.sha256]


def test_demand_becomes_urgent_when_somebody_urgent_joins() -> None:
    stage = Stage()
    stage.board.demand(Kind.PARTS, B)
    stage.board.demand(Kind.PARTS, unread_item(1))
    stage.board.demand(Kind.PARTS, unread_item(1, stat=True))
    assert stage.take(Kind.PARTS).item.sha256 == A.sha256


def test_kinds_are_taken_apart_and_awaited() -> None:
    stage = Stage()
    stage.board.demand(Kind.PARTS, A)
    assert stage.board.take(Kind.PREVIEW) is None
    assert stage.take(Kind.PARTS).is_awaited


def test_file_that_somebody_waits_for_is_not_made_ahead_too() -> None:
    stage = Stage()
    stage.made = {(Kind.PREVIEW, A.sha256)}
    stage.board.want([A])
    stage.board.demand(Kind.PARTS, A)
    assert stage.board.take(None) is None


def test_one_file_is_never_made_twice_at_the_same_time() -> None:
    stage = Stage()
    stage.board.demand(Kind.PARTS, A)
    job = stage.take(Kind.PARTS)
    assert stage.board.take(Kind.PARTS) is None
    stage.board.finish(job)
    assert stage.take(Kind.PARTS).item is A, "it was broken off, and somebody still waits"


def test_two_who_work_ahead_do_not_take_the_same_file() -> None:
    stage = Stage()
    stage.made = {(Kind.PREVIEW, item.sha256) for item in (A, B)}
    stage.board.want([A, B])
    assert [stage.take(None).item, stage.take(None).item] == [A, B]
    assert stage.board.take(None) is None


def test_demand_ends_with_the_last_one_who_waits() -> None:
    stage = Stage()
    first, second = stage.board.demand(Kind.PARTS, A), stage.board.demand(Kind.PARTS, A)
    stage.board.withdraw(first)
    assert stage.board.take(Kind.PARTS) is not None
    stage.board.finish(Job(Kind.PARTS, A, True))
    stage.board.withdraw(second)
    assert stage.board.take(Kind.PARTS) is None


def test_failure_reaches_all_who_wait_and_a_new_demand_tries_again() -> None:
    stage = Stage()
    demand = stage.board.demand(Kind.PARTS, A)
    assert stage.board.demand(Kind.PARTS, A) is demand
    stage.board.finish(stage.take(Kind.PARTS), FAILURES["blob-damaged"])
    assert demand.failure is FAILURES["blob-damaged"]
    assert stage.board.take(Kind.PARTS) is None
    assert stage.board.demand(Kind.PARTS, A).failure is None
    assert stage.take(Kind.PARTS).item is A
    stage.board.withdraw(demand)
    stage.board.withdraw(demand)


def test_withdrawing_a_demand_that_failed_leaves_the_next_one_standing() -> None:
    stage = Stage()
    failed = stage.board.demand(Kind.PARTS, A)
    stage.board.finish(stage.take(Kind.PARTS), FAILURES["encoder-no-room"])
    stage.board.demand(Kind.PARTS, A)
    stage.board.withdraw(failed)
    assert stage.take(Kind.PARTS).item is A


@pytest.mark.parametrize(
    ("code", "is_tried_again"),
    [
        ("blob-moving", True),
        (GIVEN_UP, False),
        ("blob-damaged", False),
        ("blob-unreadable", False),
    ],
)
def test_wish_that_failed_is_passed_over_and_tried_again_only_where_that_may_help(
    code: str, is_tried_again: bool
) -> None:
    stage = Stage()
    stage.made = {(Kind.PREVIEW, item.sha256) for item in (A, B)}
    stage.board.want([A, B])
    stage.board.finish(stage.take(None), FAILURES[code])
    assert stage.take(None).item is B
    stage.board.want([A])
    assert stage.board.has_wishes() is is_tried_again
    stage.board.want([])
    stage.board.want([A])
    assert stage.board.has_wishes()


def test_wish_that_finds_no_room_stops_those_behind_it_until_wishes_are_told_again_but_no_demand() -> None:
    stage = Stage()
    stage.made = {(Kind.PREVIEW, item.sha256) for item in (A, B)}
    stage.board.want([A, B])
    stage.board.finish(stage.take(None), FAILURES[NO_ROOM])
    assert not stage.board.has_wishes()
    stage.board.demand(Kind.PARTS, B)
    stage.board.finish(stage.take(Kind.PARTS), FAILURES[NO_ROOM])
    stage.board.want([A, B])
    assert stage.take(None).item is A
    stage.board.demand(Kind.PARTS, C)
    stage.board.finish(stage.take(Kind.PARTS), FAILURES[NO_ROOM])
    assert stage.take(None).item is B, "one that is awaited may need more room than a wish has"


def test_failures_are_for_people_and_only_damage_is_for_good() -> None:
    for code, failure in FAILURES.items():
        assert failure.code == code
        assert failure.sentence.endswith(".")
        assert (failure.kind is FailureKind.PERMANENT) == (code in ("blob-damaged", "blob-unreadable"))
