"""One site a module; tests make the accounts and studies that they look at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.review.rig import Pages, pages_in


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with pages_in(tmp_path_factory.mktemp("pages")) as made:
        yield made
