"""Who comes in, how long, and what every answer carries."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from central.review import registry
from central.review.access import PasswordError, Role, Visitor, hash_password
from central.review.limits import ReviewLimits
from central.review.pages.signing import back_to
from central.review.site import Site, require
from central.store.accounts import account_named, disable_account, set_password
from tests.review.rig import PASSWORD, Pages, pages_in

LIMITS = ReviewLimits()


def test_pages_ask_strangers_to_sign_in_and_lead_back(pages: Pages) -> None:
    pages.account("back")
    browser = pages.browser()
    sent = browser.get("/password")
    assert (sent.status_code, sent.headers["Location"]) == (303, "/sign-in?next=%2Fpassword")
    done = browser.sign_in("back", target="/password")
    assert (done.status_code, done.headers["Location"]) == (303, "/password")
    assert browser.get("/password").status_code == 200


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x", ""])
def test_sign_in_never_leads_to_another_site(target: str) -> None:
    assert back_to(target) == "/"


def test_session_cookie_is_out_of_reach_of_scripts_and_other_sites(pages: Pages) -> None:
    pages.account("cookie")
    cookie = pages.browser().sign_in("cookie").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie


def test_wrong_passwords_lock_an_account_for_longer_and_longer(tmp_path: Path) -> None:
    with pages_in(tmp_path) as pages:
        pages.account("locked")
        browser = pages.browser()
        for _ in range(LIMITS.wrong_count_max - 1):
            assert browser.sign_in("locked", "not this one").status_code == 401
        waits = []
        for _ in range(3):
            refused = browser.sign_in("locked", "not this one")
            assert refused.status_code == 429
            waits.append(int(refused.headers["Retry-After"]))
            assert browser.sign_in("locked").status_code == 429, "the right password does not open a lock"
            pages.clock.go_on(waits[-1] + 1)
        assert waits == [60, 120, 240]
        assert browser.sign_in("locked").status_code == 303


def test_locks_are_those_of_the_database(tmp_path: Path) -> None:
    with pages_in(tmp_path) as pages:
        pages.account("lasting")
        for _ in range(LIMITS.wrong_count_max):
            pages.browser().sign_in("lasting", "not this one")
    with pages_in(tmp_path) as again:
        assert again.browser().sign_in("lasting").status_code == 429


def test_an_address_may_not_try_many_names(tmp_path: Path) -> None:
    with pages_in(tmp_path) as pages:
        browser = pages.browser()
        codes = [browser.sign_in(f"guess-{n}").status_code for n in range(LIMITS.sign_in_count_max + 1)]
        assert codes == [401] * LIMITS.sign_in_count_max + [429]
        pages.clock.go_on(LIMITS.sign_in_window_s + 1)
        assert browser.sign_in("guess").status_code == 401


def test_unknown_and_disabled_names_are_answered_alike(pages: Pages) -> None:
    pages.account("gone")
    with pages.site.database.write() as connection:
        found = account_named(connection, "gone")
        assert found is not None
        disable_account(connection, found.account_id, "2026-11-25T00:00:00Z")
    answers = [pages.browser().sign_in(name) for name in ("gone", "never-was")]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert "not right" in answers[0].text and "not right" in answers[1].text


@pytest.mark.parametrize("ending", ["disable", "password", "sign-out", "idle", "day"])
def test_sessions_end_at_once(tmp_path: Path, ending: str) -> None:
    with pages_in(tmp_path) as pages:
        browser = pages.signed_in("ending")
        assert browser.get("/password").status_code == 200
        if ending == "sign-out":
            assert browser.post("/sign-out", {"csrf": browser.csrf()}).status_code == 303
        elif ending == "idle":
            pages.clock.go_on(30 * 60)
        elif ending == "day":
            for _ in range(12 * 3):
                pages.clock.go_on(20 * 60)
                browser.get("/password")
        else:
            with pages.site.database.write() as connection:
                found = account_named(connection, "ending")
                assert found is not None
                if ending == "disable":
                    disable_account(connection, found.account_id, "2026-11-25T00:00:00Z")
                else:
                    set_password(connection, found.account_id, "another")
        assert browser.get("/password").headers.get("Location", "").startswith("/sign-in")


def test_working_keeps_a_session_open(tmp_path: Path) -> None:
    with pages_in(tmp_path) as pages:
        browser = pages.signed_in("working")
        for _ in range(5):
            pages.clock.go_on(20 * 60)
            assert browser.get("/password").status_code == 200


@pytest.mark.parametrize("headers", [{"Sec_Fetch_Site": "cross-site"}, {"Origin": "https://evil.example"}])
def test_forms_of_other_sites_change_nothing(pages: Pages, headers: dict[str, str]) -> None:
    browser = pages.signed_in(f"csrf-{len(str(headers))}")
    fields = {"csrf": browser.csrf(), "old": PASSWORD, "new": "another password"}
    assert browser.post("/password", fields, **headers).status_code == 403


@pytest.mark.parametrize("secret", ["", "0" * 64, "é"])
def test_forms_without_the_pages_secret_change_nothing(pages: Pages, secret: str) -> None:
    browser = pages.signed_in(f"secret-{len(secret)}")
    refused = browser.post("/password", {"csrf": secret, "old": PASSWORD, "new": "another password"})
    assert refused.status_code == 403


def test_ones_own_password_is_changed_with_the_present_one(pages: Pages) -> None:
    browser = pages.signed_in("changing")
    wrong = browser.post("/password", {"csrf": browser.csrf(), "old": "not it", "new": "another password"})
    assert wrong.status_code == 400 and browser.get("/password").status_code == 200
    done = browser.post("/password", {"csrf": browser.csrf(), "old": PASSWORD, "new": "another password"})
    assert done.headers["Location"] == "/sign-in"
    assert browser.sign_in("changing").status_code == 401
    assert browser.sign_in("changing", "another password").status_code == 303


def test_large_and_strange_forms_are_refused(pages: Pages) -> None:
    browser = pages.signed_in("forms")
    large = {"csrf": browser.csrf(), "old": "x" * LIMITS.form_bytes_max}
    assert browser.post("/password", large).status_code == 413
    many = {f"f{n}": "" for n in range(LIMITS.form_field_count_max + 1)}
    assert browser.post("/password", many).status_code == 400
    assert (
        browser.http.post("/password", content=b"{}", headers={"Content-Type": "application/json"}).status_code == 415
    )


def test_every_answer_has_the_headers_that_keep_scripts_out(pages: Pages) -> None:
    browser = pages.browser()
    for path in ("/sign-in", "/nowhere", "/static/review.css"):
        headers = browser.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"


def test_pages_hold_no_inline_script_and_name_no_other_host(pages: Pages) -> None:
    text = pages.browser().get("/sign-in").text
    assert "<script>" not in text and "style=" not in text and "://" not in text and " on" + "click" not in text


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static/"])
def test_static_files_are_only_those(pages: Pages, path: str) -> None:
    assert pages.browser().get(path).status_code in (404, 405)


def test_roles_are_those_that_a_page_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def secret(request: Request, visitor: Visitor) -> Response:
        return PlainTextResponse(visitor.role)

    def routes(site: Site) -> list[Route]:
        return [Route("/secret", require(Role.ADMIN)(secret))]

    plain = registry.all_routes
    monkeypatch.setattr("central.review.app.all_routes", lambda site: [*plain(site), *routes(site)])
    with pages_in(tmp_path) as pages:
        assert pages.signed_in("reads").get("/secret").status_code == 403
        assert pages.signed_in("coordinates", Role.COORDINATOR).get("/secret").status_code == 403
        assert pages.signed_in("rules", Role.ADMIN).get("/secret").text == "admin"


def test_every_sign_in_is_in_the_audit_trail_as_the_standard_has_it(pages: Pages) -> None:
    pages.account("audited")
    browser = pages.browser()
    browser.sign_in("audited", "not this one")
    browser.sign_in("audited")
    lines = [fromstring(line) for line in pages.audit.splitlines() if 'UserID="audited"' in line]
    outcomes = [line.find("EventIdentification").attrib["EventOutcomeIndicator"] for line in lines]  # type: ignore[union-attr]
    codes = [line.find("EventIdentification/EventID").attrib["csd-code"] for line in lines]  # type: ignore[union-attr]
    assert (outcomes, codes) == (["4", "0"], ["110114", "110114"])
    assert "not this one" not in pages.audit and PASSWORD not in pages.audit


def test_hostile_names_do_not_break_a_line_of_the_audit_trail(pages: Pages) -> None:
    before = len(pages.audit.splitlines())
    pages.browser().sign_in('x"/><AuditMessage>\n\x00\ud7ff')
    lines = pages.audit.splitlines()
    assert len(lines) == before + 1
    fromstring(lines[-1])


def test_nothing_is_given_when_the_audit_trail_cannot_be_written(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = pages.signed_in("unaudited")
    secret = browser.csrf()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("central.review.audit.os.fsync", full)
    answer = browser.post("/sign-out", {"csrf": secret})
    assert answer.status_code == 503 and "audit" in answer.text


@pytest.mark.parametrize("password", ["short", "x" * 201, "aminata-1"])
def test_weak_passwords_are_not_taken(password: str) -> None:
    with pytest.raises(PasswordError):
        hash_password(password, "aminata")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no/such", 404), ("DELETE", "/", 405)])
def test_unknown_address_gets_a_page_of_ours(pages: Pages, method: str, path: str, status: int) -> None:
    answer = pages.browser().http.request(method, path)
    assert (answer.status_code, "<h1" in answer.text) == (status, True)
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
