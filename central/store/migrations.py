"""The one place that changes the schema: every step only adds, and is done at most once.

A fresh database is made by the same steps as an old one. The release before this one must run on the result, so a step
adds tables, columns with a default, or indices, and never takes anything away.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, select, update

from central.store.database import Database, insert_missing
from central.store.tables import meta, metadata

Step = Callable[[Connection], None]


def _first(connection: Connection) -> None:
    metadata.create_all(connection)


STEPS: tuple[Step, ...] = (_first,)
VERSION_KEY = "schema_version"


def migrate(database: Database, path: Path | None = None) -> None:
    """Bring the schema to this release's; another process that does the same meanwhile is waited for.

    Args:
        database: Where.
        path: The SQLite file, made readable by its owner alone.
    """
    if path is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    with database.write() as connection:
        done = _version(connection)
        for step in STEPS[done:]:
            step(connection)
        if done < len(STEPS):
            insert_missing(connection, meta, [{"key": VERSION_KEY, "value": "0"}])
            connection.execute(update(meta).where(meta.c.key == VERSION_KEY).values(value=str(len(STEPS))))


def _version(connection: Connection) -> int:
    if not inspect(connection).has_table("meta"):
        return 0
    found = connection.scalar(select(meta.c.value).where(meta.c.key == VERSION_KEY))
    return int(found or 0)
