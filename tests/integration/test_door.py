"""The door inside real Orthancs, heard from DCMTK's senders and seen on disk."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID, CTImageStorage
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import C_STORE

from tests.support.doors import AE_TITLE, MODALITIES, UnitDoor, dcmsend, make_image, prepare, start_door, unit_config
from tests.support.files import sample_files
from tests.support.orthancs import orthanc_commands

pytestmark = pytest.mark.orthanc

HTJ2K = tuple(UID(f"1.2.840.10008.1.2.4.{number}") for number in (201, 202, 203))
JPEG_XL = tuple(UID(f"1.2.840.10008.1.2.4.{number}") for number in (110, 111, 112))
_UNCOMPRESSED = ("1.2", "1.2.1", "1.2.2", "1.2.1.99", "1.2.5")
_ENCAPSULATED = (50, 51, 57, 70, 80, 81, 90, 91, 100, 101, 102, 103, 104, 107, 108)
SYNTAXES = (
    *(UID(f"1.2.840.10008.{tail}") for tail in _UNCOMPRESSED),
    *(UID(f"1.2.840.10008.1.2.4.{number}") for number in _ENCAPSULATED),
    *HTJ2K,
    *JPEG_XL,
)
"""Every transfer syntax of the design: implicit to deflated and RLE, JPEG to JPEG 2000, MPEG-2 to HEVC, HTJ2K, XL."""


@pytest.fixture(scope="module", params=orthanc_commands(), ids=lambda command: Path(command).name)
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def door(command: str, tmp_path: Path) -> Iterator[UnitDoor]:
    with start_door(unit_config(command, tmp_path / "data")) as started:
        yield started
        started.orthanc.kill()  # 4 s faster than asking it to end, and nothing may depend on an orderly end


def test_real_files_are_kept_as_sent_and_one_orthanc_can_read_them(door: UnitDoor) -> None:
    """Every transfer syntax that pydicom's and the shared files have, stored as received."""
    by_uid = {pydicom.dcmread(sample.path).SOPInstanceUID: sample.path for sample in sample_files()}
    samples = list(by_uid.values())  # two of them are one picture in two encodings, under one UID
    sent = door.send(*samples)
    assert sent.statuses == [0] * len(samples), sent.text[-2000:]
    kept = door.rows("SELECT sop_instance_uid, blob_uuid, sha256 FROM kept WHERE removed_at = ''")
    blobs = {path.name: path for path in door.blobs()}
    assert sorted(blobs) == sorted(row[1] for row in kept)
    received = {row[0]: pydicom.dcmread(blobs[row[1]]) for row in kept}
    for path in samples:
        original = pydicom.dcmread(path)
        stored = received[original.SOPInstanceUID]
        if original.file_meta.TransferSyntaxUID.is_compressed:  # dcmsend may change the others itself
            assert stored.file_meta.TransferSyntaxUID == original.file_meta.TransferSyntaxUID
        assert stored.get("PixelData") == original.get("PixelData")
    for _, blob_uuid, sha256 in kept:
        assert hashlib.sha256(blobs[blob_uuid].read_bytes()).hexdigest() == sha256
    for orthanc_id in door.orthanc.json("/instances"):
        status, body = door.orthanc.request("GET", f"/instances/{orthanc_id}/file")
        assert status == 200
        assert hashlib.sha256(body).hexdigest() in {row[2] for row in kept}
        assert door.orthanc.request("GET", f"/instances/{orthanc_id}/simplified-tags")[0] == 200


def test_orthanc_ends_cleanly_and_says_nothing_unknown(command: str, tmp_path: Path) -> None:
    with start_door(unit_config(command, tmp_path / "data")) as door:
        assert door.facts()["counts"] == {}
    assert door.orthanc.process.returncode == 0
    log = door.orthanc.log_text()
    assert not [line for line in log.splitlines() if "nknown" in line or "eprecat" in line or line.startswith("E")]


def test_headers_survive_a_restart(command: str, tmp_path: Path) -> None:
    config = unit_config(command, tmp_path / "data")
    image = make_image(tmp_path / "a.dcm")
    with start_door(config) as door:
        assert door.send(image).statuses == [0]
    with start_door(config) as door:
        (orthanc_id,) = door.orthanc.json("/instances")
        assert door.orthanc.json(f"/instances/{orthanc_id}/simplified-tags")["PatientID"] == "DOOR^1"
        assert [path.stat().st_size for path in (config.orthanc_dir / "attachments").rglob("*")] == []


