"""What happens to an object at the door, callback by callback; standard library only, for Orthanc's Python loads it.

Orthanc calls, in one thread and before it answers: ``admit``, ``create`` (the file), ``create`` (its header, when it
has pixels), its own index commit, ``stored``. The order of what becomes durable, and what a power cut leaves:

1. ``create`` writes ``<uuid>.part``, flushes it, renames it, flushes the folder. A cut here leaves a partial file or a
   file without a row: never acknowledged, never adopted, set aside by recovery.
2. The ``kept`` row (digests, size, UID) is committed, at once when the object has no pixels, otherwise together with
   where its header lies when ``create`` is called for that: a prefix of the blob, so no second file is written. A cut
   from here on leaves a kept blob that Orthanc may not know: recovery posts it again, which does no harm when the
   sender repeats it.
3. Orthanc commits its index without a flush; ``stored`` flushes it. Only then does Orthanc answer Success.

So no Success goes out before blob, name, row and index are on the medium. A refusal raises, which Orthanc answers as
0xA700 without an index row. A failed flush ends the process: the association aborts, and no Success is sent.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.clock import Clock
from appliance.logging import log
from appliance.orthanc import blobs
from appliance.orthanc.blobs import FailStop, blob_path, fail_stop
from appliance.orthanc.ledger import KeptBlob, Ledger
from appliance.orthanc.part10 import (
    Digests,
    MetaHeader,
    NotPart10Error,
    digests,
    is_executable_preamble,
    is_uid,
    parse_meta,
)

STATUS_ADMIT = 0x0000
STATUS_OUT_OF_RESOURCES = 0xA700
STATUS_CANNOT_UNDERSTAND = 0xC000
STATUS_CONFLICT = 0xC001
"""A failure of the "cannot understand" family (PS3.4 table B.2-1): no sender may take it for stored, unlike 0x0111."""

CONTENT_DICOM = 1
"""``OrthancPluginContentType_Dicom``: the Part 10 file itself."""
CONTENT_HEADER = 3
"""``OrthancPluginContentType_DicomUntilPixelData``: what precedes the pixels."""

PIXEL_DATA_TAG = b"\xe0\x7f\x10\x00"
"""(7FE0,0010) in little endian, the byte order of all transfer syntaxes but the retired big endian one."""

COPY_COUNT_PER_UID_MAX = 8
"""Data sets set aside under one UID: a device that makes its picture anew for each try must not fill the disk."""

HASH_BESIDE_BYTES_MIN = 256 * 1024
"""From here on hashing in a second thread, beside write and flush, gains more than the hand-over costs (0.1 ms)."""


class RefusedError(Exception):
    """The object is not taken; Orthanc answers a failure and keeps no index row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorSettings:
    """Folders, and the bounds of ``appliance.domain.limits`` that hold at the door."""

    door_db: Path
    blob_dir: Path
    quarantine_dir: Path
    attachment_dir: Path
    """Orthanc's attachments that are no prefix of a blob; they can be derived again and are never delivered."""
    index_wal: Path
    """The write-ahead log of Orthanc's own index."""
    free_bytes_floor: int
    free_inode_floor: int
    object_bytes_max: int
    object_share_of_free_space_max: float
    quarantine_file_count_max: int


@dataclass(slots=True)
class _Created:
    """A durable blob on its way from ``create`` to ``stored`` in the same thread."""

    blob: KeptBlob
    calling_ae_title: str
    data: bytes
    """The file, until it is recorded."""
    is_recorded: bool = False


@dataclass(frozen=True, slots=True)
class _Arrival:
    """An admitted object on its way to ``create`` in the same thread."""

    calling_ae_title: str
    size_bytes: int


