"""The reference of the configuration is complete: every bound with its default, every key in a sample."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from appliance import config as unit_config
from appliance.domain.limits import LimitSet
from central import config as central_config

TOP = Path(__file__).resolve().parents[2]
PAGE = TOP / "docs" / "reference" / "configuration.md"


def test_page_names_every_bound_with_its_default_and_no_other() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == {field.name: str(field.default) for field in dataclasses.fields(LimitSet)}


@pytest.mark.parametrize(("side", "module"), [("unit", unit_config), ("central", central_config)])
def test_sample_shows_every_key(side: str, module: ModuleType) -> None:
    sample = (TOP / "appliance" / "samples" / f"{side}.toml").read_text(encoding="utf-8")
    shown = set(re.findall(r"^(?:# )?(\w+) = ", sample, re.MULTILINE)) | set(
        re.findall(r"^(?:# )?\[{1,2}(\w+)\]", sample, re.MULTILINE)
    )
    tables = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    ]
    assert tables
    assert {key for table in tables for key in table.__struct_encode_fields__} <= shown
