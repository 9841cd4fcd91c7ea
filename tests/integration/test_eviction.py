"""Pixels leave a unit only after proof, and a cut at any step of it leaves file and rows that agree."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from appliance.cli.demo.link import CuttableLink
from appliance.clock import SystemClock
from appliance.config import DicomwebDestination, RetentionTable, UnitConfig
from appliance.domain.values import Evidence, Receipt
from appliance.orthanc.recovery import recover_files, recover_index
from appliance.store.commands import give_command, open_commands, read_command
from appliance.store.connect import open_unit
from appliance.store.outbox import note_recheck
from sync.core.events import Event, RecheckWanted
from sync.eviction import Eviction
from tests.support.doors import UnitDoor, make_image, start_door, unit_config
from tests.support.kept import KeptUnit
from tests.support.orthancs import orthanc_commands
from tests.support.promises import centre_faults, kept_faults, settled
from tests.support.strace import injected, missing_for_injection
from tests.support.unit_store import DESTINATION, confirm
from tests.support.world import Modality, Unit, dicomweb_destination, echo, make_unit, running_centre, wait_for

pytestmark = [pytest.mark.orthanc, pytest.mark.timeout(300)]

CENTRE = DicomwebDestination(name=DESTINATION, url="http://127.0.0.1:9/dicom-web")
TURN_COUNT_MAX = 20
IMAGE_COUNT = 2


class Cut(BaseException):
    """The power goes; nothing may catch it."""


class FastClock:
    """The machine's clock, moved on by hand so that nobody waits for the next step."""

    def __init__(self) -> None:
        self._machine = SystemClock()
        self._ahead_s = 0.0

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds

    def mono_s(self) -> float:
        return self._machine.mono_s() + self._ahead_s

    def wall_s(self) -> float:
        return self._machine.wall_s() + self._ahead_s

    def boot_id(self) -> str:
        return self._machine.boot_id()


@dataclass
class Stage:
    """A unit whose pictures are confirmed and which may let them go at once."""

    config: UnitConfig
    clock: FastClock = field(default_factory=FastClock)

    @property
    def unit(self) -> KeptUnit:
        return KeptUnit(self.config, self.clock)

    def started(self) -> UnitDoor:
        """As the supervisor starts Orthanc, with both phases of recovery."""
        recover_files(self.config, self.clock)
        door = start_door(self.config)
        try:
            recover_index(self.config, self.clock)
        except BaseException:
            door.orthanc.stop()
            raise
        return door

    def receive(self, door: UnitDoor, folder: Path) -> str:
        """A study that arrived and was confirmed; its UID."""
        images = [make_image(folder / f"{number}.dcm", seed=number, side=64) for number in range(IMAGE_COUNT)]
        assert door.send(*images).success_count == IMAGE_COUNT
        self.unit.take_in()
        (study,) = self.unit.rows("SELECT study_instance_uid FROM study")
        with open_unit(self.config.unit_db, clock=self.clock) as db:
            confirm(db, db.stamp(), study[0])
            give_command(db, db.stamp(), "evict", study[0], "test")
        self.clock.advance(60)
        return str(study[0])

    def evict(self, did: Callable[[str], None] = lambda step: None) -> None:
        """One life of the eviction, until every wish is answered or nothing more happens."""
        with open_unit(self.config.unit_db, clock=self.clock) as db:

            def answer(event: Event) -> None:
                assert isinstance(event, RecheckWanted)
                for item in event.items:
                    receipt = Receipt(DESTINATION, item.sop_instance_uid, item.sha256, Evidence("wado", item.sha256))
                    note_recheck(db, db.stamp(), item.item_id, receipt)

            eviction = Eviction(self.config, db, self.clock, answer, did)
            for command in open_commands(db):
                eviction.ask(command)
            for _ in range(TURN_COUNT_MAX):
                self.clock.advance(1.0)
                eviction.turn()
                if not open_commands(db):
                    return

    def check(self) -> None:
        """What row 10 asks for: a file that is gone has its durable receipt, and every other one stays."""
        names = self.unit.blobs()
        rows = self.unit.rows(
            """SELECT i.blob_uuid, i.local_state, count(r.receipt_id) FROM instance AS i
                JOIN outbox AS o USING (instance_id)
                LEFT JOIN receipt AS r ON r.item_id = o.item_id AND r.sha256 = i.sha256 AND r.revoked_at = ''
                GROUP BY i.instance_id"""
        )
        assert len(rows) == IMAGE_COUNT
        for blob_uuid, local_state, receipt_count in rows:
            assert local_state == ("present" if blob_uuid in names else "evicted")
            assert receipt_count == 1
        assert names == {row[0] for row in self.unit.ledger("SELECT blob_uuid FROM kept WHERE removed_at = ''")}
        assert self.unit.findings() == {}

    def outcome(self) -> str:
        with open_unit(self.config.unit_db) as db:
            command = read_command(db, 1)
        assert command is not None
        return command.outcome


