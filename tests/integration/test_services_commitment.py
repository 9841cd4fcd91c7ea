"""Storage Commitment as a device meets it: what is asked is answered for, truly and in the end (PS3.4 annex J)."""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, DigitalXRayImageStorageForPresentation, generate_uid
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]  # made at import time

from appliance.store.connect import open_door, open_unit, write
from appliance.store.door import note_quarantined
from appliance.store.stamp import stamp_of
from tests.support.files import small_chest
from tests.support.ports import free_port
from tests.support.services import (
    CLOCK,
    Console,
    ReportServer,
    Services,
    commitment_request,
    committed,
    failures,
    requestor_role,
    running_services,
    wait_delivered,
)
from tests.support.world import wait_for

CR = str(ComputedRadiographyImageStorage)
DX = str(DigitalXRayImageStorageForPresentation)
HEAR_S_MAX = 60.0
NO_SUCH_INSTANCE, CONFLICT, FAILURE = 0x0112, 0x0119, 0x0110


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """For a device that cannot be called."""
    with running_services(tmp_path) as running:
        yield running


@pytest.fixture
def port() -> int:
    """Where the device listens, if anything does."""
    return free_port()


@pytest.fixture
def calling(tmp_path: Path, port: int) -> Iterator[Services]:
    """For a device that can be called."""
    with running_services(tmp_path, address(port)) as running:
        yield running


def address(port: int) -> str:
    return f'host = "127.0.0.1"\nport = {port}\n'


def keep(services: Services, count: int, *, is_taken_in: bool = True) -> list[tuple[str, str]]:
    """So many images as the door keeps them; their references."""
    kept = [services.unit.keep_chest(number) for number in range(count)]
    if is_taken_in:
        services.unit.take_in()
    return [(DX, row.sop_instance_uid) for row in kept]


def ask_here(services: Services, request: Dataset) -> tuple[int, Dataset]:
    """Ask, and hear on the same association."""
    with Console(services.port, [StorageCommitmentPushModel]) as console:
        assert console.ask(request) == 0x0000
        return console.heard.get(timeout=HEAR_S_MAX)


def ask_and_leave(services: Services, request: Dataset) -> None:
    with Console(services.port, [StorageCommitmentPushModel]) as console:
        assert console.ask(request) == 0x0000


def test_kept_images_are_committed_on_the_same_association(services: Services) -> None:
    references = keep(services, 3)
    request = commitment_request(references)
    event_type, report = ask_here(services, request)
    assert (event_type, report.TransactionUID) == (1, request.TransactionUID)
    assert committed(report) == {uid for _, uid in references}
    assert "FailedSOPSequence" not in report
    wait_delivered(services)


def test_image_that_intake_has_not_seen_yet_is_committed_by_the_ledger(services: Services) -> None:
    references = keep(services, 1, is_taken_in=False)
    assert ask_here(services, commitment_request(references))[0] == 1


def test_every_doubt_is_a_failure_with_its_reason(services: Services) -> None:
    good, other_class, cut, gone, corrupt, quarantined = (uid for _, uid in keep(services, 6))
    blobs = {row[0]: row[1] for row in services.unit.ledger("SELECT sop_instance_uid, blob_uuid FROM kept")}
    folder = services.config.blob_dir
    path = folder / blobs[cut][:2] / blobs[cut]
    path.write_bytes(path.read_bytes()[:-1])
    (folder / blobs[gone][:2] / blobs[gone]).unlink()
    with open_unit(services.config.unit_db) as db, write(db):
        db.change("UPDATE instance SET local_state = 'corrupt' WHERE sop_instance_uid = ?", (corrupt,))
    with open_door(services.config.door_db) as door:
        note_quarantined(
            door,
            stamp_of(CLOCK),
            reason="conflict",
            sop_instance_uid=quarantined,
            sha256="0" * 64,
            size_bytes=1,
            file_name="conflict-1.dcm",
            calling_ae_title="XRAY",
        )
    references = [(DX, uid) for uid in (good, cut, gone, corrupt, quarantined, "1.2.404")]
    event_type, report = ask_here(services, commitment_request([*references, (CR, other_class)]))
    assert event_type == 2
    assert committed(report) == {good}
    assert failures(report) == {
        other_class: CONFLICT,
        cut: FAILURE,
        gone: FAILURE,
        corrupt: FAILURE,
        quarantined: FAILURE,
        "1.2.404": NO_SUCH_INSTANCE,
    }


