"""The delivery page: order, why each study waits, and what can be done about it."""

from __future__ import annotations

import pytest

from appliance.domain.snapshot import StudyState
from tests.support.snapshots import DAY, LINK_DOWN, snapshot, study, uid
from tests.tui.driving import driven, line, screen_text, until
from tests.tui.fakes import FakeReader
from tui.screens.delivery import DeliveryPage

pytestmark = pytest.mark.asyncio


async def test_queue_stands_in_its_order_with_those_that_wait_for_a_person_last() -> None:
    async with driven(FakeReader(snapshot())) as (app, pilot):
        await pilot.press("f6")
        await pilot.pause()
        names = [
            row for row in screen_text(app).splitlines() if ", " in row and ("·" in row or "→" in row or "MB" in row)
        ]
        order = [
            next(name for name in ("BENALI", "DUPONT", "HADDAD", "TRAORE", "MANSOURI") if name in row) for row in names
        ]
        assert order == ["BENALI", "DUPONT", "HADDAD", "TRAORE", "MANSOURI"]
        assert line(app, "title") == "DELIVERY · 3 waiting · 1 held · 1 set aside"


async def test_selected_study_says_why_it_waits_and_how_far_it_is() -> None:
    async with driven(FakeReader(snapshot(links=(LINK_DOWN,)))) as (app, pilot):
        await pilot.press("f6", "down", "down")
        await until(pilot, lambda: "Waits for the link to centre." in line(app, "why"))
        assert "centre: 2 waiting (0 B of 30.0 MB proved)" in line(app, "why")
        assert "Nothing is lost: 5 studies are stored here" in line(app, "links")
        await pilot.press("end")
        await until(pilot, lambda: "does not accept this kind of image" in line(app, "why"))


@pytest.mark.parametrize(
    ("downs", "key", "given"),
    [
        (2, "f6", ("retry", uid(2))),
        (2, "f2", ("stat", uid(2))),
        (2, "f3", ("hold", uid(2))),
        (3, "f3", ("release", uid(5))),
        (4, "f8", ("retry", uid(4))),
        (4, "f6", ("retry", uid(4))),
    ],
)
async def test_key_acts_on_the_selected_study(downs: int, key: str, given: tuple[str, str]) -> None:
    reader = FakeReader(snapshot())
    async with driven(reader) as (app, pilot):
        await pilot.press("f6")
        await until(
            pilot,
            lambda: isinstance(app.screen, DeliveryPage) and app.screen.is_ready and app.screen.selected is not None,
        )
        await pilot.press(*["down"] * downs, key)
        await until(pilot, lambda: reader.given == [given])


async def test_held_study_is_not_sent_now_and_says_why() -> None:
    reader = FakeReader(snapshot((study(5, "TRAORE^Ibrahim", StudyState.HELD),)))
    async with driven(reader) as (app, pilot):
        await pilot.press("f6")
        await until(
            pilot,
            lambda: isinstance(app.screen, DeliveryPage) and app.screen.is_ready and app.screen.selected is not None,
        )
        await pilot.press("f6")
        assert line(app, "notice") == "Send now - not now: it is held; release it first."
        assert reader.given == []


async def test_nothing_waits_is_said() -> None:
    async with driven(FakeReader(snapshot((DAY[5], DAY[6])))) as (app, pilot):
        await pilot.press("f6")
        await until(pilot, lambda: line(app, "why") == "Nothing waits.")


@pytest.mark.parametrize("size", [(40, 12), (120, 40), (1, 1)])
async def test_page_draws_at_every_size(size: tuple[int, int]) -> None:
    async with driven(FakeReader(snapshot()), size=size) as (app, pilot):
        await pilot.press("f6")
        await pilot.pause()
        assert app.is_running
        if size[0] >= 40:
            assert "BENALI" in screen_text(app)
