"""Every check: what is fine, what needs a person, and that none of them can stop another."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from appliance import health
from appliance.clock import SystemClock
from appliance.config import UnitConfig
from appliance.domain.limits import GIB, LimitSet
from appliance.health import databases, disk, feed, findings, limits, links, orthanc, processes, spool, wall_clock
from appliance.health.check import Level, Result, Subject
from appliance.live import write_live
from appliance.picture import UnitReader
from appliance.store.clock_marks import ClockMark, first_mark_of_boot, last_mark
from appliance.store.connect import open_unit
from appliance.store.door import KeptRow
from appliance.store.findings import note_finding
from tests.store.made import HandClock
from tests.support.unit_store import made_unit

CLOCK = SystemClock()
NOW_S = 1_795_339_200.0


@dataclass(frozen=True)
class StillClock:
    """Stands at ``NOW_S`` unless told otherwise."""

    wall: float = NOW_S
    mono: float = 1000.0

    def mono_s(self) -> float:
        return self.mono

    def wall_s(self) -> float:
        return self.wall

    def boot_id(self) -> str:
        return "boot-1"


@pytest.fixture
def config(tmp_path: Path) -> UnitConfig:
    return made_unit(tmp_path, 2, now_s=CLOCK.wall_s())


@contextmanager
def looking_at(config: UnitConfig) -> Iterator[Subject]:
    with UnitReader(config, CLOCK) as reader:
        yield Subject(config, Path("unit.toml"), CLOCK, reader)


def _one(results: Iterable[Result]) -> Result:
    """The only answer."""
    (result,) = results
    return result


@pytest.mark.parametrize(
    ("free_bytes", "level"),
    [(10 * GIB, Level.FINE), (3 * GIB, Level.WARNING), (GIB - 1, Level.ALARM), (1000, Level.ALARM)],
)
def test_disk_level_follows_the_floors(free_bytes: int, level: Level) -> None:
    assert disk.judge_space(free_bytes, 100 * GIB, LimitSet()).level is level


@pytest.mark.parametrize(("free_count", "level"), [(5000, Level.FINE), (3000, Level.WARNING), (1999, Level.ALARM)])
def test_inode_level_follows_the_floor(free_count: int, level: Level) -> None:
    assert disk.judge_inodes(free_count, 100_000, LimitSet()).level is level


def test_data_folder_that_is_away_is_an_alarm(config: UnitConfig, tmp_path: Path) -> None:
    with looking_at(config) as subject:
        moved = replace(subject, config=_with_data_dir(config, tmp_path / "away"))
        assert _one(disk.check(moved)).level is Level.ALARM


def _with_data_dir(config: UnitConfig, folder: Path) -> UnitConfig:
    import msgspec

    return msgspec.structs.replace(config, unit=msgspec.structs.replace(config.unit, data_dir=str(folder)))


@pytest.mark.parametrize(
    ("clock", "last_at", "boot_mark", "doubt"),
    [
        (StillClock(), "2026-11-22T09:00:00Z", None, ""),
        (StillClock(wall=0.0), "", None, "before-release"),
        (StillClock(), "2027-11-22T09:00:00Z", None, "behind"),
        (StillClock(wall=NOW_S + 4e8), "2026-11-22T09:00:00Z", None, "ahead"),
        (StillClock(), "2026-11-22T09:00:00Z", ClockMark("2026-11-22T09:00:00Z", "boot-1", 999.0), "stepped"),
        (StillClock(), "2026-11-22T09:00:00Z", ClockMark("2026-11-22T09:19:50Z", "boot-1", 990.0), ""),
    ],
)
def test_clock_that_cannot_be_believed_is_said(
    clock: StillClock, last_at: str, boot_mark: ClockMark | None, doubt: str
) -> None:
    last = ClockMark(last_at, "boot-0", 5.0) if last_at else None
    result = wall_clock.judge(clock, last, boot_mark)
    assert result.facts["doubt"] == doubt
    assert result.level is (Level.WARNING if doubt else Level.FINE)


def test_clock_marks_are_the_first_of_the_boot_and_the_last_of_all(config: UnitConfig) -> None:
    with open_unit(config.unit_db) as db:
        note_finding(db, kind="test", subject_id="1", sentence="A.", severity="notice")
        last, first = last_mark(db), first_mark_of_boot(db, "boot-1")
        assert last is not None and last.boot_id == CLOCK.boot_id()
        assert first is not None and first.mono_s == 0.0
        assert first_mark_of_boot(db, "boot-of-another-day") is None


def test_databases_are_fine_when_whole_and_alarm_when_damaged(config: UnitConfig) -> None:
    with looking_at(config) as subject:
        assert [result.level for result in databases.check(subject)] == [Level.FINE, Level.FINE]
    config.door_db.write_bytes(b"junk" * 4000)
    with looking_at(config) as subject:
        unit, door = databases.check(subject)
        assert (unit.level, door.level) == (Level.FINE, Level.ALARM)


def test_damaged_page_is_found(config: UnitConfig) -> None:
    with open_unit(config.unit_db) as db:
        db.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        root = int(db.value("SELECT rootpage FROM sqlite_schema WHERE name = 'journal_by_subject'"))
        page_bytes = int(db.value("PRAGMA page_size"))
    with config.unit_db.open("r+b") as file:
        file.seek((root - 1) * page_bytes)
        file.write(b"\xff" * page_bytes)
    with looking_at(config) as subject:
        assert next(iter(databases.check(subject))).level is Level.ALARM


def test_silent_process_is_an_alarm_and_a_stopped_unit_one_warning(config: UnitConfig) -> None:
    with looking_at(config) as subject:
        assert _one(processes.check(subject)).level is Level.WARNING
        for name in ("unit", "gatekeeper", "intake"):
            write_live(config.run_dir, name, {}, CLOCK)
        levels = {result.check: result.level for result in processes.check(subject)}
    fine = dict.fromkeys(("unit", "gatekeeper", "intake", "services"), Level.FINE)
    assert levels == {**fine, "sync": Level.ALARM, "quality": Level.ALARM}


def test_services_may_rest_but_not_fall_silent(config: UnitConfig) -> None:
    def level(at_mono_s: float, *, is_at_rest: bool) -> Level:
        write_live(config.run_dir, "unit", {}, CLOCK)
        said = HandClock(mono=CLOCK.mono_s() + at_mono_s, boot=CLOCK.boot_id())
        write_live(config.run_dir, "services", {"is_at_rest": is_at_rest}, said)
        with looking_at(config) as subject:
            return {result.check: result.level for result in processes.check(subject)}["services"]

    assert level(0.0, is_at_rest=False) is Level.FINE
    assert level(-3600.0, is_at_rest=True) is Level.FINE
    assert level(-3600.0, is_at_rest=False) is Level.ALARM


def _kept(boot_id: str, mono_s: float) -> KeptRow:
    return KeptRow(1, "b", "1.2", "0" * 64, "0" * 64, 10, "XRAY", "", boot_id, mono_s, "")


@pytest.mark.parametrize(
    ("waiting_count", "oldest", "level"),
    [
        (0, None, Level.FINE),
        (3, _kept("boot-1", 990.0), Level.FINE),
        (3, _kept("boot-1", 900.0), Level.WARNING),
        (3, _kept("boot-0", 999.0), Level.WARNING),
    ],
)
def test_images_that_wait_for_intake_too_long_are_a_warning(
    waiting_count: int, oldest: KeptRow | None, level: Level
) -> None:
    assert feed.judge(waiting_count, oldest, StillClock()).level is level


def test_link_that_was_never_tried_is_a_notice_for_each_destination(config: UnitConfig) -> None:
    with looking_at(config) as subject:
        result = _one(links.check(subject))
    assert (result.level, result.check) == (Level.NOTICE, "link centre")


@pytest.mark.parametrize(("count", "level"), [(0, Level.FINE), (14, Level.FINE), (15, Level.WARNING)])
def test_door_that_is_nearly_full_is_a_warning(config: UnitConfig, count: int, level: Level) -> None:
    write_live(config.run_dir, "gatekeeper", {"fill": {"connection_count": [count, 16]}}, CLOCK)
    with looking_at(config) as subject:
        assert _one(limits.check(subject)).level is level


def test_open_finding_is_told_with_its_weight(config: UnitConfig) -> None:
    with looking_at(config) as subject:
        assert _one(findings.check(subject)).level is Level.FINE
        with open_unit(config.unit_db) as db:
            note_finding(db, kind="sop-conflict", subject_id="1.2", sentence="Two pictures.", severity="alarm")
        assert _one(findings.check(subject)).level is Level.ALARM


def test_check_that_fails_itself_is_unknown_and_the_others_still_answer(
    config: UnitConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Subject) -> list[Result]:
        raise RuntimeError("out of order")

    monkeypatch.setattr(disk, "check", broken)
    with looking_at(config) as subject:
        by_check = {result.check: result for result in health.examine(subject)}
    assert by_check["disk"].level is Level.UNKNOWN and "out of order" in by_check["disk"].sentence
    assert by_check["unit.db"].level is Level.FINE


@contextmanager
def answering(answers: dict[str, Any], config: UnitConfig) -> Iterator[None]:
    """A stand-in for Orthanc's REST API, reachable as the real one is."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path)).encode()
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        access = {"url": f"http://127.0.0.1:{server.server_port}", "username": "u", "password": "p"}
        (config.run_dir / "orthanc.json").write_text(json.dumps(access), encoding="utf-8")
        try:
            yield
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("answers", "levels"),
    [
        (
            {"/system": {"Version": "1.12.7"}, "/qafila/door": {"counts": {}, "last_error": ""}},
            {"orthanc": Level.FINE, "door": Level.FINE},
        ),
        (
            {"/system": {"Version": "1.10.1"}, "/qafila/door": {"last_error": "disk full"}},
            {"orthanc": Level.FINE, "door": Level.NOTICE},
        ),
        ({"/system": {"Version": "9.9"}}, {"orthanc": Level.WARNING, "door": Level.ALARM}),
        ({"/system": ["odd"]}, {"orthanc": Level.ALARM}),
    ],
)
def test_orthanc_and_its_door_are_asked(config: UnitConfig, answers: dict[str, Any], levels: dict[str, Level]) -> None:
    with answering(answers, config), looking_at(config) as subject:
        assert {result.check: result.level for result in orthanc.check(subject)} == levels


def test_orthanc_that_does_not_answer_is_an_alarm_and_one_never_started_a_warning(config: UnitConfig) -> None:
    with looking_at(config) as subject:
        assert _one(orthanc.check(subject)).level is Level.WARNING
        with answering({}, config):
            pass
        assert _one(orthanc.check(subject)).level is Level.ALARM


def test_spool_says_how_full_it_is_and_a_full_one_is_fine(config: UnitConfig) -> None:
    with looking_at(config) as subject:
        assert list(spool.check(subject)) == []
        for number in range(2):
            folder = config.data_dir / "spool" / "ab" / f"ab{number}"
            folder.mkdir(parents=True)
            (folder / "pixels").write_bytes(bytes(1000))
            (folder / "parts.json").write_bytes(bytes(10))
        [result] = spool.check(subject)
    assert result.facts["kept_bytes"] == 2020
    assert result.facts["file_count"] == 2
    assert result.level is Level.FINE
    assert spool.judge(1 << 40, 1 << 20, LimitSet()).level is Level.FINE
