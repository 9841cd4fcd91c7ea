"""The door without Orthanc: its callbacks in Orthanc's order, over a real ledger and a real folder."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import struct
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from appliance.clock import SystemClock
from appliance.orthanc import blobs
from appliance.orthanc.door import (
    CONTENT_DICOM,
    CONTENT_HEADER,
    COPY_COUNT_PER_UID_MAX,
    STATUS_ADMIT,
    STATUS_CANNOT_UNDERSTAND,
    STATUS_CONFLICT,
    STATUS_OUT_OF_RESOURCES,
    RefusedError,
)
from appliance.orthanc.ledger import Ledger, LedgerError
from tests.support.door_bench import PIXELS, Bench, StoppedError, dicom, permit, with_limits


def test_stored_object_has_a_blob_a_row_and_both_digests(bench: Bench) -> None:
    data = dicom()
    blob_uuid = bench.store(data)
    assert bench.files() == [blob_uuid]
    assert bench.door.read(blob_uuid, CONTENT_DICOM) == data
    row = bench.rows("SELECT sha256, dataset_sha256, size_bytes, sop_instance_uid, calling_ae_title FROM kept")
    dataset = data[data.index(b"\x08\x00\x05\x00") :]
    expected = (hashlib.sha256(data).hexdigest(), hashlib.sha256(dataset).hexdigest(), len(data), "1.2.3", "XRAY1")
    assert row == [expected]


def test_row_waits_for_the_header_when_pixels_follow_and_both_are_one_row(bench: Bench) -> None:
    data = dicom(body=PIXELS)
    assert bench.door.admit(data, "XRAY1") == STATUS_ADMIT
    blob_uuid, header_uuid = str(uuid.uuid4()), str(uuid.uuid4())
    bench.door.create(blob_uuid, CONTENT_DICOM, data)
    assert bench.kept() == []
    bench.door.create(header_uuid, CONTENT_HEADER, data[:200])
    assert bench.kept() == [blob_uuid]
    assert bench.files() == [blob_uuid], "the header costs no file"
    assert bench.door.read(header_uuid, CONTENT_HEADER) == data[:200]


def test_row_is_durable_before_the_answer_when_no_header_follows_pixels(bench: Bench) -> None:
    blob_uuid = bench.store(dicom(body=PIXELS))
    assert bench.kept() == [blob_uuid]


def test_header_that_is_no_prefix_is_a_file_of_its_own(bench: Bench) -> None:
    data = dicom(body=PIXELS)
    header_uuid = str(uuid.uuid4())
    bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, data)
    bench.door.create(header_uuid, CONTENT_HEADER, b"something else")
    assert len(bench.kept()) == 1
    assert bench.door.read(header_uuid, CONTENT_HEADER) == b"something else"
    bench.door.remove(header_uuid, CONTENT_HEADER)
    with pytest.raises(OSError):
        bench.door.read(header_uuid, CONTENT_HEADER)


def test_index_log_is_flushed_before_the_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: flushed.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    bench.store(dicom())
    assert flushed == [str(bench.settings.index_wal)]


def test_index_log_is_followed_to_a_new_file(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.store(dicom("1.1"))
    bench.settings.index_wal.unlink()
    bench.settings.index_wal.write_bytes(b"new")
    flushed: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: flushed.append(os.fstat(fd).st_ino))
    bench.store(dicom("1.2"))
    assert flushed == [bench.settings.index_wal.stat().st_ino]


def test_missing_index_log_stops_the_process(bench: Bench) -> None:
    bench.settings.index_wal.unlink()
    with pytest.raises(StoppedError):
        bench.store(dicom())


@pytest.mark.fault(32)
def test_exact_duplicate_succeeds_and_leaves_one_blob(bench: Bench) -> None:
    first = bench.store(dicom())
    assert bench.door.admit(dicom(), "US1") == STATUS_ADMIT
    second = str(uuid.uuid4())
    bench.door.create(second, CONTENT_DICOM, dicom())
    bench.door.remove(second, CONTENT_DICOM)
    bench.door.stored()
    assert bench.files() == bench.kept() == [first]


@pytest.mark.fault(32)
def test_duplicate_with_another_meta_header_is_a_duplicate(bench: Bench) -> None:
    first = bench.store(dicom())
    other_meta = dicom(meta=struct.pack("<HH2sH", 2, 0x12, b"UI", 4) + b"1.2\0")
    assert bench.door.admit(other_meta, "XRAY1") == STATUS_ADMIT
    second = str(uuid.uuid4())
    bench.door.create(second, CONTENT_DICOM, other_meta)
    bench.door.remove(second, CONTENT_DICOM)
    assert bench.files() == bench.kept() == [first]


def test_repeat_heals_a_blob_that_was_damaged(bench: Bench) -> None:
    data = dicom()
    first = bench.store(data)
    path = blobs.blob_path(bench.settings.blob_dir, first)
    path.write_bytes(bytes(len(data)))
    second = str(uuid.uuid4())
    bench.door.create(second, CONTENT_DICOM, data)
    bench.door.remove(second, CONTENT_DICOM)
    assert bench.files() == bench.kept() == [first]
    assert path.read_bytes() == data


def test_only_sound_copy_is_never_removed_when_the_twin_is_damaged(bench: Bench) -> None:
    first = bench.store(dicom())
    blobs.blob_path(bench.settings.blob_dir, first).write_bytes(b"torn")
    second = str(uuid.uuid4())
    bench.door.create(second, CONTENT_DICOM, dicom(meta=struct.pack("<HH2sH", 2, 0x12, b"UI", 4) + b"1.2\0"))
    bench.door.remove(second, CONTENT_DICOM)
    assert second in bench.files() and second in bench.kept()


def test_blob_posted_again_replaces_the_one_orthanc_forgot(bench: Bench) -> None:
    first = bench.store(dicom())
    second = bench.create(dicom())
    assert bench.files() == bench.kept() == [second]
    assert bench.rows("SELECT count(*) FROM kept WHERE removed_at <> ''") == [(1,)]
    assert first != second


@pytest.mark.fault(30)
def test_same_uid_with_other_bytes_is_set_aside_and_refused(bench: Bench) -> None:
    first = bench.store(dicom())
    other = dicom(body=b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192")
    assert bench.door.admit(other, "US1") == STATUS_CONFLICT
    assert bench.kept() == [first]
    (copy,) = bench.quarantined_files()
    assert copy.read_bytes() == other
    row = bench.rows("SELECT reason, sop_instance_uid, file_name, calling_ae_title, seen_count FROM quarantined")
    assert row == [("conflict", "1.2.3", copy.name, "US1", 1)]


@pytest.mark.fault(30)
def test_repeated_conflict_is_counted_and_costs_no_second_copy(bench: Bench) -> None:
    bench.store(dicom())
    other = dicom(body=b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192")
    for _ in range(3):
        assert bench.door.admit(other, "US1") == STATUS_CONFLICT
    assert len(bench.quarantined_files()) == 1
    assert bench.rows("SELECT seen_count FROM quarantined") == [(3,)]


@pytest.mark.fault(30)
def test_conflict_outlives_the_eviction_of_the_first(bench: Bench) -> None:
    first = bench.store(dicom())
    permit(bench, first)
    bench.door.remove(first, CONTENT_DICOM)
    assert bench.door.admit(dicom(body=b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192"), "US1") == STATUS_CONFLICT


@pytest.mark.fault(30)
@pytest.mark.parametrize("body", [b"", PIXELS])
def test_conflict_that_slipped_past_the_filter_is_refused_by_create(bench: Bench, body: bytes) -> None:
    """Two associations send one UID at the same moment, or it comes by REST, where no filter is asked."""
    first = bench.store(dicom())
    other = dicom(body=b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 192" + body)
    with pytest.raises(RefusedError):
        bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, other)
        bench.door.create(str(uuid.uuid4()), CONTENT_HEADER, other[:100])
    assert bench.files() == bench.kept() == [first]
    assert [path.read_bytes() for path in bench.quarantined_files()] == [other]


@pytest.mark.parametrize("data", [b"", b"junk" * 100, bytes(128) + b"DICM", dicom("../../x")])
@pytest.mark.fault(29)
def test_junk_is_set_aside_and_refused(bench: Bench, data: bytes) -> None:
    assert bench.door.admit(data, "XRAY1") == STATUS_CANNOT_UNDERSTAND
    with pytest.raises(RefusedError):
        bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, data)
    assert bench.kept() == bench.files() == []
    assert [path.read_bytes() for path in bench.quarantined_files()] == [data]
    assert all(path.parent == bench.settings.quarantine_dir for path in bench.quarantined_files())


@pytest.mark.fault(30)
def test_device_that_makes_its_picture_anew_for_each_try_does_not_fill_the_disk(bench: Bench) -> None:
    bench.store(dicom())
    for number in range(COPY_COUNT_PER_UID_MAX + 3):
        other = dicom(body=b"\x08\x00\x05\x00CS\x04\x00%04d" % number)
        assert bench.door.admit(other, "XRAY1") == STATUS_CONFLICT
    assert len(bench.quarantined_files()) == COPY_COUNT_PER_UID_MAX
    assert bench.rows("SELECT reason, status FROM refused") == [("quarantine-full", STATUS_CONFLICT)] * 3


def test_quarantine_holds_no_more_files_than_its_bound(bench: Bench) -> None:
    bounded = with_limits(bench, quarantine_file_count_max=2)
    for number in range(4):
        assert bounded.door.admit(b"junk %d" % number, "XRAY1") == STATUS_CANNOT_UNDERSTAND
    assert len(bench.quarantined_files()) == 2


def test_object_that_is_refused_at_its_header_is_not_held_in_memory(bench: Bench) -> None:
    data = dicom(body=PIXELS)
    bench.store(dicom())
    holders = sys.getrefcount(data)
    bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, data)
    with pytest.raises(RefusedError):
        bench.door.create(str(uuid.uuid4()), CONTENT_HEADER, data[:100])
    assert sys.getrefcount(data) == holders


@pytest.mark.parametrize("start", [b"MZ", b"\x7fELF", b"PK\x03\x04", b"#!/bin/sh"])
def test_upload_that_is_a_program_too_is_set_aside(bench: Bench, start: bytes) -> None:
    data = start + dicom()[len(start) :]
    with pytest.raises(RefusedError):
        bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, data)
    assert bench.kept() == []
    assert bench.rows("SELECT reason FROM quarantined") == [("preamble",)]


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"free_bytes_floor": 1 << 60}, "disk-full"),
        ({"free_inode_floor": 1 << 60}, "inodes-exhausted"),
        ({"object_bytes_max": 999}, "object-too-large"),
        ({"object_share_of_free_space_max": 1e-12}, "object-too-large-for-free-space"),
    ],
)
def test_object_without_room_is_refused_and_the_reason_recorded(
    bench: Bench, limits: dict[str, Any], reason: str
) -> None:
    narrow = with_limits(bench, **limits)
    assert narrow.door.room_status(1000, "XRAY1") == STATUS_OUT_OF_RESOURCES
    assert narrow.rows("SELECT reason, status, calling_ae_title FROM refused") == [(reason, 0xA700, "XRAY1")]
    assert bench.door.room_status(1000, "XRAY1") == STATUS_ADMIT


def test_refusal_is_answered_when_it_cannot_be_recorded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(bench.ledger, "refuse", full)
    narrow = with_limits(bench, free_bytes_floor=1 << 60)
    assert narrow.door.room_status(1, "XRAY1") == STATUS_OUT_OF_RESOURCES


@pytest.mark.fault(15)
@pytest.mark.parametrize("written", [0, 1, 511])
def test_full_disk_in_the_middle_of_a_write_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    real_write, calls = os.write, iter(range(100))

    def write(fd: int, data: bytes) -> int:
        if next(calls):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(fd, data[:written])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError):
        bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, dicom() + bytes(1000))
    assert bench.files() == bench.kept() == []


def test_short_writes_are_carried_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, data[:7]))
    blob_uuid = bench.store(dicom())
    monkeypatch.undo()
    assert bench.door.read(blob_uuid, CONTENT_DICOM) == dicom()


@pytest.mark.fault(18)
@pytest.mark.parametrize("nth", [1, 2], ids=["blob", "folder"])
def test_failed_flush_stops_the_process_and_is_not_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    calls: list[int] = []

    def fsync(fd: int) -> None:
        calls.append(fd)
        if len(calls) == nth:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoppedError):
        bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, dicom())
    assert len(calls) == nth
    assert bench.kept() == []


@pytest.mark.fault(20)
def test_read_only_medium_is_a_refusal(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(*_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(OSError, match="Read-only"):
        bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, dicom())
    monkeypatch.undo()
    assert bench.kept() == []


def test_blob_without_a_row_is_gone_when_the_ledger_is_full(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(bench.ledger, "keep", full)
    with pytest.raises(sqlite3.OperationalError):
        bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, dicom())
    assert bench.files() == bench.kept() == []


def test_late_record_that_fails_stops_the_process(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    bench.door.create(str(uuid.uuid4()), CONTENT_DICOM, dicom(body=PIXELS))
    monkeypatch.setattr(bench.ledger, "keep", full)
    with pytest.raises(StoppedError):
        bench.door.stored()


@pytest.mark.fault(17)
@pytest.mark.parametrize("damage", ["short", "long", "missing"])
def test_damaged_blob_is_an_error_never_other_bytes(bench: Bench, damage: str) -> None:
    blob_uuid = bench.store(dicom())
    path = blobs.blob_path(bench.settings.blob_dir, blob_uuid)
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(dicom()[:-1] if damage == "short" else dicom() + b"\0")
    with pytest.raises(OSError):
        bench.door.read(blob_uuid, CONTENT_DICOM)
    assert blob_uuid in bench.door.facts()["last_error"]


@pytest.mark.fault(27)
def test_file_without_a_row_is_never_read(bench: Bench) -> None:
    torn = str(uuid.uuid4())
    blobs.write_durable(blobs.blob_path(bench.settings.blob_dir, torn), dicom())
    with pytest.raises(RefusedError):
        bench.door.read(torn, CONTENT_DICOM)


def test_remove_without_a_permit_leaves_the_blob(bench: Bench) -> None:
    blob_uuid = bench.store(dicom())
    bench.door.remove(blob_uuid, CONTENT_DICOM)
    assert bench.files() == bench.kept() == [blob_uuid]


def test_remove_with_a_permit_takes_blob_and_row_and_leaves_the_permit_to_sync(bench: Bench) -> None:
    blob_uuid = bench.store(dicom())
    permit(bench, blob_uuid)
    bench.door.remove(blob_uuid, CONTENT_DICOM)
    assert bench.files() == bench.kept() == []
    assert bench.rows("SELECT blob_uuid FROM purge_permit") == [(blob_uuid,)]


@pytest.mark.fault(62)
@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "", "a/../../../../etc/passwd-----------------"])
def test_attachment_name_that_is_no_uuid_reaches_no_file(bench: Bench, name: str) -> None:
    for content_type in (CONTENT_DICOM, CONTENT_HEADER):
        with pytest.raises((ValueError, RefusedError)):
            bench.door.create(name, content_type, dicom())
        with pytest.raises((ValueError, RefusedError)):
            bench.door.read(name, content_type)


def test_associations_at_once_keep_every_object(bench: Bench) -> None:
    def send(number: int) -> None:
        for turn in range(10):
            bench.store(dicom(f"1.{number}.{turn}", PIXELS), header=150, calling=f"AE{number}")

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bench.kept()) == len(bench.files()) == 40
    assert bench.rows("SELECT count(*) FROM kept GROUP BY calling_ae_title") == [(10,)] * 4
    assert bench.rows("SELECT count(*) FROM kept WHERE header_bytes = 150") == [(40,)]


def test_ledger_that_is_missing_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "door.db", SystemClock())
