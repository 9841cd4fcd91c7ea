"""The door on a failing medium: real Orthancs, small file systems, injected errors; Success only for what is safe."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from appliance.config import UnitConfig
from tests.support.doors import (
    AE_TITLE,
    MODALITIES,
    SMALL_DISK,
    UnitDoor,
    blob_files,
    ledger_rows,
    make_image,
    start_door,
    unit_config,
)
from tests.support.orthancs import orthanc_commands
from tests.support.strace import injected, missing_for_injection

EXIT_IO_ERROR = 74
KILLED = -9

needs_strace = pytest.mark.skipif(bool(missing_for_injection()), reason=missing_for_injection())
needs_mounts = pytest.mark.skipif(bool(missing_for_injection()), reason="needs root, to mount small file systems")
pytestmark = [pytest.mark.orthanc, pytest.mark.root]


@pytest.fixture(params=orthanc_commands(), ids=lambda command: Path(command).name)
def command(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.contextmanager
def mounted(folder: Path, size_bytes: int, *mkfs_options: str) -> Iterator[Path]:
    """An ext4 of its own in a sparse file beside ``folder``, with blocks as large as on any real disk.

    With the 1 KiB blocks that mke2fs chooses for tiny ones, SQLite's shared memory file keeps holes, and a write into
    one of them on a full disk ends the process with SIGBUS (see docs/reference/door.md).
    """
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0", *mkfs_options, str(image)], check=True, capture_output=True
    )
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)
        image.unlink()


def kept_and_whole(config: UnitConfig) -> set[str]:
    """SOP Instance UIDs whose blob has a row and, byte for byte, the digest in it."""
    rows = ledger_rows(config, "SELECT sop_instance_uid, blob_uuid, sha256 FROM kept WHERE removed_at = ''")
    blobs = {path.name: path for path in blob_files(config)}
    return {
        uid
        for uid, blob_uuid, sha256 in rows
        if blob_uuid in blobs and hashlib.sha256(blobs[blob_uuid].read_bytes()).hexdigest() == sha256
    }


def warmed_up(door: UnitDoor, tmp_path: Path) -> UnitDoor:
    """One object went through, so that the system calls of the next are those of every later one."""
    assert door.send(make_image(tmp_path / "first.dcm", uid="1.2.1")).statuses == [0]
    return door


@contextlib.contextmanager
def association(door: UnitDoor) -> Iterator[Association]:
    """An open association from a known device, for CT."""
    ae = AE(ae_title=MODALITIES[0])
    ae.add_requested_context(CTImageStorage, ExplicitVRLittleEndian)
    opened = ae.associate("127.0.0.1", door.orthanc.dicom_port, ae_title=AE_TITLE)
    assert opened.is_established
    try:
        yield opened
    finally:
        opened.release()


def assert_restart_is_clean(config: UnitConfig, image: Path, uid: str) -> None:
    """Started again, the sender's repeat succeeds and there is one instance with the right bytes."""
    with start_door(config) as door:
        assert door.send(image).statuses == [0]
        door.orthanc.kill()
    assert uid in kept_and_whole(config)


@needs_strace
@pytest.mark.fault(4)
@pytest.mark.fault(13)
def test_kill_in_on_stored_is_an_abort_and_the_kept_blob_stays(command: str, tmp_path: Path) -> None:
    config = unit_config(command, tmp_path / "data")
    image = make_image(tmp_path / "a.dcm", uid="1.2.2")
    with start_door(config) as door:
        warmed_up(door, tmp_path)
        # The first flush is the ledger's, the second is that of Orthanc's index in OnStored.
        with injected(door.orthanc.process.pid, "fdatasync:signal=SIGKILL:when=2", log=tmp_path / "strace.log"):
            sent = door.send(image)
            assert door.orthanc.wait_ended() == KILLED
    assert "index-wal" in (tmp_path / "strace.log").read_text()
    assert sent.statuses == []
    assert kept_and_whole(config) == {"1.2.1", "1.2.2"}
    assert_restart_is_clean(config, image, "1.2.2")


@needs_strace
@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("fsync:error=EIO:when=1", "fsync of a blob"),
        ("fsync:error=EIO:when=2", "fsync of a folder"),
        ("fdatasync:error=EIO:when=1", "fsync of the ledger"),
        ("fdatasync:error=EIO:when=2", "fdatasync of Orthanc's index"),
    ],
    ids=["blob", "folder", "ledger", "index"],
)
def test_failed_flush_ends_orthanc_without_a_success(command: str, tmp_path: Path, fault: str, what: str) -> None:
    config = unit_config(command, tmp_path / "data")
    image = make_image(tmp_path / "a.dcm", uid="1.2.2")
    with start_door(config) as door:
        warmed_up(door, tmp_path)
        with injected(door.orthanc.process.pid, fault, log=tmp_path / "strace.log"):
            sent = door.send(image)
            assert door.orthanc.wait_ended() == EXIT_IO_ERROR
        assert f"fail-stop what={what!r}" in door.orthanc.log_text()
    assert sent.statuses == []
    assert_restart_is_clean(config, image, "1.2.2")


