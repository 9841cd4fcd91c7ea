"""Every page before axe-core in a real Chromium, and under somebody who has a keyboard and no mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from central.review.access import Role
from central.review.registry import all_routes
from sync.wire import messages as m
from sync.wire.notes import Asked, Found, NotesRequest, StudyNotes
from sync.wire.status import DiskLevel, StatusReport
from tests.gateway.pictures import file_of, noisy_picture, part_up
from tests.gateway.rig import Unit
from tests.review.live import CHROMIUM, PASSWORD, Centre, chromium, running_centre
from tests.review.rig import pages_in
from tests.review.studies import WEBP
from tests.support.axe import SCRIPT, serious_issues

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (Debian package chromium)"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:playwright"),
]
READER_PAGES = ("/", "/?state=all", "/?q=nobody", "/studies/{uid}", "/studies/{uid}/report", "/answers", "/password")
COORDINATOR_PAGES = ("/fleet", "/studies/{uid}", "/orders")
OPEN_PAGES = ("/sign-in", "/no-such-page")
NO_PAGES = {
    "/health",
    "/studies/rows",
    "/studies/{uid}/live",
    "/studies/{uid}/previews/{sop}",
    "/studies/{uid}/viewer",
    "/studies/{uid}/reading",
    "/fleet/live",
    "/answers/critical",
    "/studies/{uid}/report/{edition}",
    "/orders/patients",
}
"""What is asked with GET and is no page of its own; a signed report is paper, without anything to use."""
STOP_COUNT_MAX = 300
_STOPS = """() => [...document.querySelectorAll(
        'a[href],button,input:not([type=hidden]),select,textarea,summary,[tabindex="0"]')]
    .filter(e => e.checkVisibility() && !e.disabled && e.tabIndex >= 0).length"""
_FROM_THE_TOP = "document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')"
_FOCUSED = """() => {
    const e = document.activeElement;
    if (!e || e === document.body) return '';
    e.dataset.stop = e.dataset.stop || String(Math.random());
    return e.dataset.stop;
}"""


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with running_centre(tmp_path_factory.mktemp("centre")) as made:
        made.account("reader")
        made.account("coordinator", Role.COORDINATOR)
        yield made


@pytest.fixture(scope="module")
def uid(centre: Centre, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A complete study with a preview, of a unit that has trouble."""
    parted = part_up(file_of(noisy_picture(20_000, 3)), tmp_path_factory.mktemp("picture"), preview=WEBP)
    info = m.StudyInfo(patient_name="Diallo^Aïcha=ديالو^عائشة", patient_id="P-7", modality="DX")
    report = StatusReport(at="2020-01-01T00:00:00Z", disk_level=DiskLevel.ALARM, unsent_study_count=1, link_kind="sim")
    asked = Asked(exam="Chest PA", referrer="Dr Sow", reason="Cough", is_stat=True, pregnancy="no")
    found = (Found(code="laterality-differs", severity="alarm", values={"found": "L"}), Found(code="exposure-missing"))
    notes = StudyNotes(study_instance_uid=parted.study_uid, revision=1, asked=asked, found=found, checked_count=1)
    with Unit(centre.gateway.url, "van-a") as unit:
        unit.join(centre.gateway)
        unit.put_manifest(parted, study=info, priority="stat")
        for content in parted.contents.values():
            unit.send_part(content)
        assert unit.wait_for_entries(1)[0].kind == "receipt"
        for path, said in (("/v1/status", report), ("/v1/notes", NotesRequest(items=(notes,)))):
            assert unit.http.post(path, content=msgspec.json.encode(said), headers=unit.auth).status_code == 200
    return parted.study_uid


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def opened(browser: Browser, centre: Centre, who: str, *, bypass_csp: bool = False) -> Page:
    """A page of somebody who is signed in, or of nobody; the policy would keep axe itself out."""
    page = browser.new_context(base_url=centre.url, bypass_csp=bypass_csp).new_page()
    page.goto("/sign-in")
    if who != "nobody":
        page.locator("#name").fill(who)
        page.locator("#password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/")
    return page


def in_language(page: Page, language: str) -> None:
    page.locator(f'button[name=language][value="{language}"]').click()
    page.wait_for_function(f"document.documentElement.lang === '{language}'")


@pytest.mark.skipif(not SCRIPT.exists(), reason="axe-core was not fetched ('make accessibility')")
@pytest.mark.parametrize("language", ["en", "fr", "ar"])
@pytest.mark.parametrize("who", ["nobody", "reader", "coordinator"])
def test_no_page_has_a_serious_issue(browser: Browser, centre: Centre, uid: str, who: str, language: str) -> None:
    page = opened(browser, centre, who, bypass_csp=True)
    pages = {"nobody": OPEN_PAGES, "reader": READER_PAGES, "coordinator": COORDINATOR_PAGES}[who]
    in_language(page, language)
    found = {}
    for path in pages:
        page.goto(path.format(uid=uid))
        assert page.evaluate("document.documentElement.dir") == ("rtl" if language == "ar" else "ltr")
        found[path] = serious_issues(page)
    page.context.close()
    assert {path: issues for path, issues in found.items() if issues} == {}


@pytest.mark.parametrize("path", [*OPEN_PAGES, *READER_PAGES, *COORDINATOR_PAGES])
def test_tab_reaches_everything_that_can_be_used_and_is_caught_nowhere(
    browser: Browser, centre: Centre, uid: str, path: str
) -> None:
    who = "nobody" if path in OPEN_PAGES else "coordinator" if path in COORDINATOR_PAGES else "reader"
    page = opened(browser, centre, who)
    # What renews itself would take the marks away.
    page.route("**/*live?*", lambda route: route.fulfill(status=204))
    page.route("**/studies/rows?*", lambda route: route.fulfill(status=204))
    page.goto(path.format(uid=uid))
    wanted, reached = page.evaluate(_STOPS), set()
    page.evaluate(_FROM_THE_TOP)
    last = ""
    for _ in range(STOP_COUNT_MAX):
        page.keyboard.press("Tab")
        stop = page.evaluate(_FOCUSED)
        if not stop or (stop in reached and stop != last):
            break
        reached.add(stop)
        last = stop
    page.context.close()
    assert len(reached) == wanted


def test_every_page_is_looked_at(tmp_path: Path) -> None:
    with pages_in(tmp_path) as made:
        routes = {
            getattr(route, "path", "") for route in all_routes(made.site) if "GET" in getattr(route, "methods", ())
        }
    looked_at = {path.partition("?")[0] for path in (*OPEN_PAGES, *READER_PAGES, *COORDINATOR_PAGES)}
    assert {path for path in routes - looked_at - NO_PAGES if not path.startswith("/fhir")} == set()
