"""The schema by itself: its picture, what it refuses, and that migrations only add."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from appliance.domain.values import ItemState, LinkState, LocalState, Priority
from appliance.store import migrations, release, schema
from appliance.store.connect import Store, migrate_one
from appliance.store.intake import keep_instances
from appliance.store.outbox import candidates, move_item
from tests.store.made import made_kept, made_receipt, made_stamp

SETS = [(release.UNIT, migrations.unit_migrations), (release.DOOR, migrations.door_migrations)]
RELEASES = sorted(Path(__file__).with_name("releases").glob("*.sql"))
NEVER_DELETED = ("study", "instance", "outbox", "transfer", "receipt", "command", "journal", "finding")


def test_picture_is_what_the_migrations_make() -> None:
    assert schema.PICTURE.read_text(encoding="utf-8") == schema.draw(), "run: python -m appliance.store.schema"


@pytest.mark.parametrize(("wanted", "known"), SETS)
def test_release_names_every_migration(wanted: release.Schema, known: Migrations) -> None:
    db = Database(memory=True)
    names = tuple(m.name for m in known.pending(db))
    db.close()
    assert wanted.steps == names


@pytest.mark.parametrize(("wanted", "known"), SETS)
def test_database_of_any_older_release_migrates_to_the_fresh_schema(
    wanted: release.Schema, known: Migrations, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh.db"
    migrate_one(fresh, wanted)
    for count in range(1, len(wanted.steps)):
        old = tmp_path / f"old-{count}.db"
        _migrate_up_to(old, known, wanted.steps[count])
        assert migrate_one(old, wanted) == wanted.steps[count:]
        assert _picture(old) == _picture(fresh)


@pytest.mark.parametrize(("wanted", "known"), SETS)
def test_migrations_only_add(wanted: release.Schema, known: Migrations, tmp_path: Path) -> None:
    """Each step keeps every table, view and column with its declaration; a column it adds to one has a default."""
    before: dict[str, dict[str, tuple[object, ...]]] = {}
    for count in range(1, len(wanted.steps) + 1):
        path = tmp_path / f"{count}.db"
        _migrate_up_to(path, known, wanted.steps[count] if count < len(wanted.steps) else None)
        after = _columns(path)
        for table, columns in before.items():
            assert columns.items() <= after[table].items()
            added = [after[table][name] for name in after[table].keys() - columns.keys()]
            assert all(not not_null or default is not None for _, not_null, default, _ in added)
        before = after


@pytest.mark.parametrize("recorded", RELEASES, ids=lambda path: path.stem)
def test_statements_of_an_older_release_run_on_this_schema(recorded: Path, tmp_path: Path) -> None:
    """After an A/B roll-back the older release writes to this schema: each of its statements must still be accepted."""
    path = tmp_path / "unit.db"
    migrate_one(path, release.UNIT)
    with sqlite3.connect(path) as connection:
        connection.executescript(recorded.read_text(encoding="utf-8"))
        counts = connection.execute("SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM receipt)").fetchone()
    connection.close()

    assert min(counts) > 0


def test_every_table_is_strict(unit: Store) -> None:
    lax = unit.rows(
        "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict AND name NOT LIKE '%sqlite%'"
    )

    assert lax == []


@pytest.mark.parametrize(
    ("table", "column", "words"),
    [
        ("outbox", "state", ItemState),
        ("instance", "local_state", LocalState),
        ("link", "state", LinkState),
        ("study", "priority", Priority),
    ],
)
def test_schema_and_vocabulary_know_the_same_states(
    unit: Store, table: str, column: str, words: type[ItemState]
) -> None:
    sql = unit.value("SELECT sql FROM sqlite_schema WHERE name = ?", (table,))
    check = sql.split(f"CHECK ({column} IN", 1)[1].split("))", 1)[0]

    assert {word.strip(" \n('") for word in check.split(",")} == set(words)


@pytest.fixture
def full(unit: Store) -> Iterator[Store]:
    """One confirmed and one waiting item, and a row in every other table."""
    keep_instances(unit, made_stamp(), [made_kept(1), made_kept(2)], ["pacs"], None)
    item = candidates(unit, "pacs", 1)[0]
    move_item(
        unit, made_stamp(), 1, ItemState.PENDING, ItemState.CONFIRMED, "p", attempt_count=1, receipt=made_receipt(item)
    )
    unit.connection.executescript("""
        INSERT INTO transfer (destination, item_count, started_at) VALUES ('pacs', 1, '');
        INSERT INTO command (kind, actor, given_at) VALUES ('hold', 'x', '');
        INSERT INTO finding (kind, subject_id, sentence, severity, found_at) VALUES ('a', 'b', 'c', 'notice', '');
    """)
    yield unit


@pytest.mark.parametrize("table", NEVER_DELETED)
def test_no_row_is_ever_deleted(full: Store, table: str) -> None:
    full.connection.execute("PRAGMA foreign_keys=OFF")
    with pytest.raises(sqlite3.IntegrityError, match=f"rows of {table} are never deleted"):
        full.connection.execute(f"DELETE FROM {table}")


def test_replace_does_not_get_around_the_refusal_to_delete(full: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        full.connection.execute("REPLACE INTO finding SELECT * FROM finding")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("UPDATE journal SET event = 'x'", "append-only"),
        ("UPDATE outbox SET state = 'confirmed' WHERE item_id = 2", "confirmed needs a receipt"),
        ("UPDATE outbox SET destination = 'x' WHERE item_id = 2", "never becomes another"),
        ("UPDATE instance SET dataset_sha256 = replace(dataset_sha256, 'a', 'b')", "never becomes another"),
        ("UPDATE receipt SET sha256 = replace(sha256, 'a', 'b')", "never rewritten"),
        ("UPDATE receipt SET revoked_at = 'now'", "keeps its receipt"),
        (
            "INSERT INTO outbox (instance_id, destination, state, size_bytes, queued_at, queued_at_s, changed_at)"
            " VALUES (1, 'archive', 'confirmed', 1, '', 0, '')",
            "confirmed needs a receipt",
        ),
        (
            "INSERT INTO receipt (item_id, destination, sop_instance_uid, sha256, method, evidence, received_at)"
            " SELECT 2, 'pacs', '1.2.3.1.9.2', sha256, 'wado', '{}', '' FROM instance WHERE instance_id = 1",
            "other bytes",
        ),
        (
            "INSERT INTO receipt (item_id, destination, sop_instance_uid, sha256, method, evidence, received_at)"
            " SELECT 2, 'archive', '1.2.3.1.9.2', sha256, 'wado', '{}', '' FROM instance WHERE instance_id = 2",
            "another item",
        ),
        ("UPDATE outbox SET state = 'delivered'", "CHECK constraint"),
        ("UPDATE outbox SET size_bytes = 'much'", "cannot store TEXT value in INTEGER column"),
        ("UPDATE instance SET study_instance_uid = NULL", "NOT NULL"),
        ("UPDATE instance SET sha256 = 'short'", "CHECK constraint"),
    ],
)
def test_schema_refuses(full: Store, change: str, sentence: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=sentence):
        full.connection.execute(change)


def test_item_that_leaves_confirmed_loses_its_receipt_and_needs_a_new_one(full: Store) -> None:
    """A centre restored from an old backup: the proof of then is history, not proof."""
    move_item(full, made_stamp(9), 1, ItemState.CONFIRMED, ItemState.PENDING, "absent", attempt_count=1)

    assert full.value("SELECT revoked_at FROM receipt") == made_stamp(9).at
    with pytest.raises(sqlite3.IntegrityError, match="confirmed needs a receipt"):
        full.connection.execute("UPDATE outbox SET state = 'confirmed' WHERE item_id = 1")
    with pytest.raises(sqlite3.IntegrityError, match="stays revoked"):
        full.connection.execute("UPDATE receipt SET revoked_at = ''")


@pytest.mark.parametrize(
    "change", ["DELETE FROM kept", "UPDATE kept SET sha256 = replace(sha256, 'a', 'b')", "DELETE FROM quarantined"]
)
def test_ledger_of_the_door_is_never_rewritten(tmp_path: Path, change: str) -> None:
    migrate_one(tmp_path / "door.db", release.DOOR)
    connection = sqlite3.connect(tmp_path / "door.db")
    connection.execute(
        "INSERT INTO kept (blob_uuid, sop_instance_uid, sha256, dataset_sha256, size_bytes, received_at, boot_id,"
        " mono_s) VALUES ('u', '1.2', ?, ?, 1, '', '', 0)",
        ("a" * 64, "b" * 64),
    )
    connection.execute("INSERT INTO quarantined (reason, found_at) VALUES ('conflict', '')")

    with pytest.raises(sqlite3.IntegrityError, match=r"ledger|rewritten"):
        connection.execute(change)
    connection.close()


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        (
            "SELECT * FROM outbox_item WHERE destination = 'pacs' AND state IN ('pending', 'ready') AND item_id NOT IN"
            " (SELECT value FROM json_each('[]')) ORDER BY stat DESC, queued_at_s, size_bytes, item_id LIMIT 9",
            "outbox_waiting",
        ),
        (
            "SELECT * FROM outbox_item WHERE destination = 'pacs' AND state = 'sent' AND state <> 'confirmed'"
            " AND item_id > 5 ORDER BY item_id LIMIT 9",
            "outbox_unfinished",
        ),
    ],
)
def test_bounded_reads_walk_an_index_and_sort_nothing(unit: Store, sql: str, index: str) -> None:
    plan = " ".join(row[3] for row in unit.rows(f"EXPLAIN QUERY PLAN {sql}"))

    assert f"USING INDEX {index}" in plan
    assert "TEMP B-TREE" not in plan


def _migrate_up_to(path: Path, known: Migrations, stop_before: str | None) -> None:
    db = Database(path)
    known.apply(db, stop_before=stop_before)
    db.close()


def _picture(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
    connection.close()
    return found


def _columns(path: Path) -> dict[str, dict[str, tuple[object, ...]]]:
    """Type, NOT NULL, default and key position of every column, by table and name; a view has only the names."""
    connection = sqlite3.connect(path)
    tables = connection.execute("SELECT name, type FROM sqlite_schema WHERE type IN ('table', 'view')").fetchall()
    found = {
        name: {
            row[1]: row[2:6] if kind == "table" else ("", 0, None, 0)
            for row in connection.execute(f'PRAGMA table_info("{name}")')
        }
        for name, kind in tables
    }
    connection.close()
    return found
