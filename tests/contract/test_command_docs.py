"""The pages about command and screen name everything that is there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from appliance.cli import exits
from appliance.cli.evict import StudyVerdict
from appliance.cli.main import COMMANDS, main
from appliance.domain import snapshot, values
from appliance.health.check import Level, Result
from appliance.store.commands import Command
from appliance.store.registrations import RegistrationRow
from tests.contract import keys_page
from tui.actions import ACTIONS, offered
from tui.screens.page import Page

DOCS = Path(__file__).resolve().parents[2] / "docs"
CLI_PAGE = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
SCREEN_PAGE = (DOCS / "how-to" / "read-the-screen.md").read_text(encoding="utf-8")
SHAPES = (
    snapshot.Snapshot,
    snapshot.StudyRow,
    snapshot.DestinationProgress,
    snapshot.InstanceRow,
    snapshot.QueueRow,
    snapshot.LinkRow,
    snapshot.FindingRow,
    snapshot.PowerState,
    values.JournalEntry,
    Command,
    Result,
    StudyVerdict,
    RegistrationRow,
)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"`qafila {name}" in CLI_PAGE
    assert main([name, "--help"]) == 0
    assert f"usage: qafila {name}" in capsys.readouterr().out


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"\n    {name} " in listed for name in COMMANDS)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_field_that_json_shows_is_documented(shape: type) -> None:
    names = {field.name for field in dataclasses.fields(shape)}
    assert [name for name in sorted(names) if f"`{name}`" not in CLI_PAGE] == []


@pytest.mark.parametrize(
    "words",
    [snapshot.StudyState, values.ItemState, values.LocalState, values.LinkState, Level],
    ids=lambda e: e.__name__,
)
def test_every_word_that_json_uses_is_documented(words: type[snapshot.StudyState]) -> None:
    assert [word for word in words if f"`{word}`" not in CLI_PAGE] == []


def test_every_exit_code_is_documented() -> None:
    codes = [value for name, value in vars(exits).items() if name.isupper()]
    assert [code for code in codes if f"\n| {code} |" not in CLI_PAGE] == []


def test_every_key_is_documented() -> None:
    named = [action.key_name for action in ACTIONS if action.key and action.action_id != "leave"]
    assert [key for key in named if f"\n| {key} |" not in SCREEN_PAGE] == []


@pytest.mark.parametrize("page", keys_page.page_classes(), ids=lambda page: page.__name__)
def test_every_action_of_a_page_has_a_method_and_a_key_of_its_own(page: type[Page]) -> None:
    from tui.app import QafilaApp

    ours = offered(page.ACTION_IDS)
    assert {*page.ACTION_IDS} <= {one.action_id for one in ours}
    assert all(hasattr(page, f"do_{one.action_id}") or hasattr(QafilaApp, f"do_{one.action_id}") for one in ours)
    keys = [key for one in ours for key in one.keys]
    assert len(keys) == len(set(keys))


def test_page_of_the_keys_is_what_the_registry_says() -> None:
    written = keys_page.PATH.read_text(encoding="utf-8")
    assert written == keys_page.page(), "run: python -m tests.contract.keys_page --write"
