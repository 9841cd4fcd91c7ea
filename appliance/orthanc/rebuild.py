"""Databases that cannot be read are set aside, renamed and never deleted, and made anew from what is left."""

from __future__ import annotations

import itertools
from contextlib import closing
from pathlib import Path

from appliance.config import UnitConfig
from appliance.logging import log
from appliance.orthanc.blobs import flush_folder
from appliance.orthanc.index import INDEX_FILE, Index, IndexDamaged, read_index
from appliance.store.connect import migrate_one, open_door, open_unit
from appliance.store.errors import StoreError, StoreFault
from appliance.store.findings import note_finding
from appliance.store.release import DOOR, UNIT, Schema

REBUILT = "database-rebuilt"
READING_COUNT = 2
"""SQLite reports a page that the disk did not give as damage of the file: only what is found again is believed."""
_SENTENCES = {
    "unit.db": "The unit's delivery records were damaged and are made anew. All pictures stored here are offered to "
    "the centre again; what it holds already is not stored twice. Look at held and urgent studies once more.",
    "door.db": "The unit's list of received pictures was damaged and is made anew from the pictures. Nothing needs to "
    "be done; tell the service.",
    INDEX_FILE: "Orthanc's list of pictures was damaged and is made anew from the pictures. Nothing needs to be done; "
    "tell the service.",
}


class RecoveryStopped(Exception):
    """Recovery cannot go on by itself; the text is a sentence for people. Nothing was deleted."""


def sound_databases(config: UnitConfig) -> tuple[str, ...]:
    """Both our databases readable and of this release; the names of those that had to be made anew.

    Raises:
        RecoveryStopped: If a damaged one is in use.
        StoreError: For what rebuilding cannot mend: a full or read-only disk, a newer release.
    """
    schemas = ((config.unit_db, UNIT), (config.door_db, DOOR))
    rebuilt = tuple(path.name for path, schema in schemas if not _is_sound_at_last(path, schema))
    for name in rebuilt:
        _set_aside(config, config.data_dir / name)
    migrate_one(config.unit_db, UNIT)
    migrate_one(config.door_db, DOOR)
    return rebuilt


def sound_index(config: UnitConfig) -> tuple[Index, bool]:
    """Orthanc's index, and whether it had to be set aside.

    Raises:
        IndexInUse: If an Orthanc still runs on it.
        RecoveryStopped: If a damaged one is in use by something else.
    """
    path = config.orthanc_dir / INDEX_FILE
    for _ in range(READING_COUNT):
        try:
            return read_index(path), False
        except IndexDamaged as error:
            log("unit.recovery", "Orthanc's index is damaged", why=error)
    _set_aside(config, path)
    return read_index(path), True


def tell(config: UnitConfig, rebuilt: tuple[str, ...]) -> None:
    """A finding for each database that was made anew."""
    with open_unit(config.unit_db) as unit:
        for name in rebuilt:
            is_truth = name == config.unit_db.name
            note_finding(
                unit,
                kind=REBUILT,
                subject_id=name,
                sentence=_SENTENCES[name],
                severity="alarm" if is_truth else "warning",
            )


def _is_sound_at_last(path: Path, schema: Schema) -> bool:
    return any(_is_sound(path, schema) for _ in range(READING_COUNT))


def _is_sound(path: Path, schema: Schema) -> bool:
    if not path.exists():
        return True
    try:
        migrate_one(path, schema)
        opened = open_unit(path) if schema is UNIT else open_door(path)
        with closing(opened) as store:
            if store.value("PRAGMA integrity_check(1)") == "ok":
                return True
            # Damage of an index of the database alone loses nothing: it is made again from its table.
            log("unit.recovery", "rebuilding indexes", database=path.name)
            store.rows("REINDEX")
            return bool(store.value("PRAGMA integrity_check(1)") == "ok")
    except StoreError as error:
        if error.kind is not StoreFault.CORRUPT:
            raise
        log("unit.recovery", "database is damaged", database=path.name, why=error)
        return False


def _set_aside(config: UnitConfig, path: Path) -> None:
    """Rename a database with its log into quarantine, the log first: a cut in between leaves an older, whole one."""
    holders = _holders(path)
    if holders:
        raise RecoveryStopped(
            f"{path.name} is damaged and in use by process {', '.join(holders)}: stop the whole unit and start it again"
        )
    taken = {each.name for each in config.quarantine_dir.iterdir()}
    number = next(n for n in itertools.count(1) if not any(name.endswith(f".{n}.set-aside") for name in taken))
    for suffix in ("-wal", "-shm", "-journal", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            source.rename(config.quarantine_dir / f"{source.name}.{number}.set-aside")
    flush_folder(config.quarantine_dir)
    flush_folder(path.parent)
    log("unit.recovery", "set aside", database=path.name, number=number)


def _holders(path: Path) -> list[str]:
    """Processes that have the file open."""
    found = []
    target = str(path.resolve())
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(str(each.readlink()) == target for each in descriptors.iterdir()):
                found.append(descriptors.parent.name)
        except OSError:
            continue  # it ended meanwhile, or belongs to somebody else
    return found