class Door:
    """The decisions and writes behind Orthanc's callbacks.

    Orthanc makes a new Python thread state for every callback, so ``threading.local`` forgets between two of them; what
    one callback leaves for the next is kept by thread id.
    """

    def __init__(self, settings: DoorSettings, ledger: Ledger, clock: Clock, stop: FailStop = fail_stop) -> None:
        self._settings = settings
        self._ledger = ledger
        self._stop = stop
        self._started_mono_s = clock.mono_s()
        self._clock = clock
        self._hasher = ThreadPoolExecutor(max_workers=2, thread_name_prefix="door-hash")
        self._arrivals: dict[int, _Arrival] = {}
        self._created: dict[int, _Created] = {}
        self._index = IndexLog(settings.index_wal, stop)
        self._counts: Counter[str] = Counter()
        self._last_error = ""
        for folder in (settings.blob_dir, settings.quarantine_dir, settings.attachment_dir):
            blobs.ensure_folder(folder, stop)
        try:
            blobs.ensure_fan_out(settings.blob_dir, stop)
        except OSError as error:
            log("unit.door", "folders missing", error=error.strerror)

    # IncomingCStoreInstanceFilter

    def room_status(self, size_bytes: int, calling_ae_title: str) -> int:
        """Whether an object of that size may come in: ``STATUS_ADMIT`` or ``STATUS_OUT_OF_RESOURCES``."""
        reason = self._lacking(size_bytes)
        if not reason:
            return STATUS_ADMIT
        self._counts["refused"] += 1
        self._last_error = reason
        log("unit.door", "refused", reason=reason, bytes=size_bytes)
        try:
            self._ledger.refuse(reason, STATUS_OUT_OF_RESOURCES, calling_ae_title)
        except sqlite3.Error as error:
            log("unit.door", "refusal not recorded", error=type(error).__name__)
        return STATUS_OUT_OF_RESOURCES

    def _lacking(self, size_bytes: int) -> str:
        """Why there is no room, or nothing."""
        limits = self._settings
        medium = os.statvfs(limits.blob_dir)
        free_bytes = medium.f_bavail * medium.f_frsize
        if size_bytes > limits.object_bytes_max:
            return "object-too-large"
        if free_bytes - size_bytes < limits.free_bytes_floor:
            return "disk-full"
        if size_bytes > limits.object_share_of_free_space_max * free_bytes:
            return "object-too-large-for-free-space"
        # File systems that make inodes as they go report none at all.
        if medium.f_files and medium.f_favail < limits.free_inode_floor:
            return "inodes-exhausted"
        return ""

    def admit_unseen(self, sop_instance_uid: str, size_bytes: int, calling_ae_title: str) -> bool:
        """Admit by UID alone, where copying the bytes costs more; ``False`` when ``admit`` must judge them."""
        if not is_uid(sop_instance_uid) or self._ledger.knows(sop_instance_uid):
            return False
        self._arrivals[threading.get_ident()] = _Arrival(calling_ae_title, size_bytes)
        return True

    def admit(self, data: bytes, calling_ae_title: str) -> int:
        """Judge the bytes that Orthanc is about to store; the DIMSE status for the sender.

        Raises:
            OSError, sqlite3.Error: If they had to be set aside and could not; Orthanc then answers 0xA700.
        """
        try:
            meta = parse_meta(data)
        except NotPart10Error as error:
            self._set_aside("not-understood", "", data, calling_ae_title, str(error))
            return STATUS_CANNOT_UNDERSTAND
        if self._ledger.knows(meta.sop_instance_uid):
            both = digests(data, meta.dataset_offset)
            if self._ledger.conflicts(meta.sop_instance_uid, both.dataset_sha256):
                self._set_aside("conflict", meta.sop_instance_uid, data, calling_ae_title, both=both)
                return STATUS_CONFLICT
        self._arrivals[threading.get_ident()] = _Arrival(calling_ae_title, len(data))
        return STATUS_ADMIT

    # StorageArea

    def create(self, attachment_uuid: str, content_type: int, data: bytes) -> None:
        """Keep an attachment durably.

        Raises:
            RefusedError: If the object may not come in.
            OSError, sqlite3.Error: If it could not be written whole.
        """
        try:
            if content_type == CONTENT_DICOM:
                self._create_blob(attachment_uuid, data)
            elif not (content_type == CONTENT_HEADER and self._is_prefix(attachment_uuid, data)):
                blobs.write_durable(blob_path(self._settings.attachment_dir, attachment_uuid), data, self._stop)
        except (OSError, sqlite3.Error) as error:
            self._counts["failed"] += 1
            self._last_error = f"not kept: {type(error).__name__}: {error}"
            log("unit.door", "not kept", blob=attachment_uuid, error=f"{type(error).__name__}: {error}")
            raise

    def _create_blob(self, blob_uuid: str, data: bytes) -> None:
        thread_id = threading.get_ident()
        self._created.pop(thread_id, None)
        arrival = self._arrivals.pop(thread_id, None)
        # An arrival of another length was admitted but never stored; this one came by REST.
        calling_ae_title = arrival.calling_ae_title if arrival and arrival.size_bytes == len(data) else ""
        meta = self._understood(data, calling_ae_title)
        both = self._write_and_hash(blob_path(self._settings.blob_dir, blob_uuid), data, meta)
        created = _Created(KeptBlob(blob_uuid, meta.sop_instance_uid, both, len(data)), calling_ae_title, data)
        # Only a guess whether a header follows, to save a flush; ``stored`` makes up for a wrong one.
        if data.find(PIXEL_DATA_TAG, meta.dataset_offset) < 0:
            self._record(created)
        self._created[thread_id] = created

    def _record(self, created: _Created, header_uuid: str = "", header_bytes: int = 0) -> None:
        """Commit the ``kept`` row.

        Raises:
            RefusedError: If another data set was kept under this UID since ``admit`` looked, or it came by REST.
            sqlite3.Error: If it cannot be committed; the blob is gone then.
        """
        blob, data = created.blob, created.data
        path = blob_path(self._settings.blob_dir, blob.blob_uuid)
        try:
            kept = self._ledger.keep(blob, created.calling_ae_title, header_uuid, header_bytes)
            if not kept:
                self._set_aside("conflict", blob.sop_instance_uid, data, created.calling_ae_title, both=blob.digests)
        except (OSError, sqlite3.Error):
            blobs.unlink_quietly(path)
            raise
        if not kept:
            blobs.unlink_quietly(path)
            raise RefusedError("the SOP Instance UID is kept with another data set")
        created.is_recorded, created.data = True, b""
        self._counts["kept"] += 1

    def _understood(self, data: bytes, calling_ae_title: str) -> MetaHeader:
        if is_executable_preamble(data):
            self._set_aside("preamble", "", data, calling_ae_title)
            raise RefusedError("the preamble is that of a program or an archive")
        try:
            return parse_meta(data)
        except NotPart10Error as error:
            self._set_aside("not-understood", "", data, calling_ae_title, str(error))
            raise RefusedError(str(error)) from error

    def _write_and_hash(self, path: Path, data: bytes, meta: MetaHeader) -> Digests:
        if len(data) < HASH_BESIDE_BYTES_MIN:
            blobs.write_durable(path, data, self._stop)
            return digests(data, meta.dataset_offset)
        beside: Future[Digests] = self._hasher.submit(digests, data, meta.dataset_offset)
        blobs.write_durable(path, data, self._stop)
        return beside.result()

    def _is_prefix(self, header_uuid: str, data: bytes) -> bool:
        """Record the blob of this thread, with its header when that is a prefix of it; whether it is."""
        thread_id = threading.get_ident()
        created = self._created.get(thread_id)
        if not created or created.is_recorded:
            return False
        is_prefix = created.data.startswith(data)
        # One that is refused must not stay in memory, up to 2 GiB of it, until this thread's next object.
        del self._created[thread_id]
        self._record(created, *((header_uuid, len(data)) if is_prefix else ()))
        self._created[thread_id] = created
        return is_prefix

    def read(self, attachment_uuid: str, content_type: int) -> bytes:
        """The attachment, whole.

        Raises:
            RefusedError: If it was never kept.
            OSError: If it is missing, short or unreadable; Orthanc answers an error, never other bytes.
        """
        try:
            return self._read(attachment_uuid, content_type)
        except OSError as error:
            self._counts["unreadable"] += 1
            self._last_error = f"unreadable blob {attachment_uuid}: {error.strerror}"
            log("unit.door", "unreadable", blob=attachment_uuid, error=error.strerror)
            raise

    def _read(self, attachment_uuid: str, content_type: int) -> bytes:
        if content_type == CONTENT_DICOM:
            blob = self._ledger.find(attachment_uuid)
            if not blob:
                raise RefusedError("this blob was never kept, or was removed")
            path = blob_path(self._settings.blob_dir, attachment_uuid)
            if path.stat().st_size != blob.size_bytes:
                raise blobs.ShortFileError(5, "the blob has another length than was kept")
            return blobs.read_whole(path, blob.size_bytes)
        prefix = self._ledger.find_header(attachment_uuid)
        if prefix:
            return blobs.read_whole(blob_path(self._settings.blob_dir, prefix[0]), prefix[1])
        path = blob_path(self._settings.attachment_dir, attachment_uuid)
        return blobs.read_whole(path, path.stat().st_size)

    def remove(self, attachment_uuid: str, content_type: int) -> None:
        """Remove an attachment Orthanc no longer needs; a blob goes only when permitted or held twice.

        Raises:
            OSError, sqlite3.Error: If the removal could not be recorded; the file then stays.
        """
        if content_type != CONTENT_DICOM:
            # A header that is a prefix has no file of its own; its row goes with the blob's.
            blobs.unlink_quietly(blob_path(self._settings.attachment_dir, attachment_uuid))
            return
        created = self._created.get(threading.get_ident())
        if created and created.blob.blob_uuid == attachment_uuid:
            # Orthanc held the instance already, or failed; either way it gives this copy back.
            del self._created[threading.get_ident()]
        blob = self._ledger.find(attachment_uuid)
        if blob and (self._ledger.is_purge_permitted(attachment_uuid) or self._is_held_twice(blob)):
            self._ledger.mark_removed(attachment_uuid)
            blobs.unlink_quietly(blob_path(self._settings.blob_dir, attachment_uuid))
            return
        log("unit.door", "blob stays", blob=attachment_uuid, kept=bool(blob))

    def _is_held_twice(self, blob: KeptBlob) -> bool:
        """Whether another blob proves, byte for byte, to hold the same; a damaged twin is healed by this one."""
        for twin in self._ledger.twins(blob):
            path = blob_path(self._settings.blob_dir, twin.blob_uuid)
            if self._is_intact(path, twin):
                self._counts["duplicate"] += 1
                return True
            if twin.digests.sha256 == blob.digests.sha256:
                blob_path(self._settings.blob_dir, blob.blob_uuid).rename(path)
                blobs.flush_folder(path.parent, self._stop)
                self._counts["healed"] += 1
                log("unit.door", "damaged blob healed by a repeat", blob=twin.blob_uuid)
                return True
        return False

    def _is_intact(self, path: Path, blob: KeptBlob) -> bool:
        try:
            data = blobs.read_whole(path, blob.size_bytes)
        except OSError:
            return False
        return digests(data, 0).sha256 == blob.digests.sha256

    # OnStoredInstance

    def stored(self) -> None:
        """Make Orthanc's index durable, then let go of older copies of a blob that Orthanc has taken anew."""
        self._index.flush()
        created = self._created.pop(threading.get_ident(), None)
        if not created:
            return
        if not created.is_recorded:
            self._record_late(created)
        for older in self._ledger.twins(created.blob):
            self._ledger.mark_removed(older.blob_uuid)
            blobs.unlink_quietly(blob_path(self._settings.blob_dir, older.blob_uuid))

    def _record_late(self, created: _Created) -> None:
        """The bytes of a pixel data tag, but no pixels: no header came. A refusal is not possible any more."""
        try:
            self._record(created)
        except (RefusedError, OSError, sqlite3.Error) as error:
            self._stop("late record of a blob", error)

    # the rest

    def _set_aside(
        self,
        reason: str,
        sop_instance_uid: str,
        data: bytes,
        calling_ae_title: str,
        detail: str = "",
        both: Digests | None = None,
    ) -> None:
        """Keep refused bytes for a person, under a name of our own making, and say so."""
        sha256 = (both or digests(data, 0)).sha256
        self._counts[reason] += 1
        self._last_error = f"set aside: {reason} {detail}".rstrip()
        log("unit.door", "set aside", reason=reason, uid=sop_instance_uid, bytes=len(data), detail=detail)
        if self._ledger.seen_again(reason, sop_instance_uid, sha256):
            return
        if self._is_quarantine_full(sop_instance_uid):
            status = STATUS_CONFLICT if reason == "conflict" else STATUS_CANNOT_UNDERSTAND
            self._ledger.refuse("quarantine-full", status, calling_ae_title)
            return
        file_name = f"{sha256[:16]}-{secrets.token_hex(4)}.dcm"
        blobs.write_durable(self._settings.quarantine_dir / file_name, data, self._stop)
        self._ledger.quarantine(reason, sop_instance_uid, sha256, len(data), file_name, calling_ae_title)

    def _is_quarantine_full(self, sop_instance_uid: str) -> bool:
        """Whether no more is set aside: it is refused all the same, and the disk is left to what is delivered."""
        if sop_instance_uid and self._ledger.set_aside_count(sop_instance_uid) >= COPY_COUNT_PER_UID_MAX:
            return True
        # The gatekeeper counts its own: what it refuses must not cost a conflict its copy.
        own_count = sum(not path.name.startswith("gate-") for path in self._settings.quarantine_dir.iterdir())
        return own_count >= self._settings.quarantine_file_count_max

    def facts(self) -> dict[str, Any]:
        """For health checks: counts since the start, free space with its floors, the last thing that went wrong."""
        medium = os.statvfs(self._settings.blob_dir)
        return {
            "running_s": round(self._clock.mono_s() - self._started_mono_s, 1),
            "counts": dict(self._counts),
            "last_error": self._last_error,
            "free_bytes": medium.f_bavail * medium.f_frsize,
            "free_bytes_floor": self._settings.free_bytes_floor,
            "free_inode_count": medium.f_favail,
            "free_inode_floor": self._settings.free_inode_floor,
        }


class IndexLog:
    """The write-ahead log of Orthanc's SQLite index, flushed by us because Orthanc commits without a flush.

    Only the log is opened, never the index file: closing any descriptor of that one would drop SQLite's POSIX locks.
    """

    def __init__(self, path: Path, stop: FailStop = fail_stop) -> None:
        self._path = path
        self._stop = stop
        self._lock = threading.Lock()
        self._fd = -1
        self._inode = -1

    def flush(self) -> None:
        """``fdatasync`` the log; any error ends the process, since the index row is in doubt."""
        with self._lock:
            try:
                self._open_current()
                os.fdatasync(self._fd)
            except OSError as error:
                self._stop("fdatasync of Orthanc's index", error)

    def _open_current(self) -> None:
        """Follow the name to a new file, whose directory entry is then made durable too."""
        inode = self._path.stat().st_ino
        if inode == self._inode:
            return
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self._inode = os.fstat(self._fd).st_ino
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
