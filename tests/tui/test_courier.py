"""The courier page: a stick is chosen, copied to, and never said to be removable before it was read back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from textual.pilot import Pilot

from appliance.cli.tui_courier import CommandCourier
from appliance.store.courier import StickRow
from tests.support.snapshots import NOW_S, snapshot
from tests.support.unit_store import made_unit
from tests.tui.driving import item_lines, line, until
from tests.tui.fakes import FakeClock, FakeReader
from tui.app import QafilaApp
from tui.screens.courier import CourierPage
from tui.screens.today import TodayPage
from tui.services import CourierEnd, CourierStep, Services, Stick

WAY = StickRow("ab" * 8, "centre", "2026-11-22T08:00:00.000Z", 12, 3, 4, 1)


@dataclass
class FakeCourier:
    """One stick; ends when it is let go or stopped."""

    end: CourierEnd = field(
        default_factory=lambda: CourierEnd(0, {"ending": "done", "carried_count": 12, "study_count": 3})
    )
    go_on: threading.Event = field(default_factory=threading.Event)
    ran: list[tuple[str, str]] = field(default_factory=list)
    was_stopped: threading.Event = field(default_factory=threading.Event)

    def sticks(self) -> tuple[Stick, ...]:
        return (Stick("/media/one", 4_000_000_000, 8_000_000_000),)

    def carried(self) -> tuple[StickRow, ...]:
        return (WAY,)

    def run(
        self, action: str, path: str, on_step: Callable[[CourierStep], None], stopped: threading.Event
    ) -> CourierEnd:
        self.ran.append((action, path))
        on_step(CourierStep("copying", 30, 60, 6, 12))
        while not self.go_on.wait(0.01):
            if stopped.is_set():
                self.was_stopped.set()
                return CourierEnd(130, {"ending": "stopped"})
        return self.end


async def opened(app: QafilaApp, pilot: Pilot[int]) -> None:
    await until(pilot, lambda: app.snapshot is not None)
    app.go_to("courier")
    await until(pilot, lambda: isinstance(app.screen, CourierPage) and "/media/one" in item_lines(app))


def app_with(courier: FakeCourier) -> QafilaApp:
    return QafilaApp(FakeReader(snapshot()), FakeClock(), services=Services(courier=courier))


@pytest.mark.asyncio
async def test_stick_may_be_removed_only_after_it_was_read_back_also_when_the_page_was_left() -> None:
    courier = FakeCourier()
    app = app_with(courier)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        assert "/media/one: 4.0 GB free of 8.0 GB" in item_lines(app)
        assert "stick abababab: 12 images, no receipt yet for 4 images" in item_lines(app)
        await pilot.press("f9")
        await until(pilot, lambda: "Copying: 6 of 12 images, 50 %" in line(app, "job"))
        assert "✖ Do not remove the stick" in line(app, "job") and "✓" not in line(app, "job")
        await pilot.press("f9")
        assert "not now: a stick is being worked on" in line(app, "notice")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
        courier.go_on.set()
        await opened(app, pilot)
        await until(pilot, lambda: "✓ You can remove the stick" in line(app, "job"))
        assert "On it: 12 images of 3 studies" in line(app, "job")
        assert courier.ran == [("export", "/media/one")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("end", "words", "removable"),
    [
        (CourierEnd(4, {"ending": "lies"}), "counterfeit or broken", False),
        (CourierEnd(3, {"ending": "full", "carried_count": 1, "study_count": 1}), "The stick is full", True),
        (CourierEnd(4, {}, "The stick stopped answering."), "The stick stopped answering.", False),
        (CourierEnd(3, {"ending": "nothing-to-do"}), "nothing to carry", True),
    ],
)
async def test_each_ending_is_a_sentence(end: CourierEnd, words: str, removable: bool) -> None:
    courier = FakeCourier(end)
    courier.go_on.set()
    app = app_with(courier)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("f9")
        await until(pilot, lambda: words in line(app, "job"))
        assert ("✓ You can remove the stick" in line(app, "job")) is removable
        assert ("Nothing is lost" in line(app, "job")) is not removable


@pytest.mark.asyncio
async def test_copying_is_stopped_by_key_and_by_the_end_of_the_screen() -> None:
    for keys in (("f7",), ()):
        courier = FakeCourier()
        app = app_with(courier)
        async with app.run_test(size=(80, 24)) as pilot:
            await opened(app, pilot)
            await pilot.press("f9")
            await until(pilot, lambda courier=courier: bool(courier.ran))  # type: ignore[misc]
            await pilot.press(*keys)
            if keys:
                await until(pilot, lambda app=app: "Stopped." in line(app, "job"))  # type: ignore[misc]
        assert courier.was_stopped.wait(5)


def test_command_is_run_as_a_child_and_its_refusal_is_a_sentence(tmp_path: Path) -> None:
    config = made_unit(tmp_path, 1, now_s=NOW_S)
    courier = CommandCourier(config, tmp_path / "unit.toml", FakeClock())
    end = courier.run("export", str(tmp_path), lambda _: None, threading.Event())
    assert end.exit_code != 0 and "no gateway" in end.trouble and "Nothing was changed" in end.trouble


def test_only_mounted_block_devices_below_the_usual_places_are_sticks(tmp_path: Path) -> None:
    config = made_unit(tmp_path, 0, now_s=NOW_S)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 2 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "3 2 0:5 / /mnt/net rw - nfs server:/x rw\n"
        "4 2 8:17 / /media/gone rw - vfat /dev/sdb1 rw\n"
    )
    assert CommandCourier(config, tmp_path / "unit.toml", FakeClock(), mounts).sticks() == ()


@pytest.mark.asyncio
async def test_progress_is_followed_while_nothing_else_changes() -> None:
    courier = SteppingCourier()
    app = app_with(courier)
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(app, pilot)
        await pilot.press("f9")
        for percent in (10, 60):
            courier.percents.put(percent)
            await until(pilot, lambda percent=percent: f"{percent} %" in line(app, "job"))  # type: ignore[misc]
        courier.percents.put(None)
        await until(pilot, lambda: "✓ You can remove the stick" in line(app, "job"))


@dataclass
class SteppingCourier(FakeCourier):
    """Steps when it is told to."""

    percents: queue.SimpleQueue[int | None] = field(default_factory=queue.SimpleQueue)

    def run(
        self, action: str, path: str, on_step: Callable[[CourierStep], None], stopped: threading.Event
    ) -> CourierEnd:
        while (percent := self.percents.get()) is not None:
            on_step(CourierStep("copying", percent, 100, percent // 10, 10))
        return self.end
