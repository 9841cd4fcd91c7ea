"""The Unit page over a real unit that does not run: every check answers, none hides another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.health.check import Level, Result
from tests.support.snapshots import NOW_S, snapshot
from tests.support.unit_store import made_unit
from tests.tui.driving import line, screen_text, until
from tests.tui.fakes import FakeClock, FakeReader
from tui.app import QafilaApp
from tui.screens.unit import UnitPage
from tui.services import Health, Services, UnitFacts
from tui.unit_health import UnitHealth

pytestmark = pytest.mark.asyncio


@dataclass
class FakeHealth:
    """Two checks, of which one needs somebody."""

    looked_count: int = 0

    def facts(self) -> UnitFacts:
        return UnitFacts("unit-01", "0.1.0", (("XRAY1", "2026-11-22T09:12:00.000Z"), ("ECHO", "")))

    def checks(self) -> tuple[str, ...]:
        return ("clock", "disk")

    def look(self, check: str) -> tuple[Result, ...]:
        self.looked_count += 1
        level = Level.WARNING if check == "disk" else Level.FINE
        return (Result(check, level, f"The {check} was looked at.", f"Mind the {check}."),)


def app_with(health: Health) -> QafilaApp:
    return QafilaApp(FakeReader(snapshot()), FakeClock(), services=Services(health=health))


async def test_what_needs_somebody_stands_first_with_what_to_do_and_f5_looks_again() -> None:
    health = FakeHealth()
    app = app_with(health)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        app.go_to("unit")
        await until(
            pilot, lambda: isinstance(app.screen, UnitPage) and app.screen.is_ready and "XRAY1" in line(app, "content")
        )
        await until(pilot, lambda: "Looking at" not in line(app, "content"))
        lines = line(app, "content").splitlines()
        assert lines[0] == "! WARNING  The disk was looked at." and lines[1].strip() == "Mind the disk."
        assert lines[2] == "✓ fine     The clock was looked at."
        assert "XRAY1: sent last at 09:12" in lines and "ECHO: has sent nothing lately" in lines
        assert line(app, "title") == "UNIT · unit-01 · version 0.1.0"
        await pilot.press("f5")
        await until(pilot, lambda: health.looked_count == 4)


async def test_every_check_of_the_doctor_answers_of_a_real_unit_that_does_not_run(tmp_path: Path) -> None:
    config = made_unit(tmp_path, 2, now_s=NOW_S)
    app = app_with(UnitHealth(config, tmp_path / "unit.toml", FakeClock()))
    async with app.run_test(size=(100, 60)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        app.go_to("unit")
        await until(
            pilot,
            lambda: (
                isinstance(app.screen, UnitPage) and app.screen.is_ready and "Looking at" not in line(app, "content")
            ),
        )
        await until(pilot, lambda: "XRAY: sent last at" in line(app, "content"))
        shown = line(app, "content")
        assert "The unit is not running" in shown and "The clock shows" in shown and "free" in shown


async def test_page_without_its_service_is_greyed_in_the_menu_with_the_reason() -> None:
    app = QafilaApp(FakeReader(snapshot()), FakeClock())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        await pilot.press("f11")
        await pilot.pause()
        assert "(Unit - not now: nothing can be looked at here)" in screen_text(app)
        await pilot.press("escape")
        app.go_to("unit")
        await until(pilot, lambda: line(app, "notice") == "Unit - not now: nothing can be looked at here.")
