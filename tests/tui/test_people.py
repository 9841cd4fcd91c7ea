"""The People page over a real unit: a supervisor changes who may sign in, by keys alone, and the records say so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from textual.pilot import Pilot

from appliance.config import UnitConfig
from appliance.people import pins
from appliance.store.connect import open_reader, open_unit
from appliance.store.people import Role, add_person, list_people, sign_in
from tests.support.snapshots import NOW_S
from tests.support.unit_store import made_unit
from tests.tui.driving import item_lines, line, screen_text, until
from tests.tui.fakes import FakeClock
from tui.app import QafilaApp
from tui.screens.ask import Ask
from tui.screens.menu import Confirm, Menu
from tui.screens.people import PeoplePage
from tui.screens.sign_in import SignInPage
from tui.screens.today import TodayPage
from tui.services import Services
from tui.unit_people import UnitPeople
from tui.unit_reader import StoreReader

pytestmark = pytest.mark.asyncio
PIN, OTHER_PIN = "4711", "2580"


@dataclass
class Unit:
    """A unit, and how its screen is reached."""

    config: UnitConfig
    clock: FakeClock = field(default_factory=FakeClock)

    def add(self, name: str, role: Role) -> None:
        with open_unit(self.config.unit_db) as db:
            add_person(db, db.stamp(), name, role, PIN, "test")

    def people(self) -> dict[str, str]:
        """Role by name."""
        with open_reader(self.config.unit_db) as db:
            return {one.name: str(one.role) for one in list_people(db)}

    def opens(self, name: str, pin: str) -> bool:
        """Whether the PIN is that person's."""
        with open_unit(self.config.unit_db) as db:
            (person,) = (one for one in list_people(db) if one.name == name)
            return sign_in(db, db.stamp(), person.person_id, pin).person == person

    def noted(self) -> list[tuple[str, str]]:
        """Changes in the journal, and who made them."""
        with open_reader(self.config.unit_db) as db:
            rows = db.rows(
                "SELECT event, actor FROM journal WHERE subject = 'person' AND event IN ('added', 'pin', 'removed')"
                " AND actor <> 'test' ORDER BY seq"
            )
        return [(row[0], row[1]) for row in rows]


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As strong as it need be here."""
    monkeypatch.setattr(pins, "_N", 2)


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    return Unit(made_unit(tmp_path, 1, now_s=NOW_S))


@asynccontextmanager
async def people_page(unit: Unit, language: str = "en") -> AsyncIterator[tuple[QafilaApp, Pilot[int]]]:
    """The page; the first of the list is signed in, where somebody is listed."""
    services = Services(people=UnitPeople(unit.config, unit.clock))
    app = QafilaApp(
        StoreReader(unit.config, unit.clock), unit.clock, services=services, language_code=language
    )  # fmt: skip
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        if unit.people():
            await until(pilot, lambda: isinstance(app.screen, SignInPage) and app.screen.query_one("#sign-in").display)
            await pilot.press(*(["enter"] if len(unit.people()) > 1 else []), *PIN, "enter")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
        app.go_to("people")
        await until(pilot, lambda: isinstance(app.screen, PeoplePage) and app.screen.is_ready)
        await until(pilot, lambda: "Reading" not in item_lines(app))
        yield app, pilot


async def typed(app: QafilaApp, pilot: Pilot[int], *answers: str) -> None:
    """Each into a dialog of its own."""
    for answer in answers:
        await until(pilot, lambda: isinstance(app.screen, Ask) and app.focused is not None)
        asked = app.screen
        await pilot.press(*answer, "enter")
        await until(pilot, lambda asked=asked: app.screen is not asked)  # type: ignore[misc]


async def test_first_person_becomes_a_supervisor_and_has_to_sign_in_at_once(unit: Unit) -> None:
    async with people_page(unit) as (app, pilot):
        assert "Nobody is listed" in item_lines(app)
        await pilot.press("f6")
        await until(pilot, lambda: "not now: nobody is chosen" in line(app, "notice"))
        await pilot.press("f9")
        await typed(app, pilot, "Salma", PIN)
        assert PIN not in screen_text(app)
        await typed(app, pilot, PIN)
        await until(pilot, lambda: isinstance(app.screen, SignInPage) and "Salma" in screen_text(app))
        assert unit.people() == {"Salma": "supervisor"} and unit.opens("Salma", PIN)
        await pilot.press(*PIN, "enter")
        await until(pilot, lambda: isinstance(app.screen, PeoplePage))
        await until(pilot, lambda: "supervisor      Salma · since 2026-11-22 · signed in" in item_lines(app))


async def test_supervisor_adds_a_technologist_changes_a_pin_and_removes_somebody(unit: Unit) -> None:
    unit.add("Amal", Role.SUPERVISOR)
    unit.add("Omar", Role.TECHNOLOGIST)
    async with people_page(unit) as (app, pilot):
        await pilot.press("f9")
        await typed(app, pilot, "Yasmine")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        assert "Role of Yasmine" in screen_text(app)
        await pilot.press("enter")
        await typed(app, pilot, PIN, PIN)
        await until(pilot, lambda: "technologist    Yasmine" in item_lines(app))
        assert line(app, "notice") == "Yasmine may sign in now."
        assert unit.people()["Yasmine"] == "technologist"

        await pilot.press("down", "f6")
        await typed(app, pilot, OTHER_PIN, OTHER_PIN)
        await until(pilot, lambda: line(app, "notice") == "Omar has another PIN.")
        assert unit.opens("Omar", OTHER_PIN) and unit.opens("Yasmine", PIN)

        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        assert "Let Omar (technologist) sign in no more?" in screen_text(app)
        await pilot.press("enter")  # Cancel is the default
        await until(pilot, lambda: isinstance(app.screen, PeoplePage))
        assert "Omar" in unit.people()
        await pilot.press("f8")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "Omar" not in item_lines(app))
        assert set(unit.people()) == {"Amal", "Yasmine"}
        assert unit.noted() == [("added", "person:1"), ("pin", "person:1"), ("removed", "person:1")]


async def test_what_is_refused_is_a_sentence_and_changes_nothing(unit: Unit) -> None:
    unit.add("Amal", Role.SUPERVISOR)
    async with people_page(unit) as (app, pilot):
        await pilot.press("f8")
        await until(pilot, lambda: "not now: that is you" in line(app, "notice"))
        await pilot.press("f6")
        await typed(app, pilot, OTHER_PIN, "2581")
        await until(pilot, lambda: line(app, "notice") == "The two are not the same. Nothing was changed.")
        await pilot.press("f6")
        await typed(app, pilot, "1234", "1234")
        await until(pilot, lambda: "everybody tries first" in line(app, "notice"))
        assert "Nothing was changed." in line(app, "notice")
        await pilot.press("f9")
        await typed(app, pilot, "amal")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        await pilot.press("enter")
        await typed(app, pilot, PIN, PIN)
        await until(pilot, lambda: line(app, "notice") == "amal may sign in already. Nothing was changed.")
        assert unit.people() == {"Amal": "supervisor"} and unit.opens("Amal", PIN) and unit.noted() == []


async def test_esc_leaves_every_question_and_keeps_the_name_that_was_typed(unit: Unit) -> None:
    unit.add("Amal", Role.SUPERVISOR)
    async with people_page(unit) as (app, pilot):
        await pilot.press("f9")
        await typed(app, pilot, "Yasmine")
        await until(pilot, lambda: isinstance(app.screen, Menu))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PeoplePage))
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, Ask) and "Yasmine" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, PeoplePage))
        assert unit.people() == {"Amal": "supervisor"}


async def test_technologist_sees_who_may_sign_in_and_changes_nothing(unit: Unit) -> None:
    unit.add("Amal", Role.TECHNOLOGIST)
    unit.add("Salma", Role.SUPERVISOR)
    async with people_page(unit) as (app, pilot):
        assert "Salma" in item_lines(app)
        for key in ("f9", "f6", "f8"):
            await pilot.press(key)
            await until(pilot, lambda: "not now: a supervisor does that" in line(app, "notice"))
            assert isinstance(app.screen, PeoplePage)


@pytest.mark.parametrize(("language", "words"), [("fr", "superviseur"), ("ar", "ﻑﺮﺸﻣ")])
async def test_page_speaks_every_language(unit: Unit, language: str, words: str) -> None:
    unit.add("Amal", Role.SUPERVISOR)
    async with people_page(unit, language) as (app, _):
        assert words in screen_text(app)
