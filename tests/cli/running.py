"""Runs ``qafila`` in this process and takes apart what it said."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from appliance.cli.main import main


@dataclass(frozen=True)
class Said:
    """Exit code and both outputs."""

    code: int
    out: str
    err: str

    @property
    def facts(self) -> Any:
        """Standard output as one JSON value."""
        return json.loads(self.out)


class Qafila:
    """``qafila(...)`` with the unit's configuration already given."""

    def __init__(self, config: str, capsys: pytest.CaptureFixture[str]) -> None:
        self._config = config
        self._capsys = capsys

    def __call__(self, *words: str) -> Said:
        self._capsys.readouterr()
        code = main([*words, "--config", self._config])
        out, err = self._capsys.readouterr()
        assert "Traceback" not in err
        return Said(code, out, err)