def test_all_that_failed_leaves_no_empty_sequence(services: Services) -> None:
    event_type, report = ask_here(services, commitment_request([(DX, "1.2.404")]))
    assert (event_type, failures(report)) == (2, {"1.2.404": NO_SUCH_INSTANCE})
    assert "ReferencedSOPSequence" not in report


def test_image_removed_after_every_centre_confirmed_it_is_committed(services: Services) -> None:
    ((_, confirmed), (_, lost)) = references = keep(services, 2)
    with open_unit(services.config.unit_db) as db, write(db):
        db.change("UPDATE instance SET local_state = 'evicted'")
        db.change(
            "UPDATE instance SET owed_count = 1, confirmed_count = (sop_instance_uid = ?)",
            (confirmed,),
        )
    with open_door(services.config.door_db) as door, write(door):
        door.change("UPDATE kept SET removed_at = '2027-01-01'")
    event_type, report = ask_here(services, commitment_request(references))
    assert (event_type, committed(report), failures(report)) == (2, {confirmed}, {lost: FAILURE})


def test_device_that_has_left_is_called_in_the_role_of_the_provider(calling: Services, port: int) -> None:
    references = keep(calling, 2)
    with ReportServer(port) as device:
        ask_and_leave(calling, commitment_request(references))
        event_type, report = device.heard.get(timeout=HEAR_S_MAX)
        assert (event_type, committed(report)) == (1, {uid for _, uid in references})
        assert (device.callers, device.roles) == (["QAFILA"], [(False, True)])
    wait_delivered(calling)


def test_device_that_does_not_answer_the_roles_is_told_all_the_same(calling: Services, port: int) -> None:
    with ReportServer(port, answers_roles=False) as device:
        ask_and_leave(calling, commitment_request(keep(calling, 1)))
        assert device.heard.get(timeout=HEAR_S_MAX)[0] == 1
    wait_delivered(calling)


def test_device_is_called_by_the_title_it_knows(calling: Services, port: int) -> None:
    with ReportServer(port) as device:
        with Console(calling.port, [StorageCommitmentPushModel], called="QAFILA-SC") as console:
            console.ask(commitment_request(keep(calling, 1)))
        device.heard.get(timeout=HEAR_S_MAX)
        assert device.callers == ["QAFILA-SC"]


def test_device_that_stays_is_called_beside_its_association(calling: Services, port: int) -> None:
    with ReportServer(port) as device, Console(calling.port, [StorageCommitmentPushModel]) as console:
        console.ask(commitment_request(keep(calling, 1)))
        assert device.heard.get(timeout=HEAR_S_MAX)[0] == 1
        assert console.heard.empty()


def test_device_that_wants_it_hears_on_its_own_association_first(tmp_path: Path, port: int) -> None:
    keys = f"{address(port)}report_same_association = true\n"
    with running_services(tmp_path, keys) as services, ReportServer(port) as device:
        roles = [requestor_role()]
        with Console(services.port, [StorageCommitmentPushModel], roles=roles) as console:
            console.ask(commitment_request(keep(services, 1)))
            assert console.heard.get(timeout=HEAR_S_MAX)[0] == 1
        assert device.heard.empty()
        wait_delivered(services)


def test_report_waits_for_a_device_that_is_switched_off(calling: Services, port: int) -> None:
    ask_and_leave(calling, commitment_request(keep(calling, 1)))
    wait_for(lambda: calling.rows("SELECT attempt_count >= 2 FROM commitment_request") == [(1,)], "two attempts")
    assert calling.rows("SELECT state FROM commitment_request") == [("open",)]
    with ReportServer(port) as device:
        assert device.heard.get(timeout=HEAR_S_MAX)[0] == 1
    wait_delivered(calling)


