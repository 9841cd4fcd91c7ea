"""The services as a process of their own, held as the supervisor holds it, and a console that speaks to them."""

from __future__ import annotations

import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # made at import time by pynetdicom
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    Verification,
)

from appliance.clock import SystemClock
from appliance.config import UnitConfig, load_unit
from appliance.live import read_live
from appliance.services.activation import Activation, listen
from tests.support.kept import KeptUnit, make_kept_unit
from tests.support.ports import free_port
from tests.support.rawdicom import IMPLICIT, RawModality, associate_rq
from tests.support.world import wait_for

CLOCK = SystemClock()
LAST_ANSWER_S_MAX = 10.0
TITLE = "XRAY"
ANSWER_S_MAX = 60.0
ASSOCIATE_RJ = 3
LIMITS = {
    "commitment_backoff_s_first": 0.2,
    "commitment_backoff_s_max": 0.5,
    "commitment_report_s_max": 5.0,
    "commitment_wait_s_first": 0.02,
    "commitment_wait_count_max": 2,
}
"""Short pauses, so that tests wait for the report and not for the clock."""


@dataclass
class Services:
    """A services process over a unit's folder; the listener is this object's, as it is the supervisor's."""

    unit: KeptUnit
    toml: Path
    config: UnitConfig
    listener: socket.socket
    process: subprocess.Popen[bytes] | None = None
    log_path: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log_path = self.toml.with_name("services.log")

    @property
    def port(self) -> int:
        return self.config.services.port

    def start(self) -> None:
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "appliance.services", "--config", str(self.toml)),
                    *("--listener-fd", str(self.listener.fileno())),
                ],
                stderr=log,
                pass_fds=[self.listener.fileno()],
            )

    def kill(self) -> None:
        """As ``kill -9``."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)

    def activation(self) -> Activation:
        """What the supervisor asks whether to start the process."""
        return Activation(self.config, self.listener, CLOCK)

    def facts(self) -> dict[str, Any]:
        """Its live facts, however old."""
        return read_live(self.config.run_dir, "services", CLOCK, stale_s=float("inf")) or {}

    @contextmanager
    def calling_in_background(self, results: queue.Queue[int]) -> Iterator[None]:
        """A device that calls and echoes in a thread of its own; the status of the answer goes to ``results``."""

        def call() -> None:
            with Console(self.port, [Verification]) as console:
                results.put(int(console.association.send_c_echo().Status))

        thread = threading.Thread(target=call)
        thread.start()
        yield
        thread.join()

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.unit.rows(sql, *parameters)

    def log_text(self) -> str:
        return self.log_path.read_text(encoding="utf-8")


@contextmanager
def running_services(
    folder: Path, modality_toml: str = "", limits: dict[str, object] | None = None
) -> Iterator[Services]:
    """One that runs; ``modality_toml`` are further keys of the one device that is listed."""
    unit = make_kept_unit(folder)
    port = free_port()
    bounds = "".join(f"{key} = {value}\n" for key, value in {**LIMITS, **(limits or {})}.items())
    toml = folder / "unit.toml"
    toml.write_text(
        f'[unit]\ndata_dir = "{unit.config.data_dir}"\n'
        f'[services]\nae_title = "QAFILA-SC"\nport = {port}\n'
        f'[[modality]]\nae_title = "{TITLE}"\n{modality_toml}'
        f"[limits]\n{bounds}",
        encoding="utf-8",
    )
    config = load_unit(toml)
    with listen(config) as listener:
        services = Services(unit, toml, config, listener)
        services.start()
        try:
            yield services
        finally:
            services.stop()


class Console:
    """A device's association with the services; a context manager that releases it."""

    def __init__(
        self,
        port: int,
        classes: Iterable[str] = (Verification, ModalityPerformedProcedureStep, StorageCommitmentPushModel),
        *,
        calling: str = TITLE,
        called: str = "QAFILA",
        roles: Sequence[Any] = (),
        syntax: str | None = None,
    ) -> None:
        self.heard: queue.Queue[tuple[int, Dataset]] = queue.Queue()
        """Event type and information of each report on this association."""
        ae = AE(calling)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ANSWER_S_MAX
        for uid in classes:
            ae.add_requested_context(uid, syntax)
        self.association: Association = ae.associate(
            "127.0.0.1", port, ae_title=called, ext_neg=list(roles), evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._hear)]
        )
        self._socket = _socket_of(self.association)

    def _hear(self, event: evt.Event) -> tuple[int, None]:
        self.heard.put((event.event_type or 0, event.event_information))
        return 0x0000, None

    def __enter__(self) -> Console:
        assert self.association.is_established, "not accepted"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.association.is_established:
            self.association.release()
        if self._socket is not None:
            self._socket.close()

    def create(self, data_set: Dataset, step_uid: str | None) -> Dataset:
        """N-CREATE; the response's command set."""
        status, _ = self.association.send_n_create(data_set, ModalityPerformedProcedureStep, step_uid)
        return status

    def set(self, data_set: Dataset, step_uid: str) -> Dataset:
        """N-SET; the response's command set."""
        status, _ = self.association.send_n_set(data_set, ModalityPerformedProcedureStep, step_uid)
        return status

    def ask(self, request: Dataset, action_type: int = 1, instance: str = StorageCommitmentPushModelInstance) -> int:
        """N-ACTION; the response's status."""
        status, _ = self.association.send_n_action(request, action_type, StorageCommitmentPushModel, instance)
        return int(status.Status)


