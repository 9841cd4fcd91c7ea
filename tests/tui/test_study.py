"""The study page over a real unit: what to look at, previews, and corrections by keys alone, as the database says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import OptionList

from appliance.config import UnitConfig
from appliance.corrections.step import match_studies
from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.domain.rendered import Preview as Drawn
from appliance.domain.rendered import Rendered
from appliance.domain.wording import told
from appliance.store import revisions
from appliance.store.connect import open_unit
from appliance.store.quality import DueInstance, save_run
from appliance.store.rejections import rejected
from tests.store.made import made_stamp
from tests.support.correcting import Desk, desk
from tests.tui.driving import item_lines, line, screen_text, until
from tests.tui.fakes import FakeClock
from tui.app import QafilaApp
from tui.screens.menu import Confirm, Menu
from tui.screens.picture import PictureDialog
from tui.screens.study import StudyPage
from tui.services import Services
from tui.unit_desk import UnitDesk
from tui.unit_reader import StoreReader
from tui.widgets.fields import TEXT_CHARS_MAX, Field
from tui.widgets.items import Items

pytestmark = pytest.mark.asyncio


@dataclass
class FakePreviews:
    """A grey picture of five frames; what was asked for is written down."""

    trouble: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)

    def preview(self, sop_instance_uid: str, frame_number: int, width_px: int, height_px: int) -> Drawn:
        self.asked.append((sop_instance_uid, frame_number))
        if self.trouble:
            return Drawn(None, sentence=told(self.trouble))
        number = {0: 3, -1: 5}.get(frame_number, min(frame_number, 5))
        return Drawn(Rendered(4, 4, 1, bytes([number * 40]) * 16), number, 5)


@dataclass
class Unit:
    """Two pictures of one patient's study, one exam of another patient."""

    at: Desk
    study: str
    images: tuple[str, ...]
    other_exam: str


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Unit]:
    with desk(tmp_path) as at:
        one, other = at.register("Benali", "Amina"), at.register("Haddad", "Youssef")
        images = (at.picture(one), at.picture(one))
        yield Unit(at, one.registration.study_instance_uid, images, other.registration.accession_number)


def app_of(config: UnitConfig, previews: FakePreviews | None = None, language: str = "en") -> QafilaApp:
    clock = FakeClock(wall=made_stamp().wall_s)
    services = Services(desk=UnitDesk(config, clock), previews=previews)
    return QafilaApp(StoreReader(config, clock), clock, services=services, language_code=language)


@asynccontextmanager
async def study_open(
    unit: Unit, previews: FakePreviews | None = None, size: tuple[int, int] = (100, 30)
) -> AsyncIterator[tuple[QafilaApp, Pilot[int]]]:
    app = app_of(unit.at.config, previews)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.snapshot is not None and bool(app.snapshot.studies))
        await pilot.pause()
        await pilot.press("end", "enter")  # exams that are still to be made stand before it
        await until(pilot, lambda: isinstance(app.screen, StudyPage) and "IMAGES" in item_lines(app))
        yield app, pilot


async def menu(app: QafilaApp, pilot: Pilot[int], *keys: str) -> None:
    """Wait for the next dialog, then press."""
    await until(pilot, lambda: isinstance(app.screen, Menu | Confirm) and bool(app.screen.query(OptionList)))
    before = app.screen
    await pilot.press(*keys)
    await until(pilot, lambda: app.screen is not before)


def found(unit: Unit, image: str, code: CheckCode, severity: Severity, **values: str) -> None:
    with open_unit(unit.at.config.unit_db) as db:
        number = db.value("SELECT instance_id FROM instance WHERE sop_instance_uid = ?", (image,))
        due = DueInstance(number, image, unit.study, "", 0)
        save_run(
            db,
            made_stamp(),
            due,
            checks_version=1,
            blob_uuid="",
            order_digest="",
            outcome="checked",
            findings=[Finding(code, severity, values)],
        )


