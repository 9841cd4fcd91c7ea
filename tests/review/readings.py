"""A study that can be read, and the report's form as a browser sends it."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx

from central.store.answers import AnswerRow, answers_to
from central.store.reports import ReportRow, versions
from sync.wire.messages import StudyInfo
from tests.review.rig import PASSWORD, Browser, Pages
from tests.review.studies import Made, follower

JANE = StudyInfo(
    patient_name="Doe^Jane=دو^جين",
    patient_id="P-1",
    patient_birth_date="19800101",
    patient_sex="F",
    accession_number="A-1",
    study_date="20261118",
    modality="DX",
    study_description="Thorax de face",
)


def follow(pages: Pages) -> None:
    asyncio.run(follower(pages).look_once())


def readable(pages: Pages, uid: str = "1.2.3", info: StudyInfo = JANE, *, verified: bool = True) -> Made:
    made = Made(pages, uid, info).announce().preview()
    if verified:
        made.whole().verified()
    follow(pages)
    return made


def form_of(browser: Browser, uid: str = "1.2.3", **asked: str) -> dict[str, str]:
    """The hidden fields of the form, as loaded now."""
    query = "&".join(f"{key}={value}" for key, value in asked.items())
    page = browser.get(f"/studies/{uid}/report?{query}").text
    form = page[page.index('action="/studies/' + uid + '/report/sign"') :]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))


def keep(browser: Browser, fields: dict[str, str], uid: str = "1.2.3") -> httpx.Response:
    """As the page does by itself."""
    return browser.post(f"/studies/{uid}/report/draft", fields, HX_Request="true")


def base_in(fragment: str) -> str:
    found = re.search(r'name="base" value="(\d*)"', fragment)
    assert found is not None, fragment
    return found[1]


def sign(browser: Browser, fields: dict[str, str], uid: str = "1.2.3", password: str = PASSWORD) -> httpx.Response:
    return browser.post(f"/studies/{uid}/report/sign", {**fields, "password": password})


def kept(pages: Pages, uid: str = "1.2.3") -> list[ReportRow]:
    with pages.site.database.read() as connection:
        return versions(connection, uid)


def told(pages: Pages, uid: str = "1.2.3") -> list[AnswerRow]:
    with pages.site.database.read() as connection:
        return answers_to(connection, study_uid=uid)


def words(row: AnswerRow) -> Any:
    assert row.answer is not None
    return row.answer
