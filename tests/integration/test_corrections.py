"""A study corrected after it arrived: by a real unit's delivery, a real gateway, and the Orthanc behind it."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from appliance.clock import SystemClock
from appliance.dicom.phantom import phantom_chest
from appliance.domain.values import ItemState
from sync.runner import Runner
from sync.wire.digest import digests
from sync.wire.preview import make_preview
from tests.gateway.rig import Gateway, make_gateway
from tests.support.correcting import Desk, desk
from tests.support.gateway_unit import EnrolledUnit, enrolled_unit
from tests.support.orthancs import OrthancHandle, orthanc_commands
from tests.support.pacs import start_central, stored_file
from tests.support.ports import free_port
from tests.support.world import query, wait_for

pytestmark = pytest.mark.orthanc

CORRECTION_BYTES_MAX = 64 * 1024


@pytest.fixture(scope="module", params=orthanc_commands())
def orthanc(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancHandle]:
    with start_central(str(request.param), tmp_path_factory.mktemp("orthanc"), free_port()) as started:
        yield started


@pytest.fixture
def centre(orthanc: OrthancHandle, tmp_path: Path) -> Iterator[Gateway]:
    gateway = make_gateway(tmp_path / "g", f"{orthanc.url}/dicom-web", extra=f'orthanc_url = "{orthanc.url}"').start()
    try:
        yield gateway
    finally:
        if gateway.process is not None:
            gateway.stop()


@contextmanager
def delivering(at: Desk, unit: EnrolledUnit, url: str) -> Iterator[None]:
    """The unit's sync process, in threads of this one."""
    stop, destination = threading.Event(), unit.destination(url)
    thread = threading.Thread(target=Runner(at.config, [destination], SystemClock(), stop).run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        destination.close()


def link_bytes(at: Desk) -> int:
    (row,) = query(at.config.unit_db, "SELECT coalesce(sum(bytes_sent), 0) FROM transfer")
    return int(str(row[0]))


def receipt_sha256(at: Desk, uid: str) -> str:
    sql = f"SELECT sha256 FROM receipt WHERE sop_instance_uid = '{uid}' AND revoked_at = ''"
    rows = query(at.config.unit_db, sql)
    return str(rows[0][0]) if rows else ""


def film(at: Desk) -> Dataset:
    dataset = phantom_chest(3000, 2500, 14, 1)
    dataset.PatientID, dataset.PatientName, dataset.AccessionNumber = "X9", "TEMP^1", ""
    return dataset


def wait_for_receipt(at: Desk, uid: str, sha256: str) -> None:
    wait_for(lambda: receipt_sha256(at, uid) == sha256, "the receipt")
    assert at.state(uid) is ItemState.CONFIRMED


@pytest.mark.fault(33)
def test_film_corrected_after_sync_arrives_from_its_header_and_takes_the_originals_place(
    centre: Gateway, orthanc: OrthancHandle, tmp_path: Path
) -> None:
    unit = enrolled_unit(tmp_path / "unit", centre.url, centre.code("van-1"))
    with desk(tmp_path) as at:
        ordered = at.register("BENALI", "Fatima", arabic="بنعلي")
        uid = at.take_in(film(at))
        original = at.said(uid)
        with delivering(at, unit, centre.url):
            wait_for(lambda: receipt_sha256(at, uid), "the original to arrive")
            sent_bytes = link_bytes(at)
            assert sent_bytes > 1_000_000
            first = stored_file(orthanc, uid)
            assert first is not None
            assert dcmread(io.BytesIO(first)).PatientID == "X9"

            study = str(original.StudyInstanceUID)
            at.actions.reconcile(study, at.whose(ordered), "asked her", "amina")
            corrected = at.path(uid).read_bytes()
            wait_for_receipt(at, uid, hashlib.sha256(corrected).hexdigest())
            assert link_bytes(at) - sent_bytes < CORRECTION_BYTES_MAX

            # Another one before the unit looks again, while the centre is away: only the latest travels.
            assert centre.stop() == 0
            at.actions.correct(study, {"StudyDescription": "Chest AP"}, "typed", "amina")
            at.actions.correct(study, {"StudyDescription": "Chest PA"}, "typed again", "amina")
            centre.start()
            wait_for_receipt(at, uid, hashlib.sha256(at.path(uid).read_bytes()).hexdigest())

        stored = stored_file(orthanc, uid)
        assert stored == at.path(uid).read_bytes()
        arrived = dcmread(io.BytesIO(stored or b""))
        assert (arrived.PatientID, arrived.StudyDescription) == (ordered.patient_id, "Chest PA")
        assert str(arrived.PatientName) == "BENALI^Fatima=بنعلي^بنعلي"
        first_kept, second_kept, _ = [item.ModifiedAttributesSequence[0] for item in arrived.OriginalAttributesSequence]
        assert (first_kept.PatientID, str(first_kept.PatientName)) == ("X9", "TEMP^1")
        assert second_kept.StudyDescription == original.get("StudyDescription", "")
        assert arrived.PixelData == original.PixelData
        assert digests(io.BytesIO(stored or b"")).pixel_sha256 == digests(io.BytesIO(first)).pixel_sha256
    unit.close()


def test_preview_of_a_correction_is_the_one_that_the_centre_has(tmp_path: Path) -> None:
    with desk(tmp_path) as at:
        uid = at.take_in(film(at))
        original = at.path(uid)
        before = make_preview(original)
        at.actions.correct(str(at.said(uid).StudyInstanceUID), {"PatientID": "X8"}, "typed", "amina")
        after = make_preview(at.path(uid))
        assert before == after
