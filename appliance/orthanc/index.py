"""Orthanc's own SQLite index, read while Orthanc does not run: which blobs it holds, under which identifier.

It is a view that can be made again from the blobs, so a damaged one is set aside and never mended. The tables read
here are the same in 1.10.1 and 1.12.7.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from appliance.store.errors import store_error

INDEX_FILE = "index"
CONTENT_DICOM = 1
CONTENT_HEADER = 3
_BUSY = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))
_SURROUNDINGS = frozenset(
    (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_IOERR)
)
"""A full or read-only disk says nothing against the index; only what cannot be read back is as good as damaged."""
_UNREADABLE = frozenset((sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS))


class IndexDamaged(Exception):
    """The index is no sound SQLite database, or not Orthanc's."""


class IndexInUse(Exception):
    """An Orthanc still holds the index."""


@dataclass(frozen=True, slots=True)
class IndexedBlob:
    """What the index says of one DICOM file."""

    orthanc_id: str
    blob_uuid: str
    size_bytes: int
    md5: str


@dataclass(frozen=True, slots=True)
class Index:
    """All attachments of the index.

    ``blobs`` are DICOM files by name, ``headers`` what precedes their pixels by Orthanc identifier, ``others`` the
    names of everything that is no DICOM file. ``is_new``: there is none yet; a first start, or it was set aside.
    """

    blobs: dict[str, IndexedBlob]
    headers: dict[str, IndexedBlob]
    others: frozenset[str]
    is_new: bool = False

    def header_of(self, blob_uuid: str) -> tuple[str, int]:
        """Name and length in bytes of the header attachment that belongs to a blob; empty and 0 when it has none."""
        blob = self.blobs.get(blob_uuid)
        header = self.headers.get(blob.orthanc_id) if blob else None
        return (header.blob_uuid, header.size_bytes) if header else ("", 0)


EMPTY = Index({}, {}, frozenset(), is_new=True)


def read_index(path: Path) -> Index:
    """Read and check the whole index.

    Opening it lets SQLite bring back what its write-ahead log holds after a power cut, as Orthanc would.

    Raises:
        IndexDamaged, IndexInUse: As said there.
        StoreError: If the disk does not let it be opened; that says nothing against the index.
    """
    if not path.exists():
        return EMPTY
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=1.0)) as db:
            return _read(db)
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in _BUSY:
            raise IndexInUse(f"{path} is in use") from error
        if code & 0xFF in _SURROUNDINGS and code not in _UNREADABLE:
            raise store_error(path, error) from error
        raise IndexDamaged(f"{path}: {error}") from error


def _read(db: sqlite3.Connection) -> Index:
    db.execute("PRAGMA query_only=ON")
    if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
        return EMPTY
    (verdict,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise IndexDamaged(str(verdict))
    found = list(_rows(db))
    return Index(
        {blob.blob_uuid: blob for content_type, blob in found if content_type == CONTENT_DICOM},
        {blob.orthanc_id: blob for content_type, blob in found if content_type == CONTENT_HEADER},
        frozenset(blob.blob_uuid for content_type, blob in found if content_type != CONTENT_DICOM),
    )


def _rows(db: sqlite3.Connection) -> Iterator[tuple[int, IndexedBlob]]:
    rows = db.execute(
        """SELECT a.fileType, r.publicId, a.uuid, a.uncompressedSize, a.uncompressedMD5
            FROM AttachedFiles AS a JOIN Resources AS r ON r.internalId = a.id"""
    )
    for content_type, orthanc_id, blob_uuid, size_bytes, md5 in rows:
        yield int(content_type), IndexedBlob(str(orthanc_id), str(blob_uuid), int(size_bytes), str(md5))
