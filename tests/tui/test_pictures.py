"""Pictures of the real pages; they were looked at when they were made, and any change shows as a difference."""

from __future__ import annotations

import re
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.support.snapshots import LINK_DOWN, snapshot
from tests.tui.driving import line, until
from tests.tui.fakes import FakeClock, FakeReader
from tests.tui.make_picture import PICTURE, today_svg
from tui.app import QafilaApp
from tui.screens.study import StudyPage


def _app() -> QafilaApp:
    return QafilaApp(FakeReader(snapshot(links=(LINK_DOWN,))), FakeClock())


async def _drawn(pilot: Pilot[int]) -> None:
    app = pilot.app
    assert isinstance(app, QafilaApp)
    await until(pilot, lambda: app.snapshot is not None)
    await pilot.pause()


async def _study_open(pilot: Pilot[int]) -> None:
    await _drawn(pilot)
    app = pilot.app
    assert isinstance(app, QafilaApp)
    await pilot.press("down", "down", "enter")
    await until(pilot, lambda: isinstance(app.screen, StudyPage) and "IMAGES" in line(app, "content"))


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (120, 40)], ids=["80x24", "40x12", "120x40"])
def test_today_looks_as_it_did_in_colour(snap_compare: Any, size: tuple[int, int]) -> None:
    assert snap_compare(_app(), terminal_size=size, run_before=_drawn)


def test_today_looks_as_it_did_without_colour(snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(_app(), terminal_size=(80, 24), run_before=_drawn)


def test_study_looks_as_it_did(snap_compare: Any) -> None:
    assert snap_compare(_app(), terminal_size=(80, 24), run_before=_study_open)


@pytest.mark.asyncio
async def test_picture_in_the_documentation_is_of_the_screen_as_it_is_and_loads_nothing() -> None:
    drawn = await today_svg()
    assert PICTURE.read_text(encoding="utf-8") == drawn, "run: python -m tests.tui.make_picture"
    assert set(re.findall(r"https?://[^\"\s)]*", drawn)) <= {"http://www.w3.org/2000/svg"}
