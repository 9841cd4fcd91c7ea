"""A unit that has only its database, for commands that need no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.config import load_unit
from appliance.store.connect import migrate
from tests.cli.running import Qafila
from tests.support.unit_store import unit_toml


@pytest.fixture
def bare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Qafila:
    """``qafila`` on a fresh unit where nothing runs."""
    config = load_unit(unit_toml(tmp_path))
    config.data_dir.mkdir(parents=True)
    migrate(config.unit_db, config.door_db)
    return Qafila(str(tmp_path / "unit.toml"), capsys)