def test_report_that_the_device_refuses_is_said_again_with_the_truth_of_then(calling: Services, port: int) -> None:
    ((_, uid),) = references = keep(calling, 1)
    with ReportServer(port, status=0x0110) as device:
        ask_and_leave(calling, commitment_request(references))
        assert device.heard.get(timeout=HEAR_S_MAX)[0] == 1
        with open_unit(calling.config.unit_db) as db, write(db):
            db.change("UPDATE instance SET local_state = 'missing'")
        wait_for(lambda: failures(device.heard.get(timeout=HEAR_S_MAX)[1]) == {uid: FAILURE}, "the new report")
    assert calling.rows("SELECT state, failure_code FROM commitment_request")[0][0] == "open"


@pytest.mark.fault(12)
def test_kill_9_between_request_and_report_does_not_lose_the_report(calling: Services, port: int) -> None:
    references = keep(calling, 1)
    with Console(calling.port, [StorageCommitmentPushModel]) as console:
        assert console.ask(commitment_request(references)) == 0x0000
        calling.kill()
    assert calling.rows("SELECT state FROM commitment_request") == [("open",)]
    assert calling.activation().is_wanted()
    with ReportServer(port) as device:
        calling.start()
        assert device.heard.get(timeout=HEAR_S_MAX)[0] == 1
    wait_delivered(calling)


def test_request_said_twice_is_one_request_and_told_again(services: Services) -> None:
    references = keep(services, 2)
    request = commitment_request(references)
    for _ in range(2):
        assert ask_here(services, request)[0] == 1
    assert services.rows("SELECT count(*) FROM commitment_request") == [(1,)]
    other = commitment_request(references[:1], str(request.TransactionUID))
    with Console(services.port, [StorageCommitmentPushModel]) as console:
        assert console.ask(other) == 0x0115


@pytest.mark.parametrize(
    ("changes", "action_type", "instance", "status"),
    [
        ({}, 2, None, 0x0123),
        ({}, 1, "1.2.3", 0x0112),
        ({"TransactionUID": None}, 1, None, 0x0115),
        ({"ReferencedSOPSequence": []}, 1, None, 0x0115),
        ({"ReferencedSOPSequence": [Dataset()]}, 1, None, 0x0115),
    ],
)
def test_what_is_no_request_is_refused_and_not_recorded(
    services: Services, changes: dict[str, object], action_type: int, instance: str | None, status: int
) -> None:
    request = commitment_request([(DX, "1.2.3")])
    for keyword, value in changes.items():
        setattr(request, keyword, value)
    with Console(services.port, [StorageCommitmentPushModel]) as console:
        assert console.ask(request, action_type, *([instance] if instance else [])) == status
    assert services.rows("SELECT count(*) FROM commitment_request") == [(0,)]


def test_list_beyond_its_bound_is_refused(tmp_path: Path) -> None:
    three = commitment_request([(DX, f"1.2.{number}") for number in range(3)])
    with (
        running_services(tmp_path, limits={"commitment_reference_count_max": 2}) as services,
        Console(services.port, [StorageCommitmentPushModel]) as console,
    ):
        assert console.ask(three) == 0x0213


def test_report_of_the_longest_list_arrives(services: Services) -> None:
    count = services.config.limits.commitment_reference_count_max
    long_uids = [f"{generate_uid()}"[:50].rstrip(".") + f".{number}" for number in range(count)]
    event_type, report = ask_here(services, commitment_request([(DX, uid) for uid in long_uids]))
    assert (event_type, len(failures(report))) == (2, count)


def test_device_that_releases_at_once_is_released_and_told_later(calling: Services, port: int) -> None:
    with Console(calling.port, [StorageCommitmentPushModel]) as console:
        console.ask(commitment_request(keep(calling, 1)))
    assert console.association.is_released
    with ReportServer(port) as device:
        assert device.heard.get(timeout=HEAR_S_MAX)[0] == 1


