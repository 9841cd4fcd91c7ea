"""The centre's database: the same code on SQLite and PostgreSQL, also when two write at once."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from central.store import parts as part_rows
from central.store.database import Database, StoreError, insert_missing, sqlite_url
from central.store.inbox import Entry, add_entry, entries_after
from central.store.manifests import merge
from central.store.migrations import STEPS, migrate
from central.store.notes import notes_of, put_notes
from central.store.parts import Chunk, append_chunk, chunks_of, create_part, part_row
from central.store.tables import file, meta, metadata
from central.store.units import add_unit, unit_row
from sync.wire import messages as m
from sync.wire.notes import StudyNotes
from tests.gateway.postgres import lend_driver, running_postgres, why_not
from tests.gateway.rig import Pacs, Unit, picture_in_parts, running_gateway

AT = "2026-01-01T00:00:00.000Z"
PART = "a" * 64


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL; tests that need it are skipped where there is none."""
    missing = why_not()
    if missing:
        pytest.skip(missing)
    driver = lend_driver(tmp_path_factory.mktemp("driver"))
    if driver is None:
        pytest.skip("the driver is of another Python version")
    if driver:
        sys.path.append(driver)
        os.environ["PYTHONPATH"] = driver
    try:
        with running_postgres(tmp_path_factory.mktemp("postgres")) as url:
            yield url
    finally:
        if driver:
            sys.path.remove(driver)
            del os.environ["PYTHONPATH"]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "gateway.db")
    found: str = request.getfixturevalue("postgres")
    return found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Migrated and empty."""
    opened = Database(url)
    with opened.write() as connection:
        metadata.drop_all(connection)
    migrate(opened)
    yield opened
    opened.close()


def at_once(database: Database, count: int, work: Callable[[Connection], Any]) -> list[Any]:
    """``work`` in so many writing transactions that begin together; results or exceptions."""
    results: list[Any] = []
    barrier = threading.Barrier(count)

    def run() -> None:
        barrier.wait()
        try:
            with database.write() as connection:
                results.append(work(connection))
        except SQLAlchemyError as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_schema_is_made_once_however_often_and_by_whomever(url: str, tmp_path: Path) -> None:
    first, second = Database(url), Database(url)
    with first.write() as connection:
        metadata.drop_all(connection)
    migrate(first)
    migrate(second)
    with first.read() as connection:
        assert set(inspect(connection).get_table_names()) == set(metadata.tables)
        assert connection.scalar(select(meta.c.value)) == str(len(STEPS))
    first.close()
    second.close()


def test_newer_schema_is_left_as_it_is(database: Database) -> None:
    with database.write() as connection:
        connection.execute(meta.update().values(value="99"))
    migrate(database)
    with database.read() as connection:
        assert connection.scalar(select(meta.c.value)) == "99"


def test_sqlite_keeps_what_it_confirmed(tmp_path: Path) -> None:
    opened = Database(sqlite_url(tmp_path / "gateway.db"))
    with opened.write() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    opened.close()


@pytest.mark.fault(25)
def test_read_that_becomes_a_write_waits_for_another_writer(database: Database) -> None:
    with database.write() as connection:
        add_unit(connection, "unit", "van", b"key", AT)

    def work(connection: Connection) -> int:
        unit_row(connection, "unit")
        return add_entry(connection, "unit", Entry(0, "receipt", "", "", ""), AT)

    assert sorted(at_once(database, 8, work)) == [1, 2, 3, 4, 5, 6, 7, 8]
    with database.read() as connection:
        head, entries = entries_after(connection, "unit", 3, 3)
    assert (head, [entry.seq for entry in entries]) == (8, [4, 5, 6])


@pytest.mark.fault(49)
def test_of_two_appends_at_one_offset_one_counts(database: Database) -> None:
    with database.write() as connection:
        create_part(connection, "unit", PART, 100, AT)
    numbers = iter(range(8))

    def work(connection: Connection) -> bool:
        return append_chunk(connection, PART, Chunk(0, 10, f"key {next(numbers)}"), AT)

    assert sorted(at_once(database, 8, work)) == [False] * 7 + [True]
    with database.read() as connection:
        row = part_row(connection, PART)
        assert row is not None and row.offset_bytes == 10
        assert len(chunks_of(connection, PART)) == 1


def test_same_manifest_by_two_units_at_once_makes_each_file_once(database: Database) -> None:
    instances = tuple(
        m.InstanceInfo(
            sop_instance_uid=f"1.2.{i}",
            sop_class_uid="1.2",
            series_instance_uid="1.3",
            transfer_syntax_uid="1.2.840.10008.1.2",
            sha256=f"{i:064x}",
            size_bytes=i,
            header=PART,
        )
        for i in range(1200)
    )
    parts = tuple(m.PartInfo(sha256=f"{i:064x}", size_bytes=i, kind=m.PartKind.PIXELS) for i in range(1200))
    manifest = m.Manifest(revision=1, instances=instances, parts=parts)
    units = iter(("a", "b", "c"))
    with database.write() as connection:
        for name in "abc":
            add_unit(connection, name, name, b"key", AT)

    def work(connection: Connection) -> list[int]:
        return merge(connection, next(units), "1.2.3", manifest, AT)

    one, two, three = at_once(database, 3, work)
    assert one == two == three
    with database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(file)) == 1200


def test_of_notes_that_come_at_once_by_link_and_by_stick_the_newest_stand(database: Database) -> None:
    with database.write() as connection:
        add_unit(connection, "u", "van", b"key", AT)
    revisions = iter((3, 9, 5, 7))

    def work(connection: Connection) -> None:
        revision = next(revisions)
        uids = [f"1.2.{number}" for number in range(20)]
        said = [StudyNotes(study_instance_uid=uid, revision=revision, checked_count=revision) for uid in uids]
        put_notes(connection, "u", AT, said if revision % 4 == 1 else [*reversed(said), said[0]])

    assert at_once(database, 4, work) == [None] * 4
    with database.read() as connection:
        for number in range(20):
            (row,) = notes_of(connection, f"1.2.{number}")
            assert (row.unit_name, row.notes.revision, row.notes.checked_count) == ("van", 9, 9)


def test_rows_that_are_there_are_left_alone(database: Database) -> None:
    with database.write() as connection:
        insert_missing(connection, meta, [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
        insert_missing(connection, meta, [{"key": "a", "value": "3"}, {"key": "c", "value": "4"}])
        insert_missing(connection, meta, [])
        rows = dict(connection.execute(select(meta.c.key, meta.c.value).where(meta.c.key.in_(["a", "b", "c"]))).all())
    assert rows == {"a": "1", "b": "2", "c": "4"}


def test_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as connection:
        create_part(connection, "unit", PART, 100, AT)
        raise RuntimeError
    with database.read() as connection:
        assert part_rows.part_row(connection, PART) is None


@pytest.mark.parametrize("url", ["nonsense", "oracle://x", "postgresql+nothing://x"])
def test_url_that_cannot_be_used_is_a_sentence(url: str) -> None:
    with pytest.raises(StoreError, match=r"gateway\.database_url cannot be used"):
        Database(url)


def test_errors_do_not_quote_what_they_were_about(database: Database) -> None:
    with pytest.raises(SQLAlchemyError) as failed, database.write() as connection:
        connection.execute(meta.insert().values(key="a", value=None))
        connection.execute(meta.insert().values(key="SECRET^NAME", value=None))
    assert "SECRET" not in str(failed.value)


# --- the whole gateway on PostgreSQL -------------------------------------------------------------------------------


def test_gateway_on_postgresql_delivers_also_when_it_is_killed(postgres: str, tmp_path: Path) -> None:
    pacs = Pacs()
    extra = f'database_url = "{postgres}"'
    with pacs.peer, running_gateway(tmp_path / "g", pacs.peer.url, extra=extra) as started, Unit(started.url) as unit:
        unit.join(started)
        picture, other = (picture_in_parts(tmp_path / str(i), 60_000, 400 + i) for i in range(2))
        unit.send(picture)
        assert unit.receipt(unit.wait_for_entries(1)[0].receipt).sha256 == picture.instance.sha256
        unit.announce(other)
        unit.send_part(other.header)
        assert unit.append(other.instance.pixels, other.pixels[:30_000]).status_code == 204
        started.kill()
        started.start()
        assert unit.offset(other.instance.pixels) == 30_000
        unit.send(other)
        assert unit.wait_for_entries(2)[1].sop_instance_uid == other.uid
        assert unit.check(picture, other).items[picture.uid].state == "verified"


def test_two_gateways_on_one_database_settle_each_file_once(postgres: str, tmp_path: Path) -> None:
    pacs = Pacs()
    shared = f'database_url = "{postgres}"\nparts_url = "file://{tmp_path}/parts"'
    with (
        pacs.peer,
        running_gateway(tmp_path / "one", pacs.peer.url, extra=shared) as one,
        running_gateway(tmp_path / "two", pacs.peer.url, extra=shared) as two,
        Unit(one.url, "van-9") as unit,
        Unit(two.url, "van-9") as same,
    ):
        unit.join(one)
        same.token, same.unit_id, same.centre_key = unit.token, unit.unit_id, unit.centre_key
        pictures = [picture_in_parts(tmp_path / str(i), 20_000, 500 + i) for i in range(8)]
        for i, picture in enumerate(pictures):
            unit.announce(picture)
            (unit, same)[i % 2].send_part(picture.header)
            (same, unit)[i % 2].send_part(picture.pixels)
        entries = same.wait_for_entries(8)
        assert sorted(entry.sop_instance_uid for entry in entries) == sorted(one.uid for one in pictures)
        assert unit.inbox().head == same.inbox().head == 8
