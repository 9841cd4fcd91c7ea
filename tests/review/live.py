"""A real gateway and the real pages as two processes on one database, and a real Chromium in front of them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.supervisor import ChildSpec, end_process, spawn
from central.review.access import Role, hash_password
from central.store.accounts import add_account
from central.store.opening import open_database
from tests.gateway.rig import Gateway, Pacs, make_gateway
from tests.support.ports import free_port
from tests.support.world import wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or ""
PASSWORD = "caravane du desert"
WAIT_MS = 60_000


@dataclass
class Centre:
    """What browsers and units talk to."""

    gateway: Gateway
    url: str
    pacs: Pacs = field(init=False)
    """The obedient one, where it is that."""

    def account(self, name: str, role: Role = Role.READER) -> None:
        database = open_database(self.gateway.config)
        try:
            with database.write() as connection:
                hashed = hash_password(PASSWORD, name)
                add_account(connection, name, f"Dr {name}", role.value, hashed, "2026-11-25T00:00:00Z")
        finally:
            database.close()


@contextmanager
def running_centre(folder: Path, language: str = "en") -> Iterator[Centre]:
    """Gateway, obedient PACS and pages."""
    pacs = Pacs()
    with pacs.peer, centre_in(folder, pacs.peer.url, language) as centre:
        centre.pacs = pacs
        yield centre


@contextmanager
def centre_in(folder: Path, pacs_url: str, language: str) -> Iterator[Centre]:
    """Gateway and pages before a PACS."""
    port = free_port()
    gateway = make_gateway(folder, pacs_url, extra=f'[review]\nport = {port}\nlanguage = "{language}"\n')
    gateway.start()
    log_file = folder / "review.log"
    argv = [sys.executable, "-m", "central.review", "--config", str(gateway.toml)]
    review = spawn(ChildSpec("review", argv, log_file=log_file))
    try:
        wait_for(lambda: "review ready" in log_file.read_text(encoding="utf-8"), f"the pages, see {log_file}")
        yield Centre(gateway, f"http://localhost:{port}")
    finally:
        end_process(review, 30.0)
        if gateway.process is not None:
            gateway.stop()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def signed_in(browser: Browser, centre: Centre, name: str) -> Page:
    """A page in a context of its own; it fails the test on a request to anywhere else and on a script's error."""
    context = browser.new_context(base_url=centre.url, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.goto("/")
    page.locator("#name").fill(name)
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    return page
