"""The keyboard on a touch panel's glass: signals to a real process, and what the screen asks of it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.snapshots import NOW_S
from tests.support.unit_store import made_unit
from tests.support.world import wait_for
from tests.tui.driving import until
from tests.tui.fakes import FakeClock
from tui.app import QafilaApp
from tui.glass import VARIABLE, GlassKeyboard, from_environment
from tui.services import Services
from tui.unit_counter import UnitCounter
from tui.unit_reader import StoreReader

KEYBOARD = """
trap 'echo hide >>"$0/heard"' USR1
trap 'echo show >>"$0/heard"' USR2
: >"$0/heard"
echo $$ >"$0/pid"
while :; do sleep 0.05; done
"""
"""What wvkbd does with signals, written down."""


@pytest.fixture
def pid_file(tmp_path: Path) -> Iterator[Path]:
    """Of a keyboard that runs."""
    keyboard = subprocess.Popen(["sh", "-c", KEYBOARD, str(tmp_path)])
    try:
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", "the keyboard runs")
        yield tmp_path / "pid"
    finally:
        keyboard.kill()
        keyboard.wait()


def heard(pid_file: Path) -> list[str]:
    return (pid_file.parent / "heard").read_text().split()


def test_it_is_shown_and_hidden_once_each_time(pid_file: Path) -> None:
    keyboard = GlassKeyboard(pid_file)
    for is_typing in (False, True, True, False, False):
        keyboard.follow(is_typing)
        if is_typing:
            wait_for(lambda: heard(pid_file)[-1:] == ["show"], "it is shown")
    wait_for(lambda: heard(pid_file) == ["show", "hide"], "it is shown and hidden")


def test_one_that_ended_and_came_again_is_shown_again(pid_file: Path, tmp_path: Path) -> None:
    keyboard = GlassKeyboard(pid_file)
    first = pid_file.read_text()
    other = subprocess.Popen(["sleep", "60"])
    other.kill()
    other.wait()
    pid_file.write_text(f"{other.pid}\n")
    keyboard.follow(True)  # nobody is there to be told
    pid_file.unlink()
    keyboard.follow(True)
    pid_file.write_text("")
    keyboard.follow(True)
    assert heard(pid_file) == []
    pid_file.write_text(first)
    keyboard.follow(True)
    wait_for(lambda: heard(pid_file) == ["show"], "it is shown")


def test_where_there_is_none_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr("os.kill", lambda pid, number: pytest.fail(f"signal {signal.Signals(number)} to {pid}"))
    from_environment().follow(True)


@pytest.mark.asyncio
async def test_screen_shows_it_in_a_field_and_takes_it_away_on_the_list(
    pid_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(pid_file))
    config, clock = made_unit(tmp_path, 1, now_s=NOW_S), FakeClock()
    services = Services(counter=UnitCounter(config, clock), keyboard=from_environment())
    app = QafilaApp(StoreReader(config, clock), clock, services=services)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        assert heard(pid_file) == []
        app.go_to("registration")
        await until(pilot, lambda: heard(pid_file) == ["show"])
        await pilot.press("tab", "down")
        assert heard(pid_file) == ["show"]
        await pilot.press("escape")
        await until(pilot, lambda: heard(pid_file) == ["show", "hide"])
