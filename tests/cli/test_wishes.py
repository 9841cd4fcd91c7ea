"""Commands that ask for something write one row, say so, and can wait for the answer."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from appliance.cli import wishes
from appliance.clock import SystemClock
from appliance.store.commands import finish_command, open_commands
from appliance.store.connect import open_unit, write
from tests.cli.running import Qafila
from tests.support.unit_store import made_unit, study_uid


@pytest.fixture
def qafila(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Qafila:
    made_unit(tmp_path, 3, now_s=SystemClock().wall_s(), confirmed_count=1)
    return Qafila(str(tmp_path / "unit.toml"), capsys)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("hold",), "hold"),
        (("release",), "release"),
        (("retry",), "retry"),
        (("stat",), "stat"),
        (("stat", "--off"), "routine"),
        (("evict",), "evict"),
    ],
)
def test_wish_becomes_one_command_row(qafila: Qafila, tmp_path: Path, words: tuple[str, ...], kind: str) -> None:
    said = qafila(*words, "7.1", "--reason", "because")
    assert said.code == 0
    with open_unit(tmp_path / "data" / "unit.db") as db:
        given = open_commands(db)
    assert [(one.kind, one.study_instance_uid, one.reason) for one in given] == [(kind, study_uid(1), "because")]


def test_evict_all_asks_only_for_complete_studies(qafila: Qafila, tmp_path: Path) -> None:
    assert qafila("evict", "--all").code == 0
    with open_unit(tmp_path / "data" / "unit.db") as db:
        assert [one.study_instance_uid for one in open_commands(db)] == [study_uid(0)]


def test_evict_without_a_study_removes_and_asks_nothing(qafila: Qafila, tmp_path: Path) -> None:
    said = qafila("evict")
    assert said.code == 2 and "Nothing was removed" in said.err
    with open_unit(tmp_path / "data" / "unit.db") as db:
        assert open_commands(db) == ()


def test_wait_prints_the_outcome_that_sync_wrote(qafila: Qafila, tmp_path: Path) -> None:
    stop = threading.Event()

    def sync() -> None:
        with open_unit(tmp_path / "data" / "unit.db") as db:
            while not stop.wait(0.02):
                for command in open_commands(db):
                    finish_command(db, db.stamp(), command.command_id, "1 image on hold.")
                    stop.set()

    thread = threading.Thread(target=sync)
    thread.start()
    try:
        said = qafila("hold", "7.2", "--wait")
    finally:
        stop.set()
        thread.join()
    assert (said.code, said.out) == (0, "1 image on hold.\n")


def test_wait_that_ends_without_an_answer_says_that_it_stays_noted(
    qafila: Qafila, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wishes, "WAIT_S", 0.0)
    said = qafila("hold", "7.2", "--wait")
    assert said.code == 5 and "Nothing is lost" in said.err
    with open_unit(tmp_path / "data" / "unit.db") as db:
        assert len(open_commands(db)) == 1


def test_locked_database_is_a_sentence_and_nothing_is_noted(
    qafila: Qafila, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wishes, "WRITE_WAIT_S", 0.05)
    with open_unit(tmp_path / "data" / "unit.db") as db, write(db):
        said = qafila("hold", "7.1")
    assert said.code == 3 and "another program has been writing" in said.err and "try again" in said.err
    with open_unit(tmp_path / "data" / "unit.db") as db:
        assert open_commands(db) == ()