@needs_strace
@pytest.mark.fault(15)
def test_write_error_into_blob_or_ledger_is_out_of_resources_and_leaves_no_partial_file(
    command: str, tmp_path: Path
) -> None:
    faults = [
        ("write:error=ENOSPC:when=1", ".part"),
        ("write:error=EIO:when=1", ".part"),
        ("rename:error=ENOSPC:when=1", ".part"),
        ("pwrite64:error=ENOSPC:when=1", "door.db-wal"),
    ]
    config = unit_config(command, tmp_path / "data")
    with start_door(config) as door:
        warmed_up(door, tmp_path)
        for number, (fault, file) in enumerate(faults):
            image = make_image(tmp_path / f"{number}.dcm", uid=f"1.2.3.{number}")
            log = tmp_path / f"{number}.strace"
            # Associated before, so that the worker thread's first write is the blob's.
            with association(door) as sender:
                with injected(door.orthanc.process.pid, fault, log=log):
                    assert sender.send_c_store(image).Status == 0xA700, fault
                assert injected_lines(log, file), log.read_text()
                assert len(door.blobs()) == 1 + number
                assert sender.send_c_store(image).Status == 0, "reception goes on by itself"
        door.orthanc.kill()
    assert kept_and_whole(config) == {"1.2.1", *(f"1.2.3.{number}" for number in range(len(faults)))}


@needs_strace
@pytest.mark.fault(26)
@pytest.mark.parametrize(("nth", "error"), [(14, "ENOSPC"), (25, "EIO")], ids=["full", "broken"])
def test_error_in_orthancs_index_never_loses_an_acknowledged_object(
    command: str, tmp_path: Path, nth: int, error: str
) -> None:
    config = unit_config(command, tmp_path / "data")
    image = make_image(tmp_path / "a.dcm", uid="1.2.2")
    with start_door(config) as door:
        warmed_up(door, tmp_path)
        fault = f"pwrite64:error={error}:when={nth}"
        with injected(door.orthanc.process.pid, fault, log=tmp_path / "strace.log"):
            sent = door.send(image)
        assert injected_lines(tmp_path / "strace.log", "index-wal")
        door.orthanc.kill()
    assert 0 not in sent.statuses
    assert "1.2.2" in kept_and_whole(config)
    assert_restart_is_clean(config, image, "1.2.2")


@needs_mounts
@pytest.mark.fault(15)
def test_full_disk_at_20_sizes_gives_success_only_for_what_is_whole(command: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 64 << 20, "-N", "2000") as disk:
        config = unit_config(command, disk / "data", SMALL_DISK)
        filler = disk / "filler"
        with start_door(config) as door:
            acknowledged = set()
            for step in range(20):
                free_bytes = step * 32 * 1024
                fill(filler, free_bytes)
                uid = f"1.2.3.{step}"
                sent = door.send(make_image(tmp_path / f"{step}.dcm", uid=uid, seed=step))
                filler.unlink()
                assert door.orthanc.process.poll() is None, door.orthanc.log_text()[-2000:]
                acknowledged |= {uid} if 0 in sent.statuses else set()
                assert not [path for path in door.blobs() if path.suffix == ".part"]
                again = f"1.2.4.{step}"
                assert door.send(make_image(tmp_path / "again.dcm", uid=again, side=50)).statuses == [0]
                acknowledged.add(again)
            door.orthanc.kill()
        assert acknowledged <= kept_and_whole(config)
        assert 20 <= len(acknowledged) < 40, "some sizes must fail, or nothing was tested"


@needs_mounts
@pytest.mark.fault(15)
def test_disk_below_its_floor_is_out_of_resources_and_opens_again_by_itself(command: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 96 << 20) as disk:
        limits = type(SMALL_DISK)(free_bytes_floor=16 << 20, free_inode_floor=100, object_share_of_free_space_max=0.25)
        config = unit_config(command, disk / "data", limits)
        image = make_image(tmp_path / "a.dcm")
        with start_door(config) as door:
            fill(disk / "filler", 16 << 20)
            assert door.send(image).statuses == [0xA700]
            assert door.rows("SELECT reason, status FROM refused") == [("disk-full", 0xA700)]
            assert door.blobs() == []
            (disk / "filler").unlink()
            assert door.send(image).statuses == [0]
            door.orthanc.kill()


@needs_mounts
@pytest.mark.fault(16)
def test_exhausted_inodes_are_out_of_resources_and_reception_opens_again(command: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 64 << 20, "-N", "1024") as disk:
        config = unit_config(command, disk / "data", SMALL_DISK)
        image = make_image(tmp_path / "a.dcm", uid="1.2.2")
        with start_door(config) as door:
            hoard = disk / "hoard"
            hoard.mkdir()
            with contextlib.suppress(OSError):
                for number in range(2000):
                    (hoard / str(number)).touch()
            assert door.send(image).statuses == [0xA700]
            for path in hoard.iterdir():
                path.unlink()
            assert door.send(image).statuses == [0]
            door.orthanc.kill()
        assert kept_and_whole(config) == {"1.2.2"}


@needs_mounts
@pytest.mark.fault(20)
def test_file_system_that_turned_read_only_is_out_of_resources(command: str, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", 64 << 20) as disk:
        config = unit_config(command, disk / "data", SMALL_DISK)
        with start_door(config) as door:
            warmed_up(door, tmp_path)
            (blob,) = door.blobs()
            subprocess.run(["mount", "-o", "remount,abort", str(disk)], check=False, capture_output=True)
            assert door.send(make_image(tmp_path / "a.dcm", uid="1.2.2")).statuses == [0xA700]
            assert "Read-only" in door.facts()["last_error"]
            assert len(blob.read_bytes()) > 0, "what is there can still be read and exported"
            door.orthanc.kill()


def injected_lines(log: Path, file: str) -> list[str]:
    """The calls that failed by our hand; all of them on ``file``, or the test tested something else."""
    lines = [line for line in log.read_text().splitlines() if "INJECTED" in line]
    assert all(file in line for line in lines), lines
    return lines


def fill(filler: Path, free_bytes: int) -> None:
    """Leave about ``free_bytes`` on the file system of ``filler``."""
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    with filler.open("r+b") as file:
        file.truncate(max(0, filler.stat().st_size - free_bytes))
