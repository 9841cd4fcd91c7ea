"""The lock over a real unit: PIN, backoff that survives a restart, idle, and who did what."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from appliance.config import UnitConfig
from appliance.handed import SUPERVISOR, FirstPerson
from appliance.people import pins
from appliance.people.first import take_in
from appliance.store.connect import open_reader, open_unit
from appliance.store.people import Role, add_person
from tests.support.snapshots import NOW_S
from tests.support.unit_store import made_unit
from tests.tui.driving import line, screen_text, until
from tests.tui.fakes import FakeClock
from tui.app import QafilaApp
from tui.screens.sign_in import SignInPage
from tui.screens.today import TodayPage
from tui.services import Services
from tui.unit_counter import UnitCounter
from tui.unit_people import UnitPeople
from tui.unit_reader import StoreReader

pytestmark = pytest.mark.asyncio
PIN = "4711"


@dataclass
class Unit:
    """A unit with one person."""

    config: UnitConfig
    clock: FakeClock = field(default_factory=FakeClock)


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As strong as it need be here."""
    monkeypatch.setattr(pins, "_N", 2)


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    config = made_unit(tmp_path, 1, now_s=NOW_S)
    with open_unit(config.unit_db) as db:
        add_person(db, db.stamp(), "Salma", Role.TECHNOLOGIST, PIN, "test")
    return Unit(config)


@asynccontextmanager
async def screen(unit: Unit) -> AsyncIterator[tuple[QafilaApp, Pilot[int]]]:
    services = Services(
        counter=UnitCounter(unit.config, unit.clock), people=UnitPeople(unit.config, unit.clock), lock_after_s=60
    )
    app = QafilaApp(StoreReader(unit.config, unit.clock), unit.clock, services=services)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        yield app, pilot


async def sign_in(app: QafilaApp, pilot: Pilot[int], pin: str = PIN) -> None:
    await until(pilot, lambda: isinstance(app.screen, SignInPage) and app.screen.query_one("#sign-in").display)
    await pilot.press(*pin, "enter")


async def test_lock_shows_no_patient_but_what_is_safe_and_the_pin_opens_it(unit: Unit) -> None:
    async with screen(unit) as (app, pilot):
        await until(pilot, lambda: "Salma" in screen_text(app))
        assert "PATIENT" not in screen_text(app) and "not yet safe" in screen_text(app)
        await sign_in(app, pilot)
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
        assert "PATIENT, Number0" in screen_text(app)
        assert line(app, "notice") == "Signed in: Salma."


async def test_screen_of_a_first_start_stays_locked_until_the_supervisor_is_entered(tmp_path: Path) -> None:
    unit = Unit(made_unit(tmp_path, 1, now_s=NOW_S))
    first = FirstPerson(name="Amina", pin_hash=pins.hashed(PIN))
    unit.config.handed_dir.mkdir(exist_ok=True)
    (unit.config.handed_dir / SUPERVISOR).write_bytes(msgspec.json.encode(first))
    async with screen(unit) as (app, pilot):
        await until(pilot, lambda: "The first supervisor is being entered" in screen_text(app))
        assert isinstance(app.screen, SignInPage) and "PATIENT" not in screen_text(app)
        with open_unit(unit.config.unit_db) as db:
            take_in(db, unit.config.handed_dir)
        await sign_in(app, pilot)
        await until(pilot, lambda: isinstance(app.screen, TodayPage))


@pytest.mark.parametrize("keys", [("escape",), ("f11",), ("f10",), ("ctrl+p",), ("f9",), ("f6",), ("f3",)])
async def test_no_key_goes_round_the_lock(unit: Unit, keys: tuple[str, ...]) -> None:
    async with screen(unit) as (app, pilot):
        await until(pilot, lambda: "Salma" in screen_text(app))
        await pilot.press(*keys)
        await pilot.pause()
        assert any(isinstance(one, SignInPage) for one in app.screen_stack)
        assert "PATIENT" not in screen_text(app)


async def test_what_is_done_is_attributed_to_the_person(unit: Unit) -> None:
    async with screen(unit) as (app, pilot):
        await sign_in(app, pilot)
        await until(pilot, lambda: isinstance(app.screen, TodayPage) and app.screen.selected is not None)
        await pilot.press("f3")
        await until(pilot, lambda: "Held" in line(app, "notice"))
    with open_reader(unit.config.unit_db) as db:
        assert db.value("SELECT actor FROM command") == "person:1"
        assert db.value("SELECT actor FROM journal WHERE event = 'hold'") == "person:1"


async def test_wrong_pins_cost_a_wait_that_survives_a_restart(unit: Unit) -> None:
    async with screen(unit) as (app, pilot):
        for count in range(1, pins.FREE_COUNT + 1):
            await sign_in(app, pilot, "9999")
            words = "That is not the PIN." if count < pins.FREE_COUNT else "Wait 5 seconds"
            await until(pilot, lambda words=words: words in line(app, "notice"))  # type: ignore[misc]
    async with screen(unit) as (app, pilot):
        await sign_in(app, pilot)
        await until(pilot, lambda: "Wait 5 seconds" in line(app, "notice"))
        unit.clock.wall += 5
        await sign_in(app, pilot)
        await until(pilot, lambda: isinstance(app.screen, TodayPage))


async def test_screen_locks_itself_after_idle_and_the_page_under_it_keeps_its_form(unit: Unit) -> None:
    async with screen(unit) as (app, pilot):
        await sign_in(app, pilot)
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
        await pilot.press("f9")
        await until(pilot, lambda: app.screen.is_ready and app.focused is not None)  # type: ignore[attr-defined]
        await pilot.press(*"Benali")
        unit.clock.mono += 61
        await until(pilot, lambda: isinstance(app.screen, SignInPage) and app.screen.is_ready)
        await pilot.pause()
        assert "Benali" not in screen_text(app)
        await sign_in(app, pilot)
        await until(pilot, lambda: not isinstance(app.screen, SignInPage))
        await pilot.pause()
        assert "Benali" in screen_text(app)


async def test_unit_where_nobody_is_listed_asks_nobody(tmp_path: Path) -> None:
    unit = Unit(made_unit(tmp_path, 1, now_s=NOW_S))
    async with screen(unit) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
        assert "PATIENT" in screen_text(app)


async def test_pin_in_arabic_digits_opens_the_lock_and_is_never_shown(unit: Unit) -> None:
    async with screen(unit) as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, SignInPage) and app.screen.query_one("#sign-in").display)
        await pilot.press(*"٤٧١١")
        await pilot.pause()
        assert not set("٤٧١4711") & set(screen_text(app).split("PIN", 1)[1].split("\n", 1)[0]), screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
