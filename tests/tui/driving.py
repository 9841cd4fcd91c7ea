"""Drives the app in tests: start it with fakes, wait for conditions, read its lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.pilot import Pilot
from textual.widgets import Static

from tests.tui.fakes import FakeClock, FakeReader
from tui.app import QafilaApp
from tui.widgets.items import Items

DEADLINE_S = 30.0


@asynccontextmanager
async def driven(
    reader: FakeReader, clock: FakeClock | None = None, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[QafilaApp, Pilot[int]]]:
    """The app over fakes, with its first picture drawn when there is one."""
    app = QafilaApp(reader, clock or FakeClock())
    async with app.run_test(size=size) as pilot:
        if reader.snapshot is not None and not reader.trouble:
            await until(pilot, lambda: app.snapshot is not None)
            await pilot.pause()
        yield app, pilot


async def until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    """Wait for ``condition``; fails after ``DEADLINE_S`` seconds of the loop's clock."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + DEADLINE_S
    while not condition():
        assert loop.time() < deadline_s, "the condition did not come true"
        await pilot.pause(0.01)


def line(app: QafilaApp, widget_id: str) -> str:
    """What a line of the top page says."""
    return str(app.screen.query_one(f"#{widget_id}", Static).render())


def item_lines(app: QafilaApp) -> str:
    """What the list of the top page says, below the fold too."""
    return "\n".join(one.text for items in app.screen.query(Items) for one in items._items)


def screen_text(app: QafilaApp) -> str:
    """All that is on the screen, as text."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    assert len(strips) == height and width > 0
    return "\n".join(strip.text for strip in strips)
