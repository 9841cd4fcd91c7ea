"""Recovery and intake beside a real Orthanc with the real plugin, on every version this machine has."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from appliance.clock import SystemClock
from appliance.config import DimseDestination, UnitConfig, blob_path
from appliance.dicom.header import HeaderError, HeaderReader
from appliance.live import read_live
from appliance.orthanc.damage import sha256_of
from appliance.orthanc.feed import orthanc_id
from appliance.orthanc.recovery import EXIT_STOPPED, recover_files, recover_index, run
from appliance.orthanc.rest import OrthancRest
from appliance.orthanc.watch import PATIENCE_COUNT, Watch
from appliance.store.connect import migrate, open_door, open_unit
from tests.support.doors import UnitDoor, ledger_rows, start_door, unit_config
from tests.support.files import sample_files, small_chest
from tests.support.kept import KeptUnit, rewritten
from tests.support.never import never
from tests.support.orthancs import orthanc_commands, start_orthanc
from tests.support.world import wait_for

pytestmark = pytest.mark.orthanc

CLOCK = SystemClock()
PACS = DimseDestination(name="pacs", host="127.0.0.1", port=104, called_ae_title="PACS")


@pytest.fixture(params=orthanc_commands())
def config(request: pytest.FixtureRequest, tmp_path: Path) -> UnitConfig:
    """A unit that owes everything to one destination."""
    found = unit_config(request.param, tmp_path / "data")
    return msgspec.structs.replace(found, destination=(PACS,))


def chests(folder: Path, count: int, first: int = 0) -> list[Path]:
    return [small_chest(folder / f"chest-{first + n}.dcm", first + n) for n in range(count)]


def started(config: UnitConfig) -> UnitDoor:
    """As the supervisor starts it: phase ``files``, Orthanc, phase ``index``."""
    migrate_first(config)
    recover_files(config, CLOCK)
    door = start_door(config)
    try:
        recover_index(config, CLOCK)
    except BaseException:
        door.orthanc.stop()
        raise
    return door


def migrate_first(config: UnitConfig) -> None:
    config.data_dir.mkdir(parents=True, exist_ok=True)
    migrate(config.unit_db, config.door_db)


def promises(config: UnitConfig, door: UnitDoor) -> dict[str, str]:
    """SOP Instance UID -> digest of what was kept, after checking that each has one row, one file, one index entry."""
    rows = ledger_rows(config, "SELECT sop_instance_uid, blob_uuid, sha256 FROM kept WHERE removed_at = ''")
    uids = [row[0] for row in rows]
    assert len(set(uids)) == len(uids), "an instance has two rows"
    files = {path.name for path in config.blob_dir.rglob("*") if path.is_file()}
    assert files == {row[1] for row in rows}, "files and rows differ"
    assert all(sha256_of(blob_path(config.blob_dir, blob)) == sha256 for _, blob, sha256 in rows)
    indexed = {door.orthanc.json(f"/instances/{i}/attachments/dicom/info")["Uuid"] for i in instances_of(door)}
    assert indexed == files, "index and files differ"
    return {uid: sha256 for uid, _, sha256 in rows}


def instances_of(door: UnitDoor) -> list[str]:
    return [str(each) for each in door.orthanc.json("/instances")]


def lose_index(config: UnitConfig) -> None:
    for path in config.orthanc_dir.glob("index*"):
        path.unlink()


@pytest.mark.parametrize("command", orthanc_commands())
def test_our_identifier_is_orthancs_own(command: str, tmp_path: Path) -> None:
    checked_count = 0
    with start_orthanc(command, {}, tmp_path / "orthanc").wait_ready() as orthanc, HeaderReader() as headers:
        for path in (*(sample.path for sample in sample_files()), *odd_patients(tmp_path)):
            status, body = orthanc.request("POST", "/instances", path.read_bytes())
            try:
                header = headers.read(path)
            except HeaderError:
                continue
            assert status == 200
            ours = orthanc_id(
                header.orthanc_patient_id,
                header.study.study_instance_uid,
                header.series_instance_uid,
                header.sop_instance_uid,
            )
            assert ours == msgspec.json.decode(body)["ID"], path.name
            checked_count += 1
    assert checked_count >= 50


def odd_patients(folder: Path) -> Iterator[Path]:
    """Patient IDs with every padding and text that Orthanc treats in its own way."""
    odd = [b"ABC ", b"ABC\0", b"  AB", b"A  B", b"\tAB\n", b"A\0B ", b"    ", b"A\\BC", b"\xe9\xe8AB", b"A^B=C "]
    labels = ["", "ISO_IR 100", "ISO_IR 192", "ISO_IR 127"]
    cases = [(raw, label) for raw in odd for label in labels]
    cases += [("بنعلي ".encode(), "ISO_IR 192"), ("山田".encode("iso2022_jp"), "\\ISO 2022 IR 87"), (b"", "")]
    for seed, (text, label) in enumerate(cases):
        raw = text + b" " * (len(text) % 2)
        path = small_chest(folder / f"odd-{seed}.dcm", 1000 + seed)
        marker = b"Z" * len(raw)
        rewritten(path, path, PatientID=marker.decode(), SpecificCharacterSet=label.split("\\"))
        head = b"\x10\x00\x20\x00LO" + len(raw).to_bytes(2, "little")
        data = path.read_bytes()
        assert data.count(head + marker) == 1
        path.write_bytes(data.replace(head + marker, head + raw))
        yield path


def test_start_of_a_healthy_unit_changes_nothing(config: UnitConfig, tmp_path: Path) -> None:
    with started(config) as door:
        assert door.send(*chests(tmp_path, 3)).success_count == 3
        before = promises(config, door)
    with started(config) as door:
        assert promises(config, door) == before
    assert ledger_rows(config, "SELECT count(*) FROM kept") == [(3,)]


@pytest.mark.fault(22)
def test_lost_or_damaged_index_is_made_anew_and_nothing_is_lost(config: UnitConfig, tmp_path: Path) -> None:
    unit = KeptUnit(config)
    with started(config) as door:
        assert door.send(*chests(tmp_path, 4)).success_count == 4
        unit.take_in()
        before = promises(config, door)
        door.orthanc.kill()
    (config.orthanc_dir / "index-wal").unlink()
    with (config.orthanc_dir / "index").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 4096)
    with started(config) as door:
        assert promises(config, door) == before
        unit.take_in()
        present = set(ledger_rows(config, "SELECT blob_uuid FROM kept WHERE removed_at = ''"))
        assert set(unit.rows("SELECT blob_uuid FROM instance WHERE local_state = 'present'")) == present
        assert unit.rows("SELECT count(*) FROM outbox") == [(4,)]
        assert door.send(*chests(tmp_path, 4)).success_count == 4
        assert promises(config, door) == before


@pytest.mark.fault(3)
def test_kept_instance_that_the_index_lacks_comes_back_with_one_row_and_one_file(
    config: UnitConfig, tmp_path: Path
) -> None:
    with started(config) as door:
        assert door.send(*chests(tmp_path, 2)).success_count == 2
        before = promises(config, door)
    lose_index(config)
    with started(config) as door:
        assert promises(config, door) == before


@pytest.mark.fault(27)
def test_index_entry_behind_which_nothing_was_kept_goes(config: UnitConfig, tmp_path: Path) -> None:
    unit = KeptUnit(config)
    with started(config) as door:
        assert door.send(*chests(tmp_path, 2)).success_count == 2
    (blob_uuid,) = ledger_rows(config, "SELECT blob_uuid FROM kept LIMIT 1")[0]
    with closing(sqlite3.connect(config.door_db)) as db:
        db.execute("DROP TRIGGER kept_refuses_delete")
        db.execute("DELETE FROM kept WHERE blob_uuid = ?", (blob_uuid,))
        db.commit()
    path = blob_path(config.blob_dir, blob_uuid)
    path.write_bytes(path.read_bytes()[:-50])
    with started(config) as door:
        assert len(promises(config, door)) == 1
        unit.take_in()
        assert set(unit.findings()) == {"set-aside-torn", "index-ghost"}
        assert door.send(*chests(tmp_path, 2)).success_count == 2
        assert len(promises(config, door)) == 2


@pytest.mark.fault(12)
def test_recovery_killed_at_random_moments_ends_where_an_uncut_one_does(config: UnitConfig, tmp_path: Path) -> None:
    chance = random.Random(7)
    unit = KeptUnit(config)
    with started(config) as door:
        assert door.send(*chests(tmp_path, 12)).success_count == 12
        unit.take_in()
        before = promises(config, door)
    lose_index(config)
    toml = write_toml(config, tmp_path)
    for _ in range(4):
        recover_files(config, CLOCK)
        with start_door(config):
            process = phase(toml, "index")
            try:
                process.wait(0.4 + chance.random() * 0.6)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    with started(config) as door:
        assert promises(config, door) == before
        unit.take_in()
        assert set(unit.local_states()) == set(before)
        assert set(unit.local_states().values()) == {"present"}


def write_toml(config: UnitConfig, folder: Path) -> Path:
    toml = folder / "unit.toml"
    toml.write_text(
        f'[unit]\ndata_dir = "{config.data_dir}"\n'
        f"[dicom]\nport = {config.dicom.port}\n"
        f"[orthanc]\ndicom_port = {config.orthanc.dicom_port}\nhttp_port = {config.orthanc.http_port}\n"
        '[[destination]]\nkind = "dimse"\nname = "pacs"\nhost = "127.0.0.1"\nport = 104\ncalled_ae_title = "PACS"\n'
    )
    return toml


def phase(toml: Path, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "appliance.orthanc.recovery", "--config", toml, "--phase", name])


def test_phase_index_says_so_when_orthanc_is_down(config: UnitConfig) -> None:
    migrate_first(config)
    recover_files(config, CLOCK)
    assert run(config, "index", never(), CLOCK) == EXIT_STOPPED


def test_phase_files_says_so_when_orthanc_still_runs(config: UnitConfig) -> None:
    with started(config):
        assert run(config, "files", never(), CLOCK) == EXIT_STOPPED


@contextmanager
def running_intake(toml: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", "appliance.orthanc.intake", "--config", toml])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_intake_queues_what_arrives_and_goes_on_without_orthanc(config: UnitConfig, tmp_path: Path) -> None:
    unit = KeptUnit(config)
    toml = write_toml(config, tmp_path)

    def queued() -> int:
        return int(unit.rows("SELECT count(*) FROM outbox")[0][0])

    with started(config) as door, running_intake(toml) as intake:
        assert door.send(*chests(tmp_path, 5)).success_count == 5
        wait_for(lambda: queued() == 5, "five duties", 30)
        wait_for(lambda: (read_live(config.run_dir, "intake", CLOCK) or {}).get("orthanc_reachable"), "Orthanc", 30)
        wait_for(lambda: (read_live(config.run_dir, "intake", CLOCK) or {}).get("change_log_seq"), "its log", 30)
        assert door.send(*chests(tmp_path, 1, first=10)).success_count == 1
        door.orthanc.kill()
        wait_for(lambda: queued() == 6, "the duty of the last one", 30)
        intake.send_signal(signal.SIGTERM)
        assert intake.wait(20) == 0
    assert read_live(config.run_dir, "intake", CLOCK) is None
    assert unit.findings() == {}


@pytest.mark.fault(12)
def test_intake_killed_while_pictures_arrive_queues_each_once(config: UnitConfig, tmp_path: Path) -> None:
    chance = random.Random(3)
    unit = KeptUnit(config)
    toml = write_toml(config, tmp_path)
    with started(config) as door:
        for batch in range(4):
            with running_intake(toml) as intake:
                assert door.send(*chests(tmp_path, 6, first=6 * batch)).success_count == 6
                try:
                    intake.wait(chance.random() * 0.5)
                except subprocess.TimeoutExpired:
                    intake.kill()
        with running_intake(toml):
            wait_for(lambda: unit.rows("SELECT count(*) FROM outbox") == [(24,)], "all duties", 30)
    assert unit.rows("SELECT count(DISTINCT instance_id) FROM outbox") == [(24,)]


def test_instance_that_only_orthanc_knows_is_an_alarm(config: UnitConfig, tmp_path: Path) -> None:
    unit = KeptUnit(config)
    with started(config) as door:
        assert door.send(*chests(tmp_path, 2)).success_count == 2
        with closing(sqlite3.connect(config.door_db)) as db:
            db.execute("DROP TRIGGER kept_refuses_delete")
            db.execute("DELETE FROM kept WHERE kept_id = 1")
            db.commit()
        unit.take_in()
        with open_unit(config.unit_db) as db_unit, open_door(config.door_db) as db_door, HeaderReader() as headers:
            watch = Watch(config, db_unit, db_door, headers, OrthancRest(config.run_dir / "orthanc.json"))
            for _ in range(PATIENCE_COUNT + 1):
                watch.step()
    assert unit.findings() == {"not-in-ledger": "alarm"}
    with started(config) as door:
        assert len(promises(config, door)) == 2
        unit.take_in()
    assert unit.rows("SELECT count(*) FROM outbox") == [(2,)]
