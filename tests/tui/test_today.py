"""The first page: state in words, selection that stays, commands as rows, and what is always visible."""

from __future__ import annotations

from dataclasses import replace

import pytest

from appliance.domain.snapshot import PowerState, StudyState
from tests.support.snapshots import DAY, LINK_DOWN, snapshot, study, uid
from tests.tui.driving import driven, item_lines, line, screen_text, until
from tests.tui.fakes import FakeClock, FakeReader
from tui.screens.study import StudyPage
from tui.screens.today import TodayPage
from tui.widgets.frame import Frame
from tui.widgets.study_list import StudyList

pytestmark = pytest.mark.asyncio


async def test_each_study_shows_its_state_in_words_and_stat_stands_first() -> None:
    async with driven(FakeReader(snapshot())) as (app, _):
        lines = screen_text(app).splitlines()
        assert "▲ STAT" in lines[2] and "BENALI, AMINA" in lines[2] and "→ Sending 62 %" in lines[2]
        shown = "\n".join(lines)
        for words in (
            "· Queued",
            "✓ Sent, not proved yet",
            "! Set aside - needs you",
            "= Held",
            "✓✓ Complete at centre",
        ):
            assert words in shown


async def test_two_check_marks_appear_only_for_studies_with_every_receipt() -> None:
    async with driven(FakeReader(snapshot())) as (app, _):
        marked = [row for row in screen_text(app).splitlines() if "✓✓" in row]
        assert [("OKAFOR" in row or "KARIMI" in row) for row in marked] == [True, True]


async def test_always_visible_line_and_power_line_come_from_the_snapshot() -> None:
    receiving = PowerState(safe=False, receiving_count=1, unindexed_count=0)
    async with driven(FakeReader(snapshot(links=(LINK_DOWN,), power=receiving))) as (app, pilot):
        assert "5 studies not yet safe at the centre · only on this unit: 4 studies" in line(app, "status")
        assert "last sync 09:12 (8 min ago) · next try 09:22" in line(app, "status")
        assert "unknown - link down" in line(app, "status")
        assert line(app, "power") == "✖ Do not power off - receiving from 1 device"
        await pilot.press("f6")
        assert line(app, "power") == "✖ Do not power off - receiving from 1 device"


async def test_new_study_does_not_move_the_selection_nor_its_line_on_the_screen() -> None:
    many = tuple(study(number, f"NAME^{number}", StudyState.QUEUED, minute=number % 60) for number in range(100, 160))
    reader = FakeReader(snapshot(many))
    async with driven(reader) as (app, pilot):
        studies = app.screen.query_one(StudyList)
        await pilot.press("pagedown", "down", "down")
        assert studies.selected is not None
        chosen = studies.selected.study_instance_uid
        before = next(i for i, row in enumerate(screen_text(app).splitlines()) if row.startswith("›"))
        reader.show(snapshot((study(1, "NEW^ARRIVAL", StudyState.QUEUED, stat=True), *many)))
        await until(pilot, lambda: app.snapshot is not None and len(app.snapshot.studies) == 61)
        await pilot.pause()
        after = next(i for i, row in enumerate(screen_text(app).splitlines()) if row.startswith("›"))
        assert studies.selected is not None and studies.selected.study_instance_uid == chosen
        assert after == before


async def test_selection_goes_to_the_neighbour_when_its_study_leaves_the_list() -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        await pilot.press("down")
        reader.show(snapshot((DAY[0], *DAY[2:])))
        await until(pilot, lambda: app.snapshot is not None and len(app.snapshot.studies) == 6)
        selected = app.screen.query_one(StudyList).selected
        assert selected is not None and selected.study_instance_uid == uid(3)


@pytest.mark.parametrize(
    ("downs", "key", "given"),
    [
        (0, "f2", ("routine", uid(1))),
        (1, "f2", ("stat", uid(2))),
        (1, "f3", ("hold", uid(2))),
        (4, "f3", ("release", uid(5))),
        (3, "f8", ("retry", uid(4))),
        (4, "f5", ("retry", uid(1))),
        (1, "s", ("stat", uid(2))),
    ],
)
async def test_key_writes_a_command_for_the_selected_study(downs: int, key: str, given: tuple[str, str]) -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (_, pilot):
        await pilot.press(*["down"] * downs, key)
        await until(pilot, lambda: reader.given == [given])