def rejection(port: int, calling: str = TITLE, called: str = "QAFILA") -> tuple[int, ...]:
    """Result, source and reason of the A-ASSOCIATE-RJ that a device gets; pynetdicom's SCU loses some of them."""
    classes = (ModalityPerformedProcedureStep, StorageCommitmentPushModel)
    contexts = [(2 * number + 1, str(uid), (IMPLICIT,)) for number, uid in enumerate(classes)]
    with RawModality(port, timeout_s=ANSWER_S_MAX) as device:
        device.send(associate_rq(calling, called, contexts))
        kind, body = device.receive()
    assert kind == ASSOCIATE_RJ, kind
    return tuple(body[-3:])


class ReportServer:
    """Where a device listens for commitment reports, as SCU of the service and acceptor of the association."""

    def __init__(self, port: int, *, title: str = TITLE, answers_roles: bool = True, status: int = 0x0000) -> None:
        self.heard: queue.Queue[tuple[int, Dataset]] = queue.Queue()
        self.callers: list[str] = []
        self.roles: list[tuple[bool | None, bool | None]] = []
        """SCU and SCP role that the caller proposed for itself."""
        self._status = status
        ae = AE(title)
        ae.require_called_aet = True
        ae.add_supported_context(Verification)
        if answers_roles:
            ae.add_supported_context(StorageCommitmentPushModel, ImplicitVRLittleEndian, scu_role=False, scp_role=True)
        else:
            ae.add_supported_context(StorageCommitmentPushModel, ImplicitVRLittleEndian)
        self._associations: list[Association] = []
        self._sockets: list[socket.socket] = []
        handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, self._hear), (evt.EVT_ACCEPTED, self._accepted)]
        self._server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)

    def _accepted(self, event: evt.Event) -> None:
        self._associations.append(event.assoc)
        if (connection := _socket_of(event.assoc)) is not None:
            self._sockets.append(connection)
        self.callers.append(str(event.assoc.requestor.ae_title).strip())
        roles = event.assoc.requestor.role_selection.get(StorageCommitmentPushModel)
        self.roles.append((roles.scu_role, roles.scp_role) if roles else (None, None))

    def _hear(self, event: evt.Event) -> tuple[int, None]:
        self.heard.put((event.event_type or 0, event.event_information))
        return self._status, None

    def __enter__(self) -> ReportServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.shutdown()
        for association in self._associations:
            association.join(LAST_ANSWER_S_MAX)  # what it heard it may not have answered yet
        for connection in self._sockets:
            connection.close()