def make_stage(command: str, folder: Path) -> Stage:
    config = unit_config(command, folder / "data")
    retention = RetentionTable(keep_days_min=0, backup_horizon_days=0)
    return Stage(msgspec.structs.replace(config, destination=(CENTRE,), retention=retention))


@pytest.fixture(params=orthanc_commands(), ids=lambda command: Path(command).name)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    return make_stage(request.param, tmp_path)


@pytest.fixture
def one_stage(tmp_path: Path) -> Stage:
    """For what does not depend on Orthanc's version."""
    if not orthanc_commands():
        pytest.skip("no Orthanc on this machine")
    return make_stage(orthanc_commands()[0], tmp_path)


@pytest.mark.fault(10)
@pytest.mark.parametrize("step", ["permitted", "deleted", "marked", "settled"])
def test_cut_of_sync_during_purge_leaves_file_or_receipt(one_stage: Stage, step: str, tmp_path: Path) -> None:
    def cut_at(done: str) -> None:
        if done == step:
            raise Cut

    with one_stage.started() as door:
        one_stage.receive(door, tmp_path)
        with suppress(Cut):
            one_stage.evict(cut_at)
            raise AssertionError(f"step {step} was never reached: {one_stage.outcome()}")
        door.orthanc.kill()
    with one_stage.started():
        one_stage.evict()
    one_stage.check()
    assert one_stage.unit.blobs() == set()
    assert "left this unit" in one_stage.outcome()
    assert one_stage.unit.ledger("SELECT * FROM purge_permit") == []


@pytest.mark.fault(10)
def test_purge_that_was_cut_is_marked_without_a_second_wish(one_stage: Stage, tmp_path: Path) -> None:
    """Nobody asks again when the disk has room: the mark must not wait for that."""

    def cut_at(done: str) -> None:
        if done == "deleted":
            raise Cut

    with one_stage.started() as door:
        one_stage.receive(door, tmp_path)
        with suppress(Cut):
            one_stage.evict(cut_at)
        door.orthanc.kill()
    with open_unit(one_stage.config.unit_db) as db:
        db.connection.execute("UPDATE command SET finished_at = given_at")
    with one_stage.started():
        one_stage.evict()
    one_stage.check()
    assert len(one_stage.unit.blobs()) == IMAGE_COUNT - 1


@pytest.mark.fault(10)
def test_index_that_a_power_cut_brought_back_from_before_the_purge_is_no_news(one_stage: Stage, tmp_path: Path) -> None:
    """Orthanc flushes its index late: after a cut it lists pictures again whose files went with their receipts."""
    folder = one_stage.config.orthanc_dir
    with one_stage.started() as door:
        one_stage.receive(door, tmp_path)
        before = {path.name: path.read_bytes() for path in folder.glob("index*")}
        one_stage.evict()
        door.orthanc.kill()
    for path in folder.glob("index*"):
        path.unlink()
    for name, data in before.items():
        (folder / name).write_bytes(data)
    with one_stage.started() as door:
        assert door.orthanc.json("/instances") == []
    one_stage.check()
    assert one_stage.unit.blobs() == set()


@pytest.mark.root
@pytest.mark.fault(10)
@pytest.mark.skipif(bool(missing_for_injection()), reason=missing_for_injection())
@pytest.mark.parametrize(
    "fault", ["fdatasync:signal=SIGKILL:when=1", "unlink:signal=SIGKILL:when=1"], ids=["before-row", "before-unlink"]
)
def test_cut_of_orthanc_during_purge_leaves_file_or_receipt(stage: Stage, fault: str, tmp_path: Path) -> None:
    with stage.started() as door:
        stage.receive(door, tmp_path)
        with injected(door.orthanc.process.pid, fault, log=tmp_path / "strace.log"):
            stage.evict()
            assert door.orthanc.wait_ended() == -9
    with stage.started():
        stage.evict()
    stage.check()
    assert stage.unit.blobs() == set()


