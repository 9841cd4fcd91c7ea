"""Draws ``docs/pictures/today.svg`` from an invented day: ``python -m tests.tui.make_picture``."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from appliance.domain.snapshot import PowerState
from tests.support.snapshots import snapshot
from tests.tui.driving import driven
from tests.tui.fakes import FakeReader

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "today.svg"
SIZE = (96, 26)


async def today_svg() -> str:
    """The first page as a picture that loads nothing from elsewhere."""
    receiving = PowerState(safe=False, receiving_count=1, unindexed_count=0)
    async with driven(FakeReader(snapshot(power=receiving)), size=SIZE) as (app, _):
        svg = app.export_screenshot(title="Qafila")
    # Rich names web fonts, which a page that must work without a network may not load; the reader's own will do.
    svg = re.sub(r"@font-face\s*\{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return svg.replace("font-family: Fira Code, monospace", "font-family: monospace")


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(asyncio.run(today_svg()), encoding="utf-8")
