"""The form over a real unit's database: by keys alone, from a name to the worklist; nothing typed is ever lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.events import Key, Paste
from textual.keys import _character_to_key
from textual.pilot import Pilot

from appliance.config import UnitConfig
from appliance.registration.entry import Entry
from appliance.store.connect import open_reader, open_unit, write
from appliance.store.registrations import RegistrationRow, list_registrations
from tests.support.snapshots import NOW_S
from tests.support.unit_store import made_unit
from tests.tui.driving import line, screen_text, until
from tests.tui.fakes import FakeClock
from tui.app import QafilaApp
from tui.screens.registration import RegistrationPage
from tui.screens.today import TodayPage
from tui.services import Services
from tui.unit_counter import DRAFT_FILE, UnitCounter
from tui.unit_reader import StoreReader
from tui.widgets.fields import Field, Pick

pytestmark = pytest.mark.asyncio


@pytest.fixture
def unit(tmp_path: Path) -> UnitConfig:
    return made_unit(tmp_path, 1, now_s=NOW_S)


@asynccontextmanager
async def form(
    unit: UnitConfig, size: tuple[int, int] = (80, 24), language_code: str = "en"
) -> AsyncIterator[tuple[QafilaApp, Pilot[int]]]:
    """The app over a real unit, with the form open and its exams read."""
    clock = FakeClock()
    services = Services(counter=UnitCounter(unit, clock))
    app = QafilaApp(StoreReader(unit, clock), clock, services=services, language_code=language_code)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None)
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, RegistrationPage) and app.screen._exams is not None)
        yield app, pilot


def registered(unit: UnitConfig) -> tuple[RegistrationRow, ...]:
    with open_reader(unit.unit_db) as db:
        return list_registrations(db, limit=10)


async def typed(pilot: Pilot[int], **values: str) -> None:
    """As keys would leave it."""
    for name, value in values.items():
        field = pilot.app.screen.query_one(f"#f-{name}")
        assert isinstance(field, Field | Pick)
        field.value = value
    await pilot.pause()


PERSON = {"family_latin": "Benali", "given_latin": "Amina", "birth": "1984-03-12", "sex": "F"}
EXAM = {"exam_code": "XR-CHEST-PA", "pregnancy": "no"}


async def test_person_and_exam_are_registered_by_keys_alone_and_stand_in_todays_list(unit: UnitConfig) -> None:
    async with form(unit) as (app, pilot):
        await pilot.press(*"Benali", "down", *"Amina", "enter", "enter", "enter", *"1984-03-12", "enter", "right")
        await pilot.press("f3")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        chosen = app.screen.query_one("#f-exam_code", Pick).value
        app.screen.query_one("#f-pregnancy", Pick).focus()
        await pilot.press("right", "f9")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
        await until(pilot, lambda: "○ Registered" in screen_text(app))
        assert "Registered: Benali, Amina, ID" in line(app, "notice")
    rows = registered(unit)
    assert [(row.patient_name, row.patient_birth_date, row.patient_sex) for row in rows] == [
        ("Benali^Amina", "19840312", "F")
    ]
    assert rows[0].exam_code == chosen and rows[0].pregnancy == "no"


async def test_wrong_field_gets_the_cursor_and_a_sentence_and_nothing_is_lost(unit: UnitConfig) -> None:
    async with form(unit) as (app, pilot):
        await typed(pilot, **PERSON | EXAM | {"birth": "12/03/84"})
        await pilot.press("f9")
        await until(pilot, lambda: "is no date" in line(app, "notice"))
        assert app.focused is app.screen.query_one("#f-birth")
        assert app.screen.query_one("#f-family_latin", Field).value == "Benali"
    assert registered(unit) == ()


async def test_pregnancy_question_must_be_answered_before_xrays(unit: UnitConfig) -> None:
    async with form(unit) as (app, pilot):
        await typed(pilot, **PERSON | EXAM | {"pregnancy": ""})
        await pilot.press("f9")
        await until(pilot, lambda: "Ask whether she may be pregnant" in line(app, "notice"))
        assert app.focused is app.screen.query_one("#f-pregnancy")


async def test_emergency_needs_nothing_but_its_key(unit: UnitConfig) -> None:
    async with form(unit) as (app, pilot):
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
    rows = registered(unit)
    assert [row.patient_name.startswith("TEMP^") for row in rows] == [True]
    assert rows[0].priority == "stat" and rows[0].is_emergency


async def test_person_alike_is_shown_while_typing_and_f5_takes_the_record(unit: UnitConfig) -> None:
    async with form(unit) as (app, pilot):
        await typed(pilot, **PERSON | EXAM)
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, RegistrationPage) and app.screen.is_ready)
        await typed(pilot, family_latin="BÉNALI", given_latin="amina")
        await until(pilot, lambda: "same name" in line(app, "alike"))
        await pilot.press("f5")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        await typed(pilot, **EXAM)
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
    rows = registered(unit)
    assert len(rows) == 2 and len({row.patient_key for row in rows}) == 1


async def test_same_again_registers_a_new_person_only_after_those_alike_were_shown(unit: UnitConfig) -> None:
    async with form(unit) as (app, pilot):
        for _ in range(2):
            if not isinstance(app.screen, RegistrationPage):
                await pilot.press("f9")
                await until(pilot, lambda: isinstance(app.screen, RegistrationPage) and app.screen.is_ready)
            await typed(pilot, **PERSON | EXAM)
            await pilot.press("f9")
            await until(pilot, lambda: isinstance(app.screen, TodayPage) or "F9 again" in line(app, "notice"))
        assert len(registered(unit)) == 1
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
    assert len({row.patient_key for row in registered(unit)}) == 2


async def test_arabic_name_alone_is_answered_with_a_latin_proposal_that_the_record_remembers(unit: UnitConfig) -> None:
    async with form(unit) as (app, pilot):
        arabic = {"family_latin": "", "given_latin": "", "family_arabic": "بن علي", "given_arabic": "أمينة"}
        await typed(pilot, **PERSON | EXAM | arabic)
        assert "\ufef2\ufee0\ufecb \ufee6\ufe91" in screen_text(app), "joined, and from right to left"
        await pilot.press("f9")
        await until(pilot, lambda: "that is a guess" in line(app, "notice"))
        assert app.screen.query_one("#f-given_latin", Field).value == "Amina"
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
    with open_reader(unit.unit_db) as db:
        assert db.value("SELECT latin_is_proposal FROM patient") == 1
    assert registered(unit)[0].patient_name.endswith("=بن علي^أمينة"), "stored in logical order"


async def test_escape_keeps_what_was_typed_and_a_crash_leaves_it_on_disk(unit: UnitConfig) -> None:
    draft = unit.data_dir / DRAFT_FILE
    async with form(unit) as (app, pilot):
        await typed(pilot, family_latin="Benali", reason="chute")
        await pilot.press("escape", "f9")
        await until(pilot, lambda: isinstance(app.screen, RegistrationPage) and app.screen.is_ready)
        assert app.screen.query_one("#f-reason", Field).value == "chute"
        await until(pilot, lambda: draft.exists() and b"chute" in draft.read_bytes())
    assert draft.stat().st_mode & 0o777 == 0o600
    async with form(unit) as (app, pilot):
        await until(pilot, lambda: app.screen.query_one("#f-reason", Field).value == "chute")
        await pilot.press("f7")
        await until(pilot, lambda: not draft.exists())
        await pilot.press("f7")
        assert app.screen.query_one("#f-reason", Field).value == "chute", "emptied by mistake, and back"


async def test_locked_database_keeps_the_form(unit: UnitConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.unit_counter.WRITE_WAIT_S", 0.05)
    async with form(unit) as (app, pilot):
        await typed(pilot, **PERSON | EXAM)
        with open_unit(unit.unit_db) as db, write(db):
            await pilot.press("f9")
            await until(pilot, lambda: "What was typed is kept here" in line(app, "notice"))
        assert "locked by another program" in line(app, "notice")
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, TodayPage))
    assert len(registered(unit)) == 1


async def test_paste_of_a_megabyte_with_control_and_bidi_characters_is_cleaned_and_cut(unit: UnitConfig) -> None:
    async with form(unit) as (app, pilot):
        field = app.screen.query_one("#f-family_latin", Field)
        field.post_message(Paste("BE\x1b[31m\u202eN\u200fALI" + "x" * 1_000_000))
        await until(pilot, lambda: field.value != "")
        assert field.value.startswith("BE[31mNALI") and len(field.value) == 64


@pytest.mark.parametrize("size", [(40, 12), (120, 40), (1, 1)])
async def test_form_draws_at_every_size_and_keeps_its_text_through_a_resize_storm(
    unit: UnitConfig, size: tuple[int, int]
) -> None:
    async with form(unit, size) as (app, pilot):
        await typed(pilot, family_latin="Benali")
        for step in range(20):
            await pilot.resize_terminal(1 + (step * 37) % 150, 1 + (step * 17) % 50)
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert "Benali" in screen_text(app)
        assert isinstance(app.screen, RegistrationPage) and app.screen.entry() == Entry(family_latin="Benali")


async def test_keys_that_come_in_one_burst_go_to_the_fields_they_were_meant_for(unit: UnitConfig) -> None:
    burst = (*"Benali", "down", *"Amina", "tab", "down", "enter", *"1984-03-12", "down", "right")
    async with form(unit) as (app, pilot):
        for key in burst:
            app.post_message(Key(key if len(key) > 1 else _character_to_key(key), key if len(key) == 1 else None))
        page = app.screen
        assert isinstance(page, RegistrationPage)
        await until(pilot, lambda: page.entry().sex == "F")
        entry = page.entry()
        assert (entry.family_latin, entry.given_latin, entry.birth) == ("Benali", "Amina", "1984-03-12")
