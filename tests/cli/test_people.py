"""``qafila people``: who may sign in, from the command line; PINs never as arguments and never shown."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from appliance.clock import SystemClock
from appliance.people import pins
from appliance.store.connect import open_reader, open_unit
from appliance.store.people import list_people, sign_in
from tests.cli.running import Qafila
from tests.support.unit_store import made_unit


@pytest.fixture
def qafila(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Qafila:
    monkeypatch.setattr(pins, "_N", 2)
    monkeypatch.setattr("sys.stdin", io.StringIO("٤٧١١\n"))
    made_unit(tmp_path, 1, now_s=SystemClock().wall_s())
    return Qafila(str(tmp_path / "unit.toml"), capsys)


def test_person_is_added_listed_signs_in_and_is_removed(qafila: Qafila, tmp_path: Path) -> None:
    assert qafila("people", "list").out == "Nobody is listed, so nobody has to sign in.\n"
    assert qafila("people", "add", "Salma", "--role", "supervisor").out == "Salma may sign in as supervisor.\n"
    assert "Salma" in qafila("people", "list").out
    with open_unit(tmp_path / "data" / "unit.db") as db:
        person = list_people(db)[0]
        assert sign_in(db, db.stamp(), person.person_id, "4711").person == person, "digits of any script"
        kept = db.value("SELECT pin_hash FROM person")
    assert kept.startswith("scrypt$") and "4711" not in kept
    assert qafila("people", "remove", "salma").code == 0
    with open_reader(tmp_path / "data" / "unit.db") as db:
        assert list_people(db) == () and db.value("SELECT count(*) FROM person") == 1
        events = [row[0] for row in db.rows("SELECT event FROM journal WHERE subject = 'person' ORDER BY seq")]
        assert "Salma" not in str(db.rows("SELECT * FROM journal"))
    assert events == ["added", "signed-in", "removed"]


@pytest.mark.parametrize("pin", ["", "12a4", "1234", "0000", "4321", "123"])
def test_pin_that_everybody_tries_first_is_refused(qafila: Qafila, monkeypatch: pytest.MonkeyPatch, pin: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(pin + "\n"))
    said = qafila("people", "add", "Salma")
    assert said.code == 2 and "PIN" in said.err and "Nothing was changed" in said.err


def test_json_has_its_documented_fields_and_no_hash(qafila: Qafila) -> None:
    facts = qafila("people", "add", "Salma", "--role", "supervisor", "--json").facts
    assert set(facts["person"]) == {"person_id", "name", "role", "added_at"}
    assert qafila("people", "pin", "nobody").code == 4


def test_somebody_who_may_change_the_list_is_always_on_it(qafila: Qafila, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*argv: str) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO("4711\n"))
        said = qafila("people", *argv)
        return said.out + said.err

    assert "has to be a supervisor" in run("add", "Omar")
    assert "Salma may sign in" in run("add", "Salma", "--role", "supervisor")
    assert "Omar may sign in" in run("add", "Omar") and "may sign in already" in run("add", "omar")
    assert "only supervisor" in run("remove", "Salma")
    assert "Nour may sign in" in run("add", "Nour", "--role", "supervisor")
    assert "signs in no more" in run("remove", "Salma")
    assert "only supervisor" in run("remove", "Nour")
    assert "signs in no more" in run("remove", "Omar") and "signs in no more" in run("remove", "Nour")
    assert qafila("people", "list").out == "Nobody is listed, so nobody has to sign in.\n"


def test_waits_grow_to_a_bound() -> None:
    assert [pins.wait_s(count) for count in (0, 2, 3, 4, 5, 1000)] == [0, 0, 5, 10, 20, pins.WAIT_S_MAX]
