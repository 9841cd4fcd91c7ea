"""Every state that a power cut or a failing disk can leave, made by hand: what was promised comes back, the rest is
set aside, and a recovery that was cut off itself ends where an uncut one does."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from appliance.clock import SystemClock
from appliance.config import UnitTable, blob_path
from appliance.orthanc import reconcile
from appliance.orthanc.reconcile import Plan
from appliance.orthanc.recovery import EXIT_STOPPED, recover_files, run
from appliance.store.connect import open_door
from appliance.store.door import KeptRow, mark_removed
from appliance.store.errors import StoreError
from tests.support.files import small_chest
from tests.support.kept import KeptUnit, make_index, make_kept_unit
from tests.support.never import never

CLOCK = SystemClock()


@pytest.fixture
def unit(tmp_path: Path) -> KeptUnit:
    return make_kept_unit(tmp_path)


def recover(unit: KeptUnit, did: Callable[[str], None] = lambda _: None) -> Plan:
    return recover_files(unit.config, CLOCK, did)


def stray(unit: KeptUnit, data: bytes, suffix: str = "") -> Path:
    """A file in the blob folder that no row knows."""
    path = blob_path(unit.config.blob_dir, str(uuid.uuid4()))
    path.parent.mkdir(exist_ok=True)
    path = path.with_name(path.name + suffix)
    path.write_bytes(data)
    return path


def chest_bytes(unit: KeptUnit, seed: int) -> bytes:
    return small_chest(unit.config.data_dir.parent / f"stray-{seed}.dcm", seed).read_bytes()


def test_healthy_unit_needs_nothing(unit: KeptUnit) -> None:
    rows = [unit.keep_chest(seed) for seed in range(3)]
    unit.take_in()
    make_index(unit, rows)
    steps: list[str] = []
    assert recover(unit, steps.append) == Plan()
    assert steps == []
    assert unit.findings() == {}


@pytest.mark.fault(2)
def test_file_that_was_being_written_at_the_cut_is_removed(unit: KeptUnit) -> None:
    stray(unit, chest_bytes(unit, 1)[:3000], ".part")
    recover(unit)
    assert unit.blobs() == set()
    assert unit.quarantined() == set()


@pytest.mark.fault(3)
def test_file_without_a_row_was_never_acknowledged_and_is_set_aside(unit: KeptUnit) -> None:
    kept = unit.keep_chest(1)
    stray(unit, chest_bytes(unit, 2))
    recover(unit)
    unit.take_in()
    assert unit.blobs() == {kept.blob_uuid}
    assert unit.quarantined() == {"unacknowledged"}
    assert unit.rows("SELECT count(*) FROM outbox") == [(1,)]
    assert unit.findings() == {"set-aside-unacknowledged": "notice"}


@pytest.mark.fault(3)
def test_kept_file_that_the_index_lacks_is_to_be_posted_once_more(unit: KeptUnit) -> None:
    indexed, not_indexed = unit.keep_chest(1), unit.keep_chest(2)
    make_index(unit, [indexed])
    assert recover(unit) == Plan(repost=[not_indexed.blob_uuid])


@pytest.mark.fault(27)
@pytest.mark.parametrize("kept_share", [0.0, 0.3, 0.99])
def test_torn_file_without_a_row_is_set_aside_and_never_adopted(unit: KeptUnit, kept_share: float) -> None:
    unit.keep_chest(1)
    whole = chest_bytes(unit, 2)
    stray(unit, whole[: int(len(whole) * kept_share)])
    recover(unit)
    unit.take_in()
    assert unit.quarantined() == {"torn"}
    assert unit.rows("SELECT count(*) FROM instance") == [(1,)]
    assert unit.findings() == {"set-aside-torn": "warning"}


@pytest.mark.fault(27)
def test_torn_file_is_not_adopted_even_when_ledger_and_index_are_lost(unit: KeptUnit) -> None:
    whole = chest_bytes(unit, 2)
    stray(unit, whole[:-1])
    intact = stray(unit, chest_bytes(unit, 3))
    recover(unit)
    unit.take_in()
    assert unit.blobs() == {intact.name}
    assert unit.quarantined() == {"torn"}


@pytest.mark.fault(27)
def test_torn_file_that_the_index_names_is_set_aside_and_its_entry_goes(unit: KeptUnit) -> None:
    kept = unit.keep_chest(1)
    make_index(unit, [kept])
    forget_rows(unit)
    data = unit.blob(kept).read_bytes()
    unit.blob(kept).write_bytes(data[:-100])
    plan = recover(unit)
    assert plan.ghosts == [("orthanc-1", kept.blob_uuid)]
    assert unit.quarantined() == {"torn"}


def test_missing_blob_is_an_alarm(unit: KeptUnit) -> None:
    rows = [unit.keep_chest(seed) for seed in range(2)]
    unit.take_in()
    unit.blob(rows[0]).unlink()
    recover(unit)
    assert unit.local_states() == {rows[0].sop_instance_uid: "missing", rows[1].sop_instance_uid: "present"}
    assert unit.findings() == {"blob-missing": "alarm"}


def test_kept_blob_of_another_length_is_damaged_and_set_aside_and_heals(unit: KeptUnit) -> None:
    kept = unit.keep_chest(1)
    unit.take_in()
    whole = unit.blob(kept).read_bytes()
    unit.blob(kept).write_bytes(whole[:-1])
    assert recover(unit).repost == []
    assert unit.local_states() == {kept.sop_instance_uid: "corrupt"}
    assert unit.quarantined() == {"damaged"}
    unit.blob(kept).unlink()
    unit.blob(kept).write_bytes(whole)
    recover(unit)
    assert unit.local_states() == {kept.sop_instance_uid: "present"}
    assert unit.findings() == {}


@pytest.mark.fault(21)
def test_bit_flip_in_a_new_blob_is_found_at_the_next_start_and_not_posted(unit: KeptUnit) -> None:
    kept = unit.keep_chest(1)
    unit.take_in()
    data = bytearray(unit.blob(kept).read_bytes())
    data[-5] ^= 4
    unit.blob(kept).write_bytes(data)
    recover(unit)
    assert unit.local_states() == {kept.sop_instance_uid: "corrupt"}
    recover(unit)
    assert unit.local_states() == {kept.sop_instance_uid: "corrupt"}


def recover_beside_a_bad_sector(unit: KeptUnit, path: Path) -> subprocess.CompletedProcess[str]:
    """Phase files in a process that gets EIO for every read of that file."""
    toml = unit.config.data_dir.parent / "unit.toml"
    toml.write_text(f'[unit]\ndata_dir = "{unit.config.data_dir}"\n')
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", str(path), "-e", "inject=read:error=EIO"]
    return subprocess.run(
        [*strace, sys.executable, "-m", "appliance.orthanc.recovery", "--config", str(toml), "--phase", "files"],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.fault(17)
def test_kept_blob_that_cannot_be_read_is_an_alarm_and_the_others_go_on(unit: KeptUnit) -> None:
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    rows = [unit.keep_chest(seed) for seed in range(3)]
    unit.take_in()
    done = recover_beside_a_bad_sector(unit, unit.blob(rows[1]))
    assert done.returncode == 0, done.stderr
    states = unit.local_states()
    assert [states[row.sop_instance_uid] for row in rows] == ["present", "corrupt", "present"]
    assert unit.findings() == {"blob-unreadable": "alarm"}
    assert rows[1].blob_uuid in unit.blobs()


@pytest.mark.fault(17)
def test_file_without_a_row_that_cannot_be_read_is_set_aside_and_does_not_stop_the_start(unit: KeptUnit) -> None:
    if not shutil.which("strace"):
        pytest.skip("needs strace")
    kept = unit.keep_chest(1)
    path = stray(unit, chest_bytes(unit, 2))
    done = recover_beside_a_bad_sector(unit, path)
    assert done.returncode == 0, done.stderr
    assert unit.blobs() == {kept.blob_uuid}
    assert unit.quarantined() == {"torn"}


def test_removal_that_was_cut_off_is_finished(unit: KeptUnit) -> None:
    first, second = unit.keep_chest(1), unit.keep_chest(1)
    with open_door(unit.config.door_db) as door:
        mark_removed(door, door.stamp(), first.blob_uuid)
    recover(unit)
    assert unit.blobs() == {second.blob_uuid}


@pytest.mark.fault(32)
def test_of_two_copies_the_one_in_the_index_stays(unit: KeptUnit) -> None:
    first, second = unit.keep_chest(1), unit.keep_chest(1)
    unit.take_in()
    make_index(unit, [second])
    assert recover(unit) == Plan()
    assert unit.blobs() == {second.blob_uuid}
    assert unit.rows("SELECT blob_uuid FROM instance") == [(second.blob_uuid,)]
    assert unit.row(first.blob_uuid).removed_at


def test_last_copy_of_what_came_twice_is_not_read_at_every_later_start(
    unit: KeptUnit, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [unit.keep_chest(seed) for seed in (1, 1, 2, 2)]
    make_index(unit, rows[1::2])
    recover(unit)
    read: list[str] = []
    monkeypatch.setattr(reconcile, "DIGEST_BYTES_MAX", 0)
    monkeypatch.setattr(reconcile, "judge", lambda config, row: read.append(row.blob_uuid))
    recover(unit)
    assert read == []


def test_copy_in_the_index_that_is_damaged_does_not_displace_the_good_one(unit: KeptUnit) -> None:
    first, second = unit.keep_chest(1), unit.keep_chest(1)
    make_index(unit, [second])
    unit.blob(second).write_bytes(b"0" * second.size_bytes)
    recover(unit)
    assert {first.blob_uuid, second.blob_uuid} == unit.blobs()


@pytest.mark.fault(22)
@pytest.mark.parametrize("offset", [0, 100, 4096 + 8, 2 * 4096 + 3])
def test_damaged_orthanc_index_is_set_aside_and_every_blob_posted_again(unit: KeptUnit, offset: int) -> None:
    rows = [unit.keep_chest(seed) for seed in range(3)]
    unit.take_in()
    make_index(unit, rows)
    damage(unit.config.orthanc_dir / "index", offset)
    plan = recover(unit)
    assert sorted(plan.repost) == sorted(row.blob_uuid for row in rows)
    assert not (unit.config.orthanc_dir / "index").exists()
    assert unit.quarantined() == {"index.1.set"}
    assert unit.findings() == {"database-rebuilt": "warning"}
    assert set(unit.local_states().values()) == {"present"}


@pytest.mark.fault(15)
def test_index_that_the_disk_does_not_let_open_is_not_taken_for_damaged(unit: KeptUnit) -> None:
    """On a full disk SQLite cannot make its log; the index is whole and stays where it is."""
    make_index(unit, [unit.keep_chest(1)])
    index = unit.config.orthanc_dir / "index"
    with closing(sqlite3.connect(index)) as db:
        db.execute("PRAGMA journal_mode=WAL")
    (unit.config.orthanc_dir / "index-wal").mkdir()
    with pytest.raises(StoreError):
        recover(unit)
    assert index.exists()
    assert unit.quarantined() == set()


def damage(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 200)


def forget_rows(unit: KeptUnit) -> None:
    """The ledger as it was before its first row, as after the loss of its write-ahead log."""
    for path in unit.config.data_dir.glob("door.db*"):
        path.unlink()
    make_kept_unit(unit.config.data_dir.parent)


@pytest.mark.fault(23)
def test_ledger_that_lost_its_wal_gets_its_rows_back_from_index_and_own_rows(unit: KeptUnit) -> None:
    rows = [unit.keep_chest(seed) for seed in range(2)]
    unit.take_in()
    late = unit.keep_chest(7)
    make_index(unit, [*rows, late])
    forget_rows(unit)
    assert recover(unit) == Plan()
    unit.take_in()
    assert set(unit.local_states()) == {row.sop_instance_uid for row in (*rows, late)}
    assert unit.rows("SELECT count(*) FROM outbox") == [(3,)]
    restored = unit.ledger("SELECT blob_uuid, sha256, dataset_sha256, size_bytes, header_bytes FROM kept")
    assert {row[:4] for row in restored} == {
        (row.blob_uuid, row.sha256, row.dataset_sha256, row.size_bytes) for row in (*rows, late)
    }
    assert {row[4] for row in restored} == {512}


@pytest.mark.fault(23)
def test_own_rows_that_lost_their_wal_are_filled_from_the_ledger(unit: KeptUnit) -> None:
    early = unit.keep_chest(1)
    unit.take_in()
    shutil.copy(unit.config.unit_db, unit.config.data_dir / "older")
    late = unit.keep_chest(2)
    unit.take_in()
    for path in unit.config.data_dir.glob("unit.db*"):
        path.unlink()
    (unit.config.data_dir / "older").rename(unit.config.unit_db)
    recover(unit)
    unit.take_in()
    assert set(unit.local_states()) == {early.sop_instance_uid, late.sop_instance_uid}


@pytest.mark.fault(24)
@pytest.mark.parametrize("offset", [0, 3 * 4096])
def test_unreadable_delivery_records_are_set_aside_and_everything_is_owed_again(unit: KeptUnit, offset: int) -> None:
    rows = [unit.keep_chest(seed) for seed in range(3)]
    unit.take_in()
    for leftover in unit.config.data_dir.glob("unit.db-*"):
        leftover.unlink()
    damage(unit.config.unit_db, offset)
    recover(unit)
    unit.take_in()
    assert unit.rows("SELECT state, count(*) FROM outbox GROUP BY state") == [("pending", len(rows))]
    assert unit.findings() == {"database-rebuilt": "alarm"}
    assert {path.name for path in unit.config.quarantine_dir.iterdir()} == {"unit.db.1.set-aside"}


@pytest.mark.fault(24)
@pytest.mark.parametrize("has_index", [True, False])
def test_unreadable_ledger_is_made_anew_from_blobs(unit: KeptUnit, has_index: bool) -> None:
    rows = [unit.keep_chest(seed) for seed in range(2)]
    unit.take_in()
    late = unit.keep_chest(3)
    if has_index:
        make_index(unit, [*rows, late])
    for leftover in unit.config.data_dir.glob("door.db-*"):
        leftover.unlink()
    damage(unit.config.door_db, 0)
    recover(unit)
    unit.take_in()
    assert set(unit.local_states()) == {row.sop_instance_uid for row in (*rows, late)}
    assert unit.rows("SELECT count(*) FROM outbox") == [(3,)]
    assert {row[0] for row in unit.ledger("SELECT sha256 FROM kept")} == {row.sha256 for row in (*rows, late)}


@pytest.mark.fault(24)
def test_damaged_database_in_use_is_left_alone(unit: KeptUnit) -> None:
    unit.keep_chest(1)
    with unit.config.door_db.open("rb"):
        damage(unit.config.door_db, 0)
        assert run(unit.config, "files", never(), CLOCK) == EXIT_STOPPED
    assert unit.config.door_db.exists()


def test_phase_index_without_phase_files_is_refused(unit: KeptUnit) -> None:
    assert run(unit.config, "index", never(), CLOCK) == EXIT_STOPPED


class Cut(BaseException):
    """The power went."""


def messy_unit(folder: Path) -> KeptUnit:
    """Everything at once: strays, torn files, twins, a lost row, a missing and a damaged blob."""
    unit = make_kept_unit(folder)
    rows = [unit.keep_chest(seed) for seed in range(5)]
    twin = unit.keep_chest(0)
    unit.take_in()
    make_index(unit, [twin, rows[1], rows[3]])
    unit.blob(rows[1]).unlink()
    unit.blob(rows[2]).write_bytes(b"short")
    removed = unit.keep_chest(3)
    with open_door(unit.config.door_db) as door:
        mark_removed(door, door.stamp(), removed.blob_uuid)
    stray(unit, chest_bytes(unit, 11))
    stray(unit, chest_bytes(unit, 12)[:2000])
    stray(unit, b"x", ".part")
    lost = unit.keep_chest(13)
    unlist(unit, lost)
    return unit


def unlist(unit: KeptUnit, row: KeptRow) -> None:
    """Take a row out of the ledger behind the back of its guards, as the loss of its log would."""
    unit.take_in()
    with closing(sqlite3.connect(unit.config.door_db)) as db:
        db.execute("DROP TRIGGER kept_refuses_delete")
        db.execute("DELETE FROM kept WHERE blob_uuid = ?", (row.blob_uuid,))
        db.commit()


def moved(unit: KeptUnit, folder: Path) -> KeptUnit:
    """A copy of the unit's whole folder."""
    shutil.copytree(unit.config.data_dir, folder)
    config = msgspec.structs.replace(unit.config, unit=UnitTable(data_dir=str(folder)))
    return replace(unit, config=config)


