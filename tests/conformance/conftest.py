"""The centres and the destinations that every conformance test runs against."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from appliance.clock import Clock, SystemClock
from appliance.config import DestinationTable, DicomwebDestination, DimseDestination
from appliance.domain.limits import LimitSet
from sync.adapters.base import Destination, SendItem
from sync.adapters.build import build
from tests.support.files import small_chest
from tests.support.orthancs import OrthancHandle, orthanc_commands
from tests.support.pacs import OUR_AE_TITLE, forget_all, item_of, start_central
from tests.support.ports import free_port

LIMITS = LimitSet(verify_poll_s_max=20.0)
PROOFS: dict[str, Literal["commitment", "move", "wado"]] = {
    "commitment": "commitment",
    "move": "move",
    "wado": "wado",
}
KINDS = ("dicomweb", *PROOFS)


@dataclass
class Centre:
    """A running Orthanc and where it reports to."""

    orthanc: OrthancHandle
    listener_port: int

    def table(self, kind: str, *, http_port: int = 0, dicom_port: int = 0) -> DestinationTable:
        """A destination of this kind; other ports lead through a proxy."""
        url = f"http://127.0.0.1:{http_port or self.orthanc.http_port}/dicom-web"
        if kind == "dicomweb":
            return DicomwebDestination(name="centre", url=url)
        return DimseDestination(
            name="centre",
            host="127.0.0.1",
            port=dicom_port or self.orthanc.dicom_port,
            called_ae_title="CENTRE",
            calling_ae_title=OUR_AE_TITLE,
            proof=PROOFS[kind],
            commitment_port=self.listener_port,
            wado_url=url,
        )


@dataclass
class Bench:
    """One kind of destination at one centre."""

    kind: str
    centre: Centre
    work_dir: Path
    made: list[Destination]

    def destination(
        self, *, clock: Clock | None = None, limits: LimitSet = LIMITS, http_port: int = 0, dicom_port: int = 0
    ) -> Destination:
        """The adapter as the unit would build it; closed at the end of the test."""
        table = self.centre.table(self.kind, http_port=http_port, dicom_port=dicom_port)
        destination = build(table, limits, clock or SystemClock(), self.work_dir)
        self.made.append(destination)
        return destination

    def behind(self, port_of_proxy: int, *, clock: Clock | None = None, limits: LimitSet = LIMITS) -> Destination:
        """The adapter with the proxy on the way it sends over."""
        if self.kind == "dicomweb":
            return self.destination(http_port=port_of_proxy, clock=clock, limits=limits)
        return self.destination(dicom_port=port_of_proxy, clock=clock, limits=limits)

    @property
    def sending_port(self) -> int:
        """Where the centre takes instances."""
        orthanc = self.centre.orthanc
        return orthanc.http_port if self.kind == "dicomweb" else orthanc.dicom_port


@pytest.fixture(scope="session", params=orthanc_commands(), ids=lambda command: Path(command).name)
def centre(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    """A real Orthanc, one for all tests of a version; each test starts with it empty."""
    listener_port = free_port()
    with start_central(request.param, tmp_path_factory.mktemp("centre"), listener_port) as orthanc:
        yield Centre(orthanc, listener_port)


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, centre: Centre, tmp_path: Path) -> Iterator[Bench]:
    """Every kind of destination in turn."""
    forget_all(centre.orthanc)
    made: list[Destination] = []
    yield Bench(request.param, centre, tmp_path / "work", made)
    for destination in made:
        destination.close()
    shutil.rmtree(tmp_path / "work", ignore_errors=True)


@pytest.fixture
def items(tmp_path: Path) -> list[SendItem]:
    """Three instances of one study."""
    return [item_of(small_chest(tmp_path / f"{n}.dcm", 1, study_instance_uid="2.25.7", number=n), n) for n in (1, 2, 3)]
