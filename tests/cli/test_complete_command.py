"""``qafila complete``: a person says that all of a study is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.domain.performed import PerformedInstance, Purpose, StepContent, StepState
from appliance.store.completion import read_completion
from appliance.store.connect import open_reader, open_unit
from appliance.store.performed import create_step
from tests.cli.running import Qafila
from tests.support.unit_store import made_unit, study_uid

NOW_S = 1_800_000_000.0


def test_person_completes_a_study_with_a_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = made_unit(tmp_path, 2, now_s=NOW_S)
    qafila = Qafila(str(tmp_path / "unit.toml"), capsys)
    said = qafila("complete", study_uid(0), "--reason", "patient has left", "--json")
    assert said.code == 0
    assert said.facts["completion"]["reason"] == "person"
    assert "is complete" in qafila("complete", study_uid(0)).out
    with open_reader(config.unit_db) as db:
        found = [read_completion(db, study_uid(number)) for number in range(2)]
        journal = db.rows("SELECT event, detail FROM journal WHERE subject = 'study'")
    assert [each.reason if each else "" for each in found] == ["person", None]
    assert journal == [("complete (person)", "patient has left")]


def test_study_shows_what_its_device_said_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = made_unit(tmp_path, 1, now_s=NOW_S)
    qafila = Qafila(str(tmp_path / "unit.toml"), capsys)
    named = tuple(PerformedInstance("1.2.9", "1.2.840.10008.5.1.4.1.1.1.1", uid) for uid in ("1.2.404", "1.2.405"))
    purposes = (Purpose(study_uid(0)),)
    with open_unit(config.unit_db) as db:
        content = StepContent(
            StepState.COMPLETED, "P1", "XRAY", "DX", "", "20270115080000", purposes=purposes, instances=named
        )
        create_step(db, db.stamp(), "1.7", "XRAY", content, b"data set")
    said = qafila("study", study_uid(0)).out
    assert "more images may come" in said
    assert "XRAY completed, 0 of 2 images here" in said
    assert qafila("complete", study_uid(0)).code == 0
    assert (
        "complete: a person said so; 2 images that its device named did not come" in qafila("study", study_uid(0)).out
    )
    facts = qafila("study", study_uid(0), "--json").facts
    assert (facts["completion"]["reason"], facts["completion"]["missing_count"]) == ("person", 2)
    assert [(step["state"], step["arrived_count"]) for step in facts["steps"]] == [("completed", 0)]


def test_study_that_is_not_here_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_unit(tmp_path, 1, now_s=NOW_S)
    said = Qafila(str(tmp_path / "unit.toml"), capsys)("complete", "1.404")
    assert said.code == 4
    assert "1.404" in said.err
