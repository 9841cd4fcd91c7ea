"""From the van to the reader and back, in a real Chromium: preview first, complete by itself, answered and seen.

The link is slow and stands still at a byte that the test names, so that what is seen before is seen with what is here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appliance.quality.sentences import sentence
from tests.review.live import CHROMIUM, PASSWORD, chromium, signed_in
from tests.review.story import Story, told
from tests.support.orthancs import orthanc_commands
from tests.support.world import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.orthanc,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (Debian package chromium)"),
    pytest.mark.skipif(not orthanc_commands(), reason="no Orthanc on this machine"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:playwright"),
]
FIRST_BYTES = 150_000
"""Where the link stands still: the manifest and the preview are through, and little of the pixels."""
PICTURES = os.environ.get("QAFILA_PICTURES", "")
"""A folder for pictures of the pages, for people to look at."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def looked_at(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


@pytest.mark.parametrize("orthanc", orthanc_commands())
@pytest.mark.parametrize("disturbed", [False, True], ids=["quiet", "killed-and-offline"])
def test_urgent_radiograph_is_seen_read_and_answered(
    browser: Browser, tmp_path: Path, orthanc: str, disturbed: bool, capsys: Any
) -> None:
    with told(tmp_path, orthanc, "fr") as story:
        story.centre.account("aminata")
        page = signed_in(browser, story.centre, "aminata")
        picture = story.capture()
        uid = str(picture.StudyInstanceUID)
        story.link.stand_at(FIRST_BYTES)
        story.link.restore()
        bytes_at_preview = _sees_the_preview_first(page, story, uid)
        if disturbed:
            story.centre.gateway.kill()
            story.centre.gateway.start()
        page.get_by_text("Demander une reprise").last.click()
        page.get_by_label("Ce qui ne va pas").fill("Bras devant le poumon droit.")
        page.get_by_role("button", name="Demander à l'unité").click()
        page.get_by_text("◌ En attente de l'unité").wait_for()
        story.link.stand_at(None)
        if disturbed:
            wait_for(lambda: story.link.bytes_up > 2 * FIRST_BYTES, "some more of the picture")
            story.centre.gateway.kill()
            story.link.cut()
            story.centre.gateway.start()
            story.link.restore()
        _is_seen_at_the_unit(page, story, capsys, "retake-request")
        page.get_by_text("● Complet et vérifié").wait_for()
        _is_told_what_was_asked_and_found(page, story, uid)
        assert bytes_at_preview < story.coded_bytes() / 10, f"{bytes_at_preview} of {story.coded_bytes()}"
        page.goto("/")
        page.get_by_role("row").filter(has_text="Aïcha").get_by_text("● Complet et vérifié").wait_for()
        if disturbed:
            story.unit.stop()
        _is_read(page, uid)
        page.get_by_text("◌ En attente de l'unité").wait_for()
        if disturbed:
            story.unit.start()
        _is_seen_at_the_unit(page, story, capsys, "report")
        page.get_by_text("Dans l'archive").wait_for()
        document = story.document()
        assert document is not None and str(document.PatientName) == "Diallo^Aïcha=ديالو^عائشة"
        (evidence,) = document.CurrentRequestedProcedureEvidenceSequence
        (reference,) = evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence
        assert reference.ReferencedSOPInstanceUID == picture.SOPInstanceUID
        assert document.ContentSequence[-1].ContentSequence[0].TextValue == "Pneumothorax droit."
        looked_at(page, "fr-study")
        _is_ordered(page, story)
        _is_right_to_left_in_arabic(page, uid)
        page.context.close()


def _sees_the_preview_first(page: Page, story: Story, uid: str) -> int:
    row = page.get_by_role("row").filter(has_text="Aïcha")
    row.get_by_text("▲ URGENT").wait_for()
    row.get_by_role("link").click()
    page.wait_for_url(f"**/studies/{uid}")
    page.get_by_text("Aperçu - pas pour le diagnostic").first.wait_for()
    page.wait_for_function("document.querySelector('figure img').naturalWidth > 200")
    looked_at(page, "fr-preview")
    return story.link.bytes_up


