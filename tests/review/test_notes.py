"""What units say of a study beside its images, on the reader's page: in three languages, whatever they send."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from central.store.notes import put_notes
from sync.wire.notes import Asked, Found, StudyNotes
from tests.review.rig import Browser, Pages, pages_in
from tests.review.studies import UNIT_ID, Made, follower
from tests.review.test_list import poll_of

UID = "1.2.3"
ASKED = Asked(exam="Chest PA", referrer="Dr Sow, Podor", reason="Cough for 3 weeks", is_stat=True, pregnancy="possible")
EXPOSED = Found(code="exposure-high", severity="warning", values={"deviation_index": 3.4}, images=(f"{UID}.1",))
WRONG_SIDE = Found(code="laterality-differs", severity="alarm", values={"found": "L", "ordered": "R"}, image_count=2)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Pages]:
    with pages_in(tmp_path) as made:
        study = Made(made, UID, image_count=2).announce().preview(0).preview(1)
        study.verified()
        asyncio.run(follower(made).look_once())
        yield made


def say(pages: Pages, notes: StudyNotes, unit_id: str = UNIT_ID) -> None:
    with pages.site.database.write() as connection:
        put_notes(connection, unit_id, "2026-11-22T09:30:00.000Z", [notes])


def notes(revision: int = 1, asked: Asked | None = ASKED, *found: Found, checked_count: int = 2) -> StudyNotes:
    return StudyNotes(study_instance_uid=UID, revision=revision, asked=asked, found=found, checked_count=checked_count)


def page_in(browser: Browser, language: str) -> str:
    browser.post("/language", {"language": language, "next": "/", "csrf": browser.csrf()})
    return browser.get(f"/studies/{UID}").text


def test_reader_sees_who_asks_and_why_and_what_the_unit_found(fresh: Pages) -> None:
    browser = fresh.signed_in("reader")
    assert "The unit has not said yet" in browser.get(f"/studies/{UID}").text
    say(fresh, notes(1, ASKED, WRONG_SIDE, EXPOSED))
    for path in (f"/studies/{UID}", f"/studies/{UID}/report"):
        page = browser.get(path).text
        for words in ("Chest PA", "Dr Sow, Podor", "Cough for 3 weeks", "Possible", "2 images looked at by software."):
            assert words in page, (path, words)
        assert "<strong><bdi>!! ALARM</bdi></strong>: <bdi>Wrong side? Marked left, ordered was right.</bdi>" in page
        assert "(2 images)" in page
        assert "<bdi>DI +3.4 - too much exposure.</bdi> (image <bdi>2</bdi>)" in page


def test_page_renews_itself_when_the_unit_says_something_else_and_cleared_findings_go(fresh: Pages) -> None:
    browser = fresh.signed_in("reader")
    say(fresh, notes(5, ASKED, EXPOSED))
    poll = poll_of(browser.get(f"/studies/{UID}").text)
    assert browser.get(poll, HX_Request="true").status_code == 204
    say(fresh, notes(4, None, WRONG_SIDE))
    assert browser.get(poll, HX_Request="true").status_code == 204, "it is older, and came late"
    say(fresh, notes(6, None))
    fragment = browser.get(poll, HX_Request="true").text
    assert "too much exposure" not in fragment and "Nothing." in fragment
    assert "The unit knows no request" in fragment


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("fr", ("Demande", "Mauvais côté ? Marqué gauche, demandé : droite.", "DI +3,4")),
        ("ar", ("الطلب", "جهة خاطئة؟ العلامة يسار، والمطلوب يمين.", "صورتان")),
    ],
)
def test_findings_are_said_in_the_readers_language(fresh: Pages, language: str, said: tuple[str, ...]) -> None:
    say(fresh, notes(1, ASKED, WRONG_SIDE, EXPOSED))
    page = page_in(fresh.signed_in("reader"), language)
    assert all(words in page for words in said)


def test_markup_and_values_that_fit_no_sentence_are_shown_as_what_they_are(fresh: Pages) -> None:
    hostile = "<script>alert(1)</script>{0.__class__}%(n)s\u202e"
    say(
        fresh,
        notes(
            1,
            Asked(exam=hostile, referrer=hostile, reason=hostile, pregnancy=hostile[:64]),
            Found(code=hostile[:64], severity=hostile[:64], values={hostile[:64]: hostile}),
            Found(code="words", values={"en": "x"}),
            Found(code="clock-ahead", values={"difference_s": hostile}),
            Found(code="exposure-high", values={"deviation_index": (hostile[:64],), "difference_s": 1e300}),
            Found(code="laterality-differs", values={}),
        ),
    )
    browser = fresh.signed_in("reader")
    for path in (f"/studies/{UID}", f"/studies/{UID}/report"):
        answer = browser.get(path)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text and "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
        assert "\u202e" not in answer.text and "<class" not in answer.text


def test_each_of_two_units_is_named(fresh: Pages) -> None:
    other = UNIT_ID[:-1] + "2"
    Made(fresh, UID, image_count=2).told_by(other).announce()
    say(fresh, notes())
    say(fresh, notes(1, Asked(exam="Abdomen")), other)
    page = fresh.signed_in("reader").get(f"/studies/{UID}").text
    assert page.index("<h3><bdi>van-1</bdi></h3>") < page.index("Chest PA") < page.index("<h3><bdi>van-2</bdi></h3>")
    assert "Abdomen" in page


def test_what_another_release_wrote_is_passed_over(fresh: Pages) -> None:
    say(fresh, notes())
    with fresh.site.database.write() as connection:
        connection.exec_driver_sql('UPDATE study_note SET notes = \'{"revision": "x"}\'')
    assert "The unit has not said yet" in fresh.signed_in("reader").get(f"/studies/{UID}").text
