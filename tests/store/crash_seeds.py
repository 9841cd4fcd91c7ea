"""Power cuts under the real schema and the real statements: ``python -m tests.store.crash_seeds --seeds 5000``.

One seed is one unlucky machine: it replays recorded transactions on a disk that loses power at a random change, starts
again on what survived, checks, goes on, and may lose power again, even while recovering. Checked at every start:

- ``integrity_check`` and ``foreign_key_check`` find nothing;
- the content is exactly that after the last transaction whose COMMIT returned, or, when the power failed during a
  COMMIT, after that one: so nothing acknowledged is lost and nothing is there by half;
- each move has its journal row (it is in the same transaction, so the content says so).
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache

import apsw

from tests.store.crash_load import Load, Transaction, record_door, record_unit
from tests.support.crash_vfs import CrashVfs, Disk, PowerCutError

SCENARIO_COUNT = 12
LIFE_COUNT_MAX = 3
_FILE = "/unit/data.db"
_VFS = CrashVfs("crash")


@dataclass(frozen=True)
class Plan:
    """A load with what is known of it: the content after each transaction and how often it changes the disk."""

    load: Load
    contents: tuple[str, ...]
    """Digest of the database's content after so many transactions."""
    image: dict[str, bytes]
    """The files of a freshly migrated database."""
    change_count: int
    """How often the whole load changes the disk."""
    migration_change_count: int
    """The same for its migrations alone."""


@dataclass(frozen=True)
class Rules:
    """How the database is run; anything but the defaults is a planted fault."""

    synchronous: str = "FULL"
    commits_in_the_middle: bool = False


SOUND = Rules()


class BrokenPromiseError(AssertionError):
    """What must never be seen after a power cut."""