def test_unknown_devices_and_wrong_called_titles_are_refused(door: UnitDoor, tmp_path: Path) -> None:
    image = make_image(tmp_path / "a.dcm")
    assert door.send(image, calling="STRANGER").statuses == []
    assert dcmsend(door.orthanc.dicom_port, [image], called="OTHER").statuses == []
    assert door.rows("SELECT * FROM kept") == []


def test_rest_needs_the_password_of_this_start(door: UnitDoor) -> None:
    door.orthanc.credentials = None
    assert door.orthanc.request("GET", "/system")[0] == 401
    door.orthanc.credentials = ("qafila", "guess")
    assert door.orthanc.request("GET", "/qafila/door")[0] == 401


def test_rendered_configuration_is_private_and_new_at_every_start(command: str, tmp_path: Path) -> None:
    config = unit_config(command, tmp_path / "data")
    passwords = set()
    for _ in range(2):
        path = prepare(config)
        access = config.run_dir / "orthanc.json"
        assert path.stat().st_mode & 0o777 == access.stat().st_mode & 0o777 == 0o600
        passwords.add(json.loads(access.read_text())["password"])
    assert len(passwords) == 2


@pytest.mark.fault(32)
def test_exact_duplicate_from_another_device_succeeds_and_leaves_one_blob(door: UnitDoor, tmp_path: Path) -> None:
    for pixels in (True, False):
        image = make_image(tmp_path / f"{pixels}.dcm", pixels=pixels)
        for calling in (*MODALITIES, *MODALITIES):
            assert door.send(image, calling=calling).statuses == [0]
    assert len(door.blobs()) == 2
    assert len(door.rows("SELECT * FROM kept WHERE removed_at = ''")) == 2
    assert len(door.orthanc.json("/instances")) == 2


@pytest.mark.fault(30)
@pytest.mark.fault(31)
@pytest.mark.parametrize("side", [100, 1600], ids=["small", "big"])
@pytest.mark.parametrize("patient_id", ["DOOR^1", "SOMEBODY^ELSE"], ids=["other-pixels", "other-patient"])
def test_same_uid_with_other_bytes_is_a_loud_failure_and_both_are_there(
    door: UnitDoor, tmp_path: Path, patient_id: str, side: int
) -> None:
    uid = pydicom.uid.generate_uid()
    first = make_image(tmp_path / "first.dcm", uid=uid, side=side)
    other = make_image(tmp_path / "other.dcm", uid=uid, seed=1, side=side, patient_id=patient_id)
    assert door.send(first).statuses == [0]
    assert door.send(other).statuses == [0xC001]
    assert door.send(other).statuses == [0xC001]
    assert door.rows("SELECT reason, sop_instance_uid, seen_count FROM quarantined") == [("conflict", uid, 2)]
    (blob,), (copy,) = door.blobs(), door.quarantined()
    assert pydicom.dcmread(blob).PixelData == pydicom.dcmread(first).PixelData
    assert pydicom.dcmread(copy).PixelData == pydicom.dcmread(other).PixelData
    assert len(door.orthanc.json("/instances")) == 1


@pytest.mark.fault(29)
@pytest.mark.parametrize("body", [b"", b"junk" * 1000, bytes(128) + b"DICM"], ids=["empty", "junk", "prefix"])
def test_junk_upload_is_a_bad_request_and_nothing_is_kept(door: UnitDoor, body: bytes) -> None:
    assert door.orthanc.request("POST", "/instances", body)[0] == 400
    assert door.rows("SELECT * FROM kept") == []
    assert door.blobs() == []


