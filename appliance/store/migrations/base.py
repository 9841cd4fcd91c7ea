"""The sets of migrations of both database files, and what every migration is written with."""

from __future__ import annotations

from sqlite_utils import Database, Migrations

from appliance.store.release import READ_NUMBER, Schema

unit_migrations = Migrations("unit")
door_migrations = Migrations("door")


def run(db: Database, *statements: str) -> None:
    """Execute statements one after the other, in the transaction of the migration."""
    for statement in statements:
        db.execute(statement)


def mark(db: Database, schema: Schema) -> None:
    """Say whose file this is, and what a release must know to read it."""
    run(db, f"PRAGMA application_id={schema.application_id}", f"PRAGMA user_version={READ_NUMBER}")


def refuse(table: str, change: str, sentence: str, when: str = "") -> str:
    """A trigger that aborts ``change`` (``DELETE``, ``UPDATE``, ``UPDATE OF column``) on ``table``."""
    name = f"{table}_refuses_{change.split(' OF ')[0].lower()}"
    condition = f" WHEN {when}" if when else ""
    return f"""CREATE TRIGGER {name} BEFORE {change} ON {table}{condition}
            BEGIN SELECT RAISE(ABORT, '{sentence}'); END"""
