"""The pages in a real Chromium: a study comes in while somebody looks, by keyboard alone, in three languages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sync.wire import messages as m
from tests.gateway.pictures import file_of, noisy_picture, part_up
from tests.gateway.rig import Unit, picture_in_parts
from tests.review.live import CHROMIUM, Centre, chromium, running_centre, signed_in
from tests.review.studies import WEBP

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (Debian package chromium)"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:playwright"),
]


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    with running_centre(tmp_path_factory.mktemp("centre")) as made:
        made.account("aminata")
        made.account("omar")
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser: Browser, centre: Centre) -> Iterator[Page]:
    made = signed_in(browser, centre, "aminata")
    strange: list[str] = []

    def on_request(request: Request) -> None:
        if not request.url.startswith(centre.url):
            strange.append(request.url)

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            strange.append(message.text)

    made.on("request", on_request)
    made.on("console", on_console)
    made.on("pageerror", lambda error: strange.append(str(error)))
    yield made
    made.context.close()
    assert strange == [], "a request to another host, a blocked script or style, or a script's error"


def test_urgent_study_turns_complete_by_itself_from_its_preview_on(page: Page, centre: Centre, tmp_path: Path) -> None:
    parted = part_up(file_of(noisy_picture(300_000, 7)), tmp_path, preview=WEBP)
    info = m.StudyInfo(patient_name="Diallo^Aïcha=ديالو^عائشة", patient_id="P-7", modality="DX")
    with Unit(centre.gateway.url, "van-live") as unit:
        unit.join(centre.gateway)
        answer = unit.put_manifest(parted, study=info, priority="stat")
        assert answer.status_code == 200, answer.text
        row = page.get_by_role("row").filter(has_text="Aïcha")
        row.get_by_text("Announced").wait_for()
        assert row.get_by_text("STAT").is_visible()

        unit.send_part(parted.preview)
        row.get_by_text("◔ Preview").wait_for()
        page.get_by_role("link", name="Aïcha").focus()
        half = len(parted.pixels) // 2
        unit.append(parted.instance.pixels, parted.pixels[:half], 0)
        row.get_by_text("Arriving").wait_for()
        focused = page.evaluate("document.activeElement.id")
        assert focused == f"s-{parted.study_uid}", "the renewal must not take the focus from who works by keyboard"

        page.keyboard.press("Enter")
        page.wait_for_url(f"**/studies/{parted.study_uid}")
        picture = page.locator("figure img")
        picture.wait_for()
        page.wait_for_function("document.querySelector('figure img').naturalWidth > 0")
        assert page.get_by_text("Preview - not for diagnosis").first.is_visible()

        unit.append(parted.instance.pixels, parted.pixels[half:], half, complete=True)
        unit.send_part(parted.header)
        page.get_by_text("● Complete and verified").wait_for()
        assert page.get_by_text("Read back from the archive and compared").is_visible()
        page.go_back()
        row.get_by_text("● Complete and verified").wait_for()
    assert centre.pacs.stored_count >= 1


def test_languages_and_direction(page: Page) -> None:
    page.get_by_role("button", name="العربية").click()
    page.wait_for_function("document.documentElement.dir === 'rtl'")
    assert page.evaluate("getComputedStyle(document.body).direction") == "rtl"
    page.get_by_role("button", name="Français").click()
    page.wait_for_function("document.documentElement.lang === 'fr'")
    assert page.get_by_role("heading", level=1).inner_text() == "Examens"
    page.get_by_role("button", name="English").click()
    page.wait_for_function("document.documentElement.lang === 'en'")


def test_keyboard_alone_reaches_content_and_filters(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("nobody of this name")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=nobody*")
    page.get_by_text("No study fits").wait_for()


def test_hostile_names_run_nothing(page: Page, centre: Centre, tmp_path: Path) -> None:
    parted = picture_in_parts(tmp_path, 20_000, seed=8)
    hostile = "<img src=x onerror=alert(1)>^<script>document.title='owned'</script>"
    with Unit(centre.gateway.url, "van-hostile") as unit:
        unit.join(centre.gateway)
        unit.put_manifest(parted, study=m.StudyInfo(patient_name=hostile, patient_id='"><svg onload=alert(1)>'))
    page.get_by_role("link", name="<script>").wait_for()
    page.get_by_role("link", name="<script>").click()
    page.wait_for_url("**/studies/**")
    assert "owned" not in page.title()
    assert page.locator("main img").count() == 0


def announce(centre: Centre, folder: Path, patient_name: str, seed: int) -> None:
    """A study of one picture, told by a unit of its own; none of its bytes have arrived."""
    with Unit(centre.gateway.url, f"van-{seed}") as unit:
        unit.join(centre.gateway)
        parted = picture_in_parts(folder, 20_000, seed=seed)
        unit.put_manifest(parted, study=m.StudyInfo(patient_name=patient_name, modality="DX"))


def test_draft_is_kept_while_typing_and_the_page_says_when_it_is_not(
    browser: Browser, centre: Centre, tmp_path: Path
) -> None:
    page = signed_in(browser, centre, "aminata")
    announce(centre, tmp_path, "Roe^Jill", seed=9)
    page.get_by_role("link", name="Jill").click()
    page.get_by_role("link", name="Report", exact=True).click()
    impression = page.get_by_label("Impression")
    impression.press_sequentially("Nor")
    page.get_by_text("✓ Draft kept at").wait_for()
    assert not page.get_by_text("the centre does not answer").is_visible()

    page.route("**/report/draft", lambda route: route.fulfill(status=503))
    impression.press_sequentially("mal")
    page.get_by_text("the centre does not answer").wait_for()
    page.unroute("**/report/draft")
    impression.press_sequentially(".")
    page.get_by_text("the centre does not answer").wait_for(state="hidden")

    other = signed_in(browser, centre, "omar")
    other.goto(page.url)
    assert other.get_by_label("Impression").input_value() == "Normal."
    assert other.get_by_text("began this draft").is_visible()
    other.get_by_label("Impression").fill("Effusion.")
    other.get_by_text("✓ Draft kept at").wait_for()
    impression.press_sequentially(" Really")
    page.get_by_text("kept another version at the same time").wait_for()
    page.get_by_role("button", name="Keep mine as the newest").click()
    page.wait_for_load_state()
    assert page.get_by_label("Impression").input_value() == "Normal. Really"
    other.context.close()
    page.context.close()


@pytest.mark.parametrize(
    ("number", "say"),
    [
        (10, lambda page: page.get_by_label("Impression").press_sequentially("Nor")),
        (11, lambda page: page.get_by_label("Critical result").check()),
        (12, lambda page: page.locator("form.report select").first.select_option(index=1)),
    ],
    ids=["words", "tick", "choice"],
)
def test_what_is_said_before_the_scripts_are_there_is_kept_too(
    browser: Browser, centre: Centre, tmp_path: Path, number: int, say: Callable[[Page], object]
) -> None:
    page = signed_in(browser, centre, "aminata")
    announce(centre, tmp_path, f"Early{number}^Jo", seed=number)
    page.get_by_role("link", name=f"Early{number}").click()
    address = page.get_by_role("link", name="Report", exact=True).get_attribute("href")
    assert address
    held: list[Route] = []
    page.route("**/htmx.min.js", lambda route: held.append(route))
    page.goto(address, wait_until="commit")
    say(page)
    assert not page.get_by_text("✓ Draft kept at").is_visible()
    assert held, "the scripts were there before the first key"
    held[0].continue_()
    page.get_by_text("✓ Draft kept at").wait_for()
    page.context.close()


def test_report_that_is_only_looked_at_makes_no_draft(browser: Browser, centre: Centre, tmp_path: Path) -> None:
    page = signed_in(browser, centre, "aminata")
    announce(centre, tmp_path, "Looked^Jo", seed=13)
    page.get_by_role("link", name="Looked").click()
    page.get_by_role("link", name="Report", exact=True).click()
    page.wait_for_load_state()
    heard = page.evaluate(
        """() => {
            let count = 0;
            document.querySelector("form.report").addEventListener("input", () => count++);
            htmx.trigger(document.body, "htmx:load");
            return count;
        }"""
    )
    assert heard == 0
    page.context.close()
