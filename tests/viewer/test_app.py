"""The viewer's origin around a PACS that tells what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.config import ConfigError, DicomwebDestination
from central.config import CentralConfig, ViewerTable, load_central
from central.review.audit import AuditError
from central.store import accounts
from central.viewer import ohif
from central.viewer.app import COOKIE, make_app
from central.viewer.upstream import Upstream
from sync.wire import messages as m
from tests.review.rig import Browser, Pages, client_of, pages_in
from tests.review.studies import Made, follower
from tests.support.peers import Answer, HttpPeer, Request

FRAME = b"--x\r\nContent-Type: application/octet-stream\r\n\r\npixels\r\n--x--\r\n"
ANNA = m.StudyInfo(patient_name="Anna", patient_id="P1", patient_birth_date="19800101", modality="DX")


class TellingPacs:
    """Answers every search with everything it holds, as a PACS that ignores what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.status = 200
        self.peer = HttpPeer(self._answer)

    def _answer(self, request: Request) -> Answer:
        self.asked.append(request)
        if "/frames/" in request.path:
            return Answer(self.status, "multipart/related; boundary=x", FRAME)
        held = [{"0020000D": {"vr": "UI", "Value": [uid]}} for uid in ("1.1", "1.2", "1.3")]
        return Answer(self.status, body=json.dumps(held).encode())


@pytest.fixture(scope="module")
def pacs() -> Iterator[TellingPacs]:
    made = TellingPacs()
    with made.peer:
        yield made


@pytest.fixture
def fetched(tmp_path: Path) -> Path:
    """As little of OHIF as the application needs."""
    folder = tmp_path / "ohif"
    folder.mkdir()
    for name in ("index.html", "app.bundle.0123.js", "app.bundle.css"):
        (folder / name).write_text("x", encoding="utf-8")
    return folder


@pytest.fixture
def pages(tmp_path: Path, fetched: Path) -> Iterator[Pages]:
    with pages_in(tmp_path / "pages", viewer=ViewerTable(folder=str(fetched))) as made:
        for uid, info in (("1.1", ANNA), ("1.2", ANNA), ("1.3", m.StudyInfo(patient_name="Bella", patient_id="P2"))):
            Made(made, uid, info).announce().verified()
        asyncio.run(follower(made).look_once())
        yield made


@pytest.fixture
def viewer(pages: Pages, pacs: TellingPacs, fetched: Path) -> Iterator[Any]:
    pacs.asked.clear()
    pacs.status = 200
    upstream = Upstream(DicomwebDestination(name="pacs", url=f"{pacs.peer.url}/dicom-web"))
    with client_of(make_app(pages.site, fetched, upstream)) as client:
        yield client
        assert client.portal is not None
        client.portal.call(upstream.close)


def enter(reader: Browser, viewer: Any, uid: str = "1.1") -> str:
    """From the study page into the viewer; the ticket that led there."""
    led = reader.get(f"/studies/{uid}/viewer")
    assert led.status_code == 303, led.text
    ticket = led.headers["Location"].partition("ticket=")[2]
    assert led.headers["Location"].startswith("http://testserver:8090/dicom-web/enter?")
    entered = viewer.get(f"/dicom-web/enter?ticket={ticket}")
    assert entered.headers["Location"] == f"/viewer?StudyInstanceUIDs={uid}"
    cookie = entered.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/dicom-web")), cookie
    return str(ticket)


def study_uids(answer: Any) -> list[str]:
    return [one["0020000D"]["Value"][0] for one in answer.json()]


