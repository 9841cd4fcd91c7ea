"""Retakes, messages and raised priority: said once to the unit that has the patient, and its word shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from central.review.access import Role
from central.store.answers import acknowledge
from sync.wire.answers import Acknowledgement, AckState
from tests.review.readings import follow, readable, told, words
from tests.review.rig import Browser, Pages, pages_in
from tests.review.studies import UNIT_ID, Made

ONCE = "0123456789abcdef" * 2


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Pages]:
    with pages_in(tmp_path) as made:
        yield made


@pytest.fixture
def person(fresh: Pages) -> Browser:
    readable(fresh, verified=False)
    return fresh.signed_in("amina", Role.COORDINATOR)


@pytest.fixture(scope="module")
def quiet(pages: Pages) -> Browser:
    """For what is refused."""
    readable(pages, verified=False)
    return pages.signed_in("quiet", Role.COORDINATOR)


def say(browser: Browser, kind: str, uid: str = "1.2.3", once: str = ONCE, **fields: str) -> int:
    form = {"csrf": browser.csrf(), "once": once, **fields}
    return browser.post(f"/studies/{uid}/{kind}", form).status_code


def acknowledged(pages: Pages, state: AckState, by: str = "", outcome: str = "") -> None:
    item = Acknowledgement(
        answer_id=told(pages)[0].answer_id, state=state, at="2026-11-18T12:00:00Z", by=by, outcome=outcome
    )
    with pages.site.database.write() as connection:
        assert acknowledge(connection, UNIT_ID, [item]) == []


def test_retake_is_asked_once_and_its_way_is_shown_by_itself(fresh: Pages, person: Browser) -> None:
    for _ in range(2):
        assert say(person, "retake", reason="Rotated.", urgency="now", image="1.2.3.0") == 303
    (row,) = told(fresh)
    assert (words(row).reason, words(row).urgency, words(row).author) == ("Rotated.", "now", "Dr amina")
    assert words(row).sop_instance_uid == "1.2.3.0"
    page = person.get("/studies/1.2.3").text
    assert "Rotated." in page and "Waits for the unit" in page and "Retake asked for" in page
    poll = page.split('hx-get="/studies/1.2.3/reading?digest=')[1].split('"')[0]
    where = f"/studies/1.2.3/reading?digest={poll}"
    assert person.get(where, HX_Request="true").status_code == 204
    acknowledged(fresh, AckState.DELIVERED)
    assert "✓ Delivered to the unit at" in person.get(where, HX_Request="true").text
    acknowledged(fresh, AckState.SEEN, by="Fatima <b>")
    seen = person.get(where, HX_Request="true").text
    assert "Seen by <bdi>Fatima &lt;b&gt;</bdi> at" in seen and '<time datetime="2026-11-18T12:00:00+00:00">' in seen


def test_message_and_retake_of_one_page_are_two(fresh: Pages, person: Browser) -> None:
    assert say(person, "retake", reason="Rotated.", urgency="today") == 303
    assert say(person, "message", text="Thank you.", urgency="routine") == 303
    assert {row.kind for row in told(fresh)} == {"retake-request", "message"}


def test_raised_priority_is_urgent_here_at_once_and_told_to_the_unit(fresh: Pages, person: Browser) -> None:
    assert "▲" not in person.get("/").text
    assert say(person, "priority", reason="Worse.") == 303
    assert "▲" in person.get("/").text
    follow(fresh)
    assert "▲" in person.get("/").text, "what the unit said before does not take it back"
    (row,) = told(fresh)
    assert words(row).reason == "Worse." and "Made urgent at the centre" in person.get("/studies/1.2.3").text
    acknowledged(fresh, AckState.DELIVERED, outcome="STAT now")
    assert "STAT now" in person.get("/answers?state=delivered").text
    assert "Nothing of this kind" in person.get("/answers?state=seen").text


def test_every_unit_that_has_the_study_is_told(fresh: Pages, person: Browser) -> None:
    Made(fresh, "1.2.3").told_by("00000000-0000-0000-0000-000000000002").announce()
    say(person, "message", text="Hello.", urgency="routine")
    assert len({row.unit_id for row in told(fresh)}) == 2


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("retake", {"reason": "  ", "urgency": "now"}),
        ("retake", {"reason": "x", "urgency": "yesterday"}),
        ("retake", {"reason": "x" * 1025, "urgency": "now"}),
        ("message", {"text": "x" * 4097, "urgency": "now"}),
        ("message", {"text": "x", "urgency": "now", "once": "../x"}),
        ("retake", {"reason": "x", "urgency": "now", "image": "../x"}),
    ],
)
def test_what_cannot_be_said_is_not_said(pages: Pages, quiet: Browser, kind: str, fields: dict[str, str]) -> None:
    assert say(quiet, kind, **fields) == 400
    assert told(pages) == []


def test_administrators_and_strangers_say_nothing(fresh: Pages, person: Browser) -> None:
    ruler = fresh.signed_in("ruler", Role.ADMIN)
    assert say(ruler, "message", text="x", urgency="now") == 403
    assert fresh.browser().post("/studies/1.2.3/retake", {"reason": "x"}).status_code == 303
    assert say(person, "message", uid="1.2.4", text="x", urgency="now") == 404
    assert told(fresh) == []