async def test_undo_gives_the_opposite_command_within_ten_seconds() -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        await pilot.press("down", "f3")
        await until(pilot, lambda: "F7 undoes it" in line(app, "notice"))
        await pilot.press("f7")
        await until(pilot, lambda: reader.given == [("hold", uid(2)), ("release", uid(2))])


async def test_undo_is_refused_with_a_reason_after_ten_seconds() -> None:
    reader, clock = FakeReader(snapshot()), FakeClock()
    async with driven(reader, clock) as (app, pilot):
        await pilot.press("down", "f3")
        await until(pilot, lambda: "F7 undoes it" in line(app, "notice"))
        clock.mono += 10.5
        await pilot.press("f7")
        assert "not now: nothing was done in the last ten seconds" in line(app, "notice")
        assert reader.given == [("hold", uid(2))]


async def test_way_back_is_not_kept_open_by_another_sentence() -> None:
    reader, clock = FakeReader(snapshot()), FakeClock()
    async with driven(reader, clock) as (app, pilot):
        await pilot.press("down", "f3")
        await until(pilot, lambda: "F7 undoes it" in line(app, "notice"))
        clock.mono += 9
        await pilot.press("f8")
        clock.mono += 2
        await pilot.press("f7")
        assert "not now: nothing was done in the last ten seconds" in line(app, "notice")
        assert reader.given == [("hold", uid(2))]


async def test_sentence_leaves_after_ten_seconds_and_the_time_of_day_goes_on() -> None:
    reader, clock = FakeReader(snapshot()), FakeClock()
    async with driven(reader, clock) as (app, pilot):
        await pilot.press("f8")
        assert "not now" in line(app, "notice")
        clock.mono += 10
        clock.wall += 60
        await until(pilot, lambda: line(app, "notice") == "" and "09:21" in line(app, "title"))


async def test_undo_of_a_study_that_left_the_list_says_so() -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        await pilot.press("down", "f3")
        await until(pilot, lambda: "F7 undoes it" in line(app, "notice"))
        reader.show(snapshot((DAY[0],)))
        await until(pilot, lambda: app.snapshot is not None and len(app.snapshot.studies) == 1)
        await pilot.press("f7")
        assert "nothing to undo any more" in line(app, "notice")
        assert reader.given == [("hold", uid(2))]


async def test_action_that_cannot_be_done_stays_visible_and_says_why() -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        assert "(F8 Retry)" in line(app, "keys")
        await pilot.press("f8")
        assert line(app, "notice") == "Retry - not now: only a study that is set aside can be retried."
        assert reader.given == []


async def test_command_that_cannot_be_written_says_what_is_safe() -> None:
    reader = FakeReader(snapshot(), give_trouble="The records are locked. The stored images are not touched by this.")
    async with driven(reader) as (app, pilot):
        await pilot.press("f3")
        await until(pilot, lambda: "are locked" in line(app, "notice"))
        assert "F7" not in line(app, "notice")


async def test_state_that_cannot_be_read_is_said_and_power_line_never_stays_safe() -> None:
    reader, clock = FakeReader(snapshot()), FakeClock()
    async with driven(reader, clock) as (app, pilot):
        assert line(app, "power") == "✓ Safe to power off"
        reader.trouble = "This unit's records are locked by another program."
        await until(pilot, lambda: "locked by another program" in line(app, "notice"))
        clock.mono += 6
        await until(pilot, lambda: line(app, "power").startswith("✖ Do not power off"))
        assert "BENALI" in screen_text(app), "the last picture stays"


async def test_missing_database_is_a_message_and_the_picture_comes_when_it_appears() -> None:
    reader = FakeReader(trouble="This unit has no records here yet.")
    async with driven(reader) as (app, pilot):
        await until(pilot, lambda: "no records here yet" in line(app, "notice"))
        assert line(app, "power").startswith("✖ Do not power off")
        reader.show(snapshot())
        await until(pilot, lambda: "BENALI" in screen_text(app))
        assert line(app, "notice") == ""


async def test_recovery_without_a_change_takes_the_trouble_away() -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        reader.trouble = "This unit's records are locked by another program."
        await until(pilot, lambda: "locked" in line(app, "notice"))
        reader.trouble = ""
        await until(pilot, lambda: line(app, "notice") == "")


