"""Pictures of the real pages; they were looked at when they were made, and any change shows as a difference."""

from __future__ import annotations

import re
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.made_day import MadePeople, picture_app
from tests.tui.make_picture import LANGUAGES, PAGES, drawn, opened, path_of
from tui.app import QafilaApp

SMALL, LARGE, TINY = (80, 24), (120, 40), (40, 12)
CASES = [
    # page, size, language, Arabic names, colour
    ("today", SMALL, "en", False, True),
    ("today", LARGE, "fr", False, True),
    ("today", TINY, "en", False, True),
    ("today", SMALL, "fr", True, False),
    ("study", SMALL, "en", True, True),
    ("study", LARGE, "fr", False, True),
    ("study", SMALL, "fr", False, False),
    ("study", TINY, "en", False, True),
    ("delivery", SMALL, "fr", False, True),
    ("delivery", LARGE, "en", True, True),
    ("delivery", SMALL, "en", False, False),
    ("today", SMALL, "ar", True, True),
    ("people", SMALL, "fr", True, True),
    ("people", SMALL, "ar", True, False),
    ("people", TINY, "en", True, True),
]


@pytest.mark.parametrize(
    ("page", "size", "language", "arabic", "colour"),
    CASES,
    ids=lambda value: "x".join(map(str, value)) if isinstance(value, tuple) else str(value),
)
def test_page_looks_as_it_did(
    snap_compare: Any,
    monkeypatch: pytest.MonkeyPatch,
    page: str,
    size: tuple[int, int],
    language: str,
    arabic: bool,
    colour: bool,
) -> None:
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")

    async def ready(pilot: Pilot[int]) -> None:
        assert isinstance(pilot.app, QafilaApp)
        await opened(pilot.app, pilot, page)

    people = MadePeople() if page == "people" else None
    app = picture_app(language, arabic=arabic, down=page == "today", people=people)
    assert snap_compare(app, terminal_size=size, run_before=ready)


@pytest.mark.asyncio
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
async def test_picture_in_the_documentation_is_of_the_screen_as_it_is_and_loads_nothing(
    page: str, language: str
) -> None:
    now = await drawn(page, language)
    assert path_of(page, language).read_text(encoding="utf-8") == now, "run: python -m tests.tui.make_picture"
    assert set(re.findall(r"https?://[^\"\s)]*", now)) <= {"http://www.w3.org/2000/svg"}