def run_seed(seed: int, rules: Rules = SOUND) -> int:
    """Run one unlucky machine; the number of power cuts it had.

    Raises:
        BrokenPromiseError: With what was lost, halved or damaged.
    """
    chance = random.Random(seed)
    record = record_door if chance.random() < 0.25 else record_unit
    plan = plan_of(record, chance.randrange(SCENARIO_COUNT))
    cuts = [chance.randint(1, max(2, plan.change_count // (life + 1) ** 2)) for life in range(LIFE_COUNT_MAX)]
    return run_machine(
        plan,
        cuts,
        seed=seed,
        rules=rules,
        checkpoint_pages=chance.choice((2, 10, 40, 1000)),
        from_empty=chance.random() < 0.25,
    )


def run_machine(
    plan: Plan, cuts: Sequence[int], *, seed: int, rules: Rules = SOUND, checkpoint_pages: int, from_empty: bool
) -> int:
    """Lives that end at these changes of the disk, then one that finishes the load and one that finds it finished.

    Returns:
        How many of the cuts happened; a life that does all its work before its cut is not cut.

    Raises:
        BrokenPromiseError: As ``run_seed``.
    """
    chance = random.Random(seed)
    files = {} if from_empty else plan.image
    done_counts = {0 if from_empty else plan.load.migration_count}
    cut_count = 0
    for cut_at in (*cuts, None, None):
        disk = Disk(files, chance.getrandbits(64))
        disk.cut_at = cut_at
        life = _Life(plan, disk, rules, checkpoint_pages, done_counts)
        with _power_cuts_unreported():
            life.run()
        cut_count += disk.is_dead
        files, done_counts = disk.survivors(), life.done_counts
    return cut_count


class _Life:
    """One start of the machine, until the power fails or everything is done."""

    def __init__(self, plan: Plan, disk: Disk, rules: Rules, checkpoint_pages: int, done_counts: set[int]) -> None:
        self._plan = plan
        self._disk = disk
        self._rules = rules
        self._checkpoint_pages = checkpoint_pages
        self.done_counts = done_counts
        """How many transactions the disk may hold: two values when the power failed during a COMMIT."""

    def run(self) -> None:
        _VFS.disk = self._disk
        connection: apsw.Connection | None = None
        try:
            connection = apsw.Connection(_FILE, vfs=_VFS.vfs_name)
            self._live(connection)
        except (apsw.Error, PowerCutError) as error:
            if not self._disk.is_dead:
                raise BrokenPromiseError(f"the database cannot be used: {error!r}") from error
        finally:
            if connection is not None:
                with suppress(apsw.Error, PowerCutError):
                    connection.close()

    def _live(self, connection: apsw.Connection) -> None:
        _use_settings(connection, self._rules)
        connection.execute(f"PRAGMA wal_autocheckpoint={self._checkpoint_pages}")
        done_count = self._check(connection)
        for transaction in self._plan.load.transactions[done_count:]:
            _replay(connection, transaction, self._rules)
            self.done_counts = {done_count, done_count + 1}
            connection.execute("COMMIT")
            if self._disk.is_dead:  # SQLite does not report an error of the checkpoint that follows a commit
                raise PowerCutError
            done_count += 1
            self.done_counts = {done_count}

    def _check(self, connection: apsw.Connection) -> int:
        """How many transactions are there, after making sure that it is a number it may be."""
        damage = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        if damage != ["ok"]:
            raise BrokenPromiseError(f"integrity_check: {damage[:3]}")
        if list(connection.execute("PRAGMA foreign_key_check")):
            raise BrokenPromiseError("a row points to a row that is not there")
        content = content_of(connection)
        for count in self.done_counts:
            if self._plan.contents[count] == content:
                self.done_counts = {count}
                return count
        actual = self._plan.contents.index(content) if content in self._plan.contents else None
        promised = sorted(self.done_counts)
        if actual is None:
            raise BrokenPromiseError(f"half a transaction is there; promised were {promised}")
        raise BrokenPromiseError(f"{actual} transactions are there; promised were {promised}")


@cache
def plan_of(record: Callable[[int], Load], scenario: int) -> Plan:
    """Record a load once and replay it once without a cut."""
    load = record(scenario)
    disk = Disk({}, scenario)
    _VFS.disk = disk
    contents = []
    image: dict[str, bytes] = {}
    migration_change_count = 0
    connection = apsw.Connection(_FILE, vfs=_VFS.vfs_name)
    _use_settings(connection, SOUND)
    contents.append(content_of(connection))
    for count, transaction in enumerate(load.transactions, 1):
        _replay(connection, transaction, SOUND)
        connection.execute("COMMIT")
        contents.append(content_of(connection))
        if count == load.migration_count:
            migration_change_count = disk.change_count
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            image = disk.survivors()
    connection.close()
    return Plan(load, tuple(contents), image, disk.change_count, migration_change_count)


def content_of(connection: apsw.Connection) -> str:
    """A digest of schema, header numbers and all rows."""
    digest = hashlib.sha256()
    for pragma in ("application_id", "user_version"):
        digest.update(repr(list(connection.execute(f"PRAGMA {pragma}"))).encode())
    schema = list(connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"))
    digest.update(repr(schema).encode())
    for kind, name, _ in schema:
        if kind == "table":
            digest.update(repr(list(connection.execute(f'SELECT * FROM "{name}" ORDER BY 1'))).encode())
    return digest.hexdigest()


def _use_settings(connection: apsw.Connection, rules: Rules) -> None:
    """As ``appliance.store.connect``; locking is exclusive because a VFS in Python has no shared memory."""
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={rules.synchronous}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA recursive_triggers=ON")


def _replay(connection: apsw.Connection, transaction: Transaction, rules: Rules) -> None:
    """Everything of a transaction but its COMMIT."""
    connection.execute("BEGIN IMMEDIATE")
    depth = 0
    for number, (sql, parameters) in enumerate(transaction):
        if rules.commits_in_the_middle and number and not depth:
            connection.execute("COMMIT")
            connection.execute("BEGIN IMMEDIATE")
        connection.execute(sql, parameters)
        depth += sql.startswith("SAVEPOINT") - sql.startswith("RELEASE")


@contextmanager
def _power_cuts_unreported() -> Iterator[None]:
    """A cut inside ``close`` or a checkpoint has no call to be raised from; Python would print it."""
    report = sys.unraisablehook

    def filtered(unraisable: sys.UnraisableHookArgs, /) -> None:
        if not isinstance(unraisable.exc_value, PowerCutError):
            report(unraisable)

    sys.unraisablehook = filtered
    try:
        yield
    finally:
        sys.unraisablehook = report


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.store.crash_seeds", description="power cuts under the store")
    parser.add_argument("--seeds", type=int, default=5000)
    parser.add_argument("--start", type=int, default=0)
    arguments = parser.parse_args()
    started_s = time.monotonic()
    cut_count = 0
    for seed in range(arguments.start, arguments.start + arguments.seeds):
        try:
            cut_count += run_seed(seed)
        except BrokenPromiseError as error:
            print(f"seed {seed}: {error}\nagain: python -m tests.store.crash_seeds --seeds 1 --start {seed}")
            return 1
    elapsed_s = time.monotonic() - started_s
    print(f"{arguments.seeds} seeds from {arguments.start}, {cut_count} power cuts, {elapsed_s:.0f} s: nothing lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
