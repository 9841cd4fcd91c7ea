"""What the crash test replays: every statement, in its transaction, that the real store sends to SQLite.

The store speaks to the standard library's SQLite; the crash VFS lives in apsw's. So the real functions run once on a
real file while each statement is written down, and these run again, with the same values, where the power may fail.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from appliance.domain.failure import Failure, FailureKind
from appliance.domain.values import ItemState, LinkState, LocalState, OutboxItem, Priority
from appliance.orthanc.ledger import KeptBlob, Ledger
from appliance.orthanc.part10 import Digests
from appliance.store import commands, findings, instances, intake, outbox, rejections, revisions, transfers
from appliance.store.connect import Store, migrate_one, open_door, open_unit, write
from appliance.store.door import permit_purge
from appliance.store.release import DOOR, UNIT
from tests.store.made import HandClock, digest_of, made_kept, made_receipt, made_stamp

Statement = tuple[str, tuple[object, ...]]
Transaction = tuple[Statement, ...]

_UNREACHABLE = Failure(FailureKind.LINK, "http-503", "The centre does not answer.")
_WAY = (ItemState.PENDING, ItemState.ENCODING, ItemState.READY, ItemState.SENDING, ItemState.SENT, ItemState.CONFIRMED)


@dataclass(frozen=True)
class Load:
    """The transactions of one database file; the first ``migration_count`` of them make its schema."""

    name: str
    transactions: tuple[Transaction, ...]
    migration_count: int


def record_unit(scenario: int) -> Load:
    """Intake, moves with receipts, transfers, links, commands, findings and evictions, mixed by ``scenario``."""
    with recording() as statements, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unit.db"
        migrate_one(path, UNIT)
        migration_count = len(transactions_of(statements))
        with open_unit(path, clock=HandClock()) as db:
            _UnitDay(db, random.Random(scenario)).run()
    return Load("unit", transactions_of(statements), migration_count)


def record_door(scenario: int) -> Load:
    """The plugin's ledger with the unit's purge permits."""
    chance = random.Random(scenario)
    with recording() as statements, tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "door.db"
        migrate_one(path, DOOR)
        migration_count = len(transactions_of(statements))
        ledger = Ledger(path, HandClock())
        with open_door(path, clock=HandClock()) as db:
            for number in range(1, 25):
                _door_event(ledger, db, chance, number)
        ledger.close()
    return Load("door", transactions_of(statements), migration_count)


class _UnitDay:
    """A day of one unit, driven through the store's public functions."""

    def __init__(self, db: Store, chance: random.Random) -> None:
        self._db = db
        self._chance = chance
        self._second = 0.0
        self._kept = 0
        self._corrected = 0

    def run(self) -> None:
        happenings = (
            *(self._intake, self._intake, self._move, self._move, self._move),
            *(self._attempt, self._person, self._correct),
        )
        self._intake()
        for _ in range(30):
            self._second += self._chance.random() * 5
            self._chance.choice(happenings)()
        intake.ensure_destinations(self._db, made_stamp(self._second), ("pacs", "archive", "late"))
        self._evict()

    def _intake(self) -> None:
        count = self._chance.randint(1, 4)
        numbers = range(self._kept + 1, self._kept + count + 1)
        self._kept += count
        rows = [made_kept(n, study=n // 5, size_bytes=self._chance.randint(1, 10**8)) for n in numbers]
        if self._chance.random() < 0.2:
            rows.append(made_kept(1, study=0, content="another picture"))
        cursor = intake.FeedCursor("kept", self._kept)
        intake.keep_instances(self._db, made_stamp(self._second), rows, ("pacs", "archive"), cursor)

    def _move(self) -> None:
        """One turn of the engine: several items go one step on, in one transaction."""
        items = self._some_items(6)
        stamp = made_stamp(self._second)
        with write(self._db):
            for item in items:
                if item.state in _WAY[:-1]:
                    next_state = _WAY[_WAY.index(item.state) + 1]
                    receipt = made_receipt(item) if next_state is ItemState.CONFIRMED else None
                    outbox.move_item(
                        self._db,
                        stamp,
                        item.item_id,
                        item.state,
                        next_state,
                        "step",
                        attempt_count=item.attempt_count,
                        receipt=receipt,
                    )

    def _attempt(self) -> None:
        stamp = made_stamp(self._second)
        transfer_id = transfers.transfer_id_last(self._db) + 1
        transfers.open_transfer(self._db, stamp, transfer_id, "pacs", 3)
        with write(self._db):
            transfers.close_transfer(
                self._db, stamp, transfer_id, bytes_sent=10**6, accepted_count=0, failure=_UNREACHABLE
            )
            transfers.note_link(self._db, stamp, "pacs", LinkState.DOWN, _UNREACHABLE, 30.0)
            for item in self._some_items(2):
                outbox.note_failure(self._db, stamp, item.item_id, _UNREACHABLE)

    def _person(self) -> None:
        stamp = made_stamp(self._second)
        command_id = commands.give_command(self._db, stamp, "stat", "1.2.3.0", "technologist", "chest pain")
        with write(self._db):
            ids = [item.item_id for item in outbox.items_of_study(self._db, "1.2.3.0")]
            outbox.set_priority(self._db, stamp, ids, Priority.STAT, "technologist")
            commands.finish_command(self._db, stamp, command_id, "The study goes first now.")
        findings.note_finding(
            self._db, stamp, kind="feed-lag", subject_id="kept", sentence="Pictures wait.", severity="notice"
        )
        findings.clear_finding(self._db, stamp, kind="feed-lag", subject_id="kept")

    def _correct(self) -> None:
        """A person corrects a picture, the engine moves its duties on; now and then it is taken back, or rejected."""
        stamp = made_stamp(self._second)
        chosen = self._some_items(1)[0]
        latest = revisions.latest_content(self._db, chosen.sop_instance_uid)
        assert latest is not None
        self._corrected += 1
        digest = digest_of(f"revision {self._corrected}")
        made = revisions.NewRevision(
            chosen.sop_instance_uid, str(uuid.UUID(int=10**9 + self._corrected)), 1000, digest, digest, latest[0].sha256
        )
        action_id = revisions.add_correction(
            self._db,
            stamp,
            kind="correct",
            study_instance_uid=chosen.study_instance_uid,
            before={"PatientID": "P1"},
            after={"PatientID": "P2"},
            reason="typed wrongly",
            actor="technologist",
            revisions=[made],
            covers=True,
        )
        revisions.set_study_header(self._db, chosen.study_instance_uid, {"patient_id": f"P{self._corrected}"})
        if self._chance.random() < 0.3 and not revisions.undo_fault(self._db, action_id):
            revisions.undo_correction(self._db, stamp, action_id, "technologist")
        with write(self._db):
            for one in revisions.unrevised(self._db, 9):
                if one.item.state not in (ItemState.ENCODING, ItemState.SENDING):
                    outbox.move_item(
                        self._db,
                        stamp,
                        one.item.item_id,
                        one.item.state,
                        ItemState.PENDING,
                        "revised",
                        attempt_count=0,
                        revision_id=one.revision_id,
                    )
        aside = {one.sop_instance_uid for one in rejections.rejected(self._db)}
        if self._chance.random() < 0.2 and chosen.sop_instance_uid not in aside:
            rejections.reject_image(self._db, stamp, action_id, chosen.sop_instance_uid, "motion", "technologist")
            rejections.lift_rejections(self._db, stamp, action_id, "technologist")

    def _evict(self) -> None:
        stamp = made_stamp(self._second)
        for candidate in instances.eviction_candidates(self._db, limit=3):
            for item in outbox.load_items(self._db, candidate.item_ids):
                outbox.note_recheck(self._db, stamp, item.item_id, made_receipt(item))
            instances.set_local_state(
                self._db, stamp, candidate.sop_instance_uid, LocalState.EVICTED, "delivered everywhere"
            )

    def _some_items(self, count: int) -> tuple[OutboxItem, ...]:
        ids = [item.item_id for study in range(self._kept // 5 + 1) for item in self._study(study)]
        return outbox.load_items(self._db, self._chance.sample(ids, min(count, len(ids))))

    def _study(self, study: int) -> Sequence[OutboxItem]:
        return outbox.items_of_study(self._db, f"1.2.3.{study}")


def _door_event(ledger: Ledger, db: Store, chance: random.Random, number: int) -> None:
    instance = made_kept(number).instance
    happening = chance.randrange(6)
    if happening == 0:
        ledger.refuse("disk-full", 0xA700, "XRAY1")
    elif happening == 1:
        ledger.quarantine("conflict", instance.sop_instance_uid, instance.sha256, 1000, f"{number}.dcm", "XRAY1")
    else:
        digests = Digests(instance.sha256, instance.dataset_sha256)
        ledger.keep(KeptBlob(instance.blob_uuid, instance.sop_instance_uid, digests, 1000), "XRAY1")
        if happening == 2:
            permit_purge(db, made_stamp(number), [instance.blob_uuid])
            ledger.mark_removed(instance.blob_uuid)


@contextmanager
def recording() -> Iterator[list[Statement]]:
    """Every statement of every connection opened meanwhile, in order."""
    statements: list[Statement] = []

    class Recorder(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            cursor = super().execute(sql, parameters)
            statements.append((sql, tuple(_plain(value) for value in parameters)))
            return cursor

    real_connect = sqlite3.connect

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        return real_connect(*args, factory=Recorder, **options)

    with mock.patch("sqlite3.connect", connect):
        yield statements


def _plain(value: object) -> object:
    """An enumeration member as the text SQLite gets."""
    return str(value) if isinstance(value, str) else value


def transactions_of(statements: Sequence[Statement]) -> tuple[Transaction, ...]:
    """Committed transactions that write, without their BEGIN and COMMIT and without questions."""
    found: list[Transaction] = []
    open_one: list[Statement] | None = None
    for sql, parameters in statements:
        verb = sql.split(None, 1)[0].upper().rstrip(";")
        if verb == "BEGIN":
            open_one = []
        elif verb == "ROLLBACK" and "TO" not in sql.upper().split():
            open_one = None
        elif verb == "COMMIT":
            if open_one:
                found.append(tuple(open_one))
            open_one = None
        elif verb != "SELECT" and open_one is not None:
            open_one.append((sql, parameters))
    return tuple(found)
