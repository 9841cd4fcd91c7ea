"""One migrated unit for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.store.connect import Store
from tests.store.made import fresh_unit


@pytest.fixture
def unit(tmp_path: Path) -> Iterator[Store]:
    """A fresh ``unit.db``, opened for writing."""
    with fresh_unit(tmp_path) as store:
        yield store
