"""Only ``appliance/clock.py`` reads a clock (architecture, invariant 6), so no time-out can be a wall-clock one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PRODUCT = ("appliance", "sync", "tui", "central")
THE_CLOCK = TOP / "appliance" / "clock.py"
WALL_OF_DATETIME = {"now", "utcnow", "today"}


def clock_readings(source: str) -> list[tuple[int, str]]:
    """Line and text of every reading of a clock, or of an import that could hide one."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names) if any(alias.name == "time" for alias in names):
                found.append((node.lineno, "import time"))
            case ast.ImportFrom(module="time"):
                found.append((node.lineno, "from time import"))
            case ast.Attribute(value=ast.Name(id="datetime" | "date") | ast.Attribute(attr="datetime" | "date")):
                if node.attr in WALL_OF_DATETIME:
                    found.append((node.lineno, ast.unparse(node)))
            case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module")):
                if any(isinstance(a, ast.Constant) and a.value == "time" for a in node.args):
                    found.append((node.lineno, ast.unparse(node)))
            case _:
                pass
    return found


@pytest.mark.fault(37)
def test_no_module_but_the_clock_reads_a_clock_so_no_time_out_is_measured_by_wall_clock() -> None:
    sources = [path for folder in PRODUCT for path in sorted((TOP / folder).rglob("*.py")) if path != THE_CLOCK]
    assert len(sources) > len(PRODUCT)
    readings = [
        f"{path.relative_to(TOP)}:{line}: {text}"
        for path in sources
        for line, text in clock_readings(path.read_text(encoding="utf-8"))
    ]
    assert not readings, "\n".join(readings)


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.time()",
        "import os, time as t",
        "from time import monotonic",
        "def f():\n    import time",
        "from datetime import datetime\ndatetime.now(UTC)",
        "import datetime\ndatetime.datetime.utcnow()",
        "from datetime import date\ndate.today()",
        "import importlib\nimportlib.import_module('time')",
    ],
)
def test_lint_finds_a_planted_clock(source: str) -> None:
    assert clock_readings(source)


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime, UTC\ndatetime.fromtimestamp(0, UTC)",
        "loop.time()",
        "clock.mono_s()",
        "DA = 'StudyTime'",
    ],
)
def test_lint_passes_what_reads_no_clock(source: str) -> None:
    assert clock_readings(source) == []
