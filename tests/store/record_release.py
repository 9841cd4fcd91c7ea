"""Writes down what this release sends to ``unit.db``; run it once at each release, and never change an old file.

``python -m tests.store.record_release 0.1.0`` makes ``tests/store/releases/0.1.0.sql``, which every later schema must
accept (``test_statements_of_an_older_release_run_on_this_schema``).
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import ItemState, LinkState, LocalState, Priority
from appliance.store import commands, findings, instances, intake, outbox, transfers
from appliance.store.connect import Store, migrate_one, open_unit
from appliance.store.release import UNIT
from tests.store.crash_load import Statement, recording, transactions_of
from tests.store.made import HandClock, made_kept, made_receipt, made_stamp


def tour(db: Store) -> None:
    """Every function that writes to ``unit.db``, at least once."""
    now = made_stamp()
    failure = Failure(FailureKind.TRANSIENT, "http-503", "The centre is busy.")
    rows = [made_kept(1), made_kept(2)]
    intake.keep_instances(db, now, rows, ["pacs"], intake.FeedCursor("kept", 2))
    intake.keep_instances(db, now, [made_kept(2, content="other")], ["pacs"], None)
    intake.ensure_destinations(db, now, ["pacs", "archive"])
    transfers.open_transfer(db, now, 1, "pacs", 2)
    outbox.move_item(db, now, 1, ItemState.PENDING, ItemState.SENT, "accepted", attempt_count=1)
    transfers.close_transfer(db, now, 1, bytes_sent=1000, accepted_count=1, failure=failure)
    transfers.open_transfer(db, now, 2, "pacs", 1)
    transfers.close_interrupted_transfers(db, now)
    transfers.note_link(db, now, "pacs", LinkState.DOWN, failure, 30.0)
    outbox.note_failure(db, now, 1, failure)
    for item in outbox.items_of_study(db, "1.2.3.1"):
        receipt = made_receipt(item)
        outbox.move_item(
            db, now, item.item_id, item.state, ItemState.CONFIRMED, "proved", attempt_count=1, receipt=receipt
        )
        outbox.note_recheck(db, now, item.item_id, receipt)
    outbox.set_priority(db, now, [1, 2], Priority.STAT, "technologist")
    outbox.note_damage(db, now, 1, failure)
    instances.point_at_blob(db, now, rows[0].instance)
    instances.set_local_state(db, now, rows[1].instance.sop_instance_uid, LocalState.EVICTED, "delivered everywhere")
    outbox.move_item(db, now, 2, ItemState.CONFIRMED, ItemState.PENDING, "absent", attempt_count=1)
    command_id = commands.give_command(db, now, "hold", "1.2.3.1", "technologist", "wrong patient")
    commands.finish_command(db, now, command_id, "The study waits.")
    findings.clear_finding(db, now, kind="damaged-here", subject_id=rows[0].instance.sop_instance_uid)


def main(release_name: str) -> None:
    lines = [f"-- What release {release_name} sends, recorded by tests/store/record_release.py.\n"]
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first.db", Path(folder) / "second.db"
        migrate_one(first, UNIT)
        migrate_one(second, UNIT)
        with recording() as statements, open_unit(first, clock=HandClock()) as db:
            tour(db)
        connection = sqlite3.connect(second, isolation_level=None)
        connection.execute("PRAGMA recursive_triggers=ON")
        connection.set_trace_callback(lambda sql: lines.append(f"{sql};\n"))
        for transaction in transactions_of(statements):
            for statement in transaction:
                _run(connection, lines, statement)
        connection.close()
    folder_of_all = Path(__file__).with_name("releases")
    folder_of_all.mkdir(exist_ok=True)
    (folder_of_all / f"{release_name}.sql").write_text("".join(lines), encoding="utf-8")


def _run(connection: sqlite3.Connection, lines: list[str], statement: Statement) -> None:
    """SQLite reports a statement once more for each trigger it fires; only the first report counts."""
    line_count = len(lines)
    connection.execute(*statement)
    del lines[line_count + 1 :]


if __name__ == "__main__":
    main(sys.argv[1])
