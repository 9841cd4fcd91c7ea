"""The fleet page and the metrics' address, around a database with units that told how they are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.clock import utc_text
from appliance.config import ConfigError
from central.config import CentralConfig, FleetTable, load_central
from central.fleet.serve import make_app, token_of
from central.fleet.watch import Watch
from central.review.access import Role
from central.store.fleet import minutes_since, note_status
from central.store.units import add_unit, revoke_unit
from sync.wire import messages as m
from sync.wire.status import DiskLevel, StatusReport
from tests.review.rig import Pages, client_of, pages_in
from tests.review.studies import Made, follower

GOOD, BAD, GONE = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3))


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    with pages_in(tmp_path) as made:
        now = utc_text(made.clock.wall)
        report = StatusReport(
            at=now, disk_free_bytes=50_000_000_000, disk_total_bytes=100_000_000_000, software="1.2.3"
        )
        late = msgspec.structs.replace(
            report,
            at=utc_text(made.clock.wall + 900),
            disk_level=DiskLevel.ALARM,
            link_kind="satellite",
            rate_bytes_per_s=8000,
            unsent_study_count=4,
            unsent_bytes=20_000_000,
            oldest_unsent_s=30 * 3600,
        )
        with made.site.database.write() as connection:
            for unit_id, name, said in ((GOOD, "van-good", report), (BAD, "<b>van", late), (GONE, "sold", late)):
                add_unit(connection, unit_id, name, name.encode(), now)
                note_status(connection, unit_id, now, said)
            revoke_unit(connection, GONE, now)
        yield made


def test_page_shows_who_needs_somebody_first_and_is_for_those_who_look_after_the_fleet(pages: Pages) -> None:
    text = pages.signed_in("coordinator", Role.COORDINATOR).get("/fleet").text
    assert text.index("&lt;b&gt;van") < text.index("van-good")
    assert "<b>van" not in text and "sold" not in text
    for words in ("1 unit needs somebody", "The disk is filling up", "The clock is wrong", "15 min", "30 h", "64"):
        assert words in text, words
    assert "1.2.3" in text and "50.0 GB" in text
    assert pages.signed_in("reader").get("/fleet").status_code == 403
    assert "/fleet" not in pages.signed_in("reader-2").get("/").text
    assert pages.browser().get("/fleet").status_code == 303


def test_page_renews_itself_only_when_something_changed(pages: Pages) -> None:
    browser = pages.signed_in("live", Role.ADMIN)
    digest = browser.get("/fleet").text.partition("/fleet/live?digest=")[2][:32]
    assert browser.get(f"/fleet/live?digest={digest}", HX_Request="true").status_code == 204
    pages.clock.go_on(25 * 3600)
    browser = pages.signed_in("live-2", Role.ADMIN)
    fresh = browser.get(f"/fleet/live?digest={digest}", HX_Request="true")
    assert fresh.status_code == 200 and "2 units need somebody" in fresh.text and "Not heard of" in fresh.text


@pytest.mark.parametrize(("language", "words"), [("fr", "1 unité demande"), ("ar", "وحدة واحدة")])
def test_page_speaks_the_languages(pages: Pages, language: str, words: str) -> None:
    browser = pages.signed_in(f"speaks-{language}", Role.COORDINATOR)
    browser.post("/language", {"language": language, "next": "/fleet", "csrf": browser.csrf()})
    assert words in browser.get("/fleet").text


def test_metrics_need_the_token_and_name_no_patient(pages: Pages) -> None:
    study = Made(pages, "1.7", m.StudyInfo(patient_name="SECRET^NAME", patient_id="SECRET-ID"), unit_id=GOOD).announce()
    pages.clock.go_on(120)
    study.verified()
    asyncio.run(follower(pages).look_once())
    app = make_app(pages.site.config, pages.site.database, pages.clock, "a token of some length")
    with client_of(app) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer another"}).status_code == 401
        text = client.get("/metrics", headers={"Authorization": "Bearer a token of some length"}).text
    assert 'qafila_unit_alarm{unit="<b>van",kind="disk"} 1' in text
    assert 'qafila_delivery_seconds{unit="van-good",quantile="0.5"} 120' in text
    assert 'qafila_instances{state="verified"} 1' in text
    assert "SECRET" not in text and "1.7" not in text.replace("e+1.7", "")


def test_watch_counts_minutes_and_logs_an_alarm_once(pages: Pages, capsys: pytest.CaptureFixture[str]) -> None:
    answers = {"gateway": True, "pacs": True}
    watch = Watch(pages.site.database, pages.clock, FleetTable(), lambda: answers["gateway"], lambda: answers["pacs"])

    async def look(times: int) -> None:
        for _ in range(times):
            await watch.look_once()
            pages.clock.go_on(20)

    asyncio.run(look(9))
    answers["pacs"] = False
    asyncio.run(look(6))
    with pages.site.database.read() as connection:
        fine, first = minutes_since(connection, 0)
    assert (fine, first) == (4, 1_795_000_000 // 60), "minutes that began while all was well"
    said = capsys.readouterr()
    logged = said.err + said.out
    assert logged.count("kind=disk") == 1 and "van-good" not in logged


def test_port_for_others_needs_certificate_and_token(tmp_path: Path) -> None:
    toml = tmp_path / "central.toml"
    toml.write_text('[fleet]\nbind = "0.0.0.0"\ncertificate_file = "c"\nkey_file = "k"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="token_file"):
        load_central(toml)
    short = tmp_path / "token"
    short.write_text("short\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="16 characters"):
        token_of(CentralConfig(fleet=FleetTable(token_file=str(short))))
