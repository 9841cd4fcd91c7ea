"""What the encoder is told ahead of the link, and what it is told to keep no longer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from appliance.domain.eta import Goodput
from appliance.domain.values import ItemState, LinkState, OutboxItem, Priority
from appliance.store import intake, links, outbox, transfers
from appliance.store.connect import Store
from appliance.store.intake import keep_instances
from sync.adapters.base import SendItem
from sync.ahead import LOOK_S, PURGE_S, ReadAhead, in_sending_order
from sync.encoder.choice import RATE_AWAITED_BYTES_PER_S
from tests.store.made import HandClock, fresh_unit, made_kept, made_receipt, made_stamp


class ToldEncoder:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.wishes: list[list[str]] = []
        self.link: tuple[float | None, int] | None = None
        self.asked: list[str] = []
        self.owed: set[str] = set()

    def want(self, items: Sequence[SendItem]) -> None:
        self.wishes.append([item.sha256 for item in items])

    def note_link(self, rate_bytes_per_s: float | None, backlog_bytes: int) -> None:
        self.link = (rate_bytes_per_s, backlog_bytes)

    def purge_unowed(self, find_owed: Callable[[Sequence[str]], set[str]]) -> int:
        self.owed = find_owed(self.asked)
        return 0


def files_of(items: Sequence[OutboxItem]) -> dict[int, SendItem]:
    return {
        item.item_id: SendItem(
            item.item_id, item.sop_instance_uid, "1", "1", "1", "1", item.size_bytes, item.sha256, Path("/none")
        )
        for item in items
    }


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Store]:
    with fresh_unit(tmp_path) as store:
        yield store


def kept(unit: Store, number: int, *destinations: str) -> str:
    """Keep instance ``number``; its digest."""
    made = made_kept(number)
    keep_instances(unit, made_stamp(number), [made], destinations, None)
    return made.instance.sha256


def ahead(unit: Store, encoder: ToldEncoder, *destinations: str, count: int = 64) -> tuple[ReadAhead, HandClock]:
    clock = HandClock()
    return ReadAhead(unit, clock, encoder, destinations, count, files_of), clock


def test_encoder_hears_of_what_waits_for_its_destinations_in_their_order(unit: Store) -> None:
    first, second = kept(unit, 1, "gate"), kept(unit, 2, "gate", "pacs")
    kept(unit, 3, "pacs")
    encoder = ToldEncoder()
    ahead(unit, encoder, "gate")[0].turn()
    assert encoder.wishes == [[first, second]]


def test_store_is_looked_at_once_a_second_and_new_pictures_are_heard_of(unit: Store) -> None:
    encoder = ToldEncoder()
    reading, clock = ahead(unit, encoder, "gate")
    reading.turn()
    first = kept(unit, 1, "gate")
    reading.turn()
    assert encoder.wishes == []
    clock.mono += LOOK_S
    reading.turn()
    assert encoder.wishes == [[first]]


def test_what_is_in_a_transfer_already_comes_first(unit: Store) -> None:
    first, second = kept(unit, 1, "gate"), kept(unit, 2, "gate")
    [_, later] = outbox.candidates(unit, "gate", 9)
    for number, (before, after) in enumerate(
        [
            (ItemState.PENDING, ItemState.ENCODING),
            (ItemState.ENCODING, ItemState.READY),
            (ItemState.READY, ItemState.SENDING),
        ]
    ):
        outbox.move_item(unit, made_stamp(number), later.item_id, before, after, "test", attempt_count=0)
    encoder = ToldEncoder()
    ahead(unit, encoder, "gate")[0].turn()
    assert encoder.wishes == [[second, first]]


def test_only_so_many_of_each_destination_are_told(unit: Store) -> None:
    digests = [kept(unit, number, "gate", "second") for number in range(1, 6)]
    encoder = ToldEncoder()
    ahead(unit, encoder, "gate", "second", count=2)[0].turn()
    assert encoder.wishes == [[digests[0], digests[0], digests[1], digests[1]]]


def test_wishes_end_when_nothing_waits_any_more(unit: Store) -> None:
    kept(unit, 1, "gate")
    encoder = ToldEncoder()
    reading, clock = ahead(unit, encoder, "gate")
    reading.turn()
    [item] = outbox.candidates(unit, "gate", 9)
    outbox.move_item(unit, made_stamp(), item.item_id, item.state, ItemState.HELD, "test", attempt_count=0)
    for _ in range(3):
        clock.mono += LOOK_S
        reading.turn()
    assert encoder.wishes[1:] == [[]]


def test_parts_are_kept_until_every_destination_has_confirmed(unit: Store) -> None:
    confirmed, owed = kept(unit, 1, "gate"), kept(unit, 2, "gate", "pacs")
    encoder = ToldEncoder()
    encoder.asked = [confirmed, owed, "0" * 64]
    reading, clock = ahead(unit, encoder, "gate")
    reading.turn()
    assert encoder.owed == {confirmed, owed}
    for item in outbox.candidates(unit, "gate", 9):
        outbox.move_item(
            unit,
            made_stamp(),
            item.item_id,
            item.state,
            ItemState.CONFIRMED,
            "test",
            attempt_count=0,
            receipt=made_receipt(item),
        )
    clock.mono += PURGE_S
    reading.turn()
    assert encoder.owed == {owed}


def test_encoder_hears_the_rate_of_the_slowest_link_that_is_not_down_and_the_longest_backlog(unit: Store) -> None:
    for number in range(3):
        kept(unit, number, "gate", *["second"] * (number < 2), "pacs")
    intake.ensure_destinations(unit, made_stamp(), ["gate", "second", "pacs"])
    encoder = ToldEncoder()
    reading, clock = ahead(unit, encoder, "gate", "second")

    def told() -> tuple[float | None, int] | None:
        clock.mono += LOOK_S
        reading.turn()
        return encoder.link

    assert told() == (None, 3000)
    for destination, rate in (("gate", 9000.0), ("second", 500.0), ("pacs", 1.0)):
        links.note_rate(unit, made_stamp(), destination, Goodput(rate / 2, rate, rate * 2), None)
    assert told() == (500.0, 3000)
    transfers.note_link(unit, made_stamp(), "second", LinkState.DOWN, None, 5.0)
    assert told() == (9000.0, 3000)
    transfers.note_link(unit, made_stamp(), "gate", LinkState.DOWN, None, 5.0)
    assert told() == (None, 3000)


def test_urgent_ones_of_all_destinations_come_first_and_the_rest_in_turns() -> None:
    def item(number: int, destination: str, priority: Priority = Priority.ROUTINE) -> OutboxItem:
        return OutboxItem(number, destination, ItemState.PENDING, "1", "1", priority, 1, "0" * 64, 0.0)

    one = [item(1, "a"), item(2, "a"), item(3, "a")]
    other = [item(4, "b", Priority.STAT), item(5, "b")]
    assert [each.item_id for each in in_sending_order([one, other])] == [4, 1, 2, 5, 3]


def test_link_that_waits_and_was_never_measured_is_not_taken_for_one_that_is_down(unit: Store) -> None:
    clock, encoder = HandClock(), ToldEncoder()
    ahead = ReadAhead(unit, clock, encoder, ["gate"], 10, files_of)
    ahead.turn()
    assert encoder.link is not None and encoder.link[0] is None
    transfers.note_link(unit, made_stamp(), "gate", LinkState.UP, None, None)
    clock.mono += LOOK_S
    ahead.turn()
    assert encoder.link == (RATE_AWAITED_BYTES_PER_S, 0)
