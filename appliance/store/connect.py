"""Opens the two databases with the settings the promises rest on, and is the only place a transaction begins.

Every write opens with ``BEGIN IMMEDIATE``: a plain ``BEGIN`` that reads and then writes beside another writer fails at
once with ``SQLITE_BUSY_SNAPSHOT``, whatever the time-out.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from appliance.clock import Clock, SystemClock
from appliance.durable import sync_folder
from appliance.store.errors import StoreError, StoreFault, store_error, translated
from appliance.store.release import DOOR, READ_NUMBER, UNIT, Schema
from appliance.store.stamp import Stamp, stamp_of

__all__ = [
    "WRITE_WAIT_S",
    "Row",
    "Store",
    "StoreError",
    "StoreFault",
    "data_version",
    "migrate",
    "migrate_one",
    "open_door",
    "open_door_reader",
    "open_reader",
    "open_unit",
    "read",
    "write",
]

WRITE_WAIT_S = 60.0
"""How long a write waits for another writer: twice the 30 s that a backup may take (fault matrix, row 25)."""

_SYNCHRONOUS_FULL = 2

Row = tuple[Any, ...]


class Store:
    """One open database. Give each thread of work its own; two threads that write through one handle take turns."""

    def __init__(self, connection: sqlite3.Connection, path: Path, clock: Clock) -> None:
        self.connection = connection
        self.path = path
        self._clock = clock
        self._writing = threading.RLock()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file up; a last connection checkpoints on the way."""
        self.connection.close()

    def stamp(self) -> Stamp:
        """The present moment by the clock this store was opened with."""
        return stamp_of(self._clock)

    def rows(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> list[Row]:
        """All rows of a query.

        Raises:
            StoreError: As the database reports.
        """
        with translated(self.path):
            return self.connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> Row | None:
        """The first row of a query, or ``None``."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def value(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> Any:
        """The first column of the first row, or ``None``."""
        found = self.row(sql, parameters)
        return found[0] if found else None

    def change(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> int:
        """Run one writing statement inside ``write``; the number of rows it changed.

        Raises:
            StoreError: As the database reports; ``refused`` when no transaction is open.
        """
        if not self.connection.in_transaction:
            raise StoreError(StoreFault.REFUSED, f"{self.path}: a change outside write() was stopped")
        with translated(self.path):
            return self.connection.execute(sql, parameters).rowcount

    def insert(self, sql: str, parameters: Sequence[object] | dict[str, object] = ()) -> int:
        """As ``change``; the new row's id."""
        if not self.connection.in_transaction:
            raise StoreError(StoreFault.REFUSED, f"{self.path}: a change outside write() was stopped")
        with translated(self.path):
            return int(self.connection.execute(sql, parameters).lastrowid or 0)

    def _run(self, sql: str) -> None:
        with translated(self.path):
            self.connection.execute(sql)

    def _end(self, verdict: str) -> None:
        """``COMMIT`` or ``ROLLBACK``; a no-op when an error already ended the transaction."""
        if self.connection.in_transaction:
            self._run(verdict)


@contextmanager
def write(store: Store) -> Iterator[Store]:
    """One transaction: committed at the end, rolled back on any error. A nested one joins the outer as a savepoint.

    Raises:
        StoreError: ``busy`` when another writer holds the lock for longer than the store was opened to wait; nothing
            is written then, and the caller still has what it wanted to write.
    """
    with store._writing:
        if store.connection.in_transaction:
            yield from _savepoint(store)
            return
        store._run("BEGIN IMMEDIATE")
        try:
            yield store
            store._end("COMMIT")
        except BaseException:
            store._end("ROLLBACK")
            raise


def _savepoint(store: Store) -> Iterator[Store]:
    store._run("SAVEPOINT nested")
    try:
        yield store
    except BaseException:
        if store.connection.in_transaction:
            store._run("ROLLBACK TO nested")
            store._run("RELEASE nested")
        raise
    store._run("RELEASE nested")


@contextmanager
def read(store: Store) -> Iterator[Store]:
    """Several queries over one state of the database; joins an open transaction."""
    with store._writing:
        if store.connection.in_transaction:
            yield store
            return
        store._run("BEGIN")
        try:
            yield store
        finally:
            store._end("ROLLBACK")


def open_unit(path: Path, *, wait_s: float = WRITE_WAIT_S, clock: Clock | None = None) -> Store:
    """Open ``unit.db``, the truth about delivery, for reading and writing.

    Args:
        path: The file; ``migrate`` must have made it.
        wait_s: How long a write waits for another writer.
        clock: Stamps what is written without a stamp of its own; the machine's by default.

    Raises:
        StoreError: With a sentence, when the file is missing, damaged, unreadable, of a release this one cannot use,
            or cannot keep its promises.
    """
    return _open_migrated(path, UNIT, wait_s, clock)


def open_door(path: Path, *, wait_s: float = WRITE_WAIT_S, clock: Clock | None = None) -> Store:
    """Open ``door.db``, the plugin's ledger; arguments and errors as ``open_unit``."""
    return _open_migrated(path, DOOR, wait_s, clock)


def open_reader(path: Path, *, clock: Clock | None = None) -> Store:
    """Open ``unit.db`` for a reader that cannot write whatever it tries; errors as ``open_unit``."""
    return _open_reader(path, UNIT, clock)


def open_door_reader(path: Path, *, clock: Clock | None = None) -> Store:
    """Open ``door.db`` for a reader that cannot write whatever it tries; errors as ``open_unit``."""
    return _open_reader(path, DOOR, clock)


def data_version(store: Store) -> int:
    """Changes when another connection has committed; costs microseconds, so readers poll it."""
    return int(store.value("PRAGMA data_version"))


def migrate(path_unit: Path, path_door: Path) -> tuple[str, ...]:
    """Make both databases or bring them to this release's schema; the supervisor calls it before anything else runs.

    Each file is checked for damage and migrated in one transaction: after a power cut it has the old schema or the new.

    Returns:
        The names of the migrations applied, empty when there was nothing to do.

    Raises:
        StoreError: As ``open_unit``.
    """
    return (*migrate_one(path_unit, UNIT), *migrate_one(path_door, DOOR))


def migrate_one(path: Path, schema: Schema) -> tuple[str, ...]:
    """``migrate`` for one file."""
    is_new = not path.exists()
    store = _connect(path, "rwc", WRITE_WAIT_S, SystemClock())
    try:
        _check_release(store, schema)
        _use_safe_settings(store)
        verdict = store.value("PRAGMA quick_check(1)")
        if verdict != "ok":
            raise StoreError(StoreFault.CORRUPT, f"{path}: is damaged ({verdict})")
        names = _pending(store, schema)
        if names:
            with write(store):
                _apply_migrations(store, schema)
        if is_new:
            sync_folder(path.parent)
        return names
    finally:
        store.close()


def _open_migrated(path: Path, schema: Schema, wait_s: float, clock: Clock | None) -> Store:
    store = _connect(path, "rw", wait_s, clock or SystemClock())
    return _checked(store, schema, _use_safe_settings)


def _open_reader(path: Path, schema: Schema, clock: Clock | None) -> Store:
    store = _connect(path, "ro", WRITE_WAIT_S, clock or SystemClock())
    return _checked(store, schema, lambda _: None)


def _connect(path: Path, mode: str, wait_s: float, clock: Clock) -> Store:
    """A connection in autocommit mode: transactions begin where this module begins them, nowhere else."""
    if mode != "rwc" and not path.exists():
        raise StoreError(StoreFault.MISSING, f"{path}: there is no such file; 'qafila unit run' makes it")
    with translated(path):
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}",
            uri=True,
            timeout=wait_s,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
    try:
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA recursive_triggers=ON")
        connection.execute("PRAGMA trusted_schema=OFF")
    except sqlite3.Error as error:
        connection.close()
        raise store_error(path, error) from error
    return Store(connection, path, clock)