async def test_preview_follows_the_line_and_steps_through_a_loop(unit: Unit) -> None:
    previews = FakePreviews()
    async with study_open(unit, previews) as (app, pilot):
        await until(pilot, lambda: "frame 1 of 5" in line(app, "caption"))
        assert "not for diagnosis; orientation only" in line(app, "caption") and "▀" in screen_text(app)
        assert set(previews.asked) == {(unit.images[1], 1)}
        await pilot.press("right")
        await until(pilot, lambda: "frame 3 of 5" in line(app, "caption"))
        await pilot.press("right")
        await until(pilot, lambda: "frame 5 of 5" in line(app, "caption"))
        await pilot.press("up")
        await until(pilot, lambda: previews.asked[-1] == (unit.images[0], 1))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PictureDialog) and "frame 1" in line(app, "picture-caption"))
        await pilot.press("right")
        await until(pilot, lambda: "frame 2 of 5" in line(app, "picture-caption"))
        await pilot.press("end")
        await until(pilot, lambda: "frame 5 of 5" in line(app, "picture-caption"))
        await pilot.press("escape")
        assert isinstance(app.screen, StudyPage)


async def test_store_of_pictures_that_dies_is_a_sentence_and_its_return_is_noticed(unit: Unit) -> None:
    previews = FakePreviews(trouble="No preview now.")
    async with study_open(unit, previews) as (app, pilot):
        await until(pilot, lambda: line(app, "caption") == "No preview now.")
        previews.trouble = ""
        await pilot.press("up")
        await until(pilot, lambda: "frame 1 of 5" in line(app, "caption"))
        previews.trouble = "No preview now."
        await pilot.press("down")
        await until(pilot, lambda: line(app, "caption") == "No preview now.")
        assert "▀" not in screen_text(app)


async def test_finding_leads_to_its_picture_and_frame(unit: Unit) -> None:
    found(unit, unit.images[0], CheckCode.FRAMES_BLANK, Severity.WARNING, frames="4, 5")
    previews = FakePreviews()
    async with study_open(unit, previews) as (app, pilot):
        await until(pilot, lambda: "TO LOOK AT" in item_lines(app))
        assert "! WARNING Nothing to see in picture 4, 5. [image 1]" in item_lines(app)
        await pilot.press("f6")
        await until(pilot, lambda: (unit.images[0], 4) in previews.asked)
        assert isinstance(app.screen, StudyPage) and app.screen.images == (unit.images[0],)