def test_opened_study_and_the_patients_others_can_be_read_and_no_more(
    pages: Pages, viewer: Any, pacs: TellingPacs
) -> None:
    enter(pages.signed_in("anna-reader"), viewer)
    assert study_uids(viewer.get("/dicom-web/studies?PatientID=*")) == ["1.1", "1.2"]
    assert "StudyInstanceUID=1.1%2C1.2" in pacs.asked[-1].path
    frame = viewer.get("/dicom-web/studies/1.2/series/4/instances/5/frames/1", headers={"Accept": "multipart/related"})
    assert (frame.content, frame.headers["Content-Type"]) == (FRAME, "multipart/related; boundary=x")
    count = len(pacs.asked)
    for path in (
        "studies/1.3/metadata",
        "studies/1.3/series/4/instances/5/frames/1",
        "instances",
        "studies/1.1/archive",
    ):
        refused = viewer.get(f"/dicom-web/{path}")
        assert (refused.status_code, refused.headers["Content-Type"]) == (404, "application/problem+json")
    assert viewer.get("/dicom-web/studies?StudyInstanceUID=1.3").json() == []
    assert viewer.post("/dicom-web/studies").status_code == 405
    assert viewer.delete("/dicom-web/studies/1.1").status_code == 405
    assert len(pacs.asked) == count, "what is refused is not asked of the PACS"


def test_every_study_is_in_the_audit_trail_once_before_it_is_given(pages: Pages, viewer: Any) -> None:
    enter(pages.signed_in("audited"), viewer)
    before = pages.audit.count("\n")
    for _ in range(3):
        assert viewer.get("/dicom-web/studies/1.1/metadata").status_code == 200
    lines = pages.audit.splitlines()[before:]
    assert len(lines) == 1
    assert 'UserID="audited"' in lines[0] and 'ParticipantObjectID="1.1"' in lines[0]


def test_nothing_is_given_that_cannot_be_audited(
    pages: Pages, viewer: Any, pacs: TellingPacs, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter(pages.signed_in("unaudited"), viewer)

    def full(*_: object, **__: object) -> None:
        raise AuditError("full")

    monkeypatch.setattr(type(pages.site.audit), "note", full)
    assert viewer.get("/dicom-web/studies/1.1/metadata").status_code == 503
    assert pacs.asked == []


def test_ticket_is_good_once_and_for_a_minute(pages: Pages, viewer: Any) -> None:
    reader = pages.signed_in("ticket")
    used = enter(reader, viewer)
    assert viewer.get(f"/dicom-web/enter?ticket={used}").headers["Location"] == ohif.SIGNED_OUT_PATH
    late = reader.get("/studies/1.1/viewer").headers["Location"].partition("ticket=")[2]
    pages.clock.go_on(pages.site.limits.viewer_ticket_s + 1)
    assert viewer.get(f"/dicom-web/enter?ticket={late}").headers["Location"] == ohif.SIGNED_OUT_PATH


def test_second_study_is_added_to_what_the_browser_may_see(pages: Pages, viewer: Any) -> None:
    reader = pages.signed_in("two-tabs")
    enter(reader, viewer)
    token = viewer.cookies[COOKIE]
    enter(reader, viewer, "1.3")
    assert viewer.cookies[COOKIE] == token
    assert study_uids(viewer.get("/dicom-web/studies")) == ["1.1", "1.2", "1.3"]


def test_another_person_at_the_same_browser_gets_a_token_of_their_own(pages: Pages, viewer: Any) -> None:
    enter(pages.signed_in("first"), viewer)
    token = viewer.cookies[COOKIE]
    enter(pages.signed_in("second"), viewer, "1.3")
    assert viewer.cookies[COOKIE] != token
    assert study_uids(viewer.get("/dicom-web/studies")) == ["1.3"]


@pytest.mark.parametrize("end", ["sign out", "disabled", "idle", "grant over"])
def test_viewing_ends_with_its_session_and_after_its_time(pages: Pages, viewer: Any, end: str) -> None:
    reader = pages.signed_in("ending")
    enter(reader, viewer)
    assert viewer.get("/dicom-web/studies/1.1/metadata").status_code == 200
    if end == "sign out":
        reader.post("/sign-out", {"csrf": reader.csrf()})
    elif end == "disabled":
        with pages.site.database.write() as connection:
            found = accounts.account_named(connection, "ending")
            assert found is not None
            accounts.disable_account(connection, found.account_id, "2026-11-25T00:00:00Z")
    elif end == "idle":
        pages.clock.go_on(31 * 60)
    else:
        for _ in range(9):
            pages.clock.go_on(29 * 60)
            viewer.get("/dicom-web/studies/1.1/metadata")
    refused = viewer.get("/dicom-web/studies/1.1/metadata")
    assert (refused.status_code, refused.headers["Content-Type"]) == (401, "application/problem+json")


def test_looking_at_images_keeps_the_session_open(pages: Pages, viewer: Any) -> None:
    reader = pages.signed_in("scrolling")
    enter(reader, viewer)
    for _ in range(3):
        pages.clock.go_on(20 * 60)
        assert viewer.get("/dicom-web/studies/1.1/metadata").status_code == 200
    assert reader.get("/").status_code == 200


@pytest.mark.parametrize("status", [401, 403, 500])
def test_pacs_that_fails_is_told_in_a_sentence(pages: Pages, viewer: Any, pacs: TellingPacs, status: int) -> None:
    enter(pages.signed_in("failing"), viewer)
    pacs.status = status
    answer = viewer.get("/dicom-web/studies/1.1/metadata")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "application/problem+json")


