"""Are both databases whole, of this release, and journalled so that a power cut cannot hurt them?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from appliance.domain.sentences import database_trouble, size
from appliance.health.check import Level, Result, Subject
from appliance.store.connect import Store
from appliance.store.errors import StoreError


def check(subject: Subject) -> Iterable[Result]:
    """One answer for each file."""
    return [
        _check_one("unit.db", subject.config.unit_db, lambda: subject.reader.unit_db),
        _check_one("door.db", subject.config.door_db, lambda: subject.reader.door_db),
    ]


def _check_one(name: str, path: Path, opened: Callable[[], Store]) -> Result:
    try:
        db = opened()
        damage = db.value("PRAGMA quick_check(1)")
        mode = db.value("PRAGMA journal_mode")
        size_bytes = path.stat().st_size
    except StoreError as error:
        return Result(name, Level.ALARM, str(error), database_trouble(error.kind))
    if damage != "ok":
        return Result(name, Level.ALARM, f"{path}: is damaged ({damage}).", database_trouble("corrupt"))
    if mode != "wal":
        hint = "Restart the unit; it sets the mode and refuses to run without it."
        return Result(name, Level.ALARM, f"{path}: is in journal mode {mode}, not WAL.", hint)
    return Result(name, Level.FINE, f"{name} is whole ({size(size_bytes)}).", "", {"size_bytes": size_bytes})
