"""One gateway with an obedient PACS for a module; tests that kill or configure one start their own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.gateway.rig import Gateway, Pacs, Unit, running_gateway

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def pacs() -> Iterator[Pacs]:
    held = Pacs()
    with held.peer:
        yield held


@pytest.fixture(scope="module")
def gateway(pacs: Pacs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("gateway"), pacs.peer.url) as started:
        yield started


@pytest.fixture
def unit(gateway: Gateway) -> Iterator[Unit]:
    """A unit of its own for each test, enrolled and with a session."""
    with Unit(gateway.url, f"van-{next(_NUMBERS)}") as made:
        yield made.join(gateway)


@pytest.fixture
def other(gateway: Gateway) -> Iterator[Unit]:
    """Another one."""
    with Unit(gateway.url, f"bus-{next(_NUMBERS)}") as made:
        yield made.join(gateway)