def outcome(unit: KeptUnit, plan: Plan) -> object:
    """All that recovery decides, without times and numbers of rows."""
    return (
        unit.blobs(),
        sorted(path.name for path in unit.config.quarantine_dir.iterdir()),
        sorted(unit.ledger("SELECT blob_uuid, sha256, removed_at = '', header_bytes FROM kept")),
        sorted(unit.ledger("SELECT reason, file_name, size_bytes FROM quarantined")),
        sorted(unit.rows("SELECT sop_instance_uid, blob_uuid, local_state FROM instance")),
        sorted(unit.rows("SELECT kind, subject_id, cleared_at = '' FROM finding")),
        json.dumps([sorted(plan.repost), sorted(plan.ghosts)]),
    )


@pytest.mark.fault(19)
def test_recovery_cut_off_after_any_step_ends_where_an_uncut_one_does(tmp_path: Path) -> None:
    origin = messy_unit(tmp_path / "origin")
    uncut = moved(origin, tmp_path / "uncut")
    steps: list[str] = []
    expected = outcome(uncut, recover(uncut, steps.append))
    assert {"partial-removed", "removal-finished", "row-restored", "set-aside", "twin-dropped", "damage-noted"} <= set(
        steps
    )
    for number in range(1, len(steps) + 1):
        unit = moved(origin, tmp_path / f"cut-{number}")
        seen: list[str] = []

        def cut(step: str, seen: list[str] = seen, number: int = number) -> None:
            seen.append(step)
            if len(seen) == number:
                raise Cut

        with pytest.raises(Cut):
            recover(unit, cut)
        assert outcome(unit, recover(unit)) == expected, f"cut after step {number}: {seen[-1]}"
