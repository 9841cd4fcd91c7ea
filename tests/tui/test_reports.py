"""Reports over a real unit's database: new first, read in full, acknowledged with a name."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from appliance.config import UnitConfig
from appliance.store.answers import NewAnswer, keep_answer, list_answers
from appliance.store.connect import open_reader, open_unit
from tests.support.snapshots import NOW_S
from tests.support.unit_store import DESTINATION, made_unit, study_uid
from tests.tui.driving import item_lines, line, until
from tests.tui.fakes import FakeClock
from tui.app import QafilaApp
from tui.screens.reports import ReportsPage
from tui.screens.study import StudyPage
from tui.services import Services
from tui.unit_inbox import UnitInbox
from tui.unit_reader import StoreReader

pytestmark = pytest.mark.asyncio
REPORT = {
    "author": "Dr. Diallo",
    "impression": "Fracture of the left wrist.\u202e\x1b[2J",
    "findings": "\n".join(f"Line {number}." for number in range(40)),
}


@pytest.fixture
def unit(tmp_path: Path) -> UnitConfig:
    config = made_unit(tmp_path, 2, now_s=NOW_S)
    answers = (
        NewAnswer(answer_id="m1", seq=1, kind="message", body=json.dumps({"text": "The link will be down at noon."})),
        NewAnswer(
            answer_id="r1",
            seq=2,
            kind="report",
            body=json.dumps(REPORT),
            study_instance_uid=study_uid(1),
            subject_id="rep",
            version=1,
            is_critical=True,
        ),
        NewAnswer(answer_id="x1", seq=3, kind="from-a-later-release", body="no JSON"),
    )
    with open_unit(config.unit_db) as db:
        for one in answers:
            keep_answer(db, db.stamp(), DESTINATION, "unit", one)
    return config


@asynccontextmanager
async def reports_open(
    unit: UnitConfig, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[QafilaApp, Pilot[int]]]:
    clock = FakeClock()
    app = QafilaApp(StoreReader(unit, clock), clock, services=Services(inbox=UnitInbox(unit, clock)))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        app.go_to("reports")
        await until(
            pilot,
            lambda: isinstance(app.screen, ReportsPage) and bool(item_lines(app)) and app.screen.chosen is not None,
        )
        yield app, pilot


async def test_critical_report_stands_first_is_read_and_acknowledged_by_name(unit: UnitConfig) -> None:
    async with reports_open(unit) as (app, pilot):
        assert "▲ 1 critical from the centre" in line(app, "status")
        assert line(app, "title") == "REPORTS · 3 new · 1 critical"
        first = item_lines(app).splitlines()[0]
        assert first.startswith("▲ CRITICAL") and "report" in first and "PATIENT, Number1" in first
        assert "From Dr. Diallo" in line(app, "content")
        assert "Fracture of the left wrist.[2J" in line(app, "content")
        await pilot.press("f9")
        await until(pilot, lambda: bool(app.screen.query("#f-answer")))
        await pilot.press(*"Salma", "enter")
        await until(pilot, lambda: "Seen by Salma" in line(app, "notice"))
        await until(pilot, lambda: line(app, "title") == "REPORTS · 2 new")
    with open_reader(unit.unit_db) as db:
        assert {one.answer_id: one.seen_by for one in list_answers(db)} == {"r1": "Salma", "m1": "", "x1": ""}


async def test_what_this_release_does_not_know_is_a_line_too_and_seen_ones_say_by_whom(unit: UnitConfig) -> None:
    with open_unit(unit.unit_db) as db:
        UnitInbox(unit, FakeClock()).acknowledge("m1", "Karim")
        assert db.value("SELECT count(*) FROM acknowledgement WHERE state = 'seen'") == 1
    async with reports_open(unit) as (app, pilot):
        assert "from-a-later-release" in item_lines(app)
        await pilot.press("end")
        await until(pilot, lambda: "Seen by Karim; the centre is told." in line(app, "content"))
        await pilot.press("f9")
        assert line(app, "notice") == "Seen - not now: it was seen by Karim."


async def test_enter_opens_the_study_of_a_report(unit: UnitConfig) -> None:
    async with reports_open(unit) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, StudyPage))
        assert isinstance(app.screen, StudyPage) and app.screen.study_instance_uid == study_uid(1)
