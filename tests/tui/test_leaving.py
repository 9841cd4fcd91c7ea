"""F12 and the power key on the screen: over fakes for what is said, over a real unit's files for what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from appliance.config import load_unit
from appliance.domain.power import Leaving
from appliance.domain.snapshot import PowerState
from appliance.power.leaving import read_leaving
from tests.support.snapshots import snapshot
from tests.tui.driving import line, screen_text, until
from tests.tui.fakes import FakeClock, FakeReader
from tui.app import QafilaApp
from tui.reader import ReadTrouble
from tui.screens.leaving import LeavingDialog
from tui.screens.today import TodayPage
from tui.services import Services
from tui.unit_power import UnitPower

pytestmark = pytest.mark.asyncio
BUSY = PowerState(False, 1, 0)


@dataclass
class FakePower:
    """Remembers what it was asked for."""

    switches_off: bool = False
    trouble: str = ""
    asked: list[str] = field(default_factory=list)

    def leave(self) -> None:
        self.asked.append("leave")

    def stay(self) -> None:
        self.asked.append("stay")

    def off(self) -> None:
        self.asked.append("off")
        if self.trouble:
            raise ReadTrouble(self.trouble)


@asynccontextmanager
async def app_with(
    power: FakePower | UnitPower, state: PowerState
) -> AsyncIterator[tuple[FakeReader, QafilaApp, Pilot[int]]]:
    reader = FakeReader(replace(snapshot(), power=state))
    app = QafilaApp(reader, FakeClock(), services=Services(power=power))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        await pilot.pause()
        yield reader, app, pilot


def show(reader: FakeReader, power: PowerState) -> None:
    assert reader.snapshot is not None
    reader.show(replace(reader.snapshot, power=power))


async def open_dialog(app: QafilaApp, pilot: Pilot[int]) -> None:
    await pilot.press("f12")
    await until(pilot, lambda: isinstance(app.screen, LeavingDialog) and app.screen.is_mounted)


async def test_f12_says_what_is_written_and_what_stays_and_enter_alone_changes_nothing() -> None:
    power = FakePower()
    async with app_with(power, BUSY) as (_, app, pilot):
        await open_dialog(app, pilot)
        await until(pilot, lambda: "stay safe here" in screen_text(app))
        said = " ".join(screen_text(app).split())
        assert "Prepare to power off" in said
        assert "receiving from 1 device" in said
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
    assert power.asked == []


async def test_elsewhere_it_is_said_when_power_may_go_and_esc_takes_it_back() -> None:
    power = FakePower()
    async with app_with(power, BUSY) as (reader, app, pilot):
        await open_dialog(app, pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "leave" in power.asked)
        show(reader, PowerState(False, 1, 0, leaving=Leaving.READY))
        await until(pilot, lambda: "✖ Do not power off - receiving" in line(app, "leaving-power"))
        show(reader, PowerState(True, 0, 0, leaving=Leaving.READY))
        await until(pilot, lambda: line(app, "leaving-power") == "✓ Safe to power off now")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
    assert power.asked[-1] == "stay" and "off" not in power.asked


async def test_unit_that_switches_itself_off_is_told_to_and_says_how_far_it_is() -> None:
    power = FakePower(switches_off=True)
    async with app_with(power, BUSY) as (reader, app, pilot):
        await open_dialog(app, pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: power.asked == ["off"])
        show(reader, PowerState(False, 1, 2, leaving=Leaving.OFF))
        await until(
            pilot,
            lambda: line(app, "leaving-power") == "✖ Switching off - receiving from 1 device, filing 2 images",
        )
        show(reader, PowerState(True, 0, 0, leaving=Leaving.OFF))
        await until(pilot, lambda: line(app, "leaving-power") == "✓ Everything is written - switching off")
        await pilot.press("escape")
        assert isinstance(app.screen, LeavingDialog)


async def test_machine_that_does_not_end_is_said_and_can_be_tried_again() -> None:
    power = FakePower(switches_off=True, trouble="It does not.")
    async with app_with(power, BUSY) as (_, app, pilot):
        await open_dialog(app, pilot)
        await pilot.press("down", "enter")
        await until(pilot, lambda: "It does not." in screen_text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: power.asked == ["off", "off"])


async def test_power_key_is_told_over_whatever_is_open_and_goes_when_it_was_called_off() -> None:
    async with app_with(FakePower(switches_off=True), BUSY) as (reader, app, pilot):
        await pilot.press("f1")
        show(reader, PowerState(False, 1, 0, leaving=Leaving.OFF))
        await until(pilot, lambda: isinstance(app.screen, LeavingDialog) and app.screen.is_mounted)
        await until(pilot, lambda: line(app, "leaving-power").startswith("✖ Switching off"))
        show(reader, PowerState(True, 0, 0))
        await until(pilot, lambda: not isinstance(app.screen, LeavingDialog))


async def test_finger_on_the_key_bar_is_that_key() -> None:
    async with app_with(FakePower(), BUSY) as (_, app, pilot):
        keys = line(app, "keys").splitlines()
        y = next(number for number, each in enumerate(keys) if "F12" in each)
        await pilot.click("#keys", offset=(keys[y].index("F12") + 1, y))
        await until(pilot, lambda: isinstance(app.screen, LeavingDialog))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
        await pilot.click("#keys", offset=(keys[y].index("F12") - 1, y))
        await pilot.pause()
        assert isinstance(app.screen, TodayPage)


async def test_real_unit_is_left_and_stays_and_its_command_is_run(tmp_path: Path) -> None:
    toml = tmp_path / "unit.toml"
    mark = tmp_path / "off"
    toml.write_text(
        f'[unit]\ndata_dir = "{tmp_path}"\n[screen]\npower_off_command = ["touch", "{mark}"]\n', encoding="utf-8"
    )
    config, clock = load_unit(toml), FakeClock()
    config.run_dir.mkdir()
    power = UnitPower(config, clock)
    power.leave()
    assert read_leaving(config.run_dir, clock) is Leaving.READY
    clock.mono += 60
    assert read_leaving(config.run_dir, clock) is Leaving.NO, "whoever said it may have died"
    power.leave()
    power.stay()
    assert read_leaving(config.run_dir, clock) is Leaving.NO
    assert power.switches_off
    power.off()
    assert mark.exists()
    toml.write_text('[screen]\npower_off_command = ["false"]\n', encoding="utf-8")
    with pytest.raises(ReadTrouble, match="Nothing is lost"):
        UnitPower(load_unit(toml), clock).off()
