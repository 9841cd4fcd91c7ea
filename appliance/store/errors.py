"""What can be wrong with a database, decided once: a kind the program acts on and a sentence for the operator."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path


class StoreFault(StrEnum):
    """What the caller may do about it."""

    BUSY = "busy"
    """Another writer held the lock for longer than the bound: keep what was to be written and try again."""
    FULL = "full"
    """The disk is full: nothing was written; try again when there is space."""
    READ_ONLY = "read-only"
    """The file or the file system does not allow writing (ext4 after an error): refuse, and raise an alarm."""
    IO = "io"
    """The disk failed while reading, writing or syncing: end the process and start anew; never sync again."""
    CORRUPT = "corrupt"
    """The file is damaged or no SQLite database."""
    MISSING = "missing"
    """There is no such file, or it cannot be opened."""
    WRONG_RELEASE = "wrong-release"
    """Made by another program, by a release this one cannot read, or not migrated yet."""
    SETTINGS = "settings"
    """A setting that the promises rest on (WAL, synchronous=FULL, foreign keys) does not hold."""
    REFUSED = "refused"
    """The schema refused the statement: a rule was about to be broken, so this is a bug in the caller."""


class StoreError(Exception):
    """The store cannot do what was asked; ``kind`` says what follows, the text is a sentence for people."""

    def __init__(self, kind: StoreFault, sentence: str) -> None:
        super().__init__(sentence)
        self.kind = kind


_PRIMARY_CODE_MASK = 0xFF
_FAULTS = {
    sqlite3.SQLITE_BUSY: (StoreFault.BUSY, "is busy: another program has been writing to it for too long"),
    sqlite3.SQLITE_LOCKED: (StoreFault.BUSY, "is busy: another program has been writing to it for too long"),
    sqlite3.SQLITE_PROTOCOL: (StoreFault.BUSY, "is busy: its lock could not be taken"),
    sqlite3.SQLITE_FULL: (StoreFault.FULL, "cannot grow: the disk is full"),
    sqlite3.SQLITE_READONLY: (StoreFault.READ_ONLY, "cannot be written: the file or its disk is read-only"),
    sqlite3.SQLITE_PERM: (StoreFault.READ_ONLY, "cannot be used: permission denied"),
    sqlite3.SQLITE_IOERR: (StoreFault.IO, "could not be read or written: the disk reported an error"),
    sqlite3.SQLITE_CORRUPT: (StoreFault.CORRUPT, "is damaged"),
    sqlite3.SQLITE_NOTADB: (StoreFault.CORRUPT, "is not a database"),
    sqlite3.SQLITE_CANTOPEN: (StoreFault.MISSING, "cannot be opened"),
    sqlite3.SQLITE_CONSTRAINT: (StoreFault.REFUSED, "refused a change that would break its rules"),
    sqlite3.SQLITE_MISMATCH: (StoreFault.REFUSED, "refused a value of the wrong type"),
}


def store_error(path: Path, error: sqlite3.Error) -> StoreError:
    """``error`` as one of ours; anything unforeseen counts as ``io``, the kind with the most careful answer."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return StoreError(StoreFault.REFUSED, f"{path}: the program used its database wrongly: {error}")
    kind, sentence = _FAULTS.get(code & _PRIMARY_CODE_MASK, (StoreFault.IO, "could not be used"))
    name = getattr(error, "sqlite_errorname", "unknown")
    return StoreError(kind, f"{path}: {sentence} ({name}: {error})")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn any ``sqlite3.Error`` inside into a ``StoreError`` about ``path``."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(path, error) from error