@pytest.mark.fault(29)
@pytest.mark.parametrize("body", [b"\xff" * 4000, b"junk" * 1000], ids=["ff", "junk"])
def test_junk_data_set_by_c_store_is_no_success(door: UnitDoor, body: bytes) -> None:
    ae = AE(ae_title=MODALITIES[0])
    ae.dimse_timeout = 5  # Orthanc never answers junk, nor hangs up before a minute is over
    ae.add_requested_context(CTImageStorage, pydicom.uid.ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", door.orthanc.dicom_port, ae_title=AE_TITLE)
    assert association.is_established
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = CTImageStorage
    request.AffectedSOPInstanceUID = pydicom.uid.generate_uid()
    request.Priority = 2
    request.DataSet = io.BytesIO(body)
    context_id = association.accepted_contexts[0].context_id
    assert context_id is not None
    association.dimse.send_msg(request, context_id)
    _, response = association.dimse.get_msg(block=True)
    association.abort()
    assert response is None or response.Status != 0
    assert door.rows("SELECT * FROM kept") == []
    assert door.orthanc.json("/instances") == []


def test_upload_by_rest_is_kept_and_a_repeat_leaves_one_blob(door: UnitDoor, tmp_path: Path) -> None:
    body = make_image(tmp_path / "a.dcm").read_bytes()
    for _ in range(2):
        assert door.orthanc.request("POST", "/instances", body)[0] == 200
    assert door.rows("SELECT calling_ae_title, sha256 FROM kept WHERE removed_at = ''") == [
        ("", hashlib.sha256(body).hexdigest())
    ]
    assert [path.read_bytes() for path in door.blobs()] == [body]


@pytest.mark.fault(30)
def test_conflict_by_rest_is_refused_and_set_aside(door: UnitDoor, tmp_path: Path) -> None:
    uid = pydicom.uid.generate_uid()
    first = make_image(tmp_path / "first.dcm", uid=uid).read_bytes()
    other = make_image(tmp_path / "other.dcm", uid=uid, seed=1, patient_id="SOMEBODY^ELSE").read_bytes()
    assert door.orthanc.request("POST", "/instances", first)[0] == 200
    assert door.orthanc.request("POST", "/instances", other)[0] >= 400
    assert [path.read_bytes() for path in door.blobs()] == [first]
    assert [path.read_bytes() for path in door.quarantined()] == [other]


@pytest.mark.fault(61)
def test_program_in_the_preamble_is_refused_by_rest_and_set_aside(door: UnitDoor, tmp_path: Path) -> None:
    body = b"MZ" + make_image(tmp_path / "a.dcm").read_bytes()[2:]
    assert door.orthanc.request("POST", "/instances", body)[0] >= 400
    assert door.rows("SELECT reason FROM quarantined") == [("preamble",)]
    assert door.blobs() == []


@pytest.mark.parametrize("pixels", [True, False], ids=["image", "no-pixels"])
def test_blob_that_orthanc_forgot_comes_back_under_its_new_name(command: str, tmp_path: Path, pixels: bool) -> None:
    """The index is lost, as by a damaged disk; recovery posts the blob again."""
    config = unit_config(command, tmp_path / "data")
    image = make_image(tmp_path / "a.dcm", pixels=pixels)
    with start_door(config) as door:
        assert door.send(image).statuses == [0]
        (old,) = door.blobs()
        body = old.read_bytes()
    for path in config.orthanc_dir.glob("index*"):
        path.unlink()
    with start_door(config) as door:
        assert door.orthanc.request("POST", "/instances", body)[0] == 200
        (new,) = door.blobs()
        assert new.name != old.name
        assert door.rows("SELECT blob_uuid FROM kept WHERE removed_at = ''") == [(new.name,)]
        assert new.read_bytes() == body
        (orthanc_id,) = door.orthanc.json("/instances")
        assert door.orthanc.request("GET", f"/instances/{orthanc_id}/file")[1] == new.read_bytes()


def test_delete_through_orthanc_needs_a_permit(door: UnitDoor, tmp_path: Path) -> None:
    image = make_image(tmp_path / "a.dcm")
    assert door.send(image).statuses == [0]
    (orthanc_id,) = door.orthanc.json("/instances")
    assert door.orthanc.request("DELETE", f"/instances/{orthanc_id}")[0] == 200
    assert len(door.blobs()) == 1, "whoever deletes in Orthanc, the blob stays until the purge rule permits it"


def test_every_syntax_of_the_design_that_this_dcmtk_knows_is_accepted(door: UnitDoor) -> None:
    """Orthanc cannot accept a syntax its own DCMTK lacks: those are listed in docs/reference/door.md."""
    ae = AE(ae_title=MODALITIES[0])
    ae.requested_contexts = [build_context("1.2.840.10008.5.1.4.1.1.7", uid) for uid in SYNTAXES]
    association = ae.associate("127.0.0.1", door.orthanc.dicom_port, ae_title=AE_TITLE)
    assert association.is_established
    accepted = {context.transfer_syntax[0] for context in association.accepted_contexts}
    association.release()
    assert set(SYNTAXES) - accepted <= {*HTJ2K, *JPEG_XL}
