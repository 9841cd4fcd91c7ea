"""``qafila worklist``: the list, and what a person does to an exam on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import Qafila
from tests.cli.test_register import answers

EXAM = ("--new-person", "--sex", "M", "--age", "40")


def register(bare: Qafila, family: str, *words: str) -> dict[str, Any]:
    said = bare("register", *EXAM, "--family", family, *words, "--json")
    assert said.code == 0, said.err
    made: dict[str, Any] = said.facts["registration"]
    return made


def families(bare: Qafila, *words: str) -> list[str]:
    rows = bare("worklist", *words, "--json").facts["registrations"]
    return [row["patient_name"].split("^")[0] for row in rows]


def test_list_shows_open_exams_up_to_today_with_urgent_ones_first(bare: Qafila) -> None:
    register(bare, "Late", "--exam", "US-RENAL", "--at", "23:59")
    register(bare, "Old", "--exam", "US-RENAL", "--at", "2020-01-02 10:00")
    register(bare, "Future", "--exam", "US-RENAL", "--at", "2099-01-02 10:00")
    register(bare, "Urgent", "--exam", "XR-CHEST-PA", "--at", "23:59", "--stat")
    assert families(bare) == ["Urgent", "Old", "Late"]
    assert families(bare, "--day", "today") == ["Urgent", "Late"]
    assert families(bare, "--day", "2020-01-02") == families(bare, "--day", "٢٠٢٠-٠١-٠٢") == ["Old"]
    assert families(bare, "--day", "all") == ["Urgent", "Old", "Late", "Future"]
    assert families(bare, "--modality", "dx") == ["Urgent"]
    assert families(bare, "--limit", "1") == ["Urgent"]
    assert families(bare, "--day", "tomorrow") == []
    shown = bare("worklist").out
    assert shown.index("Urgent") < shown.index("Late") and "STAT" in shown and "2020" in shown


@pytest.mark.parametrize(
    ("action", "state"), [("cancel", "cancelled"), ("discontinue", "discontinued"), ("complete", "completed")]
)
def test_exam_leaves_the_list_and_comes_back(bare: Qafila, tmp_path: Path, action: str, state: str) -> None:
    number = register(bare, "Tazi", "--exam", "US-RENAL")["accession_number"]
    assert len(answers(tmp_path, "SONO", "ascii")) == 1
    said = bare("worklist", action, number[-6:].lower(), "--reason", "because", "--json")
    assert said.code == 0 and said.facts["registration"]["state"] == state
    assert answers(tmp_path, "SONO", "ascii") == [] and families(bare) == []
    assert families(bare, "--state", "all") == families(bare, "--state", state) == ["Tazi"]
    assert bare("worklist", action, number).code == 0
    assert "on the worklist again" in bare("worklist", "reopen", number).out
    assert len(answers(tmp_path, "SONO", "ascii")) == 1
    assert "because" in bare("journal").out


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("cancel",), 2, "Which exam?"),
        (("cancel", "NOTHING"), 4, "There is no exam 'NOTHING'"),
        (("--day", "someday"), 2, "is no day"),
    ],
)
def test_wrong_use_is_a_sentence(bare: Qafila, words: tuple[str, ...], code: int, named: str) -> None:
    said = bare("worklist", *words)
    assert said.code == code and named in said.err


def test_move_that_makes_no_sense_is_refused(bare: Qafila) -> None:
    number = register(bare, "Tazi", "--exam", "US-RENAL")["accession_number"]
    bare("worklist", "cancel", number)
    said = bare("worklist", "complete", number)
    assert said.code == 1 and "is cancelled and cannot become completed" in said.err


def test_empty_list_says_so(bare: Qafila) -> None:
    assert bare("worklist").out == "Nobody waits.\n"
