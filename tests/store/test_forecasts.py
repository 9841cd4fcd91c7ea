"""What each destination is owed, as it stands in the database, becomes estimates."""

from __future__ import annotations

import pytest

from appliance.domain.eta import Eta, Goodput
from appliance.domain.forecast import PREVIEW_BYTES_MAX, Forecast, Forecasts
from appliance.domain.leave import Bar, Leave, Stop
from appliance.domain.values import ItemState, LinkKind, LinkState, Priority, TrafficClass
from appliance.store import links, outbox, transfers
from appliance.store.connect import Store, read
from appliance.store.forecasts import read_forecasts
from appliance.store.intake import keep_instances
from appliance.store.snapshot import read_study
from tests.store.made import made_kept, made_stamp
from tests.store.test_snapshot import put

GOODPUT = Goodput(50.0, 100.0, 200.0)
OLD, YOUNG = "1.2.3.1", "1.2.3.2"


def told(db: Store, *, announces: bool = False, in_flight: dict[int, int] | None = None, **leave: Leave) -> Forecasts:
    with read(db):
        classes = {TrafficClass(name): each for name, each in leave.items()}
        return read_forecasts(db, {"pacs": announces}, classes, in_flight or {})


@pytest.fixture
def two_studies(unit: Store) -> Store:
    """One of 3,000 bytes in two pictures (items 1 and 2), then one of 1,000 (item 3); the link is up and measured."""
    keep_instances(unit, made_stamp(1), [made_kept(1), made_kept(2, size_bytes=2000)], ["pacs"], None)
    keep_instances(unit, made_stamp(2), [made_kept(3, study=2)], ["pacs"], None)
    transfers.note_link(unit, made_stamp(3), "pacs", LinkState.UP, None, None)
    links.note_rate(unit, made_stamp(3), "pacs", GOODPUT, None)
    return unit


def test_studies_are_through_one_after_the_other(two_studies: Store) -> None:
    forecasts = told(two_studies)
    assert forecasts.by_study == {OLD: Forecast(Eta(15.0, 60.0)), YOUNG: Forecast(Eta(20.0, 80.0))}
    assert forecasts.queue == forecasts.by_study[YOUNG]


def test_stat_study_goes_first(two_studies: Store) -> None:
    outbox.set_priority(two_studies, made_stamp(4), [3], Priority.STAT, "nurse")
    assert told(two_studies).by_study[YOUNG] == Forecast(Eta(5.0, 20.0))
    assert told(two_studies).by_study[OLD] == Forecast(Eta(20.0, 80.0))


def test_what_is_coded_counts_as_coded_and_the_rest_as_the_link_packs(two_studies: Store) -> None:
    links.note_coded(two_studies, made_stamp(4), "pacs", [(1, 100)])
    assert told(two_studies).by_study[OLD] == Forecast(Eta(300 / 200, 300 / 50))


def test_what_is_over_the_link_already_counts_no_more(two_studies: Store) -> None:
    put(two_studies, 1, ItemState.SENDING)
    assert told(two_studies, in_flight={1: 1000, 99: 7}).by_study[OLD] == Forecast(Eta(10.0, 40.0))
    put(two_studies, 1, ItemState.SENT)
    assert told(two_studies, in_flight={1: 1000}).by_study[OLD] == Forecast(Eta(10.0, 40.0))


def test_previews_count_where_they_are_shown_until_they_were(two_studies: Store) -> None:
    eta = told(two_studies, announces=True).by_study[OLD].eta
    assert eta == Eta(15.0, (3000 + 3 * PREVIEW_BYTES_MAX) / 50)
    (item,) = outbox.load_items(two_studies, [3])
    stamp = made_stamp(4)
    outbox.move_item(two_studies, stamp, 3, item.state, ItemState.READY, "put", attempt_count=0, announced=True)
    eta = told(two_studies, announces=True).by_study[OLD].eta
    assert eta == Eta(15.0, (3000 + 2 * PREVIEW_BYTES_MAX) / 50)


def test_states_that_do_not_move_say_what_they_wait_for(two_studies: Store) -> None:
    put(two_studies, 1, ItemState.HELD)
    put(two_studies, 2, ItemState.SENT)
    put(two_studies, 3, ItemState.SENT)
    forecasts = told(two_studies)
    assert forecasts.by_study[OLD] == Forecast(why="waits for a person")
    assert forecasts.by_study[YOUNG] == Forecast(why="waits for the centre's proof")
    put(two_studies, 3, ItemState.CONFIRMED)
    assert YOUNG not in told(two_studies).by_study


def test_link_and_rules_decide_whether_anybody_knows(two_studies: Store) -> None:
    stop = Stop(Bar.HOURS, LinkKind.SIM, hours="20:00-06:00", until="20:00")
    assert told(two_studies, full=Leave(stop)).queue == Forecast(why="outside its hours until 20:00")
    links.note_rate(two_studies, made_stamp(5), "pacs", None, None)
    assert told(two_studies).queue == Forecast(why="nothing measured yet")
    transfers.note_link(two_studies, made_stamp(6), "pacs", LinkState.DOWN, None, 30.0)
    assert told(two_studies).queue == Forecast(why="link down")
    with read(two_studies):
        gone = read_forecasts(two_studies, {"other": False}, {}, {})
    assert gone.queue == Forecast(why="its destination is not configured")


def test_unit_without_contact_or_work_promises_nothing(unit: Store) -> None:
    assert told(unit) == Forecasts()
    keep_instances(unit, made_stamp(1), [made_kept(1)], ["pacs"], None)
    assert told(unit).queue == Forecast(why="no contact yet")


def test_study_carries_its_forecast_until_it_is_complete(two_studies: Store) -> None:
    found = read_study(two_studies, YOUNG, {}, told(two_studies))
    assert found is not None
    assert found[0].forecast == Forecast(Eta(20.0, 80.0))
    forecasts = told(two_studies)
    put(two_studies, 3, ItemState.CONFIRMED)
    found = read_study(two_studies, YOUNG, {}, forecasts)
    assert found is not None
    assert found[0].forecast is None
