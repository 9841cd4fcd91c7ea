"""The endpoint for a shared record: R4B as another library reads it, closed without the token, orders taken once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.imagingstudy import ImagingStudy
from fhir.resources.R4B.operationoutcome import OperationOutcome
from fhir.resources.R4B.servicerequest import ServiceRequest
from sqlalchemy import text

from appliance.config import ConfigError
from central.review.app import make_app
from central.store.answers import AnswerRow, acknowledge, answers_to
from sync.wire.answers import Acknowledgement, AckState
from tests.review.readings import JANE, form_of, readable, sign
from tests.review.rig import Pages, pages_in
from tests.review.studies import UNIT_ID

TOKEN = "a token of the shared record, long enough"
ORDER: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "priority": "stat",
    "identifier": [{"system": "urn:clinic", "value": "O-1"}],
    "code": {"coding": [{"system": "urn:qafila:exams", "code": "XR-CHEST-PA"}]},
    "subject": {"reference": "#p"},
    "performer": [{"identifier": {"value": "van-1"}}],
    "requester": {"display": "Clinique Sud"},
    "reasonCode": [{"text": "Toux"}],
    "occurrenceDateTime": "2026-11-26T10:30:00+01:00",
    "contained": [
        {
            "resourceType": "Patient",
            "id": "p",
            "name": [{"family": "Benali", "given": ["Aicha"]}, {"family": "بنعلي", "given": ["عائشة"]}],
            "gender": "female",
            "birthDate": "1984-03-12",
            "identifier": [{"system": "NATIONAL", "value": "N-7"}],
        }
    ],
}


@contextmanager
def record_in(folder: Path) -> Iterator[Pages]:
    token_file = folder / "fhir.token"
    token_file.write_text(TOKEN + "\n")
    with pages_in(folder / "centre", fhir_token_file=str(token_file)) as made:
        readable(made)
        yield made


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    with record_in(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    """For what is refused."""
    with record_in(tmp_path_factory.mktemp("record")) as made:
        yield made


def ask(pages: Pages, path: str, token: str = TOKEN, body: Any = None) -> httpx.Response:
    http = pages.browser().http
    headers = {"Authorization": f"Bearer {token}"}
    if body is None:
        answer: httpx.Response = http.get(f"/fhir/{path}", headers=headers)
    else:
        answer = http.post(f"/fhir/{path}", content=msgspec.json.encode(body), headers=headers)
    assert answer.headers["Content-Type"].startswith("application/fhir+json")
    return answer


def signed(pages: Pages, *impressions: str) -> None:
    reader = pages.signed_in("amina")
    for impression in impressions:
        form = {
            **form_of(reader),
            "impression": impression,
            "c.pleura": "effusion",
            "reason": "Relu.",
            "critical": "on",
        }
        assert sign(reader, form).status_code == 303


def test_report_and_study_are_r4b_and_say_what_was_signed(pages: Pages) -> None:
    signed(pages, "Normal.", "Épanchement <gauche>.")
    said = ask(pages, "DiagnosticReport/1.2.3").json()
    DiagnosticReport.model_validate(said)
    assert (said["status"], said["conclusion"], said["meta"]["versionId"]) == ("amended", "Épanchement <gauche>.", "2")
    assert said["subject"] == {"type": "Patient", "display": "Doe Jane / دو جين", "identifier": {"value": "P-1"}}
    assert said["meta"]["tag"][0]["code"] == "critical" and "Épanchement &lt;gauche&gt;." in said["text"]["div"]
    study = ask(pages, "ImagingStudy/1.2.3").json()
    ImagingStudy.model_validate(study)
    assert (study["status"], study["numberOfInstances"]) == ("available", 1)
    assert study["series"][0]["instance"][0]["uid"] == "1.2.3.0"
    CapabilityStatement.model_validate(ask(pages, "metadata").json())


def test_search_finds_by_number_accession_and_uid_page_by_page(pages: Pages) -> None:
    readable(pages, "1.2.4", msgspec.structs.replace(JANE, patient_id="P-2", accession_number="A-2"))
    signed(pages, "Normal.")
    whole = "_lastUpdated=ge2026-11-18"
    for query in ("identifier=A-1", "identifier=urn:oid:1.2.3", "patient.identifier=x%7CP-1", whole, "_id=1.2.3"):
        found = ask(pages, f"DiagnosticReport?{query}").json()
        Bundle.model_validate(found)
        assert (found["total"], found["entry"][0]["resource"]["id"]) == (1, "1.2.3"), query
    empty = ask(pages, "DiagnosticReport?identifier=A-2").json()
    Bundle.model_validate(empty)
    assert empty["total"] == 0
    assert ask(pages, "ImagingStudy?patient.identifier=P-2").json()["total"] == 1
    first = ask(pages, "ImagingStudy?_count=1").json()
    assert first["total"] == 2 and len(first["entry"]) == 1
    (next_url,) = [link["url"] for link in first["link"] if link["relation"] == "next"]
    second = ask(pages, next_url).json()
    assert {one["entry"][0]["resource"]["id"] for one in (first, second)} == {"1.2.3", "1.2.4"}
    assert [link["relation"] for link in second["link"]] == ["self"]
    assert ask(pages, "DiagnosticReport?_lastUpdated=ge2099-01-01").json()["total"] == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("DiagnosticReport/1.2.9", 404),
        ("DiagnosticReport/x", 404),
        ("ImagingStudy/1.2.9", 404),
        ("DiagnosticReport?patient.name=Doe", 400),
        ("ImagingStudy?_count=0", 400),
        ("ImagingStudy?_count=all", 400),
        ("DiagnosticReport?_lastUpdated=yesterday", 400),
        ("DiagnosticReport?_lastUpdated=ge0001-01-01T00:00:00%2B23:59", 400),
        ("ImagingStudy?identifier=a%00b", 400),
        ("ServiceRequest/unknown", 404),
    ],
)
def test_refusals_are_operation_outcomes(quiet: Pages, path: str, status: int) -> None:
    answer = ask(quiet, path)
    assert answer.status_code == status
    OperationOutcome.model_validate(answer.json())


def test_nobody_comes_in_without_the_token_and_every_look_is_audited(pages: Pages) -> None:
    signed(pages, "Normal.")
    for token in ("", TOKEN + "x", "é", TOKEN[:-1]):
        answer = pages.browser().http.get(
            "/fhir/DiagnosticReport", headers={b"Authorization": b"Bearer " + token.encode()}
        )
        assert answer.status_code == 401 and "Doe" not in answer.text
    assert ask(pages, "ServiceRequest", token="wrong", body=ORDER).status_code == 401
    before = pages.audit.count('UserID="fhir"')
    ask(pages, "DiagnosticReport/1.2.3")
    assert (
        pages.audit.count('UserID="fhir"') == before + 1
        and 'ParticipantObjectID="1.2.3"' in pages.audit.splitlines()[-1]
    )


def test_wrong_tokens_are_throttled_and_do_not_fill_the_audit_trail(pages: Pages) -> None:
    statuses = [ask(pages, "metadata", token="wrong").status_code for _ in range(25)]
    assert statuses == [401] * 20 + [429] * 5
    assert pages.audit.count('csd-code="110114"') == 20
    assert ask(pages, "metadata").status_code == 200, "who has the token is not kept out"


def test_without_a_token_file_there_is_no_endpoint_and_a_short_token_is_refused(tmp_path: Path) -> None:
    with pages_in(tmp_path / "none") as pages:
        assert pages.browser().get("/fhir/metadata").status_code == 404
    short = tmp_path / "short"
    short.write_text("secret")
    with pages_in(tmp_path / "short-one", fhir_token_file=str(short)) as pages, pytest.raises(ConfigError):
        make_app(pages.site)


def test_report_that_was_changed_in_the_database_is_not_given(pages: Pages) -> None:
    signed(pages, "Normal.")
    with pages.site.database.write() as connection:
        changed = {"new": b"{}"}
        connection.execute(text("UPDATE report_version SET statement = :new WHERE edition = 1"), changed)
    assert ask(pages, "DiagnosticReport/1.2.3").status_code == 404


def orders(pages: Pages) -> list[AnswerRow]:
    with pages.site.database.read() as connection:
        return answers_to(connection, kind="order")


def test_posted_order_reaches_the_unit_once_and_can_be_followed(pages: Pages) -> None:
    ServiceRequest.model_validate(ORDER)
    first = ask(pages, "ServiceRequest", body=ORDER)
    again = ask(pages, "ServiceRequest", body=ORDER)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.headers["Location"] == again.headers["Location"]
    (row,) = orders(pages)
    said: Any = row.answer
    assert (row.unit_id, said.exam_code, said.is_stat, said.reason) == (UNIT_ID, "XR-CHEST-PA", True, "Toux")
    assert (said.patient.family_latin, said.patient.given_arabic, said.patient.sex) == ("Benali", "عائشة", "F")
    assert (said.patient.identifier, said.patient.issuer) == ("N-7", "NATIONAL")
    assert said.scheduled_at == "2026-11-26T09:30:00.000Z" and said.author == "Clinique Sud"
    done = Acknowledgement(
        answer_id=row.answer_id, state=AckState.DELIVERED, at="2026-11-18T12:00:00Z", outcome="On the worklist."
    )
    with pages.site.database.write() as connection:
        assert acknowledge(connection, UNIT_ID, [done]) == []
    followed = ask(pages, first.headers["Location"].removeprefix("/fhir/")).json()
    ServiceRequest.model_validate(followed)
    assert followed["note"][0]["text"] == "On the worklist."


@pytest.mark.parametrize(
    "change",
    [
        {"status": "draft"},
        {"intent": "plan"},
        {"resourceType": "Task"},
        {"code": {"coding": [{"code": "XR-CHEST"}]}},
        {"code": {}},
        {"performer": []},
        {"performer": [{"display": "another van"}]},
        {"subject": {"reference": "Patient/7"}},
        {"contained": [{"resourceType": "Patient", "id": "p"}]},
        {"contained": [{**ORDER["contained"][0], "name": [{"family": "بنعلي"}]}]},
        {"contained": [{**ORDER["contained"][0], "name": [{"family": "Ben=ali"}]}]},
        {"contained": [{**ORDER["contained"][0], "identifier": [{"system": "الوطنية", "value": "1"}]}]},
        {"occurrenceDateTime": "soon"},
        {"reasonCode": [{"text": "x" * 65}]},
        {"subject": 7},
    ],
)
def test_what_no_unit_could_do_is_refused_in_words(quiet: Pages, change: dict[str, Any]) -> None:
    answer = ask(quiet, "ServiceRequest", body={**ORDER, **change})
    assert answer.status_code == 422
    OperationOutcome.model_validate(answer.json())
    assert "Nothing was ordered" in answer.text and orders(quiet) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 60_000, b" " * 70_000])
def test_bodies_that_are_none_are_refused(quiet: Pages, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = quiet.browser().http.post("/fhir/ServiceRequest", content=body, headers=headers)
    assert answer.status_code in (413, 422) and orders(quiet) == []
