"""The pages around a database of their own, with a clock that tests move."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from appliance.clock import utc_text
from central.config import CentralConfig, CentreTable, ReviewTable, ViewerTable
from central.review.access import Role, hash_password
from central.review.app import make_app
from central.review.site import Site, make_site
from central.store.accounts import add_account
from central.store.opening import open_database

with warnings.catch_warnings():
    # Starlette would rather have a successor of httpx, which nothing else here needs.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

PASSWORD = "caravane du desert"
_HASHED = hash_password(PASSWORD, "nobody")
"""Hashing takes its time on purpose; once is enough here."""


@dataclass
class HandClock:
    """Moves when a test says so."""

    wall: float = 1_795_000_000.0
    mono: float = 1_000.0

    def mono_s(self) -> float:
        return self.mono

    def wall_s(self) -> float:
        return self.wall

    def boot_id(self) -> str:
        return "test"

    def go_on(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds


@dataclass
class Pages:
    """A site with its application."""

    site: Site
    clock: HandClock
    clients: list[TestClient] = field(default_factory=list)

    def browser(self, **more: Any) -> Browser:
        client = TestClient(make_app(self.site), base_url="http://testserver", follow_redirects=False, **more)
        self.clients.append(client)
        return Browser(client)

    def account(self, name: str, role: Role = Role.READER) -> None:
        with self.site.database.write() as connection:
            add_account(connection, name, f"Dr {name}", role.value, _HASHED, utc_text(self.clock.wall))

    def signed_in(self, name: str, role: Role = Role.READER) -> Browser:
        """A new account's browser."""
        self.account(name, role)
        browser = self.browser()
        assert browser.sign_in(name).status_code == 303
        return browser

    @property
    def audit(self) -> str:
        return self.site.config.audit_path.read_text(encoding="utf-8")


def client_of(app: Starlette) -> TestClient:
    """Speaks to any application; it is started by ``with``."""
    return TestClient(app, follow_redirects=False)


class Browser:
    """Cookies and the forms' secret, as a browser would keep them."""

    def __init__(self, client: TestClient) -> None:
        self.http = client

    def get(self, path: str, **headers: str) -> httpx.Response:
        answer: httpx.Response = self.http.get(
            path, headers={key.replace("_", "-"): value for key, value in headers.items()}
        )
        return answer

    def csrf(self, path: str = "/password") -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.get(path).text)
        assert found is not None
        return found[1]

    def post(self, path: str, fields: dict[str, str], **headers: str) -> httpx.Response:
        answer: httpx.Response = self.http.post(
            path, data=fields, headers={key.replace("_", "-"): v for key, v in headers.items()}
        )
        return answer

    def sign_in(self, name: str, password: str = PASSWORD, target: str = "/") -> httpx.Response:
        fields = {"name": name, "password": password, "next": target, "csrf": self.csrf("/sign-in")}
        return self.post("/sign-in", fields)


@contextmanager
def pages_in(folder: Path, *, viewer: ViewerTable | None = None, **review: Any) -> Iterator[Pages]:
    """Pages over a fresh database; without a full viewer, whether this machine has one or not."""
    config = CentralConfig(
        centre=CentreTable(data_dir=str(folder)),
        review=ReviewTable(**{"language": "en", **review}),
        viewer=viewer or ViewerTable(enabled=False),
    )
    database, clock = open_database(config), HandClock()
    made = Pages(make_site(config, database, clock), clock)
    try:
        yield made
    finally:
        for client in made.clients:
            client.close()
        made.site.audit.close()
        database.close()
