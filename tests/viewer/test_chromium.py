"""OHIF in a real Chromium, in front of a real Orthanc: the pixels are on the screen, and nothing is asked elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import imagecodecs
import numpy as np
import pytest

from appliance.dicom.phantom import phantom_chest
from central.viewer.ohif import CHECKOUT_FOLDER
from sync.wire import messages as m
from tests.gateway.rig import Unit, file_of, part_up
from tests.review.live import CHROMIUM, PASSWORD, WAIT_MS, chromium
from tests.support.orthancs import orthanc_commands
from tests.viewer.live import ViewingCentre, running_viewer

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Request

pytestmark = [
    pytest.mark.orthanc,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium on this machine (Debian package chromium)"),
    pytest.mark.skipif(not CHECKOUT_FOLDER.exists(), reason="OHIF was not fetched ('make viewer')"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:playwright"),
]


@pytest.fixture(scope="module", params=orthanc_commands())
def centre(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ViewingCentre]:
    folder = tmp_path_factory.mktemp("viewer")
    with running_viewer(folder, str(request.param), CHECKOUT_FOLDER, "amina") as made:
        yield made


@pytest.fixture
def context(centre: ViewingCentre) -> Iterator[BrowserContext]:
    """A browser that says at the end what it asked of others than the two origins, and whether a policy was broken."""
    strange: list[str] = []
    ours = (centre.url + "/", centre.viewer_url + "/", "data:", f"blob:{centre.viewer_url}/")

    def on_request(request: Request) -> None:
        if not request.url.startswith(ours):
            strange.append(request.url)

    with chromium() as browser:
        made = browser.new_context(viewport={"width": 1280, "height": 800})
        made.set_default_timeout(WAIT_MS)
        made.route(lambda url: not url.startswith(ours), lambda route: route.abort())
        made.on("request", on_request)
        made.on("console", lambda said: strange.append(said.text) if "Content Security Policy" in said.text else None)
        yield made
        made.close()
    assert strange == []


def sign_in(context: BrowserContext, centre: ViewingCentre) -> Page:
    page = context.new_page()
    page.goto(centre.url)
    page.get_by_label("Name").fill("amina")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Studies").wait_for()
    return page


def test_complete_study_opens_in_ohif_and_its_pixels_are_seen(
    centre: ViewingCentre, context: BrowserContext, tmp_path: Path
) -> None:
    picture = part_up(file_of(phantom_chest(1200, 1000, 12, 1)), tmp_path)
    with Unit(centre.gateway.url, "van-pixels") as unit:
        unit.join(centre.gateway)
        info = m.StudyInfo(patient_name="Diallo^Aicha", patient_id="P-1", patient_birth_date="19900101", modality="DX")
        unit.announce(picture, study=info)
        unit.send(picture)
        assert unit.wait_for_entries(1)[0].kind == "receipt"
    page = sign_in(context, centre)
    page.goto(f"{centre.url}/studies/{picture.study_uid}")
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open the full viewer").click()
    viewer = opened.value
    viewer.locator(".cornerstone-canvas").first.wait_for()
    # The window level stands in the corner once the pixels are drawn.
    viewer.get_by_text("W:").first.wait_for()
    shown = viewer.locator(".cornerstone-canvas").first.screenshot(path=tmp_path / "canvas.png")
    grey = np.asarray(imagecodecs.png_decode(shown))[..., :3].mean(axis=2)
    assert grey.std() > 20 and np.ptp(grey) > 100, "an image, not an empty field"
    assert 'UserID="amina"' in centre.audit and picture.study_uid in centre.audit
    assert viewer.get_by_text("Skip all").count() == 0, "no tour stands before an urgent image"
    viewer.screenshot(path=tmp_path / "viewer.png")
    before = len(context.pages)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Password").wait_for()
    assert viewer.evaluate(f"fetch('/dicom-web/studies/{picture.study_uid}').then(a => a.status)") == 401
    assert len(context.pages) == before