def _checked(store: Store, schema: Schema, use_settings: Callable[[Store], None]) -> Store:
    try:
        _check_release(store, schema)
        use_settings(store)
        if _pending(store, schema):
            raise StoreError(
                StoreFault.WRONG_RELEASE,
                f"{store.path}: is of an older release; 'qafila unit run' brings it up to date",
            )
    except BaseException:
        store.close()
        raise
    return store


def _use_safe_settings(store: Store) -> None:
    """WAL with a sync at each commit, and foreign keys; asked back, for a pragma that fails stays silent."""
    store.value("PRAGMA journal_mode=WAL")
    store.rows("PRAGMA synchronous=FULL")
    wanted = {"journal_mode": "wal", "synchronous": _SYNCHRONOUS_FULL, "foreign_keys": 1}
    for name, value in wanted.items():
        actual = store.value(f"PRAGMA {name}")
        if actual != value:
            raise StoreError(StoreFault.SETTINGS, f"{store.path}: {name} is {actual!r} and must be {value!r}")


def _check_release(store: Store, schema: Schema) -> None:
    """Refuse a file of another program, and one that a newer release changed in a way this one cannot read."""
    application_id = store.value("PRAGMA application_id")
    has_tables = store.value("SELECT EXISTS (SELECT 1 FROM sqlite_schema)")
    if has_tables and application_id != schema.application_id:
        raise StoreError(StoreFault.WRONG_RELEASE, f"{store.path}: is not a database of this program")
    read_number = store.value("PRAGMA user_version")
    if read_number > READ_NUMBER:
        raise StoreError(
            StoreFault.WRONG_RELEASE,
            f"{store.path}: was made by a newer release that this one cannot read; start the newer release again",
        )


def _pending(store: Store, schema: Schema) -> tuple[str, ...]:
    """Migrations of this release that the file lacks."""
    if not store.value("SELECT 1 FROM sqlite_schema WHERE name = '_sqlite_migrations'"):
        return schema.steps
    applied = {name for (name,) in store.rows("SELECT name FROM _sqlite_migrations")}
    return tuple(name for name in schema.steps if name not in applied)


def _apply_migrations(store: Store, schema: Schema) -> None:
    """Imports sqlite-utils, which only a start with something to migrate pays for."""
    from sqlite_utils import Database

    from appliance.store import migrations

    known = {UNIT: migrations.unit_migrations, DOOR: migrations.door_migrations}[schema]
    with translated(store.path):
        known.apply(Database(store.connection, execute_plugins=False))