async def test_enter_opens_the_study_and_escape_returns_to_the_same_selection() -> None:
    async with driven(FakeReader(snapshot())) as (app, pilot):
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, StudyPage) and "IMAGES" in item_lines(app))
        assert line(app, "banner") == "DUPONT, Marie-Thérèse · ID P000003 · F · born 1984-03-12"
        assert "The centre took it; waiting for its proof." in line(app, "content")
        assert "accepted sending → sent (sync)" in item_lines(app)
        await pilot.press("escape")
        assert isinstance(app.screen, TodayPage)
        assert app.screen.selected is not None and app.screen.selected.study_instance_uid == uid(3)


async def test_open_study_follows_what_the_unit_does() -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, StudyPage) and "IMAGES" in item_lines(app))
        complete = replace(DAY[0], state=StudyState.COMPLETE, percent=100)
        reader.show(snapshot((complete, *DAY[1:])))
        await until(pilot, lambda: "✓✓ Complete at centre" in line(app, "content"))


async def test_help_names_every_key_of_the_page_and_why_it_cannot_be_used() -> None:
    async with driven(FakeReader(snapshot()), size=(100, 40)) as (app, pilot):
        await pilot.press("f1")
        await pilot.pause()
        shown = " ".join(screen_text(app).replace("│", " ").split())
        for key in ("F1", "F2", "F3", "F5", "F6", "F7", "F8", "F10", "Enter", "Esc"):
            assert f"{key} " in shown
        assert "Not now: nothing was done in the last ten seconds." in shown
        await pilot.press("escape")
        assert isinstance(app.screen, TodayPage)


async def test_palette_offers_the_registry_and_leaving_ends_the_app() -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        await pilot.press("f10")
        await pilot.pause()
        await pilot.press(*"leave")
        await until(pilot, lambda: "Leave this screen" in screen_text(app))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: app.return_code is not None)
    assert reader.closed.wait(5)


async def test_names_with_control_and_bidi_characters_cannot_disturb_the_line() -> None:
    evil = study(9, "EV\x1b[31mIL‮^\u0007‏Nam​e\n", StudyState.QUEUED)
    arabic = study(10, "بن علي^أمينة", StudyState.QUEUED)
    wide = study(11, "山田^太郎" * 9, StudyState.QUEUED)
    async with driven(FakeReader(snapshot((evil, arabic, wide)))) as (app, _):
        rows = screen_text(app).splitlines()[2:5]
        assert "EV[31mIL, Name" in rows[0]
        assert "\ufe94\ufee8\ufef4\ufee3\ufe83 ,\ufef2\ufee0\ufecb \ufee6\ufe91" in rows[1], (
            "joined, and from right to left"
        )
        columns = [row.index("· Queued") for row in rows[:2]]
        assert columns[0] == columns[1]
        assert "· Queued" in rows[2]


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (120, 40), (20, 6), (1, 1)])
async def test_screen_draws_at_every_size(size: tuple[int, int]) -> None:
    async with driven(FakeReader(snapshot(links=(LINK_DOWN,))), size=size) as (app, _):
        assert app.is_running
        if size[0] >= 40:
            shown = screen_text(app)
            assert "BENALI" in shown and "not yet safe" in shown and "power off" in shown and "F10 More" in shown


async def test_resize_storm_leaves_a_screen_that_still_answers() -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        for step in range(40):
            await pilot.resize_terminal(1 + (step * 37) % 150, 1 + (step * 17) % 50)
        await pilot.resize_terminal(80, 24)
        await pilot.press("down", "f3")
        await until(pilot, lambda: reader.given == [("hold", uid(2))])
        assert "HADDAD" in screen_text(app)


async def test_picture_works_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with driven(FakeReader(snapshot())) as (app, _):
        selected = [row for row in screen_text(app).splitlines() if row.startswith("›")]
        assert len(selected) == 1, "the selection has a mark, not only a colour"


async def test_frame_stands_on_every_page() -> None:
    async with driven(FakeReader(snapshot())) as (app, pilot):
        for keys in (("f6",), ("escape", "enter")):
            await pilot.press(*keys)
            await pilot.pause()
            assert app.screen.query_one(Frame).is_mounted
            assert "5 studies not yet safe" in line(app, "status")


async def test_paste_of_a_megabyte_is_ignored() -> None:
    from textual.events import Paste

    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        app.screen.post_message(Paste("x" * 1_000_000))
        await pilot.press("down", "f3")
        await until(pilot, lambda: reader.given == [("hold", uid(2))])
