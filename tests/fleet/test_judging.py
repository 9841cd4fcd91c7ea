"""What a unit's word and silence mean, and what a service level is counted of."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.clock import utc_text
from central.config import FleetTable
from central.fleet.judging import Alarm, availability, delivery, standing
from central.fleet.metrics import exposition
from central.fleet.picture import Picture, Service
from central.fleet.sentences import sentences_of
from central.store.fleet import UnitRow
from sync.wire.status import DiskLevel, StatusReport

NOW_S = 1_795_000_000.0
BOUNDS = FleetTable()
HOUR_S = 3600.0


def ago(seconds: float) -> str:
    return utc_text(NOW_S - seconds)


def row(
    report: StatusReport | None = None, *, silent_s: float = 10.0, copied: bool = False, name: str = "van"
) -> UnitRow:
    at = ago(silent_s)
    return UnitRow("u-1", name, ago(100 * HOUR_S), at, at if report else "", report, copied)


def said(**more: object) -> StatusReport:
    return msgspec.structs.replace(StatusReport(at=ago(10)), **more)


@pytest.mark.parametrize(
    ("unit", "alarms"),
    [
        (row(said()), ()),
        (row(), ()),
        (row(said(), silent_s=25 * HOUR_S), (Alarm.UNHEARD, Alarm.CLOCK)),
        (UnitRow("u", "new", ago(HOUR_S), "", "", None, False), ()),
        (UnitRow("u", "never", ago(25 * HOUR_S), "", "", None, False), (Alarm.UNHEARD,)),
        (row(said(unsent_study_count=1, oldest_unsent_s=25 * HOUR_S)), (Alarm.UNSENT,)),
        (row(said(unsent_study_count=0, oldest_unsent_s=25 * HOUR_S)), ()),
        (row(said(disk_level=DiskLevel.WARNING)), (Alarm.DISK,)),
        (row(said(clock_doubt="stepped")), (Alarm.CLOCK,)),
        (row(said(at=ago(-600))), (Alarm.CLOCK,)),
        (row(said(at=ago(70))), ()),
        (row(said(at="yesterday")), ()),
        (row(said(), copied=True), (Alarm.COPIED,)),
    ],
)
def test_alarm(unit: UnitRow, alarms: tuple[Alarm, ...]) -> None:
    assert standing(unit, NOW_S, BOUNDS).alarms == alarms


@pytest.mark.parametrize(
    ("unit", "sentence"),
    [
        (row(said(at=ago(10 + 25 * HOUR_S)), silent_s=25 * HOUR_S), "Nothing was heard of it for 25 h."),
        (
            UnitRow("u", "never", ago(25 * HOUR_S), "", "", None, False),
            "Nothing was heard of it since it was enrolled.",
        ),
        (
            row(said(unsent_study_count=1, oldest_unsent_s=50 * HOUR_S)),
            "Its oldest image that is not safe here is 2 days",
        ),
        (
            row(said(disk_level=DiskLevel.ALARM, disk_free_bytes=3_000_000_000)),
            "Its disk is filling up, 3.0 GB are free.",
        ),
        (row(said(clock_doubt="stepped")), "Its clock is not right (it doubts it itself)."),
        (row(said(at=ago(-600))), "Its clock is not right (10 min ahead)."),
        (row(said(at=ago(600), clock_doubt="behind")), "Its clock is not right (10 min behind, it doubts it itself)."),
    ],
)
def test_alarm_is_a_sentence_that_says_what_to_do(unit: UnitRow, sentence: str) -> None:
    (spoken,) = sentences_of(standing(unit, NOW_S, BOUNDS))
    assert spoken.startswith(sentence)


def test_oldest_unsent_goes_on_ageing_while_the_unit_is_silent() -> None:
    report = msgspec.structs.replace(
        StatusReport(at=ago(20 * HOUR_S)), unsent_study_count=3, oldest_unsent_s=5 * HOUR_S
    )
    found = standing(row(report, silent_s=20 * HOUR_S), NOW_S, BOUNDS)
    assert (found.oldest_unsent_s, found.alarms) == (25 * HOUR_S, (Alarm.UNSENT,))


def test_delivery_times_are_those_that_some_study_took() -> None:
    found = delivery([(ago(1000 + s), ago(1000)) for s in range(60, 2100, 60)] + [("nonsense", ago(1))], 1800)
    assert (found.count, found.median_s, found.p95_s) == (34, 1020, 1980)
    assert found.in_time_share == pytest.approx(30 / 34)
    assert delivery([], 60).median_s is None


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50), st.integers(0, 10**6))
def test_delivery_is_ordered_and_a_share_is_one(spans: list[int], bound_s: int) -> None:
    found = delivery([(ago(span), ago(0)) for span in spans], bound_s)
    assert found.median_s in spans and found.p95_s in spans
    assert found.median_s is not None and found.p95_s is not None and found.median_s <= found.p95_s
    assert found.in_time_share == sum(span <= bound_s for span in spans) / len(spans)


@pytest.mark.parametrize(
    ("fine", "first", "now", "share"),
    [(0, None, 100, None), (1, 100, 100, None), (10, 90, 100, 1.0), (5, 90, 100, 0.5), (11, 90, 100, 1.0)],
)
def test_minute_that_nobody_looked_at_is_a_minute_away(fine: int, first: int | None, now: int, share: float) -> None:
    assert availability(fine, first, now) == share


def test_metrics_name_units_and_escape_them() -> None:
    unit = standing(row(said(unsent_study_count=2, unsent_bytes=5_000_000_000), name='van "1"\\\n'), NOW_S, BOUNDS)
    took = delivery([(ago(100), ago(40))], 3600)
    text = exposition(Picture((unit,), {"u-1": took}, took, Service(True, False, 0.75)), {"read": 3}, {}, "1.0")
    lines = text.splitlines()
    assert r'qafila_unit_unsent_bytes{unit="van \"1\"\\\n"} 5000000000' in lines
    assert 'qafila_service_up{what="pacs"} 0' in lines
    assert "qafila_available_ratio 0.75" in lines
    assert r'qafila_delivery_seconds{unit="van \"1\"\\\n",quantile="0.95"} 60' in lines
    assert 'qafila_studies{state="read"} 3' in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names)) and all(line.startswith(("# ", "qafila_")) for line in lines)
