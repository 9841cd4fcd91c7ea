"""The one place that changes the schema: every step only adds, and is done at most once.

A fresh database is made by the same steps as an old one. The release before this one must run on the result, so a step
adds tables, columns with a default, or indices, and never takes anything away.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, inspect, select, update

from central.store.database import Database, insert_missing
from central.store.report_tables import READING_TABLES
from central.store.review_tables import FLEET_TABLES, NOTE_TABLES, REVIEW_TABLES, VIEWER_TABLES
from central.store.tables import answer, meta, metadata, replacement

Step = Callable[[Connection], None]


def _first(connection: Connection) -> None:
    metadata.create_all(connection)


def _corrections(connection: Connection) -> None:
    """What a unit corrected; a fresh database has it from the first step."""
    metadata.create_all(connection, tables=[replacement])
    if "superseded_at" not in {column["name"] for column in inspect(connection).get_columns("file")}:
        connection.exec_driver_sql("ALTER TABLE file ADD COLUMN superseded_at VARCHAR(32)")


def _review(connection: Connection) -> None:
    """The review pages; what changed since they looked is found by an index."""
    metadata.create_all(connection, tables=list(REVIEW_TABLES))
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS ix_study_changed_at ON study (changed_at)")


def _answers(connection: Connection) -> None:
    """What people tell units; a fresh database has it from the first step."""
    metadata.create_all(connection, tables=[answer])
    if "body" not in {column["name"] for column in inspect(connection).get_columns("inbox")}:
        connection.exec_driver_sql("ALTER TABLE inbox ADD COLUMN body TEXT NOT NULL DEFAULT ''")


def _reading(connection: Connection) -> None:
    """Reports and their way into the PACS."""
    metadata.create_all(connection, tables=list(READING_TABLES))


def _viewer(connection: Connection) -> None:
    """What readers opened in the full viewer."""
    metadata.create_all(connection, tables=list(VIEWER_TABLES))


def _fleet(connection: Connection) -> None:
    """How the service was, and an index for what arrived lately."""
    metadata.create_all(connection, tables=list(FLEET_TABLES))
    connection.exec_driver_sql("CREATE INDEX IF NOT EXISTS ix_review_arrived ON review_study (arrived_at)")


def _notes(connection: Connection) -> None:
    """What units say of studies beside their images."""
    metadata.create_all(connection, tables=list(NOTE_TABLES))


STEPS: tuple[Step, ...] = (_first, _corrections, _review, _answers, _viewer, _reading, _fleet, _notes)
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