async def test_marked_pictures_are_rejected_with_a_reason_and_taken_back(unit: Unit) -> None:
    async with study_open(unit, FakePreviews()) as (app, pilot):
        await pilot.press("space", "f5")
        await menu(app, pilot, *["down"] * 4, "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.pause()
        assert "Reject: 1 image of Benali, Amina, ID " in screen_text(app)
        assert "It is blurred by motion." in screen_text(app)
        await pilot.press("enter")  # Cancel is the default
        await until(pilot, lambda: isinstance(app.screen, StudyPage))
        assert not rejected(unit.at.db, unit.study)
        await pilot.press("f5")
        await menu(app, pilot, *["down"] * 4, "enter")
        await menu(app, pilot, "down", "enter")
        await until(pilot, lambda: "F7 takes it back" in line(app, "notice"))
        (one,) = rejected(unit.at.db, unit.study)
        assert (one.sop_instance_uid, one.reason_code) == (unit.images[1], "motion")
        await until(pilot, lambda: "rejected, kept here: It is blurred by motion." in item_lines(app))
        assert line(app, "caption") == "Rejected. Enter shows it."
        await pilot.press("f7")
        await menu(app, pilot, "down", "enter")
        await until(pilot, lambda: "Taken back" in line(app, "notice"))
        assert not rejected(unit.at.db, unit.study)
        await until(pilot, lambda: "taken back by screen" in item_lines(app))


async def test_wrong_birth_date_is_corrected_with_before_after_who_and_why(unit: Unit) -> None:
    async with study_open(unit) as (app, pilot):
        await pilot.press("f9")
        await menu(app, pilot, "down", "enter")
        await menu(app, pilot, "down", "down", "enter")
        await until(pilot, lambda: bool(app.screen.query("#f-answer")))
        await pilot.press(*["backspace"] * 2, *"02", "enter")
        await menu(app, pilot, "enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.pause()
        assert "Correct: 2 images of Benali, Amina" in screen_text(app)
        assert "Birth date 1980-01-02 (was 1980-01-01)" in screen_text(app)
        await menu(app, pilot, "down", "enter")
        await until(pilot, lambda: "Corrected: 2 images. F7 takes it back." in line(app, "notice"))
        await until(pilot, lambda: "born 1980-01-02" in line(app, "banner"))
        await until(pilot, lambda: "Birth date 1980-01-02 (was 1980-01-01) (screen:" in item_lines(app))
        assert "It was typed wrongly." in item_lines(app)
    assert unit.at.said(unit.images[0]).PatientBirthDate == "19800102"


async def test_study_is_given_to_another_exam_and_a_picture_is_split_off(unit: Unit) -> None:
    async with study_open(unit) as (app, pilot):
        await pilot.press("f9")
        await menu(app, pilot, "down", "down", "enter")
        await until(pilot, lambda: unit.other_exam in screen_text(app))
        choices = [one.choice_id for one in app.screen._choices]  # type: ignore[attr-defined]
        labels = [one.label for one in app.screen._choices]  # type: ignore[attr-defined]
        downs = next(number for number, label in enumerate(labels) if unit.other_exam in label)
        assert len(choices) == 2
        await menu(app, pilot, *["down"] * downs, "enter")
        await menu(app, pilot, "down", "enter")
        await menu(app, pilot, "down", "enter")
        await until(pilot, lambda: "Split off to another patient: 1 image." in line(app, "notice"))
    (action,) = revisions.corrections_of(unit.at.db, unit.study)
    assert action.kind == "split" and action.after["images"] == [unit.images[1]]
    assert action.reason == "The wrong person was chosen on the device."


async def test_merge_is_for_supervisors_and_finds_the_other_record_by_name(unit: Unit) -> None:
    with open_unit(unit.at.config.unit_db) as db:
        match_studies(db, ())
    twin = unit.at.register("Ben Ali", "Amina")
    async with study_open(unit) as (app, pilot):
        await pilot.press("f9")
        await menu(app, pilot, "up", "enter")
        await until(pilot, lambda: bool(app.screen.query("#f-answer")))
        await pilot.press(*"Ben Ali", "enter")
        await menu(app, pilot, "enter")
        await menu(app, pilot, "enter")
        await menu(app, pilot, "down", "enter")
        await until(pilot, lambda: "Records made one: 2 images." in line(app, "notice"))
        await until(pilot, lambda: line(app, "banner").startswith("Ben Ali, Amina"))
    assert str(unit.at.said(unit.images[0]).PatientID) == twin.patient_id


async def test_refusal_of_an_action_is_said_and_nothing_changed(unit: Unit) -> None:
    unit.at.path(unit.images[0]).unlink()
    async with study_open(unit) as (app, pilot):
        await pilot.press("f9")
        await menu(app, pilot, "down", "enter")
        await menu(app, pilot, "down", "down", "down", "enter")
        await menu(app, pilot, "down", "enter")
        await menu(app, pilot, "enter")
        await menu(app, pilot, "down", "enter")
        await until(pilot, lambda: "Nothing was changed" in line(app, "notice"))
    assert revisions.corrections_of(unit.at.db, unit.study) == ()


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (120, 40), (1, 1)])
async def test_page_draws_at_every_size(unit: Unit, size: tuple[int, int]) -> None:
    found(unit, unit.images[0], CheckCode.SPACING_MISSING, Severity.NOTICE)
    async with study_open(unit, FakePreviews(), size) as (app, pilot):
        await pilot.press("down", "f6", "right", "enter", "escape")
        assert app.is_running and app.screen.query_one(Items).option_count > 4


async def test_storms_pastes_and_hostile_text_leave_a_page_that_still_answers(unit: Unit) -> None:
    evil = "EV\x1b[31mIL\u202e\u0007\n"
    unit.at.actions.correct(unit.study, {"StudyDescription": "Chest\u202e\x1b[2J"}, evil, evil)
    async with study_open(unit, FakePreviews()) as (app, pilot):
        await until(pilot, lambda: "Description" in item_lines(app))
        assert not {"\x1b", "\u202e", "\u0007"} & set(item_lines(app) + line(app, "content"))
        for step in range(30):
            await pilot.resize_terminal(1 + (step * 37) % 150, 1 + (step * 17) % 50)
        await pilot.resize_terminal(100, 30)
        app.screen.post_message(Paste("x" * 1_000_000))
        await pilot.press("f9")
        await menu(app, pilot, "down", "enter")
        await menu(app, pilot, "enter")
        await until(pilot, lambda: bool(app.screen.query("#f-answer")))
        app.screen.query_one("#f-answer").post_message(Paste("\x1b]0;x\u202e" + "y" * 1_000_000))
        await until(pilot, lambda: app.screen.query_one("#f-answer", Field).value.endswith("y"))
        assert len(app.screen.query_one("#f-answer", Field).value) == TEXT_CHARS_MAX
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, StudyPage))
