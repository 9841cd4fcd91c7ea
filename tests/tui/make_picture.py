"""Draws ``docs/pictures/*.svg`` from an invented day, in English and French: ``python -m tests.tui.make_picture``."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from textual.pilot import Pilot

from tests.tui.driving import item_lines, line, until
from tests.tui.made_day import picture_app
from tui.app import QafilaApp
from tui.screens.sign_in import SignInPage
from tui.screens.today import TodayPage

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
SIZE = (96, 28)
PAGES = ("today", "study", "delivery")
LANGUAGES = ("en", "fr")


def path_of(page: str, language: str) -> Path:
    """The English ones have no language in their name."""
    return FOLDER / (f"{page}.svg" if language == "en" else f"{page}-{language}.svg")


async def opened(app: QafilaApp, pilot: Pilot[int], page: str) -> None:
    """Go to a page and wait until all of it is drawn."""
    await until(pilot, lambda: app.snapshot is not None)
    await pilot.pause()
    if page == "study":
        await pilot.press("enter")
        await until(pilot, lambda: bool(item_lines(app)) and "08:59" in item_lines(app))
        await pilot.press("f6")
        wide = app.size.width >= 64 and app.size.height >= 20
        await until(pilot, lambda: not wide or bool(line(app, "caption")))
        await pilot.pause()
    elif page == "delivery":
        await pilot.press("f6", "down")
        await until(pilot, lambda: bool(app.screen.query("#why")) and bool(line(app, "why")))
    elif page == "people":
        await until(pilot, lambda: isinstance(app.screen, SignInPage) and app.screen.query_one("#sign-in").display)
        await pilot.press("enter", *"4711", "enter")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
        app.go_to("people")
        await until(pilot, lambda: bool(app.screen.query("#items")) and "Omar" in item_lines(app))
    await pilot.pause()


async def drawn(page: str, language: str) -> str:
    """A page as a picture that loads nothing from elsewhere."""
    app = picture_app(language, arabic=page == "study", down=page == "delivery")
    async with app.run_test(size=SIZE) as pilot:
        await opened(app, pilot, page)
        svg = app.export_screenshot(title="Qafila")
    # Rich names web fonts, which a page that must work without a network may not load; the reader's own will do. A
    # browser would turn Arabic that is turned already.
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = svg.replace("<style>", "<style>text { unicode-bidi: bidi-override; direction: ltr; }", 1)
    return svg.replace("font-family: Fira Code, monospace", "font-family: monospace")


async def main() -> None:
    """All of them."""
    for page in PAGES:
        for language in LANGUAGES:
            path_of(page, language).write_text(await drawn(page, language), encoding="utf-8")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    asyncio.run(main())