def _is_told_what_was_asked_and_found(page: Page, story: Story, uid: str) -> None:
    """Who asks and why, and each finding that stands at the unit, in French and by itself."""
    ((received_at,),) = story.unit.query("SELECT first_received_at FROM study")
    assert story.centre.gateway.query("SELECT captured_at FROM review_study") == [(received_at,)]
    card = page.locator("section.notes")
    for words in ("Dr Sow, Podor", "Chute, dyspnée", "1 image examinée par logiciel."):
        card.get_by_text(words).wait_for()
    standing = story.unit.query("SELECT check_code, values_json FROM quality_finding WHERE cleared_at = ''")
    assert any(code == "exposure-missing" for code, _ in standing)
    for code, values in standing:
        card.get_by_text(sentence(str(code), json.loads(str(values)), "fr")).wait_for()
    assert card.locator("li").count() == len(standing)


def _is_seen_at_the_unit(page: Page, story: Story, capsys: Any, kind: str) -> None:
    """Delivered, shown by the unit's command, acknowledged there, and the page says so by itself."""
    answer = story.wait_for_answer(capsys, kind)
    said = answer["said"]
    assert (said.get("reason") or said.get("impression")) in ("Bras devant le poumon droit.", "Pneumothorax droit.")
    row = page.get_by_role("row").filter(has_text=said.get("reason") or said.get("title"))
    row.get_by_text("✓ Remis à l'unité").wait_for()
    assert story.qafila("report", answer["answer_id"], "--seen", "--by", "Fatima Z.") == 0
    row.get_by_text("✓✓ Vu par Fatima Z.").wait_for()


def _is_read(page: Page, uid: str) -> None:
    page.goto(f"/studies/{uid}/report")
    page.get_by_label("Plèvre", exact=True).select_option("pneumothorax")
    page.get_by_label("Conclusion").press_sequentially("Pneumothorax droit.")
    page.get_by_text("Brouillon gardé à").wait_for()
    page.get_by_label("Résultat critique").check()
    looked_at(page, "fr-report")
    page.get_by_label("Votre mot de passe").fill(PASSWORD)
    page.get_by_role("button", name="Signer le compte rendu").click()
    page.wait_for_url(f"**/studies/{uid}#reading")
    page.get_by_text("✓ Lu").first.wait_for()


def _is_ordered(page: Page, story: Story) -> None:
    """An exam goes to the unit's worklist; the same once more finds it there, and the unit's own stands."""
    for outcome in ("Sur la liste de travail de l'unité sous", "L'examen était déjà enregistré à l'unité, sous"):
        page.goto("/orders")
        if not page.get_by_label("Nom de famille", exact=True).is_visible():
            page.get_by_text("Demander un examen").click()
        page.locator("select[name=unit]").select_option(label=story.unit.config.unit.name)
        page.get_by_label("Examen demandé").select_option("XR-CHEST-PA")
        page.get_by_label("Nom de famille", exact=True).fill("Benali")
        page.get_by_label("Prénom", exact=True).fill("Fatima")
        page.get_by_label("Né(e) le").fill("1984-03-12")
        page.get_by_role("button", name="Demande d'examen").click()
        page.wait_for_load_state()
        wait_for(partial(_says, page, outcome), "the unit's word on the order")
    assert story.unit.query("SELECT count(*) FROM registration WHERE state = 'scheduled'") == [(2,)], "one more"
    looked_at(page, "fr-orders")


def _says(page: Page, outcome: str) -> bool:
    page.goto("/orders")
    return page.get_by_text(outcome).first.is_visible()


def _is_right_to_left_in_arabic(page: Page, uid: str) -> None:
    page.goto(f"/studies/{uid}")
    page.get_by_role("button", name="العربية").click()
    page.wait_for_function("document.documentElement.dir === 'rtl'")
    assert page.evaluate("getComputedStyle(document.querySelector('#told')).direction") == "rtl"
    page.get_by_text("✓✓ شاهده").first.wait_for()
    looked_at(page, "ar-study")
    page.goto(f"/studies/{uid}/report?language=ar")
    assert page.evaluate("getComputedStyle(document.querySelector('form.report')).direction") == "rtl"
    looked_at(page, "ar-report")
    page.goto(f"/studies/{uid}/report/1")
    looked_at(page, "ar-sheet")
