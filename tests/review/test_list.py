"""The list over all units: order, filters, search, and how it renews itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from central.review.deeds import mark_read, mark_unread, raise_to_stat
from central.store.reviewing import Wanted, list_statement, newest_version
from sync.wire.messages import StudyInfo
from tests.review.rig import Browser, Pages, pages_in
from tests.review.studies import UNIT_ID, Made, follower

OTHER_UNIT = "00000000-0000-0000-0000-000000000002"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Pages]:
    with pages_in(tmp_path) as made:
        yield made


def follow(pages: Pages) -> int:
    return asyncio.run(follower(pages).look_once())


def listed(answer_text: str) -> list[str]:
    return re.findall(r'href="/studies/([0-9.]+)"', answer_text)


def poll_of(answer_text: str) -> str:
    found = re.search(r'hx-get="(/studies[^"]+)"', answer_text)
    assert found is not None
    return found[1].replace("&amp;", "&")


def patient(name: str, number: str = "", **more: str) -> StudyInfo:
    return StudyInfo(patient_name=name, patient_id=number, **more)


def reader(pages: Pages) -> Browser:
    return pages.signed_in("reader")


def test_study_goes_from_announced_to_read_and_each_step_reaches_the_page(fresh: Pages) -> None:
    made = Made(fresh, "1.2.3", patient("Doe^Jane"), image_count=2).announce()
    follow(fresh)
    browser = reader(fresh)
    page = browser.get("/").text
    assert "Announced" in page and "Jane Doe" in page
    steps: list[tuple[Callable[[], object], str]] = [
        (lambda: made.preview(), "◔ Preview"),
        (lambda: made.pixels(0.5), "Arriving, <bdi>25 %</bdi>"),
        (lambda: made.pixels(1.0).pixels(0.48, 1), "Arriving, <bdi>74 %</bdi>"),
        (lambda: made.whole(), "All here, being verified"),
        (lambda: made.verified(), "● Complete and verified"),
    ]
    for step, words in steps:
        poll = poll_of(page)
        assert browser.get(poll, HX_Request="true").status_code == 204, "nothing changed yet"
        step()
        assert follow(fresh) == 1
        page = browser.get(poll, HX_Request="true").text
        assert words in page
    with fresh.site.database.write() as connection:
        assert mark_read(connection, "1.2.3", "Dr Who", made.now)
    page = browser.get(poll_of(page), HX_Request="true").text
    assert listed(page) == [], "what is read leaves the list of what is not"
    assert "Dr Who" in browser.get("/?state=read").text
    with fresh.site.database.write() as connection:
        assert mark_unread(connection, "1.2.3", "Dr Who", made.now)
        assert not mark_read(connection, "1.2.4", "Dr Who", made.now)
    assert listed(browser.get("/").text) == ["1.2.3"]


def test_urgent_stands_first_then_the_oldest(fresh: Pages) -> None:
    for number in range(3):
        Made(fresh, f"1.2.{number}", patient("A")).announce()
        fresh.clock.go_on(60)
    Made(fresh, "1.2.9", patient("A"), stat=True).announce()
    follow(fresh)
    browser = reader(fresh)
    assert listed(browser.get("/").text) == ["1.2.9", "1.2.0", "1.2.1", "1.2.2"]
    with fresh.site.database.write() as connection:
        assert raise_to_stat(connection, "1.2.2", "Dr Who", "2026-11-25T10:00:00Z")
    assert listed(browser.get("/").text)[:2] == ["1.2.2", "1.2.9"]
    assert follow(fresh) == 0, "what people did stays when the list is made anew"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=aicha", "1.2.1"),
        ("q=AÏCHA", "1.2.1"),
        ("q=أحمد", "1.2.2"),
        ("q=احمد", "1.2.2"),
        ("q=ben+ahm", "1.2.2"),
        ("q=cha", ""),
        ("q=p-٠٠٧", "1.2.1"),
        ("q=ACC-12", "1.2.2"),
        ("q=%25", "1.2.1 1.2.2"),
        ("modality=US", "1.2.2"),
        ("modality='", ""),
        (f"unit={UNIT_ID}", "1.2.1"),
        (f"unit={OTHER_UNIT}", "1.2.2"),
        ("day=2026-11-24", "1.2.1"),
        ("day=nonsense", "1.2.1 1.2.2"),
        ("state=announced", "1.2.1 1.2.2"),
        ("state=complete", ""),
        ("state=%3Cscript%3E", "1.2.1 1.2.2"),
        ("page=2", ""),
        ("page=-1", "1.2.1 1.2.2"),
        ("page=99999999999999999999", "1.2.1 1.2.2"),
    ],
)
def test_filters_and_search(searched: Browser, query: str, found: str) -> None:
    assert " ".join(listed(searched.get(f"/?{query}").text)) == found


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with pages_in(tmp_path_factory.mktemp("searched")) as pages:
        first = patient("Diallo^Aïcha", "P-007", modality="DX", study_date="20261124")
        second = patient("Ben Ahmed^Sami=بن أحمد^سامي", "P-9", modality="US", accession_number="ACC-12")
        Made(pages, "1.2.1", first).announce()
        pages.clock.go_on(1)
        Made(pages, "1.2.2", second, unit_id=OTHER_UNIT).announce()
        follow(pages)
        yield reader(pages)


def test_renewal_is_silent_for_what_this_page_does_not_show(fresh: Pages) -> None:
    Made(fresh, "1.2.1", patient("A", modality="DX")).announce()
    follow(fresh)
    browser = reader(fresh)
    poll = poll_of(browser.get("/?modality=DX").text)
    Made(fresh, "1.2.2", patient("B", modality="US")).announce()
    assert follow(fresh) == 1
    assert browser.get(poll, HX_Request="true").status_code == 204


def test_page_that_renews_itself_keeps_nobody_signed_in(fresh: Pages) -> None:
    browser = reader(fresh)
    for _ in range(31):
        answer = browser.get("/studies/rows?version=x", HX_Request="true")
        fresh.clock.go_on(60)
    assert answer.status_code == 401 and answer.headers["HX-Refresh"] == "true"


def test_every_look_is_audited_and_renewal_only_for_what_is_new(fresh: Pages) -> None:
    Made(fresh, "1.2.1", patient("Doe^J", "P-1")).announce()
    follow(fresh)
    browser = reader(fresh)
    page = browser.get("/?q=doe").text
    assert fresh.audit.count('csd-code="110112"') == 1 and 'ParticipantObjectID="P-1"' in fresh.audit
    Made(fresh, "1.2.2", patient("Doe^K", "P-2")).announce()
    follow(fresh)
    page = browser.get(poll_of(page), HX_Request="true").text
    assert fresh.audit.count('csd-code="110112"') == 2 and 'ParticipantObjectID="P-2"' in fresh.audit
    Made(fresh, "1.2.2").pixels(0.5)
    follow(fresh)
    assert browser.get(poll_of(page), HX_Request="true").status_code == 200
    assert fresh.audit.count('csd-code="110112"') == 2
    assert fresh.audit.count('ParticipantObjectID="1.2.1"') == 1


def test_names_with_markup_stay_names(fresh: Pages) -> None:
    hostile = "<script>alert(1)</script>^\"' onx=1\u202e"
    info = StudyInfo(patient_name=hostile, patient_id=hostile, study_description=hostile, modality=hostile)
    Made(fresh, "1.2.1", info).announce()
    follow(fresh)
    browser = reader(fresh)
    for path in ("/", "/studies/1.2.1", "/?q=%3Cscript%3Ealert"):
        answer = browser.get(path)
        assert answer.status_code == 200 and "<script>alert" not in answer.text and "\u202e" not in answer.text
        assert "&lt;script&gt;" in answer.text


def test_two_units_with_one_study_are_one_row(fresh: Pages) -> None:
    made = Made(fresh, "1.2.1", patient("Doe^J")).announce()
    fresh.clock.go_on(5)
    made.told_by(OTHER_UNIT).announce()
    follow(fresh)
    assert listed(reader(fresh).get("/").text) == ["1.2.1"]


def test_study_that_the_archive_lost_is_not_complete_any_more(fresh: Pages) -> None:
    made = Made(fresh, "1.2.1", patient("Doe^J")).announce().verified()
    keeps = follower(fresh)
    assert asyncio.run(keeps.look_once()) == 1
    fresh.clock.go_on(3600)
    made._files(state="announced", verified_at=None, complete_at=None)
    assert asyncio.run(keeps.look_once()) == 1
    assert "Complete and verified</span>" not in reader(fresh).get("/").text


def test_pages_of_the_list_are_read_from_an_index(fresh: Pages) -> None:
    wanted = {"": Wanted(), "unit": Wanted(unit_id=UNIT_ID), "read": Wanted(state="read")}
    with fresh.site.database.read() as connection:
        for wish in wanted.values():
            statement = list_statement(wish, 50).compile(connection.engine, compile_kwargs={"literal_binds": True})
            plan = " / ".join(row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {statement}")))
            assert "USING INDEX ix_review" in plan, plan
            assert "SCAN review_study" not in plan.replace("SCAN review_study USING INDEX", ""), plan


def test_versions_only_grow(fresh: Pages) -> None:
    seen = []
    for number in range(3):
        Made(fresh, f"1.2.{number}").announce()
        follow(fresh)
        with fresh.site.database.read() as connection:
            seen.append(newest_version(connection))
    assert seen == sorted(set(seen))