def _socket_of(association: Association) -> socket.socket | None:
    """To be closed by us: pynetdicom leaves it open when the other side was first."""
    held = association.dul.socket
    return held.socket if held is not None else None


def commitment_request(references: Iterable[tuple[str, str]], transaction_uid: str = "") -> Dataset:
    """Action information: SOP Class and Instance UIDs."""
    request = Dataset()
    request.TransactionUID = transaction_uid or str(generate_uid())
    request.ReferencedSOPSequence = []
    for sop_class_uid, sop_instance_uid in references:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        request.ReferencedSOPSequence.append(item)
    return request


def failures(report: Dataset) -> dict[str, int]:
    """Failure Reason by SOP Instance UID."""
    return {str(item.ReferencedSOPInstanceUID): int(item.FailureReason) for item in report.get("FailedSOPSequence", ())}


def committed(report: Dataset) -> set[str]:
    return {str(item.ReferencedSOPInstanceUID) for item in report.get("ReferencedSOPSequence", ())}


def step_created(study_uid: str, accession: str = "", **changes: Any) -> Dataset:
    """The attribute list of an N-CREATE as an X-ray console sends it; ``None`` takes an attribute out."""
    purpose = Dataset()
    purpose.StudyInstanceUID = study_uid
    purpose.AccessionNumber = accession
    purpose.RequestedProcedureID = accession
    purpose.ScheduledProcedureStepID = accession
    step = Dataset()
    step.SpecificCharacterSet = "ISO_IR 100"
    step.ScheduledStepAttributesSequence = [purpose]
    step.PatientName = "BENALI^FATIMA"
    step.PatientID = "U1-7"
    step.PatientBirthDate = "19900101"
    step.PatientSex = "F"
    step.PerformedProcedureStepID = "PPS1"
    step.PerformedStationAETitle = TITLE
    step.PerformedProcedureStepStartDate = "20261122"
    step.PerformedProcedureStepStartTime = "093000"
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.PerformedProcedureStepEndDate = None
    step.PerformedProcedureStepEndTime = None
    step.Modality = "DX"
    step.PerformedSeriesSequence = []
    return _with(step, changes)


def step_ended(
    instances: Iterable[tuple[str, str]] = (), status: str = "COMPLETED", series_uid: str = "1.2.3.9", **changes: Any
) -> Dataset:
    """The modification list of the N-SET that ends a step; SOP Class and Instance UIDs of what it made."""
    series = Dataset()
    series.SeriesInstanceUID = series_uid
    series.ProtocolName = "Thorax face"
    series.ReferencedImageSequence = []
    for sop_class_uid, sop_instance_uid in instances:
        item = Dataset()
        item.ReferencedSOPClassUID = sop_class_uid
        item.ReferencedSOPInstanceUID = sop_instance_uid
        series.ReferencedImageSequence.append(item)
    step = Dataset()
    step.PerformedProcedureStepStatus = status
    step.PerformedProcedureStepEndDate = "20261122"
    step.PerformedProcedureStepEndTime = "094500"
    step.PerformedSeriesSequence = [series]
    return _with(step, changes)


def _with(step: Dataset, changes: dict[str, Any]) -> Dataset:
    for keyword, value in changes.items():
        if value is None:
            delattr(step, keyword)
        else:
            setattr(step, keyword, value)
    return step


def requestor_role() -> Any:
    """The role a console proposes that wants to hear reports on its own association: it stays SCU."""
    return build_role(StorageCommitmentPushModel, scu_role=True, scp_role=False)


def wait_delivered(services: Services, count: int = 1) -> None:
    """Until so many requests are acknowledged by their devices."""
    sql = "SELECT count(*) FROM commitment_request WHERE state = 'delivered'"
    wait_for(lambda: services.rows(sql) == [(count,)], f"{count} reports")
