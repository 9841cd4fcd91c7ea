"""The reading commands over a real store with nothing running: sentences, JSON shapes and exit codes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.domain.eta import Goodput
from appliance.domain.leave import Bar, Leave, Stop, leave_facts
from appliance.domain.values import LinkKind, LinkState, TrafficClass
from appliance.live import write_live
from appliance.store.connect import open_unit, write
from appliance.store.links import note_rate
from appliance.store.transfers import note_link
from tests.cli.running import Qafila
from tests.support.unit_store import made_unit, reject, study_uid, unit_toml


@pytest.fixture
def qafila(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Qafila:
    made_unit(tmp_path, 12, now_s=SystemClock().wall_s(), confirmed_count=4)
    return Qafila(str(tmp_path / "unit.toml"), capsys)


def _set_aside(tmp_path: Path, number: int) -> None:
    with open_unit(tmp_path / "data" / "unit.db") as db:
        reject(db, db.stamp(), study_uid(number), "The centre does not accept this kind of image.")


def test_status_says_what_is_safe_and_that_power_is_not_known_without_processes(qafila: Qafila) -> None:
    said = qafila("status")
    assert said.code == 0
    assert "8 studies not yet safe at the centre" in said.out
    assert "✖ Do not power off" in said.out


def test_status_needs_a_person_when_a_study_is_set_aside(qafila: Qafila, tmp_path: Path) -> None:
    _set_aside(tmp_path, 7)
    assert qafila("status").code == 1
    said = qafila("status", "--json")
    assert said.code == 1 and said.facts["needs_person"] is True


def test_status_json_has_its_documented_fields(qafila: Qafila) -> None:
    facts = qafila("status", "--json").facts
    assert set(facts) == {
        "needs_person",
        "eta",
        "unit_name",
        "news",
        "taken_at",
        "study_count",
        "unsafe_study_count",
        "unsafe_instance_count",
        "unsafe_bytes",
        "only_here_study_count",
        "last_sync_at",
        "links",
        "findings",
        "power",
        "battery",
        "disk_free_bytes",
        "disk_total_bytes",
        "forecast",
        "waits",
    }
    assert (facts["study_count"], facts["unsafe_study_count"], facts["unsafe_bytes"]) == (12, 8, 8 * 15_000_000)


def test_studies_lists_today_and_unsent_and_finds_in_the_archive(qafila: Qafila) -> None:
    rows = {row["study_instance_uid"]: row for row in qafila("studies", "--json").facts["studies"]}
    assert {study_uid(number) for number in range(4, 12)} <= set(rows)
    assert rows[study_uid(5)]["state"] == "queued"
    assert len(qafila("studies", "--all", "--json").facts["studies"]) == 12
    found = qafila("studies", "Number11", "--json").facts["studies"]
    assert [row["study_instance_uid"] for row in found] == [study_uid(11)]
    assert "PATIENT, Number11" in qafila("studies", "Number11").out


def test_study_is_found_by_the_end_of_its_uid_and_shown_with_images_and_history(qafila: Qafila) -> None:
    facts = qafila("study", "7.2", "--json").facts
    assert facts["study"]["study_instance_uid"] == study_uid(2)
    assert facts["study"]["state"] == "complete" and facts["why"] == ""
    assert [item["state"] for row in facts["instances"] for item in row["items"]] == ["confirmed"]
    assert [row["event"] for row in facts["journal"]][:2] == ["kept", "queued"]
    assert "✓✓ Complete at centre" in qafila("study", study_uid(2)).out


@pytest.mark.parametrize(
    ("uid", "words"),
    [
        ("9.9.9", "There is no study 9.9.9 on this unit."),
        ("1.2", "means more than one study"),
        ("", "There is no study (nothing)"),
        ("'; DROP TABLE study", "There is no study"),
        ("%", "There is no study %"),
        ("\x1b[2J", "There is no study [2J on"),
    ],
)
def test_unknown_or_ambiguous_study_is_said_in_words(qafila: Qafila, uid: str, words: str) -> None:
    said = qafila("study", uid)
    assert said.code == 4 and words in said.err and "Nothing was changed" in said.err


def test_exact_uid_wins_over_longer_ones_that_begin_with_it(qafila: Qafila) -> None:
    assert qafila("study", study_uid(1), "--json").facts["study"]["study_instance_uid"] == study_uid(1)


def test_queue_lists_what_waits_oldest_first(qafila: Qafila) -> None:
    items = qafila("queue", "--json").facts["items"]
    assert [item["study_instance_uid"] for item in items] == [study_uid(number) for number in range(4, 12)]
    assert "waiting" in qafila("queue").out


def test_estimates_are_told_by_study_and_for_the_queue_or_why_there_is_none(qafila: Qafila, tmp_path: Path) -> None:
    assert qafila("status", "--json").facts["eta"] == "unknown - no contact yet"
    with open_unit(tmp_path / "data" / "unit.db") as db:
        note_link(db, db.stamp(), "centre", LinkState.UP, None, None)
        note_rate(db, db.stamp(), "centre", Goodput(90_000.0, 100_000.0, 110_000.0), None)
    status, queue = qafila("status", "--json").facts, qafila("queue", "--json").facts
    assert status["eta"] == queue["eta"] == queue["eta_by_study"][study_uid(11)] == "15-25 min"
    assert queue["eta_by_study"][study_uid(4)] == qafila("study", "7.4", "--json").facts["eta"] == "2-3 min"
    assert study_uid(2) not in queue["eta_by_study"]
    assert "done in: 15-25 min" in qafila("status").out
    assert "in 2-3 min" in qafila("queue").out
    assert "at the centre in: 2-3 min" in qafila("study", "7.4").out
    assert qafila("study", "7.2", "--json").facts["eta"] == ""


def test_what_the_link_s_hours_keep_back_is_said(qafila: Qafila, tmp_path: Path) -> None:
    stop = Stop(Bar.HOURS, LinkKind.SIM, hours="20:00-06:00", until="20:00")
    leave = leave_facts({TrafficClass.FULL: Leave(stop)})
    write_live(tmp_path / "data" / "run", "sync", {"leave": leave}, SystemClock())
    line = "whole images: Waits for 20:00-06:00, its hours on the SIM."
    assert qafila("status", "--json").facts["waits"] == qafila("queue", "--json").facts["waits"] == [line]
    assert line in qafila("status").out and line in qafila("queue").out


def test_journal_prints_one_object_a_line_and_goes_on_after_a_number(qafila: Qafila) -> None:
    rows = [json.loads(line) for line in qafila("journal", "--json").out.splitlines()]
    assert [row["seq"] for row in rows] == sorted(row["seq"] for row in rows)
    later = [json.loads(line) for line in qafila("journal", "--json", "--after", str(rows[-2]["seq"])).out.splitlines()]
    assert later == rows[-1:]
    about = qafila("journal", study_uid(2)).out
    assert "confirmed" in about and "kept" in about


def test_evict_dry_run_gives_every_study_a_verdict_with_reasons(qafila: Qafila) -> None:
    facts = qafila("evict", "--dry-run", "--json").facts
    assert len(facts["studies"]) == 12 and facts["evictable_bytes"] == 0
    by_uid = {row["study_instance_uid"]: row for row in facts["studies"]}
    assert "centre has not confirmed it yet." in by_uid[study_uid(9)]["reasons"]
    assert any("at least 14 days" in reason for reason in by_uid[study_uid(0)]["reasons"])
    assert not any(row["allowed"] for row in facts["studies"])
    assert "Nothing was removed." in qafila("evict", "--dry-run", "7.3").out


COMMANDS = ("status", "studies", "queue", "journal", "doctor")


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_database_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    said = Qafila(str(unit_toml(tmp_path)), capsys)(command)
    shown = said.err + said.out
    assert said.code == (1 if command == "doctor" else 3)
    assert "there is no such file" in shown and "not touched" in shown and "qafila unit run" in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_damaged_database_is_a_sentence(qafila: Qafila, tmp_path: Path, command: str) -> None:
    (tmp_path / "data" / "unit.db").write_bytes(b"junk" * 5000)
    said = qafila(command)
    assert said.code == (1 if command == "doctor" else 3)
    assert "not a database" in said.err + said.out


def test_database_of_a_newer_release_is_a_sentence_and_json(qafila: Qafila, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "data" / "unit.db")
    connection.execute("PRAGMA user_version = 1000")
    connection.close()
    said = qafila("status", "--json")
    assert said.code == 3 and "newer release" in said.facts["error"] and said.facts["code"] == "wrong-release"


def test_reading_does_not_wait_for_a_writer(qafila: Qafila, tmp_path: Path) -> None:
    writer = sqlite3.connect(tmp_path / "data" / "unit.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    assert qafila("status").code == 0
    writer.close()


def test_missing_configuration_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = Qafila(str(tmp_path / "nowhere.toml"), capsys)("status")
    assert said.code == 3 and "nowhere.toml: cannot be read" in said.err


def test_wrong_use_is_exit_code_2(qafila: Qafila) -> None:
    assert qafila("stattus").code == 2
    assert qafila("study").code == 2


def test_reader_that_leaves_early_ends_the_command_quietly(qafila: Qafila, tmp_path: Path) -> None:
    del qafila
    argv = [sys.executable, "-m", "appliance.cli.main", "journal", "--config", str(tmp_path / "unit.toml")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


def test_plain_commands_import_no_screen_no_network_and_no_dicom(qafila: Qafila, tmp_path: Path) -> None:
    del qafila
    code = (
        "import sys; from appliance.cli.main import main; "
        f"main(['status', '--config', {str(tmp_path / 'unit.toml')!r}]); "
        "print(sorted({'textual', 'rich', 'httpx', 'pydicom', 'pynetdicom', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("words", [("status",), ("studies",), ("studies", "--json"), ("study", study_uid(3))])
def test_terminal_that_knows_ascii_only_is_answered_all_the_same(tmp_path: Path, words: tuple[str, ...]) -> None:
    made_unit(tmp_path, 12, now_s=SystemClock().wall_s(), confirmed_count=4)
    with open_unit(tmp_path / "data" / "unit.db") as db, write(db):
        db.change("UPDATE study SET patient_name = 'BENALI^FATIMA=بنعلي^فاطمة'")
    done = subprocess.run(
        [sys.executable, "-m", "appliance.cli.main", *words, "--config", str(tmp_path / "unit.toml")],
        check=False,
        capture_output=True,
        env={"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()
    if "--json" in words:
        names = {row["patient_name"] for row in json.loads(done.stdout)["studies"]}
        assert names == {"BENALI^FATIMA=بنعلي^فاطمة"}