def test_process_rests_when_nothing_is_wanted_and_its_socket_goes_on_listening(tmp_path: Path, port: int) -> None:
    with running_services(tmp_path, address(port), {"services_idle_s_max": 0.5}) as services:
        ask_and_leave(services, commitment_request(keep(services, 1)))
        with ReportServer(port) as device:
            device.heard.get(timeout=HEAR_S_MAX)
        assert services.process is not None
        assert services.process.wait(HEAR_S_MAX) == 0
        assert services.facts()["is_at_rest"] is True
        activation = services.activation()
        assert not activation.is_wanted()
        results: queue.Queue[int] = queue.Queue()
        with services.calling_in_background(results):
            wait_for(activation.is_wanted, "the call to be seen")
            services.start()
            assert results.get(timeout=HEAR_S_MAX) == 0x0000


def waits(services: Services) -> int:
    return int(services.rows("SELECT max(wait_count) FROM commitment_request")[0][0])


def test_report_waits_for_an_image_under_way_also_over_a_kill(tmp_path: Path, port: int) -> None:
    """The first pause ends long after the test would: that it was recorded is what makes the second asking tell."""
    limits: dict[str, object] = {
        "commitment_wait_s_first": 3600.0,
        "services_idle_s_max": 7200.0,
        "commitment_wait_count_max": 9,
    }
    with running_services(tmp_path, address(port), limits) as services, ReportServer(port) as device:
        late = small_chest(tmp_path / "late.dcm", 0)
        uid = str(pydicom.dcmread(late, stop_before_pixels=True).SOPInstanceUID)
        request = commitment_request([(DX, uid)])
        ask_and_leave(services, request)
        wait_for(lambda: waits(services) == 1, "the first pause")
        services.kill()
        services.start()
        assert services.process is not None
        pid = services.process.pid
        wait_for(lambda: services.facts().get("pid") == pid and services.facts()["wake_mono_s"], "the pause")
        assert waits(services) == 1
        services.unit.keep(late)
        ask_and_leave(services, request)
        event_type, report = device.heard.get(timeout=HEAR_S_MAX)
        assert (event_type, committed(report)) == (1, {uid})


def test_image_that_comes_in_a_pause_is_committed_by_itself(tmp_path: Path, port: int) -> None:
    limits: dict[str, object] = {"commitment_wait_s_first": 0.2, "commitment_wait_count_max": 9}
    with running_services(tmp_path, address(port), limits) as services, ReportServer(port) as device:
        late = small_chest(tmp_path / "late.dcm", 0)
        uid = str(pydicom.dcmread(late, stop_before_pixels=True).SOPInstanceUID)
        ask_and_leave(services, commitment_request([(DX, uid)]))
        wait_for(lambda: waits(services) >= 1, "the first pause")
        services.unit.keep(late)
        assert device.heard.get(timeout=HEAR_S_MAX)[0] == 1


def test_device_that_does_not_answer_delays_no_other(tmp_path: Path, port: int) -> None:
    """Its report may take an hour; the other device hears all the same."""
    with socket.create_server(("127.0.0.1", 0)) as dead:
        others = f'[[modality]]\nae_title = "DEAD"\nhost = "127.0.0.1"\nport = {dead.getsockname()[1]}\n'
        limits: dict[str, object] = {"commitment_report_s_max": 3600.0}
        with running_services(tmp_path, address(port) + others, limits) as services:
            references = keep(services, 1)
            with Console(services.port, [StorageCommitmentPushModel], calling="DEAD") as console:
                assert console.ask(commitment_request(references)) == 0x0000
            connection, _ = dead.accept()
            with connection, ReportServer(port) as device:
                ask_and_leave(services, commitment_request(references))
                assert device.heard.get(timeout=HEAR_S_MAX)[0] == 1
            wait_delivered(services)


def test_as_many_lines_as_are_taken_at_once_fit_into_the_bound_on_memory(services: Services) -> None:
    references = keep(services, 1)
    with ExitStack() as stack:
        lines = [
            stack.enter_context(Console(services.port, [StorageCommitmentPushModel]))
            for _ in range(services.config.limits.connection_count_max - 1)
        ]
        assert {line.ask(commitment_request(references)) for line in lines} == {0x0000}
        assert {line.heard.get(timeout=HEAR_S_MAX)[0] for line in lines} == {1}