def test_without_a_token_there_is_nothing_but_ohif(viewer: Any, pacs: TellingPacs) -> None:
    assert viewer.get("/dicom-web/studies").status_code == 401
    page = viewer.get("/viewer?StudyInstanceUIDs=1.1")
    assert "/app.bundle.0123.js" in page.text
    assert "script-src 'self' 'wasm-unsafe-eval'" in page.headers["Content-Security-Policy"]
    assert viewer.get("/app-config.js").text.count("/dicom-web") == 3
    assert "'unsafe-eval'" not in page.headers["Content-Security-Policy"]
    script = viewer.get("/app.bundle.0123.js")
    assert script.headers["Cache-Control"].endswith("immutable")
    assert "'unsafe-eval'" in script.headers["Content-Security-Policy"], "decoders of JPEG are workers, and need it"
    assert viewer.get("/..%2f..%2fetc/passwd").status_code == 404
    assert pacs.asked == []


def test_study_that_is_not_complete_is_not_opened(pages: Pages, viewer: Any) -> None:
    Made(pages, "1.9", ANNA).announce()
    asyncio.run(follower(pages).look_once())
    answer = pages.signed_in("early").get("/studies/1.9/viewer")
    assert (answer.status_code, "not complete yet" in answer.text) == (409, True)
    assert pages.browser().get("/studies/1.1/viewer").headers["Location"].startswith("/sign-in")


def test_pages_say_how_the_viewer_is_fetched_when_it_is_not_here(tmp_path: Path) -> None:
    with pages_in(tmp_path / "bare", viewer=ViewerTable(folder=str(tmp_path / "nothing"))) as made:
        Made(made, "1.1", ANNA).announce().verified()
        asyncio.run(follower(made).look_once())
        reader = made.signed_in("bare")
        assert "make viewer" in reader.get("/studies/1.1").text
        assert reader.get("/studies/1.1/viewer").status_code == 404


def test_configuration_gives_each_door_its_port_and_a_pacs_that_speaks_dicomweb(tmp_path: Path) -> None:
    toml = tmp_path / "central.toml"
    toml.write_text("[viewer]\nport = 8080\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"viewer\.port and review\.port are both 8080"):
        load_central(toml)
    toml.write_text('[viewer]\npacs = { name = "h", url = "https://h/dicom-web" }\n', encoding="utf-8")
    found = load_central(toml).viewer_pacs
    assert found is not None and found.url == "https://h/dicom-web"
    assert CentralConfig(viewer=ViewerTable(enabled=False)).viewer_pacs is None
    assert msgspec.structs.replace(CentralConfig(), viewer=ViewerTable(bind="0.0.0.0")).viewer_pacs is not None
