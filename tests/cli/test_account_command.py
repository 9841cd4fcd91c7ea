"""``qafila central account``."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from appliance.cli.main import main


@pytest.fixture
def toml(tmp_path: Path) -> str:
    path = tmp_path / "central.toml"
    path.write_text(f'[centre]\ndata_dir = "{tmp_path}/data"\n', encoding="utf-8")
    return str(path)


def test_account_is_made_listed_disabled_and_given_another_password(
    toml: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*words: str, typed: str = "") -> tuple[int, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        code = main(["central", "account", *words, "--config", toml])
        return code, capsys.readouterr().out

    code, out = ask("add", "Aminata", "--role", "reader", "--generate", "--json")
    assert code == 0 and len(json.loads(out)["password"]) >= 20
    assert ask("add", "aminata", "--role", "admin", "--generate")[0] == 2
    assert ask("password", "aminata", typed="caravane du desert\n") == (
        0,
        "aminata has a new password; whoever was signed in with it is out.\n",
    )
    assert ask("password", "aminata", typed="short\n")[0] == 2
    assert ask("disable", "aminata")[0] == 0
    assert "disabled" in ask("list")[1]
    assert ask("enable", "aminata")[0] == 0
    assert "may sign in" in ask("list")[1]
    assert ask("disable", "nobody")[0] == 4
    assert ask("add", "../x", "--role", "admin", "--generate")[0] == 2
