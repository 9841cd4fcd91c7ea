"""``qafila unit enrol --handed``: the code that was left for the unit is used up, and a refused one says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance import handed
from appliance.cli.main import main
from appliance.config import UnitConfig, load_unit
from appliance.identity import read_identity
from tests.gateway.rig import Gateway


def _unit(folder: Path, url: str) -> UnitConfig:
    toml = folder / "unit.toml"
    toml.write_text(
        f'[unit]\nname = "handed-van"\ndata_dir = "{folder}/unit"\n'
        f'[[destination]]\nkind = "gateway"\nname = "centre"\nurl = "{url}"\n',
        encoding="utf-8",
    )
    return load_unit(toml)


def _use(folder: Path) -> int:
    return main(["unit", "enrol", "--config", str(folder / "unit.toml"), "--handed"])


def test_code_that_was_handed_over_enrols_the_unit_and_is_gone(gateway: Gateway, tmp_path: Path) -> None:
    config = _unit(tmp_path, gateway.url)
    handed.give_code(config.handed_dir, gateway.code("handed-van"))
    assert _use(tmp_path) == 0
    assert read_identity(config.identity_dir, "centre") is not None
    assert (handed.code(config.handed_dir), handed.refusal(config.handed_dir)) == ("", "")


@pytest.mark.parametrize(("code", "said"), [("ABCD-EFGH-JKMN-PQRS", "does not accept this code"), ("AB", "code")])
def test_code_that_is_of_no_use_is_gone_and_says_why(gateway: Gateway, tmp_path: Path, code: str, said: str) -> None:
    config = _unit(tmp_path, gateway.url)
    handed.give_code(config.handed_dir, code)
    assert _use(tmp_path) == 0
    assert read_identity(config.identity_dir, "centre") is None
    assert handed.code(config.handed_dir) == ""
    assert said in handed.refusal(config.handed_dir)


def test_code_waits_while_the_centre_is_not_reached(tmp_path: Path) -> None:
    config = _unit(tmp_path, "http://127.0.0.1:9")
    handed.give_code(config.handed_dir, "ABCD-EFGH-JKMN-PQRS")
    assert _use(tmp_path) == 0
    assert handed.code(config.handed_dir) == "ABCD-EFGH-JKMN-PQRS"