@pytest.mark.root
@pytest.mark.fault(10)
@pytest.mark.skipif(bool(missing_for_injection()), reason=missing_for_injection())
def test_file_that_orthanc_could_not_let_go_is_not_shown_as_gone(stage: Stage, tmp_path: Path) -> None:
    """A full disk refuses the ledger's row, so the blob stays although Orthanc answers 200."""
    with stage.started() as door:
        stage.receive(door, tmp_path)
        with injected(
            door.orthanc.process.pid,
            "pwrite64:error=ENOSPC",
            log=tmp_path / "strace.log",
            paths=[stage.config.data_dir / "door.db-wal"],
        ):
            stage.evict()
        assert "INJECTED" in (tmp_path / "strace.log").read_text()
        stage.check()
        assert len(stage.unit.blobs()) == IMAGE_COUNT
        assert "Nothing" in stage.outcome()
        door.orthanc.stop()
    with stage.started():
        stage.check()


AT_ONCE = "[retention]\nkeep_days_min = 0\nbackup_horizon_days = 0\n"


def qafila(unit: Unit, *words: str) -> str:
    """What a command says; it must succeed."""
    command = [sys.executable, "-m", "appliance.cli.main", *words, "--config", str(unit.toml)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def studies(unit: Unit) -> list[str]:
    return [str(row[0]) for row in unit.query("SELECT study_instance_uid FROM study ORDER BY 1")]


def on_disk(unit: Unit) -> int:
    return sum(path.is_file() for path in unit.config.blob_dir.rglob("*"))


@pytest.mark.fault(53)
@pytest.mark.parametrize("orthanc", orthanc_commands(), ids=lambda command: Path(command).name)
def test_pixels_leave_after_a_fresh_look_and_never_when_the_centre_was_restored_without_them(
    orthanc: str, tmp_path: Path
) -> None:
    """The whole unit: explained, refused without a link, refused and sent again when absent, done when proved."""
    with running_centre(tmp_path / "centre", orthanc) as centre:
        link = CuttableLink(centre.http_port)
        url = f"http://127.0.0.1:{link.port}/dicom-web"
        unit = make_unit(tmp_path / "unit", orthanc, dicomweb_destination(url), extra=AT_ONCE)
        unit.start()
        try:
            modality = Modality(unit.config.dicom.port)
            assert len(modality.send(4)) == 4
            wait_for(lambda: settled(unit, modality.told), "confirmation")
            (study,) = studies(unit)

            assert "has not been asked again" in qafila(unit, "evict", "--dry-run")
            assert on_disk(unit) == 4

            link.cut()
            assert "cannot be reached" in qafila(unit, "evict", study, "--wait")
            assert on_disk(unit) == 4
            assert unit.query("SELECT state FROM link") == [("down",)]
            link.restore()
            wait_for(lambda: unit.query("SELECT state FROM link") == [("up",)], "the link to be shown as up")

            lost = modality.told[0].sop_instance_uid
            centre.delete(lost)
            assert "has not confirmed it yet" in qafila(unit, "evict", study, "--wait")
            assert on_disk(unit) == 4
            wait_for(lambda: settled(unit, modality.told) and lost in centre.holdings(), "the second delivery")
            assert kept_faults(unit, modality.told) + centre_faults(centre, modality.told) == []

            assert "left this unit" in qafila(unit, "evict", study, "--wait")
            assert on_disk(unit) == 0
            assert unit.query("SELECT DISTINCT local_state FROM instance") == [("evicted",)]
            assert unit.query("SELECT count(*) FROM receipt WHERE revoked_at = '' AND checked_again_at <> ''") == [(4,)]
            assert centre_faults(centre, modality.told) == []
            unit.stop()
            unit.start()
            assert echo(unit.config.dicom.port)
            assert unit.query("SELECT kind FROM finding WHERE severity = 'alarm'") == []
        finally:
            unit.stop()
            link.close()
