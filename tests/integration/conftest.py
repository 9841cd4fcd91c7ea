"""Fixtures that several modules of integration tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pynetdicom import _config

from tests.support.encoder_bench import background, control
from tests.support.gatekeepers import LIMITS, GatekeeperProcess, StandIn, running_gatekeeper, stand_in
from tests.support.world import wait_for

__all__ = ["background", "control"]


@pytest.fixture(autouse=True)
def plain_modality(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modalities made here send as pynetdicom does by itself; our adapters switch that for the whole process."""
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", False)


@pytest.fixture(scope="module")
def orthanc() -> Iterator[StandIn]:
    with stand_in() as server:
        yield server


@pytest.fixture(scope="module")
def shared(orthanc: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatekeeperProcess]:
    with running_gatekeeper(tmp_path_factory.mktemp("gate"), orthanc.port, LIMITS) as gatekeeper:
        yield gatekeeper


@pytest.fixture
def gate(shared: GatekeeperProcess, orthanc: StandIn) -> GatekeeperProcess:
    """The shared one, with nobody connected and nothing remembered."""
    wait_for(lambda: shared.facts().get("fill", {}).get("connection_count", [1])[0] == 0, "an empty gatekeeper")
    orthanc.stored.clear()
    return shared
