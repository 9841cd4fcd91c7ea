"""Draws ``docs/reference/keys.md`` from the registry of actions: ``python -m tests.contract.keys_page --write``."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from tui.actions import EVERYWHERE, Action, action, key_name, offered
from tui.pages import PAGES
from tui.screens.page import Page
from tui.screens.study import StudyPage

PATH = Path(__file__).resolve().parents[2] / "docs" / "reference" / "keys.md"
_HEAD = """# Keys of the screen

Function keys, Enter, Esc and arrows do everything, whatever keyboard layout is active; letters are aliases. What cannot
be done now stays in the key bar in brackets and says why. Drawn from `tui/actions.py` by
`python -m tests.contract.keys_page --write`.
"""


def page_classes() -> list[type[Page]]:
    """Every page, with those that are opened from another one."""
    return [*(one.page_class() for one in PAGES), StudyPage]


def page() -> str:
    """The whole page."""
    titles = {one.page_class(): str(one.title) for one in PAGES}
    parts = [_HEAD, "## On every page\n", _table(action(one) for one in EVERYWHERE)]
    for each in page_classes():
        own = [one for one in offered(each.ACTION_IDS) if one.action_id not in EVERYWHERE]
        parts += [f"## {titles.get(each, 'A study')}\n", f"{each.HELP_TEXT}\n", _table(own)]
    return "\n".join(parts)


def _table(actions: Iterable[Action]) -> str:
    lines = ["| key | also | name | does |", "|---|---|---|---|"]
    for one in actions:
        also = ", ".join(f"`{key_name(key) if len(key) > 1 else key}`" for key in one.aliases)
        lines.append(f"| {one.key_name} | {also} | {one.label(None)} | {one.help} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PATH.write_text(page(), encoding="utf-8")
    else:
        print(page())
