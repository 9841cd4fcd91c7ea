"""The commands about whose pictures these are, as people type them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.cli.main import main
from appliance.domain.values import ItemState
from appliance.store.rejections import rejected
from appliance.store.revisions import corrections_of
from tests.support.correcting import Desk, desk

STUDY = "1.2.826.0.1.3680043.8.498.99"


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


@pytest.fixture
def toml(at: Desk, tmp_path: Path) -> str:
    return str(tmp_path / "unit.toml")


def test_day_of_corrections_from_the_first_exception_to_the_last_undo(
    at: Desk, toml: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def qafila(*words: str) -> tuple[int, Any]:
        code = main([*words, "--config", toml, "--json"])
        return code, json.loads(capsys.readouterr().out)

    hers, his = at.register("BENALI", "Fatima", arabic="بنعلي"), at.register("SAIDI", "Omar", birth="19750505")
    first, second = (at.picture(study=STUDY, PatientID="X9", PatientName="TEMP^1") for _ in range(2))
    code, shown = qafila("exceptions")
    assert code == 1
    (exception,) = shown["exceptions"]
    assert (exception["study_instance_uid"], exception["exception"]) == (STUDY, "unknown-patient")

    exam = hers.registration.accession_number
    code, shown = qafila("reconcile", STUDY, exam[-6:], "--reason", "asked her", "--actor", "amina")
    assert (code, shown["actions"][0]["revised_count"]) == (0, 2)
    assert qafila("exceptions") == (0, {"exceptions": []})
    assert str(at.said(first).PatientName).startswith("BENALI^Fatima=")
    (action,) = corrections_of(at.db, STUDY)
    assert (action.actor, action.reason, action.kind) == ("amina", "asked her", "reconcile")

    code, _ = qafila("correct", STUDY, "Laterality=R", "--image", first, "--reason", "marker seen")
    assert (code, at.said(first).Laterality) == (0, "R")

    code, shown = qafila(
        "split", STUDY, his.registration.accession_number, "--image", second, "--reason", "still on the screen"
    )
    assert code == 0
    (made,) = shown["made"]
    assert (made["role"], made["stored_at"]) == ("copy", ""), "the door is closed: it waits"
    split_id = shown["actions"][0]["action_id"]
    assert qafila("undo", str(split_id)) == (0, {"undone": [split_id]})
    assert rejected(at.db) == ()

    code, shown = qafila("reject", STUDY, "motion", "--image", second)
    assert (code, [one.sop_instance_uid for one in rejected(at.db)]) == (0, [second])
    at.sync()
    assert at.state(first) is ItemState.PENDING


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("reconcile", STUDY, "NOBODY", "--reason", "x"), 4, "no-such-registration"),
        (("correct", STUDY, "PixelSpacing=1", "--reason", "x"), 2, "usage"),
        (("correct", STUDY, "PatientID=1", "--image", "1.2.3", "--reason", "x"), 1, "of-the-study"),
        (("correct", "7.7.7", "PatientID=1", "--reason", "x"), 4, "no-such-study"),
        (("merge", "NOBODY", "NOBODY", "--reason", "x"), 4, "no-such-patient"),
        (("reject", STUDY, "motion", "--image", "1.2.3"), 4, "no-such-image"),
        (("undo", "77"), 4, "no-such-action"),
    ],
)
def test_refused_action_says_what_to_do_and_changes_nothing(
    at: Desk, toml: str, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], exit_code: int, code: str
) -> None:
    at.picture(study=STUDY)
    assert main([*words, "--config", toml, "--json"]) == exit_code
    said = json.loads(capsys.readouterr().out)
    assert said["code"] == code
    assert corrections_of(at.db, STUDY) == ()


def test_people_without_json_read_a_sentence(at: Desk, toml: str, capsys: pytest.CaptureFixture[str]) -> None:
    at.picture(study=STUDY, PatientID="X9")
    assert main(["exceptions", "--config", toml]) == 1
    assert "unknown-patient: Nobody with this patient ID is registered here." in capsys.readouterr().out
    assert main(["correct", STUDY, "PatientID=X8", "--reason", "typed wrongly", "--config", toml]) == 0
    assert capsys.readouterr().out == "1 picture: 1 corrected. Action 1; 'qafila undo 1' takes it back.\n"
    assert main(["undo", "1", "--config", toml]) == 0
    assert "Everything is as it was before." in capsys.readouterr().out
