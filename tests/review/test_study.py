"""A study's page: previews, what happened, other studies of the patient, and addresses that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sync.wire.messages import StudyInfo
from tests.review.rig import Pages, pages_in
from tests.review.studies import WEBP, Made, follower
from tests.review.test_list import poll_of


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Pages]:
    with pages_in(tmp_path) as made:
        yield made


def follow(pages: Pages) -> None:
    asyncio.run(follower(pages).look_once())


def test_preview_is_shown_as_what_it_is_before_the_rest_is_here(fresh: Pages) -> None:
    made = Made(fresh, "1.2.3", StudyInfo(patient_name="Doe^Jane", patient_id="P-1")).announce()
    follow(fresh)
    browser = fresh.signed_in("reader")
    page = browser.get("/studies/1.2.3").text
    assert "No preview is here yet" in page
    poll = poll_of(page)
    assert browser.get(poll, HX_Request="true").status_code == 204
    made.preview()
    follow(fresh)
    fragment = browser.get(poll, HX_Request="true").text
    assert "Preview - not for diagnosis" in fragment and "First preview here" in fragment
    picture = browser.get("/studies/1.2.3/previews/1.2.3.0")
    assert (picture.content, picture.headers["Content-Type"]) == (WEBP, "image/webp")


@pytest.mark.parametrize("content", [b"<svg onload='x'/>", b"<html>", b"", b"RIFF1234WAVE"])
def test_what_is_no_picture_is_not_served_as_one(fresh: Pages, content: bytes) -> None:
    Made(fresh, "1.2.3").announce().preview(content=content)
    follow(fresh)
    assert fresh.signed_in("reader").get("/studies/1.2.3/previews/1.2.3.0").status_code == 404


@pytest.mark.parametrize(
    "uid", ["%2e%2e", "1.2.4", "%2e%2e%2fetc%2fpasswd", "1" * 65, "1.2.3'--", "٣", "1.2.3%00", "...."]
)
def test_addresses_that_are_no_study_are_not_found(fresh: Pages, uid: str) -> None:
    Made(fresh, "1.2.3").announce().preview()
    follow(fresh)
    browser = fresh.signed_in("reader")
    answers = [browser.get(f"/studies/{uid}/live"), browser.get(f"/studies/1.2.3/previews/{uid}")]
    assert {answer.status_code for answer in answers} <= {404}


def test_strangers_see_no_preview(fresh: Pages) -> None:
    Made(fresh, "1.2.3").announce().preview()
    follow(fresh)
    for path in ("/studies/1.2.3", "/studies/1.2.3/previews/1.2.3.0", "/studies/1.2.3/live", "/studies/rows", "/"):
        answer = fresh.browser().get(path)
        assert answer.status_code == 303 and answer.headers["Location"].startswith("/sign-in"), path


def test_a_preview_of_another_study_is_not_served_under_this_one(fresh: Pages) -> None:
    Made(fresh, "1.2.3").announce().preview()
    Made(fresh, "1.2.4").announce().preview()
    follow(fresh)
    assert fresh.signed_in("reader").get("/studies/1.2.3/previews/1.2.4.0").status_code == 404


def test_other_studies_of_the_patient_are_those_with_number_and_birth_date(fresh: Pages) -> None:
    same = {"patient_id": "P-1", "patient_birth_date": "19800101"}
    Made(fresh, "1.2.1", StudyInfo(patient_name="Doe^Jane", **same)).announce()
    Made(fresh, "1.2.2", StudyInfo(patient_name="Doe^Jane", **same)).announce()
    Made(fresh, "1.2.3", StudyInfo(patient_name="Doe^Jane", patient_id="P-1", patient_birth_date="19990101")).announce()
    Made(fresh, "1.2.4").announce()
    follow(fresh)
    browser = fresh.signed_in("reader")
    page = browser.get("/studies/1.2.1").text
    assert 'href="/studies/1.2.2"' in page
    assert 'href="/studies/1.2.3"' not in page and 'href="/studies/1.2.4"' not in page
    assert "None that is known here" in browser.get("/studies/1.2.4").text


def test_every_look_at_a_study_and_its_previews_is_audited(fresh: Pages) -> None:
    info = StudyInfo(patient_name="Doe^Jane", patient_id="P-1", patient_birth_date="19800101")
    Made(fresh, "1.2.3", info).announce().preview()
    follow(fresh)
    browser = fresh.signed_in("reader")
    browser.get("/studies/1.2.3")
    browser.get("/studies/1.2.3/previews/1.2.3.0")
    looks = [line for line in fresh.audit.splitlines() if 'csd-code="110103"' in line]
    assert len(looks) == 2
    assert all('ParticipantObjectID="1.2.3"' in look and 'UserID="reader"' in look for look in looks)


def test_refused_images_are_told_in_the_gateways_words(fresh: Pages) -> None:
    Made(fresh, "1.2.3").announce().refused("The file has <other> identity.")
    follow(fresh)
    page = fresh.signed_in("reader").get("/studies/1.2.3").text
    assert "Needs a person" in page and "The file has &lt;other&gt; identity." in page
