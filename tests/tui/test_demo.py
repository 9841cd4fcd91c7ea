"""The demo's day through the real screens: from the registration to the report that comes back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from appliance.cli.tui_demo import made_unit
from appliance.cli.tui_demo.centre import DemoCentre
from appliance.cli.tui_demo.day import DOWN_TICKS, PEOPLE, REPORT_AFTER_TICKS, Day
from appliance.cli.tui_demo.pictures import DrawnPreviews
from appliance.clock import SystemClock
from appliance.store.connect import open_unit
from sync.runner import Runner
from tests.tui.driving import item_lines, line, screen_text, until
from tui.run import made_app
from tui.screens.study import StudyPage

FAST_BYTES_PER_S = 1 << 30


@pytest.mark.asyncio
async def test_day_goes_from_registrations_to_reports_on_the_screens(tmp_path: Path) -> None:
    config, path = made_unit(tmp_path, "en")
    clock, stop, centre = SystemClock(), threading.Event(), DemoCentre(FAST_BYTES_PER_S)
    day = Day(config, clock, centre, stop)
    day.begin()
    app = made_app(config, path, DrawnPreviews(), None, "cells")
    runner = threading.Thread(target=Runner(config, [centre], clock, stop).run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "○ Registered" in screen_text(app))
        assert "▲ STAT" in screen_text(app) and "Haddad, Youssef" in screen_text(app)
        with open_unit(config.unit_db) as db:
            for _ in range(DOWN_TICKS.stop):
                day.step(db)
            await until(pilot, lambda: "· Queued" in screen_text(app))
            runner.start()
            try:
                await until(pilot, lambda: screen_text(app).count("✓✓ Complete at centre") == len(PEOPLE))
            finally:
                stop.set()
                runner.join()
            for _ in range(REPORT_AFTER_TICKS + 1):
                day.step(db)
        await until(pilot, lambda: "4 new from the centre" in line(app, "status"))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, StudyPage) and "IMAGES" in item_lines(app))
        await until(pilot, lambda: "orientation only" in line(app, "caption"))
        app.go_to("reports")
        await until(pilot, lambda: bool(app.screen.query("#answer")) and "No sign of" in line(app, "content"))
