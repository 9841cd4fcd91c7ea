"""``qafila quality`` and the findings in ``qafila study``: sentences, JSON and exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.domain.quality import CheckCode, Finding, Severity
from appliance.store.connect import open_unit
from appliance.store.quality import next_due, save_run
from tests.cli.running import Qafila
from tests.support.unit_store import made_unit, study_uid

STUDY = study_uid(1)
HIGH = Finding(CheckCode.EXPOSURE_HIGH, Severity.WARNING, {"deviation_index": 3.4})
UNKNOWN = Finding(CheckCode.ORDER_UNKNOWN, Severity.NOTICE)


@pytest.fixture
def qafila(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Qafila:
    """Two studies; of the newer one a finding is told."""
    made_unit(tmp_path, 2, now_s=SystemClock().wall_s())
    return Qafila(str(tmp_path / "unit.toml"), capsys)


def check_newest(tmp_path: Path, *findings: Finding, version: int = 1) -> None:
    with open_unit(tmp_path / "data" / "unit.db") as db:
        due = next_due(db, version)
        assert due is not None
        save_run(
            db,
            db.stamp(),
            due,
            checks_version=version,
            blob_uuid="",
            order_digest="",
            outcome="checked",
            findings=findings,
        )


def test_findings_are_told_in_the_language_asked_for(qafila: Qafila, tmp_path: Path) -> None:
    check_newest(tmp_path, HIGH, UNKNOWN)
    said = qafila("quality", STUDY, "--lang", "en")
    assert said.code == 1
    assert said.out.splitlines()[0] == "! Warning: DI +3.4 - too much exposure."
    assert "DI +3,4 - exposition trop forte." in qafila("quality", STUDY, "--lang", "fr").out
    assert "تعريض زائد" in qafila("quality", STUDY, "--lang", "ar").out
    assert "! Warning: DI +3.4 - too much exposure." in qafila("study", STUDY, "--lang", "en").out


def test_language_is_that_of_the_terminal(qafila: Qafila, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_newest(tmp_path, HIGH)
    monkeypatch.setenv("LANG", "fr_FR.UTF-8")
    assert "exposition trop forte" in qafila("quality", STUDY).out
    monkeypatch.setenv("LANG", "C")
    assert "too much exposure" in qafila("quality", STUDY).out


def test_notice_alone_needs_nobody(qafila: Qafila, tmp_path: Path) -> None:
    check_newest(tmp_path, UNKNOWN)
    assert qafila("quality", STUDY).code == 0


def test_what_was_not_checked_is_said(qafila: Qafila) -> None:
    said = qafila("quality", STUDY)
    assert said.code == 0 and said.out == "Not checked yet: 1 of 1.\n"
    facts = qafila("quality", STUDY, "--json").facts
    assert [run["outcome"] for run in facts["instances"]] == ["due"]


def test_cleared_finding_is_shown_on_request_only(qafila: Qafila, tmp_path: Path) -> None:
    check_newest(tmp_path, HIGH)
    check_newest(tmp_path, version=2)  # the other study, which is new
    check_newest(tmp_path, version=2)
    assert qafila("quality", STUDY).out == "Nothing found.\n"
    said = qafila("quality", STUDY, "--cleared", "--lang", "en")
    assert said.code == 0 and said.out.startswith("(cleared) ! Warning")


def test_overview_names_studies_with_findings(qafila: Qafila, tmp_path: Path) -> None:
    assert qafila("quality").out == "Nothing found.\n"
    check_newest(tmp_path, HIGH, UNKNOWN)
    said = qafila("quality")
    assert (said.code, said.out) == (1, f"{STUDY}  1 warning, 1 notice\n")
    (study,) = qafila("quality", "--json").facts["studies"]
    assert study == {"study_instance_uid": STUDY, "findings": {"alarm": 0, "warning": 1, "notice": 1}}


def test_json_of_a_study_carries_sentence_and_values(qafila: Qafila, tmp_path: Path) -> None:
    check_newest(tmp_path, HIGH)
    (finding,) = qafila("study", STUDY, "--json", "--lang", "en").facts["findings"]
    assert finding["sentence"] == "DI +3.4 - too much exposure."
    assert (finding["check_code"], finding["values"]) == ("exposure-high", {"deviation_index": 3.4})
