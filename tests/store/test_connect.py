"""Opening, refusing to open, and one writer beside another."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.store import release
from appliance.store.connect import (
    Store,
    data_version,
    migrate,
    open_door,
    open_reader,
    open_unit,
    read,
    write,
)
from appliance.store.errors import StoreError, StoreFault
from appliance.store.intake import FeedCursor, get_cursor, keep_instances, set_cursor
from appliance.store.outbox import candidates
from tests.store.made import fresh_unit, made_kept, made_stamp

ANSWER_S = 30.0


def test_open_store_syncs_each_commit_and_enforces_foreign_keys(unit: Store) -> None:
    pragmas = {name: unit.value(f"PRAGMA {name}") for name in ("journal_mode", "synchronous", "foreign_keys")}

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_store_is_refused_when_a_setting_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh_unit(tmp_path).close()
    monkeypatch.setattr("appliance.store.connect._SYNCHRONOUS_FULL", 3)

    with pytest.raises(StoreError, match="synchronous is 2 and must be 3") as caught:
        open_unit(tmp_path / "unit.db")

    assert caught.value.kind is StoreFault.SETTINGS


def test_open_unit_says_how_to_make_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such file; 'qafila unit run' makes it") as caught:
        open_unit(tmp_path / "unit.db")

    assert caught.value.kind is StoreFault.MISSING
    assert not (tmp_path / "unit.db").exists()


def test_open_unit_refuses_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "unit.db"
    path.write_bytes(b"studies are fun " * 400)

    with pytest.raises(StoreError, match="is not a database") as caught:
        open_unit(path)

    assert caught.value.kind is StoreFault.CORRUPT


def test_open_unit_refuses_the_other_database(tmp_path: Path) -> None:
    fresh_unit(tmp_path).close()

    with pytest.raises(StoreError, match="not a database of this program") as caught:
        open_unit(tmp_path / "door.db")

    assert caught.value.kind is StoreFault.WRONG_RELEASE


def test_open_unit_refuses_what_a_newer_release_made_unreadable(unit: Store) -> None:
    unit.connection.execute("PRAGMA user_version=2")

    with pytest.raises(StoreError, match="start the newer release again") as caught:
        open_unit(unit.path)

    assert caught.value.kind is StoreFault.WRONG_RELEASE


def test_open_unit_reads_what_a_newer_release_only_added_to(unit: Store) -> None:
    unit.connection.execute("ALTER TABLE study ADD COLUMN ward TEXT NOT NULL DEFAULT ''")
    unit.connection.execute(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('unit', 'm9999_ward', '')"
    )

    with open_unit(unit.path) as again:
        keep_instances(again, made_stamp(), [made_kept(1)], ["pacs"], None)

        assert len(candidates(again, "pacs", 9)) == 1


def test_open_unit_refuses_a_file_that_was_not_migrated(tmp_path: Path) -> None:
    with fresh_unit(tmp_path) as unit:
        unit.connection.execute("DELETE FROM _sqlite_migrations WHERE name = 'm0003_counts'")

    with pytest.raises(StoreError, match="brings it up to date"):
        open_unit(tmp_path / "unit.db")


def test_migrate_finds_a_damaged_page(tmp_path: Path) -> None:
    with fresh_unit(tmp_path) as unit:
        keep_instances(unit, made_stamp(), [made_kept(n) for n in range(200)], ["pacs"], None)
        page_bytes = unit.value("PRAGMA page_size")
        root_page = unit.value("SELECT rootpage FROM sqlite_schema WHERE name = 'journal'")
    with (tmp_path / "unit.db").open("r+b") as file:
        file.seek((root_page - 1) * page_bytes)
        file.write(b"\xff" * page_bytes)

    with pytest.raises(StoreError, match="is damaged") as caught:
        migrate(tmp_path / "unit.db", tmp_path / "door.db")

    assert caught.value.kind is StoreFault.CORRUPT


def test_migrate_twice_changes_nothing(tmp_path: Path) -> None:
    first = migrate(tmp_path / "unit.db", tmp_path / "door.db")

    assert first == (*release.UNIT.steps, *release.DOOR.steps)
    assert migrate(tmp_path / "unit.db", tmp_path / "door.db") == ()


def test_migrate_reports_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        migrate(tmp_path / "none" / "unit.db", tmp_path / "none" / "door.db")

    assert caught.value.kind is StoreFault.MISSING


def test_full_disk_is_reported_and_leaves_the_store_usable(unit: Store) -> None:
    unit.connection.execute(f"PRAGMA max_page_count={unit.value('PRAGMA page_count') + 2}")

    with pytest.raises(StoreError, match="the disk is full") as caught:
        keep_instances(unit, made_stamp(), [made_kept(n) for n in range(500)], ["pacs"], FeedCursor("kept", 500))

    assert caught.value.kind is StoreFault.FULL
    assert get_cursor(unit, "kept").seq == 0
    assert unit.value("SELECT count(*) FROM instance") == 0
    keep_instances(unit, made_stamp(), [made_kept(1)], ["pacs"], None)


def test_reader_cannot_write(unit: Store, reader: Store) -> None:
    with pytest.raises(StoreError, match="read-only") as caught, write(reader):
        reader.change("UPDATE study SET priority = 'stat'")

    assert caught.value.kind is StoreFault.READ_ONLY


def test_change_outside_a_transaction_is_stopped(unit: Store) -> None:
    with pytest.raises(StoreError, match="outside write") as caught:
        unit.change("INSERT INTO cursor (feed, seq) VALUES ('kept', 1)")

    assert caught.value.kind is StoreFault.REFUSED


def test_error_inside_write_leaves_nothing(unit: Store) -> None:
    with pytest.raises(ZeroDivisionError), write(unit):
        set_cursor(unit, FeedCursor("kept", 7))
        raise ZeroDivisionError

    assert get_cursor(unit, "kept").seq == 0


def test_error_inside_nested_write_leaves_the_outer_one_whole(unit: Store) -> None:
    with write(unit):
        set_cursor(unit, FeedCursor("kept", 7))
        with pytest.raises(ZeroDivisionError), write(unit):
            set_cursor(unit, FeedCursor("changes", 8))
            raise ZeroDivisionError

    assert (get_cursor(unit, "kept").seq, get_cursor(unit, "changes").seq) == (7, 0)


def test_data_version_changes_when_another_connection_commits(unit: Store, reader: Store) -> None:
    before = data_version(reader)
    set_cursor(unit, FeedCursor("kept", 1))

    assert data_version(reader) != before


def test_read_sees_one_state_while_another_connection_commits(unit: Store, reader: Store) -> None:
    with read(reader):
        before = get_cursor(reader, "kept").seq
        set_cursor(unit, FeedCursor("kept", 5))

        assert get_cursor(reader, "kept").seq == before == 0
    assert get_cursor(reader, "kept").seq == 5


def test_plain_begin_is_the_trap_that_write_avoids(unit: Store) -> None:
    """The reason for ``BEGIN IMMEDIATE``: reading first and writing then fails at once beside another writer."""
    with open_unit(unit.path, wait_s=60.0) as other:
        other.connection.execute("BEGIN")
        get_cursor(other, "kept")
        set_cursor(unit, FeedCursor("kept", 1))

        with pytest.raises(sqlite3.OperationalError) as caught:
            other.connection.execute("UPDATE cursor SET seq = 2")

        assert caught.value.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"


def test_read_then_write_of_two_writers_never_loses_an_update(tmp_path: Path) -> None:
    fresh_unit(tmp_path).close()
    start = threading.Barrier(2)

    def count_up(count: int) -> None:
        with open_unit(tmp_path / "unit.db", wait_s=ANSWER_S) as own:
            start.wait(ANSWER_S)
            for _ in range(count):
                with write(own):
                    set_cursor(own, FeedCursor("kept", get_cursor(own, "kept").seq + 1))

    _run_together(lambda: count_up(100), lambda: count_up(100))

    with open_unit(tmp_path / "unit.db") as unit:
        assert get_cursor(unit, "kept").seq == 200


def test_two_threads_that_share_one_handle_take_turns(unit: Store) -> None:
    def count_up(feed: str) -> None:
        for _ in range(100):
            with write(unit):
                set_cursor(unit, FeedCursor(feed, get_cursor(unit, feed).seq + 1))

    _run_together(lambda: count_up("kept"), lambda: count_up("changes"))

    assert (get_cursor(unit, "kept").seq, get_cursor(unit, "changes").seq) == (100, 100)


@pytest.mark.fault(25)
def test_intake_waits_for_a_busy_writer_and_drops_no_row(unit: Store) -> None:
    """Another connection holds the lock; intake began to wait before it is given back."""
    rows = [made_kept(n) for n in range(1, 6)]
    waiting = threading.Event()

    def take_in() -> None:
        with open_unit(unit.path, wait_s=ANSWER_S) as own:
            own.connection.set_trace_callback(lambda sql: waiting.set() if sql.startswith("BEGIN") else None)
            keep_instances(own, made_stamp(), rows, ["pacs"], FeedCursor("kept", 5))

    unit.connection.execute("BEGIN IMMEDIATE")
    thread = threading.Thread(target=take_in)
    thread.start()
    assert waiting.wait(ANSWER_S)
    assert unit.value("SELECT count(*) FROM instance") == 0
    unit.connection.execute("COMMIT")
    thread.join(ANSWER_S)

    assert not thread.is_alive()
    assert len(candidates(unit, "pacs", 9)) == 5
    assert get_cursor(unit, "kept").seq == 5


@pytest.mark.fault(25)
def test_intake_reports_busy_beyond_its_bound_and_the_next_try_has_every_row(unit: Store) -> None:
    rows = [made_kept(n) for n in range(1, 6)]
    with open_unit(unit.path, wait_s=0.01) as own:
        unit.connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program") as caught:
            keep_instances(own, made_stamp(), rows, ["pacs"], FeedCursor("kept", 5))
        unit.connection.execute("ROLLBACK")

        assert caught.value.kind is StoreFault.BUSY
        assert get_cursor(own, "kept").seq == 0
        assert len(keep_instances(own, made_stamp(), rows, ["pacs"], FeedCursor("kept", 5)).new) == 5


def test_reader_does_not_wait_for_a_writer(unit: Store, reader: Store) -> None:
    unit.connection.execute("BEGIN IMMEDIATE")
    unit.connection.execute("INSERT INTO cursor (feed, seq) VALUES ('kept', 9)")

    assert get_cursor(reader, "kept").seq == 0
    unit.connection.execute("ROLLBACK")


def test_store_at_run_time_does_not_import_the_migration_library(tmp_path: Path) -> None:
    """Its NumPy and Click would cost every process of the unit 25 MB."""
    fresh_unit(tmp_path).close()
    program = (
        "import sys; from pathlib import Path; from appliance.store.connect import migrate, open_unit\n"
        f"folder = Path({str(tmp_path)!r}); migrate(folder / 'unit.db', folder / 'door.db')\n"
        "open_unit(folder / 'unit.db').close(); print([m for m in ('sqlite_utils', 'numpy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert run.stdout.strip() == "[]"


def test_door_opens_beside_the_unit(tmp_path: Path) -> None:
    fresh_unit(tmp_path).close()
    with open_door(tmp_path / "door.db") as door:
        assert door.value("SELECT count(*) FROM kept") == 0


def test_reader_says_when_there_is_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no such file"):
        open_reader(tmp_path / "unit.db")


def _run_together(*tasks: Callable[[], None]) -> None:
    errors: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(ANSWER_S)
    assert errors == []
    assert not any(thread.is_alive() for thread in threads)
