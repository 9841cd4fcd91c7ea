"""The real ``qafila tui`` in a pseudo-terminal over a real store: 10,000 studies, no Orthanc, nothing running."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.store.commands import open_commands
from appliance.store.connect import open_unit, write
from tests.support.unit_store import made_unit, unit_toml
from tests.tui.terminal import CTRL_Q, F3, terminal


@pytest.fixture(scope="module")
def big_unit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("big")
    made_unit(folder, 10_000, now_s=SystemClock().wall_s(), confirmed_count=500)
    return folder / "unit.toml"


@pytest.mark.fault(71)
def test_screen_paints_10000_studies_and_takes_a_command_with_nothing_else_running(big_unit: Path) -> None:
    with terminal(big_unit) as screen:
        screen.wait_for_text("PATIENT, Number9999")
        screen.type(F3)
        screen.wait_for_text("Retenu : PATIENT")
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0
    with open_unit(big_unit.parent / "data" / "unit.db") as db:
        assert [command.kind for command in open_commands(db)] == ["hold"]


def test_screen_paints_and_answers_while_another_program_holds_the_write_lock(big_unit: Path) -> None:
    with open_unit(big_unit.parent / "data" / "unit.db") as db, write(db), terminal(big_unit) as screen:
        screen.wait_for_text("PATIENT, Number9999")
        screen.type(F3)
        screen.wait_for_text("bloquées par un autre")
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0


def test_screen_says_in_words_that_there_is_no_database(tmp_path: Path) -> None:
    with terminal(unit_toml(tmp_path)) as screen:
        screen.wait_for_text("aucune donnée")
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0


@pytest.mark.parametrize("damage", ["junk", "newer"])
def test_screen_says_in_words_that_the_database_cannot_be_used(tmp_path: Path, damage: str) -> None:
    config = made_unit(tmp_path, 1, now_s=SystemClock().wall_s())
    if damage == "junk":
        config.unit_db.write_bytes(b"this is no database" * 1000)
        words = "sont abîmées"
    else:
        with open_unit(config.unit_db) as db:
            db.rows("PRAGMA user_version = 1000")
        words = "autre version"
    with terminal(tmp_path / "unit.toml") as screen:
        screen.wait_for_text(words)
        screen.type(CTRL_Q)
        assert screen.exit_code() == 0
