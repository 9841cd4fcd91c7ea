"""MPPS and Storage Commitment through the gatekeeper, alone and in a whole unit on real Orthancs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from pydicom.uid import DigitalXRayImageStorageForPresentation, SecondaryCaptureImageStorage, generate_uid
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import time by pynetdicom
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    Verification,
)

from tests.support.gatekeepers import PATIENT, running_gatekeeper, stand_in
from tests.support.orthancs import orthanc_commands
from tests.support.ports import free_port
from tests.support.services import (
    Console,
    ReportServer,
    commitment_request,
    committed,
    failures,
    rejection,
    running_services,
    step_created,
    step_ended,
)
from tests.support.world import Modality, make_unit, wait_for

HEAR_S_MAX = 60.0
TRANSIENT_CONGESTION = (2, 3, 1)
DX = str(DigitalXRayImageStorageForPresentation)
SERVICES_ONLY = [Verification, ModalityPerformedProcedureStep, StorageCommitmentPushModel]


def test_association_is_rejected_for_now_while_the_services_are_down(tmp_path: Path) -> None:
    with stand_in() as orthanc, running_gatekeeper(tmp_path, orthanc.port, PATIENT) as gatekeeper:
        assert rejection(gatekeeper.port, "XRAY1") == TRANSIENT_CONGESTION
        gatekeeper.wait_refused("services-unavailable")
        assert orthanc.association_count == 0


def test_association_with_the_services_stalls_none_with_orthanc(tmp_path: Path) -> None:
    """Stopped, they hold only who asks for them."""
    with stand_in() as orthanc, running_services(tmp_path / "services") as services:
        limits = {**PATIENT, "services_answer_s_max": 1.0}
        with running_gatekeeper(tmp_path, orthanc.port, limits, ["XRAY"], services.port) as gatekeeper:
            assert services.process is not None
            os.kill(services.process.pid, signal.SIGSTOP)
            try:
                assert rejection(gatekeeper.port, "XRAY") == TRANSIENT_CONGESTION
                with Console(gatekeeper.port, [Verification, DX]) as console:
                    assert console.association.send_c_echo().Status == 0x0000
            finally:
                os.kill(services.process.pid, signal.SIGCONT)


def test_message_beyond_its_bound_is_cut_at_the_gatekeeper(tmp_path: Path) -> None:
    limits = {**PATIENT, "service_data_set_bytes_max": 4_000}
    with (
        stand_in() as orthanc,
        running_services(tmp_path / "services") as services,
        running_gatekeeper(tmp_path, orthanc.port, limits, ["XRAY"], services.port) as gatekeeper,
    ):
        console = Console(gatekeeper.port, SERVICES_ONLY)
        many = step_ended([(DX, f"1.2.3.{number}") for number in range(200)])
        status, _ = console.association.send_n_set(many, ModalityPerformedProcedureStep, "1.1")
        assert "Status" not in status
        gatekeeper.wait_refused("object-too-large")


def test_port_of_its_own_is_a_door_like_the_other(tmp_path: Path) -> None:
    port = free_port()
    with (
        stand_in() as orthanc,
        running_services(tmp_path / "services") as services,
        running_gatekeeper(tmp_path, orthanc.port, PATIENT, ["XRAY"], services.port, port),
    ):
        with Console(port, SERVICES_ONLY) as console:
            assert console.create(step_created("1.9.9"), "1.1").Status == 0x0000
        assert rejection(port, "OTHER") == (1, 1, 3)
    assert orthanc.association_count == 0


@pytest.mark.orthanc
@pytest.mark.parametrize("orthanc", orthanc_commands())
def test_device_reports_stores_and_is_answered_for_by_a_whole_unit(orthanc: str, tmp_path: Path) -> None:
    port = free_port()
    with_address = f'[[modality]]\nae_title = "SONO"\nhost = "127.0.0.1"\nport = {port}\n'
    unit = make_unit(tmp_path / "unit", orthanc, with_address, extra="[limits]\ncommitment_wait_s_first = 0.02\n")
    unit.start()
    try:
        modality = Modality(unit.config.dicom.port)
        references = [(str(SecondaryCaptureImageStorage), told.sop_instance_uid) for told in modality.send(3)]
        step_uid = str(generate_uid())
        with Console(unit.config.dicom.port, SERVICES_ONLY) as console:
            assert console.create(step_created("1.9.9"), step_uid).Status == 0x0000
            assert console.set(step_ended(references), step_uid).Status == 0x0000
            assert console.ask(commitment_request([*references, (DX, "1.2.404")])) == 0x0000
            event_type, report = console.heard.get(timeout=HEAR_S_MAX)
        assert (event_type, committed(report)) == (2, {uid for _, uid in references})
        assert set(failures(report)) == {"1.2.404"}
        assert unit.query("SELECT state FROM performed_step") == [("completed",)]
        delivered = "SELECT count(*) FROM commitment_request WHERE state = 'delivered'"
        wait_for(lambda: unit.query(delivered) == [(1,)], "its answer, without which it would be told again")
        # killed before the report: the supervisor starts it again, and the device is called
        with Console(unit.config.dicom.port, SERVICES_ONLY, calling="SONO") as console:
            assert console.ask(commitment_request(references)) == 0x0000
            wait_for(lambda: "services" in unit.child_pids(), "the supervisor to say that they run")
            os.kill(unit.child_pids()["services"], signal.SIGKILL)
            with ReportServer(port, title="SONO") as device:
                assert device.heard.get(timeout=HEAR_S_MAX)[0] == 1
        wait_for(lambda: unit.query(delivered) == [(2,)], "both reports")
    finally:
        unit.stop()


@pytest.mark.orthanc
@pytest.mark.parametrize("orthanc", orthanc_commands())
def test_mixed_association_is_orthancs_and_the_services_contexts_are_refused(orthanc: str, tmp_path: Path) -> None:
    unit = make_unit(tmp_path / "unit", orthanc, "")
    unit.start()
    try:
        ae = AE("XRAY")
        for uid in (DX, StorageCommitmentPushModel, ModalityPerformedProcedureStep):
            ae.add_requested_context(uid)
        association = ae.associate("127.0.0.1", unit.config.dicom.port, ae_title="QAFILA")
        assert association.is_established
        assert [context.abstract_syntax for context in association.accepted_contexts] == [DX]
        assert {context.result for context in association.rejected_contexts} == {0x03}
        association.release()
    finally:
        unit.stop()
