"""The door's side of ``door.db``: what was kept before Success, set aside or refused; standard library only.

One writing and one reading connection, each behind a lock; WAL with ``synchronous=FULL`` asserted: when a method
returns, its row is durable. The schema belongs to ``appliance.store.migrations``; this process opens the file only
after the supervisor has migrated it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from appliance.clock import Clock, utc_text
from appliance.orthanc.blobs import FailStop, fail_stop
from appliance.orthanc.part10 import Digests

BUSY_S_MAX = 30.0
_SYNCHRONOUS_FULL = 2
_FLUSH_ERRORS = frozenset((sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC))


class LedgerError(Exception):
    """The ledger cannot be used as it must be; the text says why."""


@dataclass(frozen=True, slots=True)
class KeptBlob:
    """A row of ``kept`` whose blob was not removed."""

    blob_uuid: str
    sop_instance_uid: str
    digests: Digests
    size_bytes: int


class Ledger:
    """Writes and questions of the door, safe to call from any thread."""

    def __init__(self, path: Path, clock: Clock, stop: FailStop = fail_stop) -> None:
        """Open a migrated ``door.db``.

        Raises:
            LedgerError: If it is missing, or WAL with ``synchronous=FULL`` cannot be had.
        """
        self._clock = clock
        self._boot_id = clock.boot_id()
        self._stop = stop
        self._lock = threading.Lock()
        try:
            self._db = _connect(path)
            self._reader = _connect(path)
        except sqlite3.Error as error:
            raise LedgerError(f"{path}: cannot be opened: {error}") from error
        self._reading = threading.Lock()

    def close(self) -> None:
        self._reader.close()
        self._db.close()

    def _row(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        """First row, read beside a commit that waits for the medium."""
        with self._reading:
            row: tuple[Any, ...] | None = self._reader.execute(sql, parameters).fetchone()
        return row

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        """One durable transaction; a failed flush of the log ends the process, any other failure leaves no trace.

        Raises:
            sqlite3.Error: Full, busy, read-only or corrupt; nothing was written.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                if isinstance(error, sqlite3.Error) and error.sqlite_errorcode in _FLUSH_ERRORS:
                    self._stop("fsync of the ledger", error)
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def keep(self, blob: KeptBlob, calling_ae_title: str, header_blob_uuid: str = "", header_bytes: int = 0) -> bool:
        """Record a durable blob; after this it counts as kept and may be acknowledged.

        Args:
            blob: What lies on the medium.
            calling_ae_title: Who sent it; empty for REST.
            header_blob_uuid: Orthanc's header attachment, when it is the first ``header_bytes`` bytes of the blob.
            header_bytes: Its length.

        Returns:
            Whether it was recorded; ``False`` when its SOP Instance UID was ever kept with another data set.
        """
        with self._write() as db:
            if db.execute(_SELECT_CONFLICT, (blob.sop_instance_uid, blob.digests.dataset_sha256)).fetchone():
                return False
            db.execute(
                """INSERT INTO kept (blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes, calling_ae_title,
                    received_at, boot_id, mono_s, header_blob_uuid, header_bytes)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
                (
                    blob.blob_uuid,
                    blob.sop_instance_uid,
                    blob.digests.sha256,
                    blob.digests.dataset_sha256,
                    blob.size_bytes,
                    calling_ae_title,
                    utc_text(self._clock.wall_s()),
                    self._boot_id,
                    self._clock.mono_s(),
                    header_blob_uuid,
                    header_bytes,
                ),
            )
        return True

    def knows(self, sop_instance_uid: str) -> bool:
        """Whether a blob of this UID was ever kept, removed ones included."""
        return self._row("SELECT 1 FROM kept WHERE sop_instance_uid = ?", sop_instance_uid) is not None

    def conflicts(self, sop_instance_uid: str, dataset_sha256: str) -> bool:
        """Whether this UID was ever kept with another data set."""
        return self._row(_SELECT_CONFLICT, sop_instance_uid, dataset_sha256) is not None

    def find(self, blob_uuid: str) -> KeptBlob | None:
        """The kept blob of that name, unless it was removed."""
        row = self._row(f"{_SELECT_KEPT} AND blob_uuid = ?", blob_uuid)
        return _kept(row) if row else None

    def twins(self, blob: KeptBlob) -> list[KeptBlob]:
        """Other present blobs with the same SOP Instance UID and data set, the oldest first."""
        with self._reading:
            rows = self._reader.execute(
                f"{_SELECT_KEPT} AND sop_instance_uid = ? AND dataset_sha256 = ? AND blob_uuid <> ? ORDER BY kept_id",
                (blob.sop_instance_uid, blob.digests.dataset_sha256, blob.blob_uuid),
            ).fetchall()
        return [_kept(row) for row in rows]

    def find_header(self, header_blob_uuid: str) -> tuple[str, int] | None:
        """Blob and length in bytes of a header attachment that is a prefix of it."""
        row = self._row(
            "SELECT blob_uuid, header_bytes FROM kept WHERE header_blob_uuid = ? AND header_blob_uuid <> ''",
            header_blob_uuid,
        )
        return (str(row[0]), int(row[1])) if row else None

    def is_purge_permitted(self, blob_uuid: str) -> bool:
        """Whether the purge rule allows this blob to go."""
        return self._row("SELECT 1 FROM purge_permit WHERE blob_uuid = ?", blob_uuid) is not None

    def mark_removed(self, blob_uuid: str) -> None:
        """Record that a blob is about to be unlinked; a cut in between leaves a file that recovery may remove.

        A purge permit stays: sync ends it when the instance's row is marked (``sync.eviction``).
        """
        with self._write() as db:
            db.execute(
                "UPDATE kept SET removed_at = ? WHERE blob_uuid = ?", (utc_text(self._clock.wall_s()), blob_uuid)
            )

    def seen_again(self, reason: str, sop_instance_uid: str, sha256: str) -> bool:
        """Count a repeat of bytes that were set aside before for the same reason; ``False`` when they are new."""
        with self._write() as db:
            cursor = db.execute(
                """UPDATE quarantined SET seen_count = seen_count + 1
                    WHERE reason = ? AND sop_instance_uid = ? AND sha256 = ?""",
                (reason, sop_instance_uid, sha256),
            )
            return cursor.rowcount > 0

    def set_aside_count(self, sop_instance_uid: str) -> int:
        """How many files were ever set aside under this UID."""
        row = self._row("SELECT count(*) FROM quarantined WHERE sop_instance_uid = ?", sop_instance_uid)
        return int(row[0]) if row else 0

    def quarantine(
        self, reason: str, sop_instance_uid: str, sha256: str, size_bytes: int, file_name: str, calling_ae_title: str
    ) -> None:
        """Record a file that was set aside, durably written before."""
        with self._write() as db:
            db.execute(
                """INSERT INTO quarantined (reason, sop_instance_uid, sha256, size_bytes, file_name,
                    calling_ae_title, found_at) VALUES (?, ?, ?, ?, ?, ?, ?)""",
                (
                    reason,
                    sop_instance_uid,
                    sha256,
                    size_bytes,
                    file_name,
                    calling_ae_title,
                    utc_text(self._clock.wall_s()),
                ),
            )

    def refuse(self, reason: str, status: int, calling_ae_title: str) -> None:
        """Record a refusal."""
        with self._write() as db:
            db.execute(
                "INSERT INTO refused (reason, status, calling_ae_title, refused_at) VALUES (?, ?, ?, ?)",
                (reason, status, calling_ae_title, utc_text(self._clock.wall_s())),
            )


_SELECT_KEPT = """SELECT blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes FROM kept
    WHERE removed_at = ''"""
_SELECT_CONFLICT = "SELECT 1 FROM kept WHERE sop_instance_uid = ? AND dataset_sha256 <> ?"


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=BUSY_S_MAX,
        isolation_level=None,
        check_same_thread=False,
    )
    db.execute("PRAGMA synchronous=FULL")
    (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()
    (synchronous,) = db.execute("PRAGMA synchronous").fetchone()
    if mode != "wal" or synchronous != _SYNCHRONOUS_FULL:
        raise LedgerError(f"{path}: needs WAL with synchronous=FULL, has {mode} with {synchronous}")
    return db


def _kept(row: tuple[Any, ...]) -> KeptBlob:
    blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes = row
    return KeptBlob(blob_uuid, sop_instance_uid, Digests(sha256, dataset_sha256), size_bytes)
