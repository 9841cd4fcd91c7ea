"""Connections and transactions: the one place that knows which database it is.

SQLite: write-ahead log with ``synchronous=FULL``, and ``BEGIN IMMEDIATE`` for whatever writes, because a read that
turns into a write beside another writer fails at once. All writes of a process go through one thread, so they queue
there and not in the database. PostgreSQL: read committed, and row locks where two could meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from zlib import crc32

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.dml import Insert

P = ParamSpec("P")
T = TypeVar("T")

BUSY_S_MAX = 30.0
READER_COUNT = 4
WRITER_COUNT_POSTGRES = 8
_WRITES = "qafila_writes"


class StoreError(Exception):
    """The centre's database cannot be used; the text says which, why and what is safe."""


class Database:
    """One engine with its threads; ``close`` it when done."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        self._writers = ThreadPoolExecutor(1 if self.is_sqlite else WRITER_COUNT_POSTGRES, "centre-write")
        self._readers = ThreadPoolExecutor(READER_COUNT, "centre-read")

    def close(self) -> None:
        """Wait for what runs, and give up connections."""
        self._writers.shutdown()
        self._readers.shutdown()
        self._engine.dispose()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; committed when the block ends without an exception."""
        with self._transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database."""
        with self._transaction(writes=False) as connection:
            yield connection

    async def writing(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """``work(connection, ...)`` in a writing transaction, off the event loop; returns when it is committed."""

        def run() -> T:
            with self.write() as connection:
                return work(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._writers, run)

    async def reading(self, work: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """``work(connection, ...)`` in a reading transaction, off the event loop."""

        def run() -> T:
            with self.read() as connection:
                return work(connection, *args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._readers, run)

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        with self._engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: writes})
            with connection.begin():
                yield connection


def _engine(url: str) -> Engine:
    """``hide_parameters``: what a statement was about may be a patient's name, and errors end in the log."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            engine = create_engine(parsed, connect_args={"timeout": BUSY_S_MAX}, hide_parameters=True)
            _prepare_sqlite(engine)
            return engine
        pool_size = READER_COUNT + WRITER_COUNT_POSTGRES
        return create_engine(parsed, pool_size=pool_size, pool_pre_ping=True, hide_parameters=True)
    except (SQLAlchemyError, ImportError) as error:
        raise StoreError(f"gateway.database_url cannot be used: {error}. Nothing was changed") from error


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, record: Any) -> None:
        # The driver would begin transactions by its own rules; they begin below.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, True)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def sqlite_url(path: Path) -> str:
    """The URL of a database file."""
    return f"sqlite:///{path}"


def insert_missing(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows whose primary or unique key is not there yet; the others stay as they are."""
    if not rows:
        return
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), list(rows))


def take_turns(connection: Connection, what: str) -> None:
    """From here to their end, writing transactions that name the same thing run one after the other.

    What is read afterwards includes all that those before committed. SQLite's writers take turns anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(crc32(what.encode()))))


def _insert(connection: Connection, table: Table) -> Any:
    """The dialect's insert; both offer ``on_conflict_do_nothing`` in the same words."""
    maker: Callable[[Table], Insert] = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return maker(table)
