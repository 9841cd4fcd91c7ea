"""Which process an association goes to, by what it asks for and whom it calls."""

from __future__ import annotations

import pytest
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import time by pynetdicom
    DigitalXRayImageStorageForPresentation,
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    Verification,
)

from appliance.config import DicomTable, ServicesTable, UnitConfig
from appliance.gatekeeper.pdu import APPLICATION_CONTEXT, AssociateRequest, ProposedContext
from appliance.gatekeeper.route import is_called_rightly, route_of

CONFIG = UnitConfig(dicom=DicomTable(ae_title="QAFILA"), services=ServicesTable(ae_title="QAFILA-SC", port=9))
SAME_TITLE = UnitConfig(dicom=DicomTable(ae_title="QAFILA"))
ECHO, STEP, COMMIT = Verification, ModalityPerformedProcedureStep, StorageCommitmentPushModel
FILM, WORKLIST = DigitalXRayImageStorageForPresentation, ModalityWorklistInformationFind


def _request(*classes: str, called: str = "QAFILA") -> AssociateRequest:
    contexts = tuple(ProposedContext(2 * n + 1, str(uid), ("1.2.840.10008.1.2",)) for n, uid in enumerate(classes))
    return AssociateRequest(called, "XRAY", True, APPLICATION_CONTEXT, contexts, None, None)


@pytest.mark.parametrize("classes", [(STEP,), (COMMIT,), (STEP, COMMIT), (ECHO, COMMIT), (ECHO, STEP, COMMIT)])
@pytest.mark.parametrize("config", [CONFIG, SAME_TITLE])
def test_association_for_services_alone_goes_to_them(classes: tuple[str, ...], config: UnitConfig) -> None:
    route = route_of(_request(*classes), config)
    assert (route.name, route.port) == ("services", config.services.port)
    assert route.limits.object_bytes_max == config.limits.service_data_set_bytes_max


@pytest.mark.parametrize("classes", [(ECHO,), (FILM,), (WORKLIST,), (FILM, COMMIT), (WORKLIST, STEP), (FILM, ECHO)])
def test_anything_else_goes_to_orthanc_whole(classes: tuple[str, ...]) -> None:
    route = route_of(_request(*classes), CONFIG)
    assert (route.name, route.port, route.limits) == ("orthanc", CONFIG.orthanc.dicom_port, CONFIG.limits)
    assert route.refused_context_ids == {2 * n + 1 for n, uid in enumerate(classes) if uid in (STEP, COMMIT)}


def test_echo_goes_to_whom_it_calls() -> None:
    assert route_of(_request(ECHO, called="QAFILA-SC"), CONFIG).name == "services"
    assert route_of(_request(ECHO, called="QAFILA"), CONFIG).name == "orthanc"


@pytest.mark.parametrize(
    ("request_", "config", "expected"),
    [
        (_request(FILM), CONFIG, True),
        (_request(COMMIT), CONFIG, True),
        (_request(COMMIT, called="QAFILA-SC"), CONFIG, True),
        (_request(ECHO, called="QAFILA-SC"), CONFIG, True),
        (_request(FILM, called="QAFILA-SC"), CONFIG, False),
        (_request(FILM, COMMIT, called="QAFILA-SC"), CONFIG, False),
        (_request(COMMIT, called="OTHER"), CONFIG, False),
        (_request(COMMIT, called=""), SAME_TITLE, False),
    ],
)
def test_title_of_the_services_counts_for_them_only(
    request_: AssociateRequest, config: UnitConfig, expected: bool
) -> None:
    assert is_called_rightly(request_, config) is expected
